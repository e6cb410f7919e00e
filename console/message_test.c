#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "frame.h"
#include "message.h"

/* From docs/wire.md, "A whole session". */
#define AUTHENTICATE                                                                               \
    "{\"type\":\"authenticate\",\"protocol\":1,"                                                   \
    "\"public_key\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\","                              \
    "\"machine_id\":\"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\","         \
    "\"host\":\"console.example.org\",\"agent_version\":\"0.1.0\","                                \
    "\"boot_id\":\"6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11\",\"signature\":\"Zq_P71iWzeC5xdjlhPV_"    \
    "abk92h2nLvVnp2y19lAkshiEUqMXbt70eLGkMESp6oMYQe9PbBfj-3qz7va_AQYOAw\""

static int parse(struct message *m, const char *text)
{
    return message_parse(m, text, strlen(text), NULL);
}

static void an_authentication(void **state)
{
    (void)state;
    struct message m;
    assert_int_equal(parse(&m, AUTHENTICATE "}"), 0);
    assert_int_equal(m.type, MESSAGE_AUTHENTICATE);
    assert_int_equal(m.authenticate.protocol, 1);
    assert_int_equal(m.authenticate.public_key[0], 0x03);
    assert_int_equal(m.authenticate.public_key[31], 0xb8);
    assert_int_equal(m.authenticate.machine_id[31], 0x8c);
    assert_int_equal(m.authenticate.signature[63], 0x03);
    assert_string_equal(m.authenticate.host, "console.example.org");
    assert_int_equal(m.authenticate.reason, MESSAGE_REASON_NONE);
}

static void rotation_needs_both_members(void **state)
{
    (void)state;
    struct message m;
    const char *why = NULL;
    char id[65];
    memset(id, 'a', 64);
    id[64] = '\0';
    char text[2048];
    snprintf(text, sizeof(text), "%s,\"previous_machine_id\":\"%s\",\"rotation_reason\":\"board\"}",
             AUTHENTICATE, id);
    assert_int_equal(parse(&m, text), 0);
    assert_int_equal(m.authenticate.reason, MESSAGE_REASON_BOARD);
    assert_string_equal(message_reason_word(m.authenticate.reason), "board");
    assert_int_equal(m.authenticate.previous_id[0], 0xaa);
    snprintf(text, sizeof(text), "%s,\"previous_machine_id\":\"%s\"}", AUTHENTICATE, id);
    assert_int_equal(message_parse(&m, text, strlen(text), &why), MESSAGE_MALFORMED);
    assert_string_equal(why, "rotation_reason");
}

static void an_enrolment(void **state)
{
    (void)state;
    struct message m;
    assert_int_equal(
        parse(&m, "{\"name\":\"b\\u00fcro\",\"token\":\"0123456789abcdef\",\"type\":\"enroll\"}"),
        0);
    assert_int_equal(m.type, MESSAGE_ENROLL);
    assert_string_equal(m.enroll.token, "0123456789abcdef");
    assert_string_equal(m.enroll.name, "b\xc3\xbcro");
    assert_string_equal(m.enroll.os, "");
}

static void chunks_must_fit_the_size(void **state)
{
    (void)state;
    static const struct {
        const char *size, *chunks;
        int result;
    } cases[] = {
        {"1", "1", 0},
        {"262144", "1", 0},
        {"262145", "2", 0},
        {"17179869184", "65536", 0},
        {"0", "0", MESSAGE_MALFORMED},
        {"0", "1", MESSAGE_MALFORMED},
        {"262144", "2", MESSAGE_MALFORMED},
        {"262145", "1", MESSAGE_MALFORMED},
        {"17179869185", "65537", MESSAGE_MALFORMED},
        {"9223372036854775807", "1", MESSAGE_MALFORMED},
        {"18446744073709551616", "1", MESSAGE_MALFORMED},
    };
    char zeros[87], text[1024];
    memset(zeros, 'A', 86);
    zeros[86] = '\0';
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message m;
        snprintf(text, sizeof(text),
                 "{\"type\":\"bundle_begin\",\"ticket\":\"%032d\",\"digest\":\"%064d\",\"size\":%s,"
                 "\"chunk_size\":262144,\"chunks\":%s,\"recipients\":[\"age1\"],"
                 "\"consent_time_ms\":0,\"signature\":\"%s\"}",
                 0, 0, cases[i].size, cases[i].chunks, zeros);
        assert_int_equal(parse(&m, text), cases[i].result);
    }
}

static void nothing_after_the_object(void **state)
{
    (void)state;
    struct message m;
    assert_int_equal(parse(&m, "{\"type\":\"future\"}"), MESSAGE_UNKNOWN_TYPE);
    assert_int_equal(parse(&m, " {\"type\":\"future\"}\n"), MESSAGE_UNKNOWN_TYPE);
    assert_int_equal(parse(&m, "{\"type\":\"future\"},"), MESSAGE_MALFORMED);
    assert_int_equal(message_parse(&m, "{\"type\":\"future\"}\0", 18, NULL), MESSAGE_MALFORMED);
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    struct message m;
    assert_int_equal(parse(&m, "{\"type\":\"x\",\"a\":[[[[[[[1]]]]]]]}"), MESSAGE_UNKNOWN_TYPE);
    assert_int_equal(parse(&m, "{\"type\":\"x\",\"a\":[[[[[[[[1]]]]]]]]}"), MESSAGE_MALFORMED);
}

static void commands(void **state)
{
    (void)state;
#define TOKEN "\"token\":\"000102030405060708090a0b0c0d0e0f\""
    struct message m;
    assert_int_equal(parse(&m, "{\"type\":\"command_decision\"," TOKEN
                               ",\"accepted\":false,\"reason\":\"expired\",\"receipt\":\"r\"}"),
                     0);
    assert_int_equal(m.type, MESSAGE_COMMAND_DECISION);
    assert_int_equal(m.command.token[15], 15);
    assert_false(m.command.accepted);
    assert_string_equal(m.command.reason, "expired");
    assert_string_equal(m.command.receipt, "r");
    assert_int_equal(parse(&m, "{\"type\":\"command_decision\"," TOKEN
                               ",\"accepted\":true,\"reason\":\"revocation\"}"),
                     0);
    assert_string_equal(m.command.receipt, "");
    assert_int_equal(parse(&m, "{\"type\":\"command_decision\"," TOKEN
                               ",\"accepted\":true,\"reason\":\"expired\"}"),
                     MESSAGE_MALFORMED);
    assert_int_equal(parse(&m, "{\"type\":\"command_receipt\"," TOKEN ",\"receipt\":\"r\"}"), 0);
    assert_int_equal(parse(&m, "{\"type\":\"command_receipt\"," TOKEN "}"), MESSAGE_MALFORMED);
    assert_int_equal(parse(&m, "{\"type\":\"command_running\"," TOKEN "}"), 0);
    assert_int_equal(m.type, MESSAGE_COMMAND_RUNNING);
    assert_int_equal(parse(&m, "{\"type\":\"command_unknown\"," TOKEN "}"), 0);
    assert_int_equal(m.type, MESSAGE_COMMAND_UNKNOWN);
    assert_int_equal(parse(&m, "{\"type\":\"command_ack\"," TOKEN "}"), MESSAGE_UNKNOWN_TYPE);
}

static void frames(void **state)
{
    (void)state;
    uint8_t data[FRAME_MAX + 1] = {FRAME_CHUNK, 1, 2, [17] = 4, 3, 2, 1, 0xaa};
    struct frame f;
    assert_int_equal(frame_parse(&f, data, 22), 0);
    assert_int_equal(f.kind, FRAME_CHUNK);
    assert_int_equal(f.ticket[1], 2);
    assert_int_equal(f.index, 0x01020304);
    assert_int_equal(f.length, 1);
    assert_int_equal(f.content[0], 0xaa);
    assert_int_equal(frame_parse(&f, data, 21), FRAME_MALFORMED);
    assert_int_equal(frame_parse(&f, data, 0), FRAME_MALFORMED);
    assert_int_equal(frame_parse(&f, data, FRAME_MAX), 0);
    assert_int_equal(frame_parse(&f, data, FRAME_MAX + 1), FRAME_MALFORMED);
    data[0] = FRAME_DIGESTS;
    assert_int_equal(frame_parse(&f, data, 21 + 64), 0);
    assert_int_equal(frame_parse(&f, data, 21 + 63), FRAME_MALFORMED);
    for (int kind = 17; kind <= 18; kind++) {
        data[0] = (uint8_t)kind;
        assert_int_equal(frame_parse(&f, data, 22), 0);
        assert_int_equal(f.kind, kind);
    }
    static const uint8_t wrong[] = {0, 3, 15, FRAME_TOKEN, 19, 255};
    for (size_t i = 0; i < sizeof(wrong); i++) {
        data[0] = wrong[i];
        assert_int_equal(frame_parse(&f, data, 21 + 64), FRAME_MALFORMED);
    }
    uint8_t header[FRAME_HEADER_BYTES];
    data[0] = FRAME_TOKEN;
    frame_header(header, FRAME_TOKEN, data + 1, 0x01020304);
    assert_memory_equal(header, data, sizeof(header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authentication),
        cmocka_unit_test(rotation_needs_both_members),
        cmocka_unit_test(an_enrolment),
        cmocka_unit_test(chunks_must_fit_the_size),
        cmocka_unit_test(nothing_after_the_object),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(commands),
        cmocka_unit_test(frames),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
