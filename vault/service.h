/*
 * What the vault answers to each message of the schema, apart from how messages travel.
 *
 * An answer function returns NULL when `out` is the answer, and otherwise a refusal, which stays
 * valid until the next call. `uid` is the broker's stamp of who asked. Times are handed in:
 * `now_ms` monotonic, `unix_ms` of the calendar. One thread at a time.
 */
#ifndef CLOISTER_VAULT_SERVICE_H
#define CLOISTER_VAULT_SERVICE_H

#include "cloister.pb.h"
#include "key_store.h"
#include "ration.h"
#include "signer.h"

struct service_refusal {
    ipc_RefusalReason reason;
    char detail[KEY_NOTE_TEXT];
};

struct service {
    struct key_store *store; /* the caller's */
    int folder;              /* the caller's */
    struct hardware hardware;
    struct signer signer;
    const char *hold;      /* why the key store must not be opened yet, or NULL; the caller's */
    struct ration retries; /* of opening a store that could not be opened */
    struct key_notes notes;
    size_t told; /* how many of them service_event has handed out */
    struct service_refusal refusal;
};

/*
 * Prepares to serve `store`, not opened yet, in `folder` as the broker's configuration says.
 * Returns 0, or -EINVAL if the configuration cannot be.
 */
int service_begin(struct service *service, struct key_store *store, int folder,
                  const ipc_VaultConfig *config, uint64_t now_ms);

/*
 * Opens the key store, unless service->hold: the caller sets it while a fresh installation's replay
 * store could not be made. It need not succeed: a vault without a key says so to whoever asks, and
 * tries again when asked, at most every 5 s.
 */
void service_open(struct service *service, uint64_t unix_ms);

/* Fills `out` with the next event to tell the broker: 1, or 0 when there is none. */
int service_event(struct service *service, ipc_VaultEvent *out);

const struct service_refusal *service_sign_challenge(struct service *service,
                                                     const ipc_SignChallenge *request,
                                                     uint64_t now_ms, uint64_t unix_ms,
                                                     ipc_ChallengeSigned *out);

const struct service_refusal *service_sign_origin(struct service *service,
                                                  const ipc_SignOrigin *request, uint64_t now_ms,
                                                  uint64_t unix_ms, ipc_OriginSigned *out);

const struct service_refusal *service_identity(struct service *service, uint64_t now_ms,
                                               uint64_t unix_ms, ipc_MachineIdentityReply *out);

/* Fills `out` and returns it; for those who answer beside these functions. */
__attribute__((format(printf, 3, 4))) const struct service_refusal *
service_refuse(struct service_refusal *out, ipc_RefusalReason reason, const char *format, ...);

/* Only for uid 0, whatever route brought it here. */
const struct service_refusal *service_reset(struct service *service, uint32_t uid, uint64_t now_ms,
                                            uint64_t unix_ms, ipc_KeyResetDone *out);

#endif
