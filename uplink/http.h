/*
 * A strict, bounded reader of the head of one HTTP/1.x response (RFC 9112), for the two answers
 * that uplink ever reads over HTTP: a proxy's to CONNECT and the console's to the WebSocket
 * upgrade.
 *
 * Strict means that what RFC 9112 lets a lenient recipient repair is refused: bare CR or LF, folded
 * lines, space before the colon, empty names, control characters. A byte that cannot be part of a
 * valid head is refused when it arrives, so that a peer which does not speak HTTP is told apart
 * from one that is slow.
 *
 * No allocation, no state outside `struct http_head`; one head must not be used by two threads.
 */
#ifndef CLOISTER_UPLINK_HTTP_H
#define CLOISTER_UPLINK_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* The longest head that is accepted, its closing empty line included. */
#define HTTP_HEAD_MAX   8192
#define HTTP_FIELDS_MAX 64

enum http_outcome {
    HTTP_MORE = 1,  /* valid so far, the end has not come */
    HTTP_MALFORMED, /* not a valid head, and no further byte can make it one */
    HTTP_TOO_LARGE, /* more than HTTP_HEAD_MAX bytes or HTTP_FIELDS_MAX fields */
};

struct http_field {
    const char *name;  /* a token, as sent */
    const char *value; /* without leading and trailing white space */
};

struct http_head {
    int minor_version;  /* 0 or 1, of HTTP/1.x */
    int status;         /* 100 to 999 */
    const char *reason; /* may be empty; may hold any byte from 0x20 on, and tabs */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t used; /* the rest is the reader's own */
    char text[HTTP_HEAD_MAX + 1];
};

/* Prepares `head` for a new response. */
void http_head_init(struct http_head *head);

/*
 * Takes in what arrived. `*consumed` is the number of bytes that belong to the head; it is below
 * `length` only when the head ended before, and what follows is not HTTP's. Returns 0 when the head
 * is complete, and then all members of `head` are valid until http_head_init; otherwise an
 * http_outcome. After any result but HTTP_MORE, it must not be called again.
 */
int http_head_feed(struct http_head *head, const void *bytes, size_t length, size_t *consumed);

/*
 * The value of the first field called `name` (compared without case), or NULL. `*count`, when not
 * NULL, becomes the number of fields of that name. The head must be complete.
 */
const char *http_head_field(const struct http_head *head, const char *name, size_t *count);

/*
 * Whether any field called `name` holds `token` in its comma-separated list, compared without case
 * (RFC 9110 section 5.6.1).
 */
bool http_head_lists(const struct http_head *head, const char *name, const char *token);

#endif
