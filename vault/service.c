#include "service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RETRY_INTERVAL_MS 5000

_Static_assert((int)ipc_KEY_FIRST_START == (int)KEY_ORIGIN_FIRST_START &&
                   (int)ipc_KEY_DISK_CHANGED == (int)KEY_ORIGIN_DISK_CHANGED &&
                   (int)ipc_KEY_BOARD_CHANGED == (int)KEY_ORIGIN_BOARD_CHANGED &&
                   (int)ipc_KEY_DISK_AND_BOARD_CHANGED == (int)KEY_ORIGIN_BOTH_CHANGED &&
                   (int)ipc_KEY_RESET == (int)KEY_ORIGIN_RESET,
               "the file and the schema number origins alike");

static const ipc_VaultEventKind event_kinds[] = {
    [KEY_NOTE_CREATED] = ipc_KEY_CREATED,
    [KEY_NOTE_ROTATED] = ipc_KEY_ROTATED,
    [KEY_NOTE_SET_ASIDE] = ipc_KEY_SET_ASIDE,
    [KEY_NOTE_UNREADABLE] = ipc_IDENTIFIER_NOT_READABLE,
    [KEY_NOTE_ADOPTED] = ipc_IDENTIFIER_ADOPTED,
    [KEY_NOTE_UNRECORDED] = ipc_IDENTIFIER_NOT_RECORDED,
    [KEY_NOTE_WEAK] = ipc_BINDING_WEAK,
    [KEY_NOTE_LOCKED] = ipc_KEY_NOT_AVAILABLE,
    [KEY_NOTE_LOST] = ipc_KEY_NOT_AVAILABLE,
    [KEY_NOTE_FAILED] = ipc_KEY_NOT_AVAILABLE,
};

/* The schema's word for what was found; a value without the word "present" is not looked at. */
static void identify(struct hardware_identifier *out, bool given,
                     const ipc_HardwareIdentifier *identifier)
{
    enum hardware_state state = HARDWARE_ABSENT;
    if (given && identifier->state == ipc_IDENTIFIER_PRESENT)
        state = HARDWARE_READABLE;
    else if (given && identifier->state != ipc_IDENTIFIER_ABSENT)
        state = HARDWARE_UNREADABLE;
    hardware_identify(out, state, identifier->value,
                      strnlen(identifier->value, sizeof identifier->value));
}

int service_begin(struct service *service, struct key_store *store, int folder,
                  const ipc_VaultConfig *config, uint64_t now_ms)
{
    memset(service, 0, sizeof *service);
    service->store = store;
    service->folder = folder;
    identify(&service->hardware.part[HARDWARE_DISK], config->has_disk, &config->disk);
    identify(&service->hardware.part[HARDWARE_BOARD], config->has_board, &config->board);
    ration_begin(&service->retries, 1, RETRY_INTERVAL_MS, now_ms);
    return signer_begin(&service->signer, config->console_host, now_ms);
}

void service_open(struct service *service, uint64_t unix_ms)
{
    if (service->hold) {
        service->notes.count = service->told = 0;
        key_notes_add(&service->notes, KEY_NOTE_FAILED,
                      "no key is made before there is a replay store: %s", service->hold);
        return;
    }
    key_store_open(service->store, service->folder, &service->hardware, unix_ms, &service->notes);
    service->told = 0;
}

int service_event(struct service *service, ipc_VaultEvent *out)
{
    if (service->told == service->notes.count)
        return 0;
    const struct key_note *note = &service->notes.list[service->told++];
    *out = (ipc_VaultEvent){.kind = event_kinds[note->kind]};
    snprintf(out->detail, sizeof out->detail, "%s", note->text);
    return 1;
}

const struct service_refusal *service_refuse(struct service_refusal *out, ipc_RefusalReason reason,
                                             const char *format, ...)
{
    va_list arguments;
    out->reason = reason;
    va_start(arguments, format);
    vsnprintf(out->detail, sizeof out->detail, format, arguments);
    va_end(arguments);
    return out;
}

/* The last note that says why there is no key: they stay until the store is opened anew. */
static const char *why_not(const struct service *service)
{
    for (size_t i = service->notes.count; i > 0; i--)
        if (event_kinds[service->notes.list[i - 1].kind] == ipc_KEY_NOT_AVAILABLE)
            return service->notes.list[i - 1].text;
    return signer_outcome_text(SIGNER_NO_KEY);
}

static void retry(struct service *service, uint64_t now_ms, uint64_t unix_ms)
{
    if (key_store_state(service->store) == KEY_STORE_CLOSED &&
        ration_take(&service->retries, now_ms))
        service_open(service, unix_ms);
}

static void describe(ipc_MachineKey *out, const struct key_public *key)
{
    memcpy(out->public_key, key->public_key, sizeof out->public_key);
    memcpy(out->machine_id, key->id, sizeof out->machine_id);
    out->origin = (ipc_KeyOrigin)key->origin;
    out->has_previous = key->has_previous;
    memcpy(out->previous_id, key->previous_id, sizeof out->previous_id);
    out->created_ms = key->created_ms;
}

static const struct service_refusal *refuse_to_sign(struct service *service,
                                                    enum signer_outcome outcome)
{
    switch (outcome) {
    case SIGNER_SIGNED:
        return NULL;
    case SIGNER_NO_KEY:
        return service_refuse(&service->refusal, ipc_FAILED, "%s", why_not(service));
    case SIGNER_WRONG_HOST:
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED, "%s",
                              signer_outcome_text(outcome));
    case SIGNER_RATIONED:
        return service_refuse(&service->refusal, ipc_TOO_MANY, "%s", signer_outcome_text(outcome));
    case SIGNER_IMPOSSIBLE:
        return service_refuse(&service->refusal, ipc_BAD_REQUEST, "%s",
                              signer_outcome_text(outcome));
    }
    return service_refuse(&service->refusal, ipc_FAILED, "unknown outcome");
}

const struct service_refusal *service_sign_challenge(struct service *service,
                                                     const ipc_SignChallenge *request,
                                                     uint64_t now_ms, uint64_t unix_ms,
                                                     ipc_ChallengeSigned *out)
{
    retry(service, now_ms, unix_ms);
    struct signer_challenge fields = {
        .host = request->host,
        .host_length = strnlen(request->host, sizeof request->host),
        .challenge = request->challenge,
        .exporter = request->exporter,
    };
    memset(out, 0, sizeof *out);
    enum signer_outcome outcome = signer_sign_challenge(
        &service->signer, key_store_signing_key(service->store), now_ms, &fields, out->signature);
    if (outcome)
        return refuse_to_sign(service, outcome);
    out->has_key = true;
    describe(&out->key, key_store_public(service->store));
    return NULL;
}

const struct service_refusal *service_sign_origin(struct service *service,
                                                  const ipc_SignOrigin *request, uint64_t now_ms,
                                                  uint64_t unix_ms, ipc_OriginSigned *out)
{
    if (request->size == 0 || request->consent_ms == 0)
        return service_refuse(&service->refusal, ipc_BAD_REQUEST,
                              "an origin without a size or a time");
    retry(service, now_ms, unix_ms);
    struct signer_origin fields = {
        .ticket = request->ticket,
        .digest = request->digest,
        .size = request->size,
        .consent_ms = request->consent_ms,
    };
    memset(out, 0, sizeof *out);
    return refuse_to_sign(service, signer_sign_origin(&service->signer,
                                                      key_store_signing_key(service->store), now_ms,
                                                      &fields, out->signature));
}

const struct service_refusal *service_identity(struct service *service, uint64_t now_ms,
                                               uint64_t unix_ms, ipc_MachineIdentityReply *out)
{
    retry(service, now_ms, unix_ms);
    const struct key_public *key = key_store_public(service->store);
    if (!key)
        return service_refuse(&service->refusal, ipc_FAILED, "%s", why_not(service));
    memset(out, 0, sizeof *out);
    out->has_key = true;
    describe(&out->key, key);
    _Static_assert(sizeof out->fingerprint >= MACHINE_FINGERPRINT_SIZE, "it fits");
    machine_fingerprint(out->fingerprint, key->public_key);
    snprintf(out->binding, sizeof out->binding, "%s", key_store_binding(service->store));
    return NULL;
}

const struct service_refusal *service_reset(struct service *service, uint32_t uid, uint64_t now_ms,
                                            uint64_t unix_ms, ipc_KeyResetDone *out)
{
    if (uid != 0)
        return service_refuse(&service->refusal, ipc_NOT_ALLOWED,
                              "only root resets the machine's key");
    retry(service, now_ms, unix_ms);
    if (key_store_state(service->store) == KEY_STORE_CLOSED)
        return service_refuse(&service->refusal, ipc_FAILED, "%s", why_not(service));
    struct key_notes notes;
    int error = key_store_reset(service->store, unix_ms, &notes);
    service->notes = notes;
    service->told = 0;
    if (error)
        return service_refuse(&service->refusal, ipc_FAILED, "%s", why_not(service));
    memset(out, 0, sizeof *out);
    out->has_key = true;
    describe(&out->key, key_store_public(service->store));
    return NULL;
}
