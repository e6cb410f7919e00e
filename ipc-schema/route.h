/*
 * The routing table: what the schema's routes say, as constants.
 *
 * Generated from cloister.proto; there is no way to change it at run time. All functions are pure
 * and may be called from any thread.
 */
#ifndef CLOISTER_ROUTE_H
#define CLOISTER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pb.h>

#include "ipc_types.h"

/* One message type. Masks have bit N set for the peer or phase number N. */
struct ipc_type {
    const char *name; /* NULL: no such type */
    const pb_msgdesc_t *fields;
    uint32_t body_max; /* bytes, encoded */
    uint32_t blob_max; /* bytes; 0: must be empty */
    uint32_t from, to, phases;
    uint32_t per_second;     /* 0: bounded otherwise */
    const uint16_t *answers; /* the requests that this answers */
    uint16_t answer_count;
    bool answers_any;
    bool once;
    bool inspected; /* relayed only after the broker has checked its content */
};

extern const struct ipc_type ipc_types[IPC_TYPE_LIMIT];
extern const char *const ipc_peer_names[IPC_PEER_LIMIT];
extern const char *const ipc_phase_names[IPC_PHASE_LIMIT];
extern const uint8_t ipc_schema_digest[32]; /* SHA-256 of the compiled schema */

/* The type with this number, or NULL. */
const struct ipc_type *ipc_type_find(uint16_t number);

/* Whether `peer` may send `type` while its channel is in `phase`. */
bool ipc_granted(const struct ipc_type *type, enum ipc_peer peer, enum ipc_phase phase);

/* Whether a message of this type is an answer, and whether it answers requests of type `request`.
 */
bool ipc_is_answer(const struct ipc_type *type);
bool ipc_answers(const struct ipc_type *type, uint16_t request);

/* Whether messages of this type ask for an answer (some type answers them). */
bool ipc_is_request(uint16_t number);

/* The longest message, header included, that `peer` may send, and that it may be sent. */
size_t ipc_longest_from(enum ipc_peer peer);
size_t ipc_longest_to(enum ipc_peer peer);

#endif
