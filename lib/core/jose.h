/* jose: keys and certificates in the forms that others' tools read.
 *
 * A key: as JWK (RFC 7517; of Ed25519: RFC 8037, section 2), and as did:key (W3C CCG, The did:key Method
 * v0.7, section 2.1: multicodec ed25519-pub, base58btc). A certificate: as a JWT (RFC 7519) in a compact
 * JWS (RFC 7515, section 7.1; EdDSA: RFC 8037, section 3.1), which its own key signs:
 *
 *     header   alg EdDSA, kid "crt_…", typ "duck-certificate+jwt" (so that it passes for no other JWT:
 *              RFC 8725, section 3.11)
 *     payload  iss the key as did:key, sub the identity, jti the certificate, iat and nbf when it began,
 *              exp when it ends, name, kind ("node", "duckling", "operator"), sequence, cnf the key as JWK
 *              (RFC 7800), chain the packed Chain up to it, in standard base64
 *
 * It says nothing but what the chain says, so one certificate has one JWS, to the byte. What is signed
 * begins with a header in base64url and never with "DUCKv1 ": it stands for nothing else that this key
 * signs. It proves that the key was there, not that whoever shows it has the key. */
#ifndef DUCK_CORE_JOSE_H
#define DUCK_CORE_JOSE_H

#include "certificate.h"

#define JOSE_DID_SIZE 57  /* "did:key:z", 47 digits, NUL */
#define JOSE_JWK_SIZE 192 /* with NUL */
#define JOSE_JWS_MAX (128u * KIB) /* bytes; of the longest chain */

/* Returns `text`. */
const char *jose_did(const struct public_key *key, char text[JOSE_DID_SIZE]);

/* One JSON object. `certificate` becomes its kid, and use and alg are said too; NULL: the bare key, whose
 * members are those that RFC 7638 hashes. Returns `text`. */
const char *jose_jwk(const struct public_key *key, const struct id *certificate,
                     char text[JOSE_JWK_SIZE]);

/* Of the last certificate of `chain`, which `key` is the key of. .data NULL: the arena's budget. A NUL
 * stands behind it. */
struct bytes jose_jws(const struct chain *chain, const struct identity_key *key,
                      struct arena *arena);

enum jose_verdict {
    JOSE_TAKEN,
    JOSE_TOO_LARGE,      /* JOSE_JWS_MAX */
    JOSE_MALFORMED,      /* no compact JWS that carries a chain */
    JOSE_BAD_CHAIN,      /* see *certified */
    JOSE_NOT_THE_CHAIN,  /* header or payload say something else than the chain that they carry */
    JOSE_BAD_SIGNATURE,  /* not by the chain's last key */
};

const char *jose_verdict_text(enum jose_verdict verdict);

/* What jose_jws made, by whomever, offline. `*chain` borrows from `arena` and is written only when taken;
 * `*certified` is what chain_open says of it. Dates are not judged: see chain_key_at. */
enum jose_verdict jose_open(struct bytes text, struct arena *arena, struct chain *chain,
                            enum certificate_verdict *certified);

#endif
