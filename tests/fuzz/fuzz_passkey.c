/* What an authenticator said: clientDataJSON, NUL, and an attestation object, which is also tried as
 * authenticator data under the key that it brought. */
#include "passkey.h"
#include "people.h"
#include "strict_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct passkey_place place = {.rp_id = "localhost"};
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t client_size = end ? (size_t)(end - data) : size, challenge_size;
    struct bytes client = bytes_of(data, client_size), said = {0};
    uint8_t challenge[PASSKEY_CHALLENGE_MAX];
    struct passkey_key key = {.counter = 0};
    uint32_t counter;

    strict_json_prepare();
    if (end)
        said = bytes_of(end + 1, size - client_size - 1);
    if (passkey_read_client(&place, PASSKEY_CREATE, client, challenge, &challenge_size) ==
        PASSKEY_TAKEN)
        assert(challenge_size <= sizeof challenge);
    if (passkey_open(&place, client, said, &key) != PASSKEY_TAKEN)
        return 0;
    assert(key.credential_size > 0 && key.credential_size <= sizeof key.credential);
    assert(key.key_size > 0 && key.key_size <= sizeof key.key);
    assert(passkey_prove(&place, &key, client, said, client, &counter) != PASSKEY_TAKEN);
    return 0;
}
