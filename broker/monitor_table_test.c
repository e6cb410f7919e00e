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
static const struct policy many = {.kind = "many", .instances = 20};
static const struct policy runner = {.kind = "runner", .instances = 3};
static const struct policy diagnostic = {.kind = "cmd-diagnostic", .instances = 3};
static const struct policy user = {.kind = "cmd-user", .instances = 3, .identity = POLICY_SESSION};
static const struct policy admin = {.kind = "cmd-admin", .instances = 3, .identity = POLICY_ROOT};
static const struct policy *const policies[] = {&broker,     &capture, &uplink, &many, &runner,
                                                &diagnostic, &user,    &admin,  NULL};

static struct agent_config agent;
static struct monitor_table table;
static struct monitor_decision decision;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000000;
    agent =
        (struct agent_config){.session = {.type = MONITOR_SESSION_X11, .uid = 1000, .gid = 1000},
                              .commands.profile = MONITOR_PROFILE_ADMIN,
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
    assert_int_equal(send_start("many", 1, 7), MONITOR_DO_START);
    table.stopping = true;
    refused("many", 2, 1, MONITOR_REASON_STOPPING);
}

static void test_instances_and_accounts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(send_start("many", i, 1), MONITOR_DO_START);
        assert_int_equal(table.slots[i].instance, i);
    }
    monitor_table_free(&table, 2);
    assert_int_equal(send_start("many", 40, 1), MONITOR_DO_START);
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

/* ---- signed commands ---- */

static struct monitor_message runner_of(uint32_t slot, uint32_t generation, uint32_t profile,
                                        uint8_t digest)
{
    struct monitor_message message = {.op = MONITOR_START,
                                      .slot = slot,
                                      .generation = generation,
                                      .profile = profile,
                                      .kind = MONITOR_RUNNER_KIND};
    memset(message.digest, digest, sizeof message.digest);
    return message;
}

static void refused_runner(struct monitor_message message, enum monitor_reason reason)
{
    assert_int_equal(send(message), MONITOR_DO_REFUSE);
    assert_int_equal(decision.reason, reason);
    assert_non_null(decision.why);
    assert_int_equal(table.slots[message.slot].state, SLOT_FREE);
}

static void test_the_highest_profile(void **state)
{
    uint32_t generation = 1;
    (void)state;
    for (uint32_t most = MONITOR_PROFILE_NONE; most <= MONITOR_PROFILE_ADMIN; most++) {
        agent.commands.profile = most;
        for (uint32_t profile = 1; profile <= MONITOR_PROFILE_ADMIN; profile++) {
            struct monitor_message message = runner_of(31, generation++, profile, 7);
            if (profile > most) {
                refused_runner(message, most == 0 ? MONITOR_REASON_OFF : MONITOR_REASON_PROFILE);
                continue;
            }
            assert_int_equal(send(message), MONITOR_DO_START);
            assert_int_equal(table.slots[31].profile, profile);
            assert_memory_equal(table.slots[31].digest, message.digest, 32);
            monitor_table_free(&table, 31);
            assert_int_equal(table.slots[31].profile, MONITOR_PROFILE_NONE);
        }
    }
}

static void test_the_list_of_commands(void **state)
{
    (void)state;
    agent.commands.allow_count = 2;
    memset(agent.commands.allow[0], 1, 32);
    memset(agent.commands.allow[1], 2, 32);
    memset(agent.commands.allow[2], 3, 32); /* not counted */
    for (uint8_t digest = 0; digest < 5; digest++) {
        struct monitor_message message = runner_of(0, 1u + digest, 1, digest);
        if (digest != 1 && digest != 2) {
            refused_runner(message, MONITOR_REASON_DIGEST);
            continue;
        }
        assert_int_equal(send(message), MONITOR_DO_START);
        monitor_table_free(&table, 0);
        message = runner_of(1, 1u + digest, 1, digest);
        message.digest[31] ^= 1;
        refused_runner(message, MONITOR_REASON_DIGEST);
        message = runner_of(2, 1u + digest, 1, digest);
        message.digest[0] ^= 0x80;
        refused_runner(message, MONITOR_REASON_DIGEST);
    }
    agent.commands.allow_count = UINT32_MAX; /* the reader is not trusted with a bound */
    refused_runner(runner_of(0, 100, 1, 9), MONITOR_REASON_DIGEST);
    memset(agent.commands.allow[AGENT_ALLOW_MAX - 1], 9, 32);
    assert_int_equal(send(runner_of(0, 101, 1, 9)), MONITOR_DO_START);
}

static void test_malformed_runners(void **state)
{
    (void)state;
    ended(send(runner_of(MONITOR_COMMAND_SLOT, 1, 1, 0)), "malformed message");
    ended(send(runner_of(MONITOR_SLOTS - 1, 1, 1, 0)), "malformed message");
    ended(send(runner_of(0, 1, MONITOR_PROFILE_NONE, 0)), "malformed message");
    ended(send(runner_of(0, 1, MONITOR_PROFILE_ADMIN + 1, 0)), "malformed message");
    ended(send(runner_of(0, 1, UINT32_MAX, 0)), "malformed message");
    ended(send_start("runner", 0, 1), "malformed message");
    ended(send_start("cmd-diagnostic", 0, 1), "malformed message");
    ended(send_start("cmd-user", MONITOR_COMMAND_SLOT - 1, 1), "malformed message");
    static const char *const others[] = {"capture", "runners", "cmd-diagnostic"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) { /* theirs alone */
        struct monitor_message message = runner_of(40, 1, 1, 0);
        memset(message.kind, 0, sizeof message.kind);
        snprintf(message.kind, sizeof message.kind, "%s", others[i]);
        ended(send(message), "malformed message");
        message.profile = 0;
        memset(message.digest, 1, sizeof message.digest);
        ended(send(message), "malformed message");
    }
    struct monitor_message message = runner_of(0, 1, 1, 1);
    message.op = MONITOR_KILL;
    ended(send(message), "malformed message");
}

static void test_a_command_belongs_to_its_runner(void **state)
{
    const uint32_t above = 5 + MONITOR_COMMAND_SLOT;
    (void)state;
    refused("cmd-diagnostic", above, 1, MONITOR_REASON_NO_RUNNER);
    assert_int_equal(send_start("capture", 5, 1), MONITOR_DO_START); /* is no runner */
    refused("cmd-diagnostic", above, 2, MONITOR_REASON_NO_RUNNER);
    monitor_table_free(&table, 5);
    assert_int_equal(send(runner_of(5, 2, MONITOR_PROFILE_DIAGNOSTIC, 1)), MONITOR_DO_START);
    assert_int_equal(monitor_table_command(&table, 5), MONITOR_SLOTS);
    refused("cmd-user", above, 3, MONITOR_REASON_NO_RUNNER);
    refused("cmd-admin", above, 4, MONITOR_REASON_NO_RUNNER);
    refused("cmd-nonsense", above, 5, MONITOR_REASON_UNKNOWN_KIND);
    refused("cmd-diagnostic", above + 1, 1, MONITOR_REASON_NO_RUNNER);
    refused("cmd-diagnostic", MONITOR_SLOTS - 1, 1, MONITOR_REASON_NO_RUNNER);
    assert_int_equal(send_start("cmd-diagnostic", above, 6), MONITOR_DO_START);
    assert_int_equal(monitor_table_command(&table, 5), above);
    assert_int_equal(monitor_table_command(&table, above), MONITOR_SLOTS);
    monitor_table_free(&table, above);
    assert_int_equal(monitor_table_command(&table, 5), MONITOR_SLOTS);
    refused("cmd-diagnostic", above, 7, MONITOR_REASON_NO_RUNNER); /* once was all */
    ended(send_start("cmd-diagnostic", above, 7), "START with a generation that has been");
    monitor_table_free(&table, 5);
    refused("cmd-diagnostic", above, 8, MONITOR_REASON_NO_RUNNER);
    assert_int_equal(send(runner_of(5, 3, MONITOR_PROFILE_ADMIN, 1)), MONITOR_DO_START);
    refused("cmd-diagnostic", above, 9, MONITOR_REASON_NO_RUNNER);
    assert_int_equal(send_start("cmd-admin", above, 10), MONITOR_DO_START);
}

static void test_commands_of_the_session_s_user(void **state)
{
    static const uint32_t nobody[] = {0, 1, 101, 999, 65534, AGENT_UID_NONE};
    uint32_t generation = 1;
    (void)state;
    assert_int_equal(send(runner_of(0, 1, MONITOR_PROFILE_USER, 1)), MONITOR_DO_START);
    for (size_t i = 0; i < sizeof nobody / sizeof nobody[0]; i++) {
        agent.session.uid = nobody[i];
        refused("cmd-user", MONITOR_COMMAND_SLOT, generation++, MONITOR_REASON_NO_SESSION);
    }
    agent.session.uid = 1000;
    agent.session.gid = 4; /* adm */
    refused("cmd-user", MONITOR_COMMAND_SLOT, generation++, MONITOR_REASON_NO_SESSION);
    agent.session.gid = AGENT_UID_NONE; /* a directory's user */
    refused("cmd-user", MONITOR_COMMAND_SLOT, generation++, MONITOR_REASON_NO_SESSION);
    agent.session.gid = 1000;
    agent.session.type = MONITOR_SESSION_WAYLAND; /* is a session like another */
    assert_int_equal(send_start("cmd-user", MONITOR_COMMAND_SLOT, generation), MONITOR_DO_START);
}

static void test_commands_are_swift_and_rationed(void **state)
{
    uint32_t generation = 1;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) { /* as many wait for a machine that was off */
        assert_int_equal(send(runner_of(0, generation, 1, 1)), MONITOR_DO_START);
        assert_int_equal(send_start("cmd-diagnostic", MONITOR_COMMAND_SLOT, generation++),
                         MONITOR_DO_START);
        monitor_table_free(&table, 0);
        monitor_table_free(&table, MONITOR_COMMAND_SLOT);
        now_ms += 1000 / MONITOR_COMMAND_RATE + 1;
    }
    now_ms += 10000;
    for (uint32_t i = 0; i < MONITOR_COMMAND_BURST; i++) {
        assert_int_equal(send(runner_of(0, generation++, 1, 1)), MONITOR_DO_START);
        monitor_table_free(&table, 0);
    }
    refused_runner(runner_of(0, generation, 1, 1), MONITOR_REASON_RATE);
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
        T(test_the_highest_profile),
        T(test_the_list_of_commands),
        T(test_malformed_runners),
        T(test_a_command_belongs_to_its_runner),
        T(test_commands_of_the_session_s_user),
        T(test_commands_are_swift_and_rationed),
        T(test_channel_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
