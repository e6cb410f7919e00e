/*
 * The outgoing TCP connection: the one thing that uplink does before it locks itself.
 *
 * Names are never resolved here; the resolver did that. Blocking functions; any thread, but they
 * are meant for the start of main, before there is another one.
 */
#ifndef CLOISTER_UPLINK_DIAL_H
#define CLOISTER_UPLINK_DIAL_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "fault.h"

/* More addresses than this of one name are not tried. */
#define DIAL_ADDRESSES_MAX 8

/* An address in text: INET6_ADDRSTRLEN, brackets and ":65535". */
#define DIAL_TEXT_MAX 64

struct dial_address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/*
 * Reads an IPv4 or IPv6 address in its textual form, without brackets and zone. Returns 0 or
 * -EINVAL when `text` is anything else, a host name for instance.
 */
int dial_address_read(struct dial_address *out, const char *text, uint16_t port);

/* Writes `address` as "192.0.2.1:443" or "[2001:db8::1]:443" into `out` of DIAL_TEXT_MAX bytes. */
void dial_address_write(char *out, const struct dial_address *address);

/*
 * Connects to the first of `count` addresses that answers, in the order given (the resolver's,
 * which is that of RFC 6724): the sequential form of RFC 8305, so that a dead address family costs
 * a part of the time and not the connection. It takes at most `total_ms`; each attempt has an equal
 * share of what is left. The new descriptor is non-blocking, close-on-exec, with TCP_NODELAY and
 * TCP_NOTSENT_LOWAT (so that an acknowledgement is never late because of bytes that wait in the
 * kernel), and the caller's; `*used` is the address's index. Returns 0, or the fault_reason with
 * `fault` set. When all fail, the fault tells of the attempt that came furthest: refused before
 * timed out before unreachable.
 */
int dial(int *out, const struct dial_address *addresses, size_t count, int total_ms, size_t *used,
         struct fault *fault);

#endif
