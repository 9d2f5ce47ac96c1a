#include "tls.h"

#include "core/bytes.h"
#include "gateway.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define KEY_ID_SIZE 64

struct credentials {
    gnutls_pcert_st chain[TLS_CHAIN_MAX];
    unsigned chain_size;
    gnutls_privkey_t key;
    uint64_t retired_ms;
    struct credentials *older;
};

static struct {
    pthread_mutex_t lock;
    struct credentials *now; /* then those before, which handshakes under way may use */
} tls = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool __attribute__((format(printf, 2, 3)))
refuse(char problem[TLS_PROBLEM_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, TLS_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static void credentials_free(struct credentials *credentials)
{
    while (credentials) {
        struct credentials *older = credentials->older;

        for (unsigned i = 0; i < credentials->chain_size; i++)
            gnutls_pcert_deinit(&credentials->chain[i]);
        if (credentials->key)
            gnutls_privkey_deinit(credentials->key);
        memory_give_back(credentials);
        credentials = older;
    }
}

/* ---- reading ---- */

static bool read_chain(struct credentials *credentials, const char *path,
                       char problem[TLS_PROBLEM_SIZE])
{
    unsigned size = TLS_CHAIN_MAX;
    int error = gnutls_pcert_list_import_x509_file(credentials->chain, &size, path,
                                                   GNUTLS_X509_FMT_PEM, NULL, NULL, 0);

    if (error < 0)
        return refuse(problem, "%s holds no chain of at most %d certificates in PEM: %s", path,
                      TLS_CHAIN_MAX, gnutls_strerror(error));
    credentials->chain_size = size;
    return true;
}

static bool read_key(struct credentials *credentials, const char *path,
                     char problem[TLS_PROBLEM_SIZE])
{
    gnutls_datum_t text = {NULL, 0};
    struct stat status;
    int error;

    if (stat(path, &status) != 0)
        return refuse(problem, "%s: %s", path, strerror(errno));
    if (status.st_mode & S_IRWXO)
        return refuse(problem, "%s may be read by everybody on this host: chmod o= it", path);
    error = gnutls_load_file(path, &text);
    if (!error)
        error = gnutls_privkey_init(&credentials->key);
    if (!error)
        error =
            gnutls_privkey_import_x509_raw(credentials->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (text.data) {
        gnutls_memset(text.data, 0, text.size);
        gnutls_free(text.data);
    }
    return !error || refuse(problem, "%s holds no key in PEM: %s", path, gnutls_strerror(error));
}

static bool key_id(gnutls_pubkey_t key, uint8_t id[KEY_ID_SIZE], size_t *size)
{
    *size = KEY_ID_SIZE;
    return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, size) == 0;
}

static bool belong_together(const struct credentials *credentials)
{
    uint8_t ids[2][KEY_ID_SIZE];
    size_t sizes[2] = {0, 0};
    gnutls_pubkey_t key;
    bool do_they;

    if (gnutls_pubkey_init(&key) != 0)
        return false;
    do_they = gnutls_pubkey_import_privkey(key, credentials->key, 0, 0) == 0 &&
              key_id(key, ids[0], &sizes[0]) &&
              key_id(credentials->chain[0].pubkey, ids[1], &sizes[1]) && sizes[0] == sizes[1] &&
              !memcmp(ids[0], ids[1], sizes[0]);
    gnutls_pubkey_deinit(key);
    return do_they;
}

/* ---- in force ---- */

static void drop_old(struct credentials *credentials, uint64_t now_ms)
{
    while (credentials->older && now_ms < credentials->older->retired_ms + TLS_RETIRED_MS)
        credentials = credentials->older;
    credentials_free(credentials->older);
    credentials->older = NULL;
}

static void put_in_force(struct credentials *credentials)
{
    uint64_t now_ms = gateway_now_ms();

    pthread_mutex_lock(&tls.lock);
    if (tls.now)
        tls.now->retired_ms = now_ms;
    credentials->older = tls.now;
    tls.now = credentials;
    drop_old(credentials, now_ms);
    pthread_mutex_unlock(&tls.lock);
}

bool tls_load(const char *certificate_path, const char *key_path, char problem[TLS_PROBLEM_SIZE])
{
    struct credentials *credentials = memory_take(sizeof *credentials);
    bool is_good = read_chain(credentials, certificate_path, problem) &&
                   read_key(credentials, key_path, problem);

    if (is_good && !belong_together(credentials))
        is_good = refuse(problem, "the key of %s is not that of the first certificate in %s",
                         key_path, certificate_path);
    if (is_good)
        put_in_force(credentials);
    else
        credentials_free(credentials);
    return is_good;
}

void tls_forget(void)
{
    pthread_mutex_lock(&tls.lock);
    credentials_free(tls.now);
    tls.now = NULL;
    pthread_mutex_unlock(&tls.lock);
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *authorities,
                    int authority_count, const gnutls_pk_algorithm_t *algorithms,
                    int algorithm_count, gnutls_pcert_st **chain, unsigned *chain_size,
                    gnutls_privkey_t *key)
{
    (void)session;
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;
    pthread_mutex_lock(&tls.lock);
    *chain = tls.now->chain;
    *chain_size = tls.now->chain_size;
    *key = tls.now->key;
    pthread_mutex_unlock(&tls.lock);
    return 0;
}

void *tls_retrieve_function(void)
{
    return (void *)(uintptr_t)retrieve;
}
