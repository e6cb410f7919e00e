/*
 * One name to addresses, by the C library: /etc/hosts and DNS as nsswitch.conf(5) and
 * resolv.conf(5) say. Modules of the name service that are not in libc itself (mdns,
 * systemd-resolved's, sssd's) are not in the resolver's root; they count as unavailable and the
 * next source is asked.
 */
#ifndef CLOISTER_RESOLVE_H
#define CLOISTER_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVE_ADDRESSES_MAX 8
#define RESOLVE_ERROR_MAX     96

struct resolve_address {
    uint8_t bytes[16]; /* network order */
    size_t length;     /* 4 or 16 */
    uint32_t scope;    /* of a link-local IPv6 address */
};

struct resolve_answer {
    size_t count;
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX]; /* in the order of RFC 6724 */
    char error[RESOLVE_ERROR_MAX];                           /* for people; "" if there are some */
};

/*
 * Whether `name` is a host name (RFC 1123 section 2.1): letters, digits, '-' and '_' in labels of
 * at most 63, 253 bytes in all, with or without a final dot, and not an address.
 */
bool resolve_is_name(const char *name);

/*
 * Bounds what one question may take (about 20 s for each search domain), and has the C library read
 * resolv.conf and nsswitch.conf, so that a locked process need not. Sends nothing. Before
 * resolve_name, while there is one thread.
 */
void resolve_setup(void);

/* Resolves `name` and fills `answer`; blocks. One thread at a time. */
void resolve_name(struct resolve_answer *answer, const char *name);

#endif
