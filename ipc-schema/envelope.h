/*
 * The envelope: a fixed header, a protobuf body, an opaque blob.
 *
 *   offset  size  little-endian
 *        0     2  type        the message's number in the schema
 *        2     2  version     IPC_VERSION
 *        4     4  request     0: a notification; else the sender's number for a request, or the
 *                             number of the request that this answers
 *        8     4  ticket      0 from every peer; on delivery the broker's stamp: the ticket on
 * whose channel the request came, 0 if none 12     4  uid         0 from every peer; on delivery
 * the broker's stamp: the asking user 16     4  body        bytes of protobuf that follow 20     4
 * blob        bytes behind the body, parsed by their receiver alone
 *
 * The lengths must add up to the message exactly. All functions are pure and may be called from any
 * thread.
 */
#ifndef CLOISTER_ENVELOPE_H
#define CLOISTER_ENVELOPE_H

#include <stdint.h>
#include <stddef.h>

#include "route.h"

#define ENVELOPE_HEADER 24u

enum envelope_outcome {
    ENVELOPE_OK = 0,
    ENVELOPE_SHORT,   /* shorter than a header */
    ENVELOPE_VERSION, /* another version of the envelope */
    ENVELOPE_TYPE,    /* no such type */
    ENVELOPE_LENGTHS, /* the lengths do not add up to the message */
    ENVELOPE_BODY,    /* the body is longer than the type's can be, or does not decode */
    ENVELOPE_BLOB,    /* the blob is longer than the route allows */
};

/* A message taken apart. The pointers point into the buffer that was parsed. */
struct envelope {
    const struct ipc_type *type;
    uint16_t number;
    uint32_t request, ticket, uid;
    const uint8_t *body, *blob;
    uint32_t body_length, blob_length;
};

/* Takes `length` bytes apart. Fills `out` only on ENVELOPE_OK. */
enum envelope_outcome envelope_parse(struct envelope *out, const uint8_t *data, size_t length);

/* Writes a header into `out` (ENVELOPE_HEADER bytes). */
void envelope_write(uint8_t *out, uint16_t number, uint32_t request, uint32_t body, uint32_t blob);

/* Overwrites the request number and the broker's stamps of a message in place. */
void envelope_stamp(uint8_t *data, uint32_t request, uint32_t ticket, uint32_t uid);

/*
 * Decodes the body into `out`, which must be the nanopb structure of that type, zeroed or not.
 * Insists on the end of the body. Returns ENVELOPE_OK or ENVELOPE_BODY.
 */
enum envelope_outcome envelope_decode(const struct envelope *envelope, void *out);

/* A name for a log line. */
const char *envelope_outcome_name(enum envelope_outcome outcome);

#endif
