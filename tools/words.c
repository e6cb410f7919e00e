#include "words.h"

#include "words_find.h"

const struct words *words_find(const struct words *table, size_t count, unsigned value)
{
    static const struct words unknown = {
        "unknown", "in a state that this program does not know",
        "this program may be older than the agent: install both from one package"};
    return value < count && table[value].word ? &table[value] : &unknown;
}

const struct words *words_worker_state(ipc_WorkerState state)
{
    static const struct words table[] = {
        [ipc_WORKER_DOWN] = {"down", "down", NULL},
        [ipc_WORKER_STARTING] = {"starting", "starting", NULL},
        [ipc_WORKER_SERVING] = {"serving", "serving", NULL},
        [ipc_WORKER_DISABLED] = {"off", "off", NULL},
    };
    return words_find(table, WORDS_COUNT(table), state);
}

const struct words *words_capture_phase(ipc_CapturePhase phase)
{
    static const struct words table[] = {
        [ipc_CAPTURE_NOT_RUNNING] = {"not_running", "not running", NULL},
        [ipc_CAPTURE_OFF] = {"off", "switched off by the administrator", NULL},
        [ipc_CAPTURE_NO_SESSION] = {"no_session", "waiting: nobody is logged in to a desktop",
                                    NULL},
        [ipc_CAPTURE_WAITING_FOR_X] = {"waiting_for_x", "waiting for the X server",
                                       "if a desktop is running, check [session] display and "
                                       "xauthority in the configuration"},
        [ipc_CAPTURE_WAYLAND] = {"wayland", "screenshots unavailable: Wayland",
                                 "log in to an X11 session, or set screenshots = off"},
        [ipc_CAPTURE_CAPTURING] = {"capturing", "capturing", NULL},
        [ipc_CAPTURE_PAUSED] = {"paused", "paused by the user", "cloister resume ends the pause"},
    };
    return words_find(table, WORDS_COUNT(table), phase);
}

const struct words *words_uplink_phase(ipc_UplinkPhase phase)
{
    static const struct words table[] = {
        [ipc_UPLINK_NOT_RUNNING] = {"not_running", "not connected: not running", NULL},
        [ipc_UPLINK_NOT_CONFIGURED] = {"not_configured", "no console is configured",
                                       "set [console] host in the configuration"},
        [ipc_UPLINK_RESOLVING] = {"resolving", "not connected: looking up the address", NULL},
        [ipc_UPLINK_CONNECTING] = {"connecting", "not connected: connecting now", NULL},
        [ipc_UPLINK_UNENROLLED] = {"unenrolled",
                                   "connected, but the console does not know this "
                                   "machine",
                                   "have an enrolment token made at the console and run: cloister "
                                   "enroll --token-file -"},
        [ipc_UPLINK_PENDING] = {"pending", "connected, waiting for approval at the console",
                                "compare the fingerprint that 'cloister identity' shows at the "
                                "console and approve the machine there"},
        [ipc_UPLINK_APPROVED] = {"approved", "connected and approved", NULL},
        [ipc_UPLINK_WAITING] = {"waiting", "not connected", NULL},
    };
    return words_find(table, WORDS_COUNT(table), phase);
}

static const struct words uplink_reasons[] = {
    [ipc_UPLINK_OK] = {"ok", "no failure so far", NULL},
    [ipc_UPLINK_NAME_NOT_RESOLVED] = {"name_not_resolved", "its name has no address",
                                      "check [console] host, and this machine's DNS"},
    [ipc_UPLINK_UNREACHABLE] = {"unreachable", "it cannot be reached",
                                "check the network, firewalls, and [console] port"},
    [ipc_UPLINK_CONNECT_TIMEOUT] = {"connect_timeout", "no answer to the connection attempt",
                                    "check firewalls between here and the console"},
    [ipc_UPLINK_PROXY] = {"proxy", "the proxy did not let it through",
                          "check [console] proxy, and that it allows CONNECT to the console"},
    [ipc_UPLINK_TLS_ISSUER] = {"tls_issuer", "its certificate is of an issuer that is not trusted",
                               "set [console] ca to the issuer's certificate; if the issuer named "
                               "is a TLS inspection device, exempt the console from it"},
    [ipc_UPLINK_TLS_HOST] = {"tls_host", "its certificate is for another host",
                             "check [console] host against the names in the certificate"},
    [ipc_UPLINK_TLS_EXPIRED] = {"tls_expired", "its certificate is not valid at this time",
                                "check this machine's clock, then renew the certificate"},
    [ipc_UPLINK_TLS_PIN] = {"tls_pin", "its public key is not the pinned one",
                            "if the console's key was changed on purpose, change [console] pin; "
                            "otherwise somebody may be in between"},
    [ipc_UPLINK_TLS_VERSION] = {"tls_version", "no common version of TLS",
                                "let the console speak TLS 1.3, or set [console] tls_minimum = "
                                "1.2"},
    [ipc_UPLINK_TLS_OTHER] = {"tls_other", "the TLS handshake failed", NULL},
    [ipc_UPLINK_HTTP] = {"http", "what answers is not a console",
                         "check [console] host, port and path"},
    [ipc_UPLINK_PROTOCOL] = {"protocol", "it broke the protocol",
                             "check that console and agent are of compatible versions"},
    [ipc_UPLINK_SILENT] = {"silent", "it stopped answering", NULL},
    [ipc_UPLINK_CLOSED] = {"closed", "the connection was closed", NULL},
    [ipc_UPLINK_REVOKED] = {"revoked", "the console has revoked this machine",
                            "approve it again at the console, or make a new key with 'cloister "
                            "key reset' and enrol the machine anew"},
    [ipc_UPLINK_VAULT] = {"vault", "the machine's key could not be used",
                          "see the vault's lines in the log, and docs/machine-key.md"},
    [ipc_UPLINK_CONFIG] = {"config", "its configuration cannot be used",
                           "check that the file of [console] ca can be read and holds PEM "
                           "certificates"},
};

const struct words *words_uplink_reason(ipc_UplinkReason reason)
{
    return words_find(uplink_reasons, WORDS_COUNT(uplink_reasons), reason);
}

const struct words *words_key_origin(ipc_KeyOrigin origin)
{
    static const struct words table[] = {
        [ipc_KEY_UNKNOWN] = {"none", "of unknown origin", NULL},
        [ipc_KEY_FIRST_START] = {"first_start", "made at the first start after installation", NULL},
        [ipc_KEY_DISK_CHANGED] = {"disk_changed", "made because the disk's serial number changed",
                                  NULL},
        [ipc_KEY_BOARD_CHANGED] = {"board_changed",
                                   "made because the board's serial number changed", NULL},
        [ipc_KEY_DISK_AND_BOARD_CHANGED] = {"disk_and_board_changed",
                                            "made because the serial numbers of disk and board "
                                            "changed",
                                            NULL},
        [ipc_KEY_RESET] = {"reset", "made by an administrator's 'cloister key reset'", NULL},
    };
    return words_find(table, WORDS_COUNT(table), origin);
}

const struct words *words_refusal(ipc_RefusalReason reason)
{
    static const struct words table[] = {
        [ipc_REFUSED_UNSPECIFIED] = {"unspecified", "refused without a reason", NULL},
        [ipc_NOT_RUNNING] = {"not_running", "the process that would do it is not running",
                             "'cloister status' says why"},
        [ipc_PEER_GONE] = {"peer_gone", "the process that would do it ended before it answered",
                           "try again; 'cloister status' and the log say why it ended"},
        [ipc_BUSY] = {"busy", "the agent is busy", "try again in a moment"},
        [ipc_TIMED_OUT] = {"timed_out", "there was no answer in time",
                           "try again; see the agent's log if it stays so"},
        [ipc_NOT_ALLOWED] = {"not_allowed", "it is not allowed", NULL},
        [ipc_NOT_CONSENTED] = {"not_consented", "the user has not consented to it", NULL},
        [ipc_ALREADY_OPEN] = {"already_open", "it is open already", NULL},
        [ipc_BAD_REQUEST] = {"bad_request", "the request makes no sense to the agent", NULL},
        [ipc_NO_SUCH] = {"no_such", "there is no such thing", NULL},
        [ipc_FAILED] = {"failed", "it did not work", "see the agent's log"},
        [ipc_SCHEMA_MISMATCH] = {"schema_mismatch",
                                 "this program and the running agent are of different builds",
                                 "restart the agent"},
        [ipc_TOO_MANY] = {"too_many", "there are too many of it already", "try again later"},
    };
    return words_find(table, WORDS_COUNT(table), reason);
}
