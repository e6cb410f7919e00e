/*
 * Any bytes as a message. What the envelope accepts lies within the bytes that came; what a body
 * decodes to can be encoded again, within its type's bounds, and reads back as the same.
 */
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "cloister.pb.h"
#include "envelope.h"

/* Room for the structure of any type; which those are is the schema's business. */
#define STRUCTURE_MAX 65536

_Static_assert(sizeof(ipc_Welcome) < STRUCTURE_MAX && sizeof(ipc_StatusReply) < STRUCTURE_MAX,
               "the largest structures fit");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * nanopb decodes every type by the same code, driven by tables, so coverage of code does not tell
 * types apart. libFuzzer takes these for coverage too: per type, how far its bytes came.
 */
#define STAGES 64
__attribute__((section("__libfuzzer_extra_counters"),
               used)) static uint8_t reached[IPC_TYPE_LIMIT][STAGES];

static void reach(uint16_t number, size_t stage)
{
    reached[number][stage < STAGES ? stage : STAGES - 1] = 1;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

static void check_envelope(const struct envelope *e, const uint8_t *data, size_t size)
{
    must(e->type == ipc_type_find(e->number) && e->type->name != NULL);
    must(e->body == data + ENVELOPE_HEADER && e->blob == e->body + e->body_length);
    must(e->blob + e->blob_length == data + size);
    must(e->body_length <= e->type->body_max && e->blob_length <= e->type->blob_max);
}

/* A whole message of that type, written as channel_send writes it. Returns its length. */
static size_t write_message(uint8_t **out, const struct envelope *like, const void *structure)
{
    size_t capacity = ENVELOPE_HEADER + like->type->body_max + like->blob_length;
    *out = malloc(capacity);
    must(*out != NULL);
    pb_ostream_t stream =
        pb_ostream_from_buffer(*out + ENVELOPE_HEADER, capacity - ENVELOPE_HEADER);
    must(pb_encode(&stream, like->type->fields, structure));
    uint32_t body = (uint32_t)stream.bytes_written;
    must(body <= like->type->body_max);
    reach(like->number, 3 + body / 8);
    if (like->blob_length > 0)
        memcpy(*out + ENVELOPE_HEADER + body, like->blob, like->blob_length);
    envelope_write(*out, like->number, like->request, body, like->blob_length);
    envelope_stamp(*out, like->request, like->ticket, like->uid);
    return ENVELOPE_HEADER + body + like->blob_length;
}

static void check_same(const struct envelope *a, const struct envelope *b)
{
    must(a->number == b->number && a->request == b->request && a->ticket == b->ticket &&
         a->uid == b->uid && a->blob_length == b->blob_length);
    must(a->blob_length == 0 || memcmp(a->blob, b->blob, a->blob_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static alignas(max_align_t) uint8_t first[STRUCTURE_MAX], second[STRUCTURE_MAX];
    struct envelope e, again;
    enum envelope_outcome outcome = envelope_parse(&e, data, size);
    must(envelope_outcome_name(outcome)[0] != '?');
    if (outcome != ENVELOPE_OK)
        return 0;
    check_envelope(&e, data, size);
    reach(e.number, 1);
    if (envelope_decode(&e, first) != ENVELOPE_OK)
        return 0;
    reach(e.number, 2);
    uint8_t *written, *rewritten;
    size_t length = write_message(&written, &e, first);
    must(envelope_parse(&again, written, length) == ENVELOPE_OK);
    check_same(&e, &again);
    must(envelope_decode(&again, second) == ENVELOPE_OK);
    must(write_message(&rewritten, &again, second) == length);
    must(memcmp(written, rewritten, length) == 0);
    free(written);
    free(rewritten);
    return 0;
}
