/* Time and flow of the WebSocket; framing violations are in tests/trust against a running peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "websocket.h"

static struct {
    uint8_t in[1 << 19], out[8192];
    size_t in_length, in_used, out_length;
    char text[256];
    size_t binary_length;
    bool deaf;
} wire;

static struct websocket *web;
static struct fault fault;

static ssize_t on_read(void *user, void *out, size_t length)
{
    size_t left = wire.in_length - wire.in_used;

    (void)user;
    if (left == 0)
        return -EAGAIN;
    length = length < left ? length : left;
    memcpy(out, wire.in + wire.in_used, length);
    wire.in_used += length;
    return (ssize_t)length;
}

static ssize_t on_write(void *user, const void *bytes, size_t length)
{
    (void)user;
    if (wire.deaf)
        return -EAGAIN;
    assert_true(length <= sizeof wire.out - wire.out_length);
    memcpy(wire.out + wire.out_length, bytes, length);
    wire.out_length += length;
    return (ssize_t)length;
}

static void on_text(void *user, const char *text, size_t length)
{
    (void)user;
    assert_true(length < sizeof wire.text);
    if (length > 0)
        memcpy(wire.text, text, length);
    wire.text[length] = '\0';
}

static void on_binary(void *user, const void *bytes, size_t length)
{
    (void)user;
    assert_non_null(bytes);
    wire.binary_length = length;
}

static const struct websocket_callbacks callbacks = {on_read, on_write, on_text, on_binary};

static int set_up(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    fault_clear(&fault);
    return websocket_new(&web, &callbacks, NULL, "\x81\x02hi", 4, 1000);
}

static int tear_down(void **state)
{
    (void)state;
    web = websocket_free(web);
    return 0;
}

static void receive(const char *bytes, size_t length)
{
    memcpy(wire.in + wire.in_length, bytes, length);
    wire.in_length += length;
}

static void reads_what_came_early(void **state)
{
    (void)state;
    assert_int_equal(websocket_deadline_ms(web), 1000);
    assert_true(websocket_service(web, 1000, &fault));
    assert_string_equal(wire.text, "hi");
    assert_int_equal(websocket_deadline_ms(web), WEBSOCKET_NEVER);
}

static void pings_and_gives_up(void **state)
{
    (void)state;
    websocket_heartbeat(web, 5000);
    assert_true(websocket_service(web, 1000, &fault));
    assert_int_equal(websocket_deadline_ms(web), 6000);
    assert_true(websocket_service(web, 5999, &fault));
    assert_int_equal(wire.out_length, 0);
    assert_true(websocket_service(web, 6000, &fault));
    assert_int_equal(wire.out[0], 0x89);
    assert_int_equal(websocket_deadline_ms(web), 6000 + WEBSOCKET_PONG_MS);
    receive("\x8a\x00", 2);
    assert_true(websocket_service(web, 7000, &fault));
    assert_int_equal(websocket_deadline_ms(web), 11000);
    assert_true(websocket_service(web, 11000, &fault));
    assert_true(websocket_service(web, 11000 + WEBSOCKET_PONG_MS - 1, &fault));
    assert_false(websocket_service(web, 11000 + WEBSOCKET_PONG_MS, &fault));
    assert_int_equal(fault.reason, FAULT_PING_TIMEOUT);
}

static void ends_in_order(void **state)
{
    const char *reason;

    (void)state;
    assert_true(websocket_service(web, 1000, &fault));
    websocket_close(web, 1000, "");
    assert_true(websocket_service(web, 1001, &fault));
    assert_int_equal(wire.out[0], 0x88);
    assert_int_equal(websocket_send_text(web, "x", 1), -EPIPE);
    receive("\x81\x02no", 4); /* after our close frame nothing is heard any more */
    assert_true(websocket_service(web, 1002, &fault));
    assert_string_equal(wire.text, "hi");
    receive("\x88\x02\x03\xe8", 4);
    assert_false(websocket_service(web, 1003, &fault));
    assert_int_equal(fault.reason, FAULT_NONE);
    assert_int_equal(websocket_peer_close(web, &reason), 1000);
}

static void does_not_wait_for_ever_for_the_end(void **state)
{
    (void)state;
    assert_true(websocket_service(web, 1000, &fault));
    websocket_close(web, 1000, "");
    assert_true(websocket_service(web, 1001, &fault));
    assert_int_equal(websocket_deadline_ms(web), 1000 + WEBSOCKET_CLOSING_MS);
    assert_false(websocket_service(web, 1000 + WEBSOCKET_CLOSING_MS, &fault));
    assert_int_equal(fault.reason, FAULT_NONE);
}

static void answers_a_close(void **state)
{
    const char *reason;

    (void)state;
    receive("\x88\x09\x0f\xa3revoked", 11);
    assert_false(websocket_service(web, 1000, &fault));
    assert_int_equal(fault.reason, FAULT_CLOSED);
    assert_int_equal(websocket_peer_close(web, &reason), 4003);
    assert_string_equal(reason, "revoked");
    assert_int_equal(wire.out[0], 0x88);
}

static void stops_reading_when_pongs_pile_up(void **state)
{
    static const char ping[127] = "\x89\x7d";

    (void)state;
    wire.deaf = true;
    for (int i = 0; i < 1000; i++)
        receive(ping, sizeof ping);
    for (int i = 0; i < 4 && websocket_wants_read(web); i++)
        assert_true(websocket_service(web, 1000 * (i + 1), &fault));
    assert_false(websocket_wants_read(web));
    assert_true(wire.in_used < wire.in_length);
    assert_true(websocket_queued(web) < 4096 * 126);
}

/* Fills a second with so many frames of two bytes. */
static bool busy(const char *frame, int count, int64_t now_ms)
{
    wire.in_length = wire.in_used = wire.out_length = 0;
    for (int i = 0; i < count; i++)
        receive(frame, 2);
    while (wire.in_used < wire.in_length)
        if (!websocket_service(web, now_ms, &fault))
            return false;
    return true;
}

static void tolerates_a_busy_console_but_no_flood(void **state)
{
    (void)state;
    for (int second = 1; second < 4; second++) {
        assert_true(busy("\x8a\x00", WEBSOCKET_PINGS_PER_S, 1000 * second));
        assert_true(busy("\x81\x00", WEBSOCKET_FRAMES_PER_S - WEBSOCKET_PINGS_PER_S - 1,
                         1000 * second + 999));
    }
    assert_false(busy("\x81\x00", WEBSOCKET_FRAMES_PER_S + 2, 9000));
    assert_int_equal(fault.reason, FAULT_PROTOCOL);
    assert_non_null(strstr(fault.detail, "floods"));
}

static void tolerates_no_flood_of_pings(void **state)
{
    (void)state;
    assert_false(busy("\x89\x00", WEBSOCKET_PINGS_PER_S + 2, 9000));
    assert_int_equal(fault.reason, FAULT_PROTOCOL);
    assert_non_null(strstr(fault.detail, "floods"));
}

/* A frame of `length` bytes of the letter a, as servers send it. */
static void receive_frame(uint8_t opcode, size_t length)
{
    const uint8_t head[10] = {(uint8_t)(0x80 | opcode),
                              127,
                              0,
                              0,
                              0,
                              0,
                              (uint8_t)(length >> 24),
                              (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8),
                              (uint8_t)length};

    wire.in_length = wire.in_used = 0;
    receive((const char *)head, sizeof head);
    memset(wire.in + wire.in_length, 'a', length);
    wire.in_length += length;
}

static bool service_all(void)
{
    while (wire.in_used < wire.in_length)
        if (!websocket_service(web, 2000, &fault))
            return false;
    return websocket_service(web, 2000, &fault);
}

static void takes_long_binary_messages_when_it_was_told(void **state)
{
    (void)state;
    websocket_take_binary(web, 262165);
    receive_frame(2, 262165);
    assert_true(service_all());
    assert_int_equal(wire.binary_length, 262165);
    receive_frame(1, WEBSOCKET_MESSAGE_MAX + 1); /* texts are still as short as before */
    assert_false(service_all());
    assert_int_equal(fault.reason, FAULT_PROTOCOL);
    assert_non_null(strstr(fault.detail, "longer"));
    assert_non_null(memmem(wire.out, wire.out_length, "\x88\x8a", 2)); /* 1008 oversize */
}

static void takes_no_longer_binary_message(void **state)
{
    (void)state;
    websocket_take_binary(web, 262165);
    receive_frame(2, 262166);
    assert_false(service_all());
    assert_non_null(strstr(fault.detail, "longer"));
    assert_int_equal(wire.binary_length, 0);
}

static void takes_only_short_binary_messages_otherwise(void **state)
{
    (void)state;
    receive_frame(2, WEBSOCKET_MESSAGE_MAX);
    assert_true(service_all());
    assert_int_equal(wire.binary_length, WEBSOCKET_MESSAGE_MAX);
    receive_frame(2, WEBSOCKET_MESSAGE_MAX + 1);
    assert_false(service_all());
}

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(reads_what_came_early),
        unit(pings_and_gives_up),
        unit(ends_in_order),
        unit(does_not_wait_for_ever_for_the_end),
        unit(answers_a_close),
        unit(stops_reading_when_pongs_pile_up),
        unit(tolerates_a_busy_console_but_no_flood),
        unit(tolerates_no_flood_of_pings),
        unit(takes_long_binary_messages_when_it_was_told),
        unit(takes_no_longer_binary_message),
        unit(takes_only_short_binary_messages_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
