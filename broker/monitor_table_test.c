#pragma GCC diagnostic ignored "-Wformat-truncation" /* of a path that is too long: tested */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "monitor_table.h"

static const struct policy broker = {.kind = "broker", .instances = 1};
static const struct policy capture = {
    .kind = "capture", .instances = 1, .variables = POLICY_VARIABLE_X11};
static const struct policy uplink = {.kind = "uplink", .instances = 1};
static const struct policy runner = {.kind = "runner", .instances = 20};
static const struct policy *const policies[] = {&broker, &capture, &uplink, &runner, NULL};

static struct agent_config agent;
static struct monitor_table table;
static struct monitor_decision decision;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000000;
    agent = (struct agent_config){.session.type = MONITOR_SESSION_X11,
                                  .capture.screenshots = 1,
                                  .console.host = "console.example"};
    monitor_table_reset(&table, policies, &agent, now_ms);
    return 0;
}

static enum monitor_action send(struct monitor_message message)
{
    decision = monitor_table_decide(&table, &message, sizeof message, now_ms);
    return decision.action;
}

static enum monitor_action send_start(const char *kind, uint32_t slot, uint32_t generation)
{
    struct monitor_message message = {.op = MONITOR_START, .slot = slot, .generation = generation};
    snprintf(message.kind, sizeof message.kind, "%s", kind);
    return send(message);
}

static enum monitor_action send_op(uint32_t op, uint32_t slot, uint32_t generation)
{
    return send((struct monitor_message){.op = op, .slot = slot, .generation = generation});
}

static void refused(const char *kind, uint32_t slot, uint32_t generation,
                    enum monitor_reason reason)
{
    assert_int_equal(send_start(kind, slot, generation), MONITOR_DO_REFUSE);
    assert_int_equal(decision.reason, reason);
    assert_non_null(decision.why);
    assert_int_equal(decision.slot, slot);
    assert_int_equal(table.slots[slot].state, SLOT_FREE);
}

static void ended(enum monitor_action action, const char *violation)
{
    assert_int_equal(action, MONITOR_DO_END_BROKER);
    assert_string_equal(decision.why, violation);
}

static void test_life_of_an_instance(void **state)
{
    (void)state;
    assert_int_equal(send_start("capture", 63, 7), MONITOR_DO_START);
    assert_int_equal(decision.slot, 63);
    assert_ptr_equal(table.slots[63].policy, &capture);
    assert_int_equal(send_op(MONITOR_RELEASE, 63, 7), MONITOR_DO_RELEASE);
    assert_int_equal(send_op(MONITOR_KILL, 63, 7), MONITOR_DO_KILL);
    assert_int_equal(send_op(MONITOR_KILL, 63, 7), MONITOR_DO_KILL);
    monitor_table_free(&table, 63);
    assert_int_equal(send_op(MONITOR_KILL, 63, 7), MONITOR_DO_NOTHING);
    assert_int_equal(send_op(MONITOR_RELEASE, 63, 7), MONITOR_DO_NOTHING);
    assert_int_equal(send_start("capture", 63, 8), MONITOR_DO_START);
    assert_int_equal(send_op(MONITOR_KILL, 63, 7), MONITOR_DO_NOTHING);
    assert_int_equal(table.slots[63].state, SLOT_WAITING);
}

static void test_wrong_sizes(void **state)
{
    uint8_t bytes[128] = {MONITOR_START};
    (void)state;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        decision = monitor_table_decide(&table, bytes, size, now_ms);
        ended(decision.action, size == 64 ? "malformed message" : "message of a wrong size");
    }
}

static void test_unknown_ops(void **state)
{
    static const uint32_t ops[] = {0,          5,         64, MONITOR_STARTED, MONITOR_EXITED,
                                   0x80000001, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        ended(send_op(ops[i], 0, 1), "unknown op");
    }
}

static void test_malformed(void **state)
{
    (void)state;
    ended(send_start("capture", MONITOR_SLOTS, 1), "malformed message");
    ended(send_start("capture", UINT32_MAX, 1), "malformed message");
    ended(send_op(MONITOR_KILL, MONITOR_SLOTS, 1), "malformed message");
    ended(send_op(MONITOR_RELEASE, UINT32_MAX, 1), "malformed message");
    ended(send_start("capture", 0, 0), "malformed message");
    ended(send_start("", 0, 1), "malformed message");
    struct monitor_message message = {.op = MONITOR_START, .generation = 1};
    memset(message.kind, 'a', sizeof message.kind);
    ended(send(message), "malformed message");
    memcpy(message.kind, "capture\0x\0\0\0\0\0\0", sizeof message.kind);
    ended(send(message), "malformed message");
    for (size_t i = offsetof(struct monitor_message, pid); i < sizeof message; i++) {
        message = (struct monitor_message){.op = MONITOR_KILL, .generation = 1};
        ((uint8_t *)&message)[i] = 1;
        ended(send(message), "malformed message");
    }
    ended(send((struct monitor_message){.op = MONITOR_KILL, .generation = 1, .kind = "x"}),
          "malformed message");
    ended(send((struct monitor_message){.op = MONITOR_KILL, .generation = 1, .reason = 1}),
          "malformed message");
    ended(send_op(MONITOR_READY, 1, 0), "malformed message");
}

static void test_order_is_kept(void **state)
{
    (void)state;
    ended(send_op(MONITOR_RELEASE, 0, 1), "RELEASE or KILL of what was never started");
    ended(send_op(MONITOR_KILL, 5, 1), "RELEASE or KILL of what was never started");
    assert_int_equal(send_start("capture", 0, 1), MONITOR_DO_START);
    ended(send_start("uplink", 0, 2), "START into a slot in use");
    ended(send_op(MONITOR_KILL, 0, 2), "RELEASE or KILL of what was never started");
    assert_int_equal(send_op(MONITOR_RELEASE, 0, 1), MONITOR_DO_RELEASE);
    ended(send_op(MONITOR_RELEASE, 0, 1), "RELEASE of what was released");
    monitor_table_free(&table, 0);
    ended(send_start("uplink", 0, 1), "START with a generation that has been");
    assert_int_equal(send_op(MONITOR_READY, 0, 0), MONITOR_DO_READY);
    ended(send_op(MONITOR_READY, 0, 0), "READY twice");
}

static void test_local_policy(void **state)
{
    (void)state;
    refused("nonsense", 1, 1, MONITOR_REASON_UNKNOWN_KIND);
    refused("broker", 1, 2, MONITOR_REASON_UNKNOWN_KIND);
    agent.capture.screenshots = 0;
    refused("capture", 1, 3, MONITOR_REASON_OFF);
    agent.capture.screenshots = 1;
    agent.session.type = MONITOR_SESSION_NONE;
    refused("capture", 1, 4, MONITOR_REASON_NO_SESSION);
    agent.session.type = MONITOR_SESSION_WAYLAND;
    refused("capture", 1, 5, MONITOR_REASON_WAYLAND);
    agent.console.host[0] = 0;
    refused("uplink", 1, 6, MONITOR_REASON_OFF);
    assert_int_equal(send_start("runner", 1, 7), MONITOR_DO_START);
    table.stopping = true;
    refused("runner", 2, 1, MONITOR_REASON_STOPPING);
}

static void test_instances_and_accounts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(send_start("runner", i, 1), MONITOR_DO_START);
        assert_int_equal(table.slots[i].instance, i);
    }
    monitor_table_free(&table, 2);
    assert_int_equal(send_start("runner", 40, 1), MONITOR_DO_START);
    assert_int_equal(table.slots[40].instance, 2);
    assert_int_equal(send_start("capture", 41, 1), MONITOR_DO_START);
    refused("capture", 42, 1, MONITOR_REASON_TOO_MANY);
}

static void test_starts_are_rationed(void **state)
{
    (void)state;
    uint32_t generation = 1;
    for (uint32_t i = 0; i < MONITOR_START_BURST; i++) {
        assert_int_equal(send_start("uplink", 0, generation++), MONITOR_DO_START);
        monitor_table_free(&table, 0);
    }
    refused("uplink", 0, generation++, MONITOR_REASON_RATE);
    assert_int_equal(send_start("capture", 1, 1), MONITOR_DO_START); /* each kind has its own */
    now_ms += 1000 / MONITOR_START_RATE - 1;
    refused("uplink", 0, generation++, MONITOR_REASON_RATE);
    now_ms += 1;
    assert_int_equal(send_start("uplink", 0, generation++), MONITOR_DO_START);
    monitor_table_free(&table, 0);
    refused("uplink", 0, generation++, MONITOR_REASON_RATE);
    now_ms = UINT64_MAX; /* does not wrap, does not exceed the burst */
    for (uint32_t i = 0; i < MONITOR_START_BURST; i++) {
        assert_int_equal(send_start("uplink", 0, generation++), MONITOR_DO_START);
        monitor_table_free(&table, 0);
    }
    now_ms = 0; /* a clock that steps back gives nothing */
    refused("uplink", 0, generation++, MONITOR_REASON_RATE);
}

static void test_flood(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= MONITOR_MESSAGE_BURST; i++) {
        assert_int_equal(send_start("nonsense", 0, i), MONITOR_DO_REFUSE);
    }
    ended(send_start("nonsense", 0, UINT32_MAX), "flood of messages");
    now_ms += 1000;
    assert_int_equal(send_start("nonsense", 0, UINT32_MAX), MONITOR_DO_REFUSE);
}

static void test_channel_path(void **state)
{
    char path[108], small[16];
    (void)state;
    assert_int_equal(monitor_channel_path(path, sizeof path, "/run/cloister", 63, UINT32_MAX), 0);
    assert_string_equal(path, "/run/cloister/chan/63-4294967295");
    assert_int_equal(monitor_channel_path(small, sizeof small, "/run/cloister", 0, 1), -1);
}

#define T(name) cmocka_unit_test_setup(name, set_up)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_life_of_an_instance),
        T(test_wrong_sizes),
        T(test_unknown_ops),
        T(test_malformed),
        T(test_order_is_kept),
        T(test_local_policy),
        T(test_instances_and_accounts),
        T(test_starts_are_rationed),
        T(test_flood),
        T(test_channel_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
