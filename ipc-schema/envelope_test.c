#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <pb_encode.h>

#include "cloister.pb.h"
#include "envelope.h"

static size_t build(uint8_t *out, uint16_t number, const void *body, size_t blob)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out + ENVELOPE_HEADER, 4096);
    assert_true(pb_encode(&stream, ipc_types[number].fields, body));
    envelope_write(out, number, 7, (uint32_t)stream.bytes_written, (uint32_t)blob);
    memset(out + ENVELOPE_HEADER + stream.bytes_written, 0xb0, blob);
    return ENVELOPE_HEADER + stream.bytes_written + blob;
}

static void takes_apart_what_it_put_together(void **state)
{
    (void)state;
    uint8_t buffer[8192];
    ipc_BundleChunk chunk = {.index = 41};
    size_t length = build(buffer, IPC_BUNDLE_CHUNK, &chunk, 100);
    struct envelope e;
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_OK);
    assert_int_equal(e.number, IPC_BUNDLE_CHUNK);
    assert_int_equal(e.request, 7);
    assert_int_equal(e.ticket, 0);
    assert_int_equal(e.blob_length, 100);
    assert_int_equal(e.blob[99], 0xb0);
    ipc_BundleChunk got = {0};
    assert_int_equal(envelope_decode(&e, &got), ENVELOPE_OK);
    assert_int_equal(got.index, 41);

    envelope_stamp(buffer, 99, 3, 1000);
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_OK);
    assert_int_equal(e.request, 99);
    assert_int_equal(e.ticket, 3);
    assert_int_equal(e.uid, 1000);
}

static void insists_on_exact_lengths(void **state)
{
    (void)state;
    uint8_t buffer[8192];
    ipc_BundleChunk chunk = {.index = 41};
    size_t length = build(buffer, IPC_BUNDLE_CHUNK, &chunk, 100);
    struct envelope e;
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1); /* so that ASan sees a read past the end */
        memcpy(exact, buffer, cut);
        assert_int_not_equal(envelope_parse(&e, exact, cut), ENVELOPE_OK);
        free(exact);
    }
    assert_int_equal(envelope_parse(&e, buffer, length + 1), ENVELOPE_LENGTHS);
    /* Lengths whose 32-bit sum wraps round to the right total. */
    envelope_write(buffer, IPC_BUNDLE_CHUNK, 7, 0xffffffffu,
                   (uint32_t)(length - ENVELOPE_HEADER) + 1);
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_LENGTHS);
}

static void refuses_by_name(void **state)
{
    (void)state;
    uint8_t buffer[8192];
    struct envelope e;
    ipc_Status status = {0};
    size_t length = build(buffer, IPC_STATUS, &status, 0);
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_OK);
    buffer[2] ^= 1;
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_VERSION);
    buffer[2] ^= 1;
    for (unsigned number = 0; number < 65536; number++) {
        buffer[0] = (uint8_t)number;
        buffer[1] = (uint8_t)(number >> 8);
        bool known = number < IPC_TYPE_LIMIT && ipc_types[number].name;
        assert_int_equal(envelope_parse(&e, buffer, length) == ENVELOPE_TYPE, !known);
    }
    /* A blob where none is allowed; a body longer than the type can be. */
    length = build(buffer, IPC_STATUS, &status, 1);
    assert_int_equal(envelope_parse(&e, buffer, length), ENVELOPE_BLOB);
    envelope_write(buffer, IPC_STATUS, 7, 1, 0);
    assert_int_equal(envelope_parse(&e, buffer, ENVELOPE_HEADER + 1), ENVELOPE_BODY);
}

static void a_body_must_decode(void **state)
{
    (void)state;
    uint8_t buffer[ENVELOPE_HEADER + 8];
    envelope_write(buffer, IPC_BUNDLE_CHUNK, 1, 2, 0);
    memcpy(buffer + ENVELOPE_HEADER, "\x08\xff", 2); /* a varint that does not end */
    struct envelope e;
    ipc_BundleChunk got;
    assert_int_equal(envelope_parse(&e, buffer, ENVELOPE_HEADER + 2), ENVELOPE_OK);
    assert_int_equal(envelope_decode(&e, &got), ENVELOPE_BODY);
}

static void every_route_is_whole(void **state)
{
    (void)state;
    for (uint16_t n = 0; n < IPC_TYPE_LIMIT; n++) {
        const struct ipc_type *type = ipc_type_find(n);
        if (!type)
            continue;
        assert_true(type->from && type->to && type->phases);
        /* Exactly one bound; and a request is answered by somebody that it may be sent to. */
        assert_int_equal(ipc_is_answer(type) + type->once + (type->per_second > 0), 1);
        for (uint16_t i = 0; i < type->answer_count; i++) {
            const struct ipc_type *request = ipc_type_find(type->answers[i]);
            assert_non_null(request);
            assert_true(request->to & type->from);
            assert_true(request->from & type->to);
        }
    }
}

/* DESIGN property 1: no route leads from capture to uplink. */
static void no_route_from_capture_to_uplink(void **state)
{
    (void)state;
    for (uint16_t n = 0; n < IPC_TYPE_LIMIT; n++) {
        const struct ipc_type *type = ipc_type_find(n);
        if (!type || n == IPC_REFUSED)
            continue;
        assert_false((type->from >> IPC_PEER_CAPTURE & 1) && (type->to >> IPC_PEER_UPLINK & 1));
        if (type->to >> IPC_PEER_UPLINK & 1 && type->from >> IPC_PEER_TICKET & 1)
            assert_true(type->phases == 1u << IPC_PHASE_CONSENTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_apart_what_it_put_together),
        cmocka_unit_test(insists_on_exact_lengths),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(a_body_must_decode),
        cmocka_unit_test(every_route_is_whole),
        cmocka_unit_test(no_route_from_capture_to_uplink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
