/* revocation: the record by which an identity ends, checked by somebody who has nothing but it and the
 * identity's certificates: offline, years later. The wire: proto/record.proto, kind 4. */
#ifndef DUCK_CORE_REVOCATION_H
#define DUCK_CORE_REVOCATION_H

#include "certificate.h"
#include "record.h"

enum revocation_verdict {
    REVOCATION_HOLDS,
    REVOCATION_MALFORMED,      /* no signed record, or none that revokes */
    REVOCATION_OTHER_IDENTITY, /* it revokes somebody else */
    REVOCATION_BAD_SIGNATURE,  /* not signed by the chain's last key, in its time */
};

const char *revocation_verdict_text(enum revocation_verdict verdict);

/* Does the packed Envelope `wire` revoke the owner of `chain`? Only the last key of the chain can: whoever
 * has one that was rotated could date a revocation back. `*content` borrows from `arena`; written only when
 * it holds. That the record ran out since is nothing against it: what was revoked stays so. */
enum revocation_verdict revocation_open(struct bytes wire, const struct chain *chain,
                                        struct arena *arena, struct revocation_content *content);

#endif
