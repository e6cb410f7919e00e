#include "report.h"

#include <stdio.h>
#include <time.h>

ipc_UplinkReason report_reason(enum fault_reason reason)
{
    static const ipc_UplinkReason reasons[FAULT_COUNT] = {
        [FAULT_NONE] = ipc_UplinkReason_UPLINK_CLOSED, /* an end that nobody explained */
        [FAULT_CONFIGURATION] = ipc_UplinkReason_UPLINK_CONFIG,
        [FAULT_NAME_NOT_RESOLVED] = ipc_UplinkReason_UPLINK_NAME_NOT_RESOLVED,
        [FAULT_REFUSED] = ipc_UplinkReason_UPLINK_UNREACHABLE,
        [FAULT_UNREACHABLE] = ipc_UplinkReason_UPLINK_UNREACHABLE,
        [FAULT_CONNECT_TIMEOUT] = ipc_UplinkReason_UPLINK_CONNECT_TIMEOUT,
        [FAULT_PROXY_STATUS] = ipc_UplinkReason_UPLINK_PROXY,
        [FAULT_PROXY_PROTOCOL] = ipc_UplinkReason_UPLINK_PROXY,
        [FAULT_TLS_UNKNOWN_ISSUER] = ipc_UplinkReason_UPLINK_TLS_ISSUER,
        [FAULT_TLS_WRONG_HOST] = ipc_UplinkReason_UPLINK_TLS_HOST,
        [FAULT_TLS_EXPIRED] = ipc_UplinkReason_UPLINK_TLS_EXPIRED,
        [FAULT_TLS_PIN] = ipc_UplinkReason_UPLINK_TLS_PIN,
        [FAULT_TLS_VERSION] = ipc_UplinkReason_UPLINK_TLS_VERSION,
        [FAULT_TLS_CERTIFICATE] = ipc_UplinkReason_UPLINK_TLS_OTHER,
        [FAULT_TLS_HANDSHAKE] = ipc_UplinkReason_UPLINK_TLS_OTHER,
        [FAULT_HTTP_STATUS] = ipc_UplinkReason_UPLINK_HTTP,
        [FAULT_HTTP_PROTOCOL] = ipc_UplinkReason_UPLINK_HTTP,
        [FAULT_NOT_WEBSOCKET] = ipc_UplinkReason_UPLINK_HTTP,
        [FAULT_NO_SUBPROTOCOL] = ipc_UplinkReason_UPLINK_HTTP,
        [FAULT_PROTOCOL] = ipc_UplinkReason_UPLINK_PROTOCOL,
        [FAULT_PHASE_TIMEOUT] = ipc_UplinkReason_UPLINK_SILENT,
        [FAULT_PING_TIMEOUT] = ipc_UplinkReason_UPLINK_SILENT,
        [FAULT_REVOKED] = ipc_UplinkReason_UPLINK_REVOKED,
        [FAULT_DENIED] = ipc_UplinkReason_UPLINK_PROTOCOL,
        [FAULT_RATE_LIMITED] = ipc_UplinkReason_UPLINK_CLOSED,
        [FAULT_REPLACED] = ipc_UplinkReason_UPLINK_CLOSED,
        [FAULT_CLOSED] = ipc_UplinkReason_UPLINK_CLOSED,
        [FAULT_VAULT] = ipc_UplinkReason_UPLINK_VAULT,
        [FAULT_LOCAL] = ipc_UplinkReason_UPLINK_CONFIG,
    };

    return (unsigned)reason < FAULT_COUNT ? reasons[reason] : ipc_UplinkReason_UPLINK_CLOSED;
}

static void begin(ipc_UplinkState *state, ipc_UplinkPhase phase)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    *state = (ipc_UplinkState)ipc_UplinkState_init_zero;
    state->has_status = true;
    state->status.phase = phase;
    state->status.since_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void report_fault(ipc_UplinkState *state, const struct fault *fault)
{
    begin(state, ipc_UplinkPhase_UPLINK_WAITING);
    state->status.reason = report_reason(fault->reason);
    snprintf(state->status.detail, sizeof state->status.detail, "%s: %.160s",
             fault_name(fault->reason), fault->detail);
}

void report_connected(ipc_UplinkState *state, enum wire_state machine)
{
    static const ipc_UplinkPhase phases[] = {
        [WIRE_UNENROLLED] = ipc_UplinkPhase_UPLINK_UNENROLLED,
        [WIRE_PENDING] = ipc_UplinkPhase_UPLINK_PENDING,
        [WIRE_APPROVED] = ipc_UplinkPhase_UPLINK_APPROVED,
    };

    begin(state, phases[machine]);
}
