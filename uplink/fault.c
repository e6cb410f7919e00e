#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[FAULT_COUNT] = {
    [FAULT_NONE] = "none",
    [FAULT_CONFIGURATION] = "configuration",
    [FAULT_NAME_NOT_RESOLVED] = "name-not-resolved",
    [FAULT_REFUSED] = "refused",
    [FAULT_UNREACHABLE] = "unreachable",
    [FAULT_CONNECT_TIMEOUT] = "connect-timeout",
    [FAULT_PROXY_STATUS] = "proxy-status",
    [FAULT_PROXY_PROTOCOL] = "proxy-protocol",
    [FAULT_TLS_UNKNOWN_ISSUER] = "tls-unknown-issuer",
    [FAULT_TLS_WRONG_HOST] = "tls-wrong-host",
    [FAULT_TLS_EXPIRED] = "tls-expired",
    [FAULT_TLS_PIN] = "tls-pin",
    [FAULT_TLS_VERSION] = "tls-version",
    [FAULT_TLS_CERTIFICATE] = "tls-certificate",
    [FAULT_TLS_HANDSHAKE] = "tls-handshake",
    [FAULT_HTTP_STATUS] = "http-status",
    [FAULT_HTTP_PROTOCOL] = "http-protocol",
    [FAULT_NOT_WEBSOCKET] = "not-websocket",
    [FAULT_NO_SUBPROTOCOL] = "no-subprotocol",
    [FAULT_PROTOCOL] = "protocol",
    [FAULT_PHASE_TIMEOUT] = "phase-timeout",
    [FAULT_PING_TIMEOUT] = "ping-timeout",
    [FAULT_REVOKED] = "revoked",
    [FAULT_DENIED] = "denied",
    [FAULT_RATE_LIMITED] = "rate-limited",
    [FAULT_REPLACED] = "replaced",
    [FAULT_CLOSED] = "closed",
    [FAULT_VAULT] = "vault",
    [FAULT_LOCAL] = "local",
};

const char *fault_name(enum fault_reason reason)
{
    if ((unsigned)reason >= FAULT_COUNT)
        return "unknown";
    return names[reason];
}

void fault_clear(struct fault *fault)
{
    memset(fault, 0, sizeof *fault);
}

enum fault_reason fault_set(struct fault *fault, enum fault_reason reason, const char *format, ...)
{
    va_list arguments;

    if (fault->reason != FAULT_NONE)
        return fault->reason;
    fault->reason = reason;
    va_start(arguments, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, arguments);
    va_end(arguments);
    for (char *at = fault->detail; *at; at++)
        if (*at < 0x20 || *at > 0x7e || *at == '\\')
            *at = '?';
    return reason;
}
