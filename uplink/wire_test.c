#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "encoding.h"
#include "wire.h"

static struct wire_message message;

static int read_text(const char *text)
{
    return wire_read(&message, text, strlen(text), true);
}

/* The messages of the page's section "A whole session". */
static void reads_the_page(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"type\":\"challenge\",\"protocol\":1,\"challenge\":"
                  "\"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8\",\"console\":\"Example "
                  "help desk\"}"),
        0);
    assert_int_equal(message.type, WIRE_CHALLENGE);
    for (int i = 0; i < WIRE_CHALLENGE_SIZE; i++)
        assert_int_equal(message.challenge[i], 0x40 + i);
    assert_string_equal(message.console, "Example help desk");
    assert_int_equal(read_text("{\"type\":\"welcome\",\"state\":\"unenrolled\",\"heartbeat_ms\":"
                               "45000,\"chunk_window\":8,\"max_bundle_bytes\":536870912,"
                               "\"time_ms\":1790000000000}"),
                     0);
    assert_int_equal(message.state, WIRE_UNENROLLED);
    assert_int_equal(message.heartbeat_ms, 45000);
    assert_int_equal(message.chunk_window, 8);
    assert_int_equal(message.max_bundle_bytes, 536870912);
    assert_int_equal(message.time_ms, 1790000000000);
    assert_int_equal(read_text("{\"type\":\"bundle_done\",\"ticket\":"
                               "\"00112233445566778899aabbccddeeff\",\"number\":\"T-000001\","
                               "\"received_time_ms\":1790000001250}"),
                     0);
    assert_string_equal(message.number, "T-000001");
    assert_int_equal(message.ticket[15], 0xff);
}

static void writes_the_page(void **state)
{
    static const uint8_t previous[WIRE_DIGEST_SIZE] = {1};
    struct wire_authenticate authenticate = {.host = "console.example.org",
                                             .agent_version = "0.1.0",
                                             .boot_id = "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11"};
    char *text;

    (void)state;
    assert_true(base64url_decode_exactly(authenticate.public_key, WIRE_KEY_SIZE,
                                         "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg", 43));
    assert_true(
        encoding_hex_read(authenticate.machine_id, WIRE_DIGEST_SIZE,
                          "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c", 64));
    assert_true(
        base64url_decode_exactly(authenticate.signature, WIRE_SIGNATURE_SIZE,
                                 "Zq_P71iWzeC5xdjlhPV_abk92h2nLvVnp2y19lAkshiEUqMXbt70eLGkMESp6"
                                 "oMYQe9PbBfj-3qz7va_AQYOAw",
                                 86));
    text = wire_write_authenticate(&authenticate);
    assert_string_equal(
        text, "{\"type\":\"authenticate\",\"protocol\":1,\"public_key\":"
              "\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\",\"machine_id\":"
              "\"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\",\"host\":"
              "\"console.example.org\",\"agent_version\":\"0.1.0\",\"boot_id\":"
              "\"6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11\",\"signature\":"
              "\"Zq_P71iWzeC5xdjlhPV_abk92h2nLvVnp2y19lAkshiEUqMXbt70eLGkMESp6oMYQe9PbBfj-3qz7va_"
              "AQYOAw\"}");
    free(text);
    authenticate.previous_machine_id = previous;
    authenticate.rotation_reason = "disk+board";
    text = wire_write_authenticate(&authenticate);
    assert_non_null(strstr(text, "\"rotation_reason\":\"disk+board\"}"));
    assert_non_null(strstr(text, "\"previous_machine_id\":\"0100"));
    free(text);
    text = wire_write_enroll("token", "desk-17", NULL);
    assert_string_equal(text, "{\"type\":\"enroll\",\"token\":\"token\",\"name\":\"desk-17\"}");
    free(text);
    assert_null(wire_write_enroll("token", "\xff", NULL));
}

static void writes_bundles(void **state)
{
    struct wire_bundle bundle = {.size = 262149,
                                 .chunks = 2,
                                 .consent_time_ms = 1790000000000,
                                 .recipient_count = 2,
                                 .recipients = {"age1a", "age1b"}};
    uint8_t head[WIRE_HEADER_SIZE];
    char *text;

    (void)state;
    assert_true(
        encoding_hex_read(bundle.ticket, WIRE_TICKET_SIZE, "00112233445566778899aabbccddeeff", 32));
    text = wire_write_bundle_begin(&bundle);
    assert_non_null(strstr(text, "\"ticket\":\"00112233445566778899aabbccddeeff\""));
    assert_non_null(strstr(text, "\"size\":262149,\"chunk_size\":262144,\"chunks\":2,"
                                 "\"recipients\":[\"age1a\",\"age1b\"],"
                                 "\"consent_time_ms\":1790000000000,"));
    free(text);
    wire_write_header(head, WIRE_KIND_CHUNK, bundle.ticket, 0x01020304);
    assert_int_equal(head[0], 1);
    assert_memory_equal(head + 1, bundle.ticket, WIRE_TICKET_SIZE);
    assert_memory_equal(head + 17, "\4\3\2\1", 4);
}

#define ID "256d04db4e5e4ac308751ed0885b722b"

/* The page's vectors of a command. */
static void reads_and_writes_frames_of_commands(void **state)
{
    static const char hex[] = "10" ID "000000006865616465722e7061796c6f61642e7369676e6174757265";
    uint8_t bytes[(sizeof hex - 1) / 2], head[WIRE_HEADER_SIZE], expected[WIRE_HEADER_SIZE];
    struct wire_frame frame;

    (void)state;
    assert_true(encoding_hex_read(bytes, sizeof bytes, hex, sizeof hex - 1));
    assert_int_equal(wire_read_frame(&frame, bytes, sizeof bytes), 0);
    assert_int_equal(frame.kind, WIRE_KIND_TOKEN);
    assert_int_equal(frame.index, 0);
    assert_int_equal(frame.length, 24);
    assert_memory_equal(frame.content, "header.payload.signature", 24);
    wire_write_header(head, WIRE_KIND_STDOUT, frame.id, 0);
    assert_true(encoding_hex_read(expected, sizeof expected, "11" ID "00000000", 42));
    assert_memory_equal(head, expected, sizeof head);
    wire_write_header(head, WIRE_KIND_STDERR, frame.id, 2);
    assert_true(encoding_hex_read(expected, sizeof expected, "12" ID "02000000", 42));
    assert_memory_equal(head, expected, sizeof head);
    assert_int_equal(wire_read_frame(&frame, expected, sizeof expected), 0);
    assert_int_equal(frame.index, 2);
    assert_int_equal(frame.length, 0);
    assert_int_equal(wire_read_frame(&frame, expected, sizeof expected - 1), WIRE_MALFORMED);
    assert_int_equal(wire_read_frame(&frame, NULL, 0), WIRE_MALFORMED);
    expected[17] = 0x01, expected[18] = 0x02, expected[19] = 0x03, expected[20] = 0xff;
    assert_int_equal(wire_read_frame(&frame, expected, sizeof expected), 0);
    assert_int_equal(frame.index, 0xff030201);
}

static void expect_written(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    free(text);
}

static void writes_of_commands(void **state)
{
    struct wire_authenticate authenticate = {
        .host = "h", .agent_version = "1", .boot_id = "b", .commands = true};
    uint8_t token[WIRE_TOKEN_SIZE];
    char *text;

    (void)state;
    assert_true(encoding_hex_read(token, sizeof token, ID, 32));
    expect_written(wire_write_command_decision(token, true, "accepted", NULL),
                   "{\"type\":\"command_decision\",\"token\":\"" ID
                   "\",\"accepted\":true,\"reason\":\"accepted\"}");
    expect_written(wire_write_command_decision(token, false, "expired", "a.b.c"),
                   "{\"type\":\"command_decision\",\"token\":\"" ID
                   "\",\"accepted\":false,\"reason\":\"expired\",\"receipt\":\"a.b.c\"}");
    expect_written(wire_write_command_receipt(token, "a.b.c"),
                   "{\"type\":\"command_receipt\",\"token\":\"" ID "\",\"receipt\":\"a.b.c\"}");
    expect_written(wire_write_command_running(token),
                   "{\"type\":\"command_running\",\"token\":\"" ID "\"}");
    expect_written(wire_write_command_unknown(token),
                   "{\"type\":\"command_unknown\",\"token\":\"" ID "\"}");
    text = wire_write_authenticate(&authenticate);
    assert_non_null(strstr(text, ",\"features\":[\"commands\"]}"));
    free(text);
}

static void reads_of_commands(void **state)
{
    static const char query[] =
        "{\"type\":\"command_query\",\"token\":\"" ID "\",\"stdout\":4294967295,\"stderr\":7}";
    static const char *const malformed[] = {
        "{\"type\":\"command_ack\",\"token\":\"" ID "\",\"stdout\":1}",
        "{\"type\":\"command_ack\",\"token\":\"" ID "\",\"stdout\":-1,\"stderr\":0}",
        "{\"type\":\"command_ack\",\"token\":\"" ID "\",\"stdout\":4294967296,\"stderr\":0}",
        "{\"type\":\"command_ack\",\"token\":\"" ID "\",\"stdout\":1.0,\"stderr\":0}",
        "{\"type\":\"command_ack\",\"token\":\"" ID "00\",\"stdout\":1,\"stderr\":0}",
        "{\"type\":\"command_ack\",\"stdout\":1,\"stderr\":0}",
        "{\"type\":\"command_done\",\"token\":\"256D04db4e5e4ac308751ed0885b722b\"}",
        "{\"type\":\"command_done\",\"token\":7}",
    };

    (void)state;
    assert_int_equal(read_text(query), 0);
    assert_int_equal(message.type, WIRE_COMMAND_QUERY);
    assert_int_equal(message.token[0], 0x25);
    assert_int_equal(message.stdout_count, UINT32_MAX);
    assert_int_equal(message.stderr_count, 7);
    assert_int_equal(wire_read(&message, query, strlen(query), false), WIRE_UNKNOWN_TYPE);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        assert_int_equal(read_text(malformed[i]), WIRE_MALFORMED);
    assert_int_equal(read_text("{\"type\":\"command_done\",\"token\":\"" ID "\"}"), 0);
    assert_int_equal(message.type, WIRE_COMMAND_DONE);
    assert_int_equal(read_text("{\"type\":\"command_decision\"}"), WIRE_UNKNOWN_TYPE);
}

static void counts_chunks(void **state)
{
    (void)state;
    assert_int_equal(wire_chunks(0), 0);
    assert_int_equal(wire_chunks(1), 1);
    assert_int_equal(wire_chunks(262144), 1);
    assert_int_equal(wire_chunks(262145), 2);
    assert_int_equal(wire_chunks(65536ull * 262144), 65536);
    assert_int_equal(wire_chunks(65536ull * 262144 + 1), 0);
    assert_int_equal(wire_chunks(UINT64_MAX), 0);
    assert_int_equal(wire_chunk_length(262149, 0), 262144);
    assert_int_equal(wire_chunk_length(262149, 1), 5);
    assert_int_equal(wire_chunk_length(262149, 2), 0);
    assert_int_equal(wire_chunk_length(524288, 1), 262144);
}

#define TICKET "\"ticket\":\"00112233445566778899aabbccddeeff\""

static void refuses_what_is_out_of_bounds(void **state)
{
    static const char *const malformed[] = {
        "",
        "null",
        "{\"type\":\"chunk\"," TICKET "}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":65536}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":-1}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":\"1\"}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":1.0}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":true}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":1,\"index\":1}",
        "{\"type\":\"chunk\"," TICKET ",\"index\":1} x",
        "{\"type\":\"chunk\",\"ticket\":\"00112233445566778899AABBCCDDEEFF\",\"index\":1}",
        "{\"type\":\"chunk\",\"ticket\":\"00112233445566778899aabbccddeef\",\"index\":1}",
        "{\"type\":\"chunk\",\"ticket\":null,\"index\":1}",
        "{\"type\":\"state\",\"state\":\"unenrolled\"}",
        "{\"type\":\"state\",\"state\":\"root\"}",
        "{\"type\":\"bundle_done\"," TICKET ",\"number\":\"T-00001\",\"received_time_ms\":1}",
        "{\"type\":\"bundle_done\"," TICKET ",\"number\":\"T-00000x\",\"received_time_ms\":1}",
        "{\"type\":\"bundle_done\"," TICKET ",\"number\":\"X-000001\",\"received_time_ms\":1}",
        "{\"type\":\"error\",\"code\":\"Bad\",\"message\":\"\"}",
        "{\"type\":\"error\",\"code\":\"bad\"}",
        "{\"type\":\"error\",\"code\":\"bad\",\"message\":\"\",\"ticket\":1}",
        "{\"type\":\"error\",\"code\":\"bad\",\"message\":\"\",\"retry_after_ms\":4294967296}",
        "{\"type\":\"Challenge\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        assert_int_equal(read_text(malformed[i]), WIRE_MALFORMED);
    assert_int_equal(read_text("{\"type\":\"chunks\"}"), WIRE_UNKNOWN_TYPE);
    assert_int_equal(read_text("{\"type\":\"chunk\"," TICKET ",\"index\":1,\"new\":[{}]}"), 0);
    assert_int_equal(read_text("{\"type\":\"error\",\"code\":\"new_one\",\"message\":\"\"}"), 0);
    assert_false(message.has_ticket);
    assert_false(message.has_retry);
}

static void bounds_depth_and_size(void **state)
{
    static char text[WIRE_TEXT_MAX + 64];
    char *at;

    (void)state;
    at = stpcpy(text, "{\"type\":\"state\",\"state\":\"pending\",\"x\":");
    at = stpcpy(at, "[[[[[[[]]]]]]]}");
    assert_int_equal(read_text(text), 0);
    at = stpcpy(text, "{\"type\":\"state\",\"state\":\"pending\",\"x\":");
    at = stpcpy(at, "[[[[[[[[]]]]]]]]}");
    assert_int_equal(read_text(text), WIRE_MALFORMED);
    at = stpcpy(text, "{\"type\":\"state\",\"state\":\"pending\",\"x\":\"[[[[[[[[[[\\\"[[\"}");
    assert_int_equal(read_text(text), 0);
    memset(at, ' ', (size_t)(text + WIRE_TEXT_MAX - at));
    assert_int_equal(wire_read(&message, text, WIRE_TEXT_MAX, false), 0);
    at[WIRE_TEXT_MAX - (at - text)] = ' ';
    assert_int_equal(wire_read(&message, text, WIRE_TEXT_MAX + 1, false), WIRE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_page),
        cmocka_unit_test(writes_the_page),
        cmocka_unit_test(writes_bundles),
        cmocka_unit_test(reads_and_writes_frames_of_commands),
        cmocka_unit_test(writes_of_commands),
        cmocka_unit_test(reads_of_commands),
        cmocka_unit_test(counts_chunks),
        cmocka_unit_test(refuses_what_is_out_of_bounds),
        cmocka_unit_test(bounds_depth_and_size),
    };

    return wire_setup() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
