/*
 * Why a connection to the console could not be made or ended.
 *
 * Every layer of uplink reports failure in this one form: a reason out of a fixed list, which
 * programs act on, and a detail for people. The detail never holds anything but printable ASCII
 * without backslashes, whatever the peer sent, so it may be shown and logged as it is.
 *
 * Functions here keep no state and may be called from any thread.
 */
#ifndef CLOISTER_UPLINK_FAULT_H
#define CLOISTER_UPLINK_FAULT_H

#include <stddef.h>

#define FAULT_DETAIL_MAX 240

/* Positive, so that it can stand beside -errno in a return value; 0 is "no fault". */
enum fault_reason {
    FAULT_NONE,
    FAULT_CONFIGURATION,      /* what the administrator configured cannot be used */
    FAULT_NAME_NOT_RESOLVED,  /* no address for the console's or the proxy's name */
    FAULT_REFUSED,            /* connection refused */
    FAULT_UNREACHABLE,        /* no route, network down, and their like */
    FAULT_CONNECT_TIMEOUT,    /* nobody answered the connection attempt */
    FAULT_PROXY_STATUS,       /* the proxy answered with an HTTP status that is not 2xx */
    FAULT_PROXY_PROTOCOL,     /* the proxy's answer is not HTTP, is endless, or says too much */
    FAULT_TLS_UNKNOWN_ISSUER, /* the chain does not end in a trusted CA: interception says this */
    FAULT_TLS_WRONG_HOST,     /* the certificate is valid, for another name */
    FAULT_TLS_EXPIRED,        /* out of its validity span, on either side */
    FAULT_TLS_PIN,            /* valid, but no key of the chain is a pinned one */
    FAULT_TLS_VERSION,        /* the peer offers only versions that are not allowed */
    FAULT_TLS_CERTIFICATE,    /* any other objection to the certificate (weak key, wrong purpose) */
    FAULT_TLS_HANDSHAKE,      /* not TLS at all, no common cipher, closed half way */
    FAULT_HTTP_STATUS,        /* the upgrade was answered with something other than 101 */
    FAULT_HTTP_PROTOCOL,      /* the answer to the upgrade is not HTTP or is endless */
    FAULT_NOT_WEBSOCKET,      /* 101, but not this WebSocket handshake */
    FAULT_NO_SUBPROTOCOL,     /* a WebSocket server that does not speak cloister.v1 */
    FAULT_PROTOCOL,           /* the console broke WebSocket or the wire protocol */
    FAULT_PHASE_TIMEOUT,      /* connected, then silent during TLS, proxy, upgrade or sign-in */
    FAULT_PING_TIMEOUT,       /* signed in, then silent */
    FAULT_REVOKED,            /* the console says that this machine is revoked */
    FAULT_DENIED,             /* the console refused the sign-in for another reason */
    FAULT_RATE_LIMITED,       /* the console asks for fewer attempts */
    FAULT_REPLACED,           /* a newer connection of this machine took over */
    FAULT_CLOSED,             /* the console or the network ended the connection */
    FAULT_VAULT,              /* the vault did not sign the console's challenge */
    FAULT_LOCAL,              /* this machine failed: memory, a system call */
    FAULT_COUNT
};

struct fault {
    enum fault_reason reason;
    char detail[FAULT_DETAIL_MAX];
};

/* The reason's stable name, such as "tls-unknown-issuer"; "unknown" for a value out of range. */
const char *fault_name(enum fault_reason reason);

/* Forgets what `fault` says. */
void fault_clear(struct fault *fault);

/*
 * Records `reason` and the formatted detail in `fault`, cut to FAULT_DETAIL_MAX and with every byte
 * that is not printable ASCII, and every backslash, replaced by '?'. The first fault stays: what
 * follows from it would only hide it. Returns the recorded reason.
 */
enum fault_reason fault_set(struct fault *fault, enum fault_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
