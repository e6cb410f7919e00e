/* Commands in a session, with a clock and a disk of our own: what the wire tests cannot wait for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include "frame.h"
#include "log.h"
#include "queue.h"
#include "session.h"
#include "session_agent.h"

#define T0   UINT64_C(1000000)
#define HOST "h"

static char folder[64];
static int folder_fd;
static struct upload_env uploads;
static struct session_command_env commands;
static struct session_env env;
static struct rate rate;
static struct session *session;
static struct session_agent agent = {.host = HOST, .commands = true};
static uint8_t id[32], exporter[32];
static const char *const hosts[] = {HOST};
static uint8_t content[MESSAGE_CHUNK_BYTES];

static void ignore(void *context, const void *other, const uint8_t machine[32])
{
    (void)context;
    (void)other;
    (void)machine;
}

/* Takes the next text message off the queue; the caller frees it. */
static json_t *take(const char *type)
{
    bool binary;
    const char *text = session_next(session);
    assert_non_null(text);
    assert_int_equal(session_next_length(session, &binary), strlen(text));
    assert_false(binary);
    json_t *o = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(o, "type")), type);
    session_sent(session, T0);
    return o;
}

static void connect(void)
{
    char message[1024];
    session = session_free(session);
    assert_int_equal(session_new(&session, &env, "192.0.2.1", exporter, T0), 0);
    size_t n = session_agent_authenticate(message, sizeof(message), &agent, session_next(session),
                                          exporter);
    assert_int_not_equal(n, 0);
    session_sent(session, T0);
    session_text(session, message, n, T0);
    json_decref(take("welcome"));
}

static void enroll(void)
{
    char token[64], fingerprint[PROOF_FINGERPRINT_TEXT];
    struct machine m = {.name = "desk"};
    crypto_sign_keypair(agent.public_key, agent.secret);
    proof_machine_id(id, agent.public_key);
    memcpy(m.id, id, 32);
    memcpy(m.public_key, agent.public_key, 32);
    proof_fingerprint(fingerprint, agent.public_key);
    assert_int_equal(machines_token(uploads.store, token, 0, 1000), 0);
    assert_int_equal(machines_enroll(uploads.store, token, &m, 1), 0);
    assert_int_equal(machines_approve(uploads.store, id, fingerprint, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-commands-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    if (store_open(&uploads.store, folder, true) != 0)
        return -1;
    commands =
        (struct session_command_env){output_folder_open(folder_fd, true), 64 << 20, 64 << 20};
    rate_init(&rate, 10, 6000);
    env = (struct session_env){&uploads, "Test", hosts, 1, 45000, &rate, ignore, NULL, &commands};
    enroll();
    connect();
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    session = session_free(session);
    uploads.store = store_close(uploads.store);
    close(commands.folder);
    close(folder_fd);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static void assert_closing(int code, const char *word)
{
    const char *reason;
    assert_int_equal(session_closing(session, &reason), code);
    if (code)
        assert_string_equal(reason, word);
}

/* Queues a token that is `text`; the session has not heard of it yet. Its id goes to `token`. */
static void push(const char *text, uint8_t token[16])
{
    assert_true(queue_token_id(token, text, strlen(text)));
    assert_int_equal(store_begin(uploads.store), 0);
    assert_int_equal(store_end(uploads.store,
                               queue_push(uploads.store, id, token, text, strlen(text), false, 1)),
                     0);
}

/* The next message is the frame of this token. */
static void assert_token(const char *text)
{
    bool binary;
    const char *data = session_next(session);
    assert_non_null(data);
    assert_int_equal(session_next_length(session, &binary), FRAME_HEADER_BYTES + strlen(text));
    assert_true(binary);
    assert_int_equal(data[0], FRAME_TOKEN);
    assert_memory_equal(data + FRAME_HEADER_BYTES, text, strlen(text));
    session_sent(session, T0);
}

/* Says `"type":type,"token":...` and `more`. */
static void say(const char *type, const uint8_t token[16], const char *more)
{
    char text[512], hex[33];
    snprintf(text, sizeof(text), "{\"type\":\"%s\",\"token\":\"%s\"%s}", type,
             sodium_bin2hex(hex, sizeof(hex), token, 16), more);
    session_text(session, text, strlen(text), T0);
}

static void accept(const uint8_t token[16])
{
    say("command_decision", token, ",\"accepted\":true,\"reason\":\"accepted\"");
}

static void refuse(const uint8_t token[16])
{
    say("command_decision", token, ",\"accepted\":false,\"reason\":\"expired\"");
}

static void output(const uint8_t token[16], uint32_t index, size_t length)
{
    static uint8_t frame[FRAME_MAX];
    frame_header(frame, FRAME_STDOUT, token, index);
    memcpy(frame + FRAME_HEADER_BYTES, content, length);
    session_binary(session, frame, FRAME_HEADER_BYTES + length, T0);
}

static void assert_ack(const char *type, json_int_t out)
{
    json_t *o = take(type);
    assert_int_equal(json_integer_value(json_object_get(o, "stdout")), out);
    assert_int_equal(json_integer_value(json_object_get(o, "stderr")), 0);
    json_decref(o);
}

static struct queue_item get(const uint8_t token[16])
{
    struct queue_item item;
    char hex[33];
    assert_int_equal(
        queue_find(uploads.store, sodium_bin2hex(hex, sizeof(hex), token, 16), id, &item), 0);
    return item;
}

static void running(const char *text, uint8_t token[16])
{
    push(text, token);
    session_refresh(session);
    assert_token(text);
    accept(token);
    assert_closing(0, "");
}

static void acknowledged_only_when_durable(void **state)
{
    (void)state;
    uint8_t token[16];
    running("t", token);
    for (uint32_t i = 0; i < SESSION_UNSYNCED_CHUNKS - 1; i++) {
        output(token, i, 10);
        assert_true(session_unsynced(session));
        assert_null(session_next(session));
    }
    output(token, SESSION_UNSYNCED_CHUNKS - 1, 10);
    assert_false(session_unsynced(session));
    assert_ack("command_ack", SESSION_UNSYNCED_CHUNKS);
    output(token, SESSION_UNSYNCED_CHUNKS, 10);
    session_sync(session);
    output(token, SESSION_UNSYNCED_CHUNKS + 1, 10);
    session_sync(session);
    /* The second takes the place of the first, which nobody has taken yet. */
    assert_ack("command_ack", SESSION_UNSYNCED_CHUNKS + 2);
    assert_null(session_next(session));
    output(token, SESSION_UNSYNCED_CHUNKS + 2, 10);
    session_tick(session, T0);
    assert_ack("command_ack", SESSION_UNSYNCED_CHUNKS + 3);
}

static void a_disk_that_fails_is_not_acknowledged(void **state)
{
    (void)state;
    uint8_t token[16];
    running("t", token);
    int folder_of_commands = commands.folder;
    commands.folder = open("/proc/self", O_RDONLY | O_DIRECTORY);
    output(token, 0, 10);
    assert_closing(1011, "storage");
    assert_null(session_next(session));
    close(commands.folder);
    commands.folder = folder_of_commands;
    connect();
    assert_ack("command_query", 0);
}

static void marked_as_sent_before_it_is_sent(void **state)
{
    (void)state;
    uint8_t token[16];
    push("t", token);
    session_refresh(session);
    assert_int_equal(get(token).state, QUEUE_SENT); /* and the transport has not taken it */
    connect();
    assert_ack("command_query", 0);
    say("command_unknown", token, "");
    assert_token("t");
}

static void progress_outlives_the_session(void **state)
{
    (void)state;
    uint8_t token[16];
    running("t", token);
    output(token, 0, 100);
    output(token, 1, 100);
    connect();
    assert_ack("command_query", 2);
    assert_int_equal(get(token).place.size, 2 * (OUTPUT_RECORD_HEAD + 100));
    say("command_running", token, "");
    output(token, 2, 1);
    session_sync(session);
    assert_ack("command_ack", 3);
    assert_closing(0, "");
}

static void nothing_new_before_every_query_is_answered(void **state)
{
    (void)state;
    uint8_t first[16], second[16], third[16];
    push("1", first);
    push("2", second);
    session_refresh(session);
    connect();
    push("3", third);
    session_refresh(session);
    assert_ack("command_query", 0);
    assert_ack("command_query", 0);
    say("command_unknown", second, "");
    assert_null(session_next(session));
    say("command_unknown", first, "");
    assert_token("1");
    assert_token("2");
    assert_token("3");
}

static void eight_at_most(void **state)
{
    (void)state;
    uint8_t tokens[12][16];
    char text[8];
    for (int i = 0; i < 12; i++) {
        snprintf(text, sizeof(text), "%d", i);
        push(text, tokens[i]);
    }
    session_refresh(session);
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_token(text);
    }
    assert_null(session_next(session));
    connect();
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++)
        assert_ack("command_query", 0);
    assert_null(session_next(session));
    for (int i = 0; i < SESSION_COMMANDS_MAX; i++)
        say("command_running", tokens[i], "");
    assert_null(session_next(session));
}

static void held_for_an_hour(void **state)
{
    (void)state;
    uint8_t token[16], other[16];
    running("t", token);
    commands.output_bytes = 1 << 20;
    for (uint32_t i = 0; i < 4; i++)
        output(token, i, sizeof(content));
    assert_closing(0, "");
    output(token, 4, sizeof(content));
    assert_closing(1011, "storage");
    assert_string_equal(get(token).held, "output");
    connect();
    assert_null(session_next(session));
    push("o", other);
    session_refresh(session);
    assert_token("o");
    session_tick(session, T0);
    assert_null(session_next(session));
    /* The hour passes: what is noted is another session's, which ends. */
    int64_t row = get(token).row;
    assert_int_equal(
        queue_hold(uploads.store, row, "output", get(token).held_time_ms - SESSION_HELD_MS), 0);
    connect();
    assert_ack("command_query", 4);
    assert_ack("command_query", 0);
    say("command_running", token, "");
    assert_string_equal(get(token).held, "");
}

static void the_quota_is_the_machines(void **state)
{
    (void)state;
    uint8_t token[16], other[16];
    running("t", token);
    commands.quota_bytes = 4 << 20;
    for (uint32_t i = 0; i < 9; i++)
        output(token, i, sizeof(content));
    push("o", other);
    session_refresh(session);
    session_sent(session, T0); /* an acknowledgement */
    assert_null(session_next(session));
    assert_string_equal(get(other).held, "quota");
    for (uint32_t i = 9; i < 15; i++)
        output(token, i, sizeof(content));
    assert_closing(0, "");
    output(token, 15, sizeof(content));
    assert_closing(1011, "storage");
    assert_string_equal(get(token).held, "quota");
    connect();
    assert_null(session_next(session));
    commands.quota_bytes = 64 << 20; /* somebody made room */
    session_refresh(session);
    assert_ack("command_query", 15);
}

static void many_answers_are_no_flood(void **state)
{
    (void)state;
    uint8_t token[16];
    char text[16];
    for (int i = 0; i < SESSION_TEXTS_PER_S + 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        push(text, token);
        session_refresh(session);
        session_sent(session, T0);
        refuse(token);
        assert_closing(0, "");
    }
    push("busy", token);
    session_refresh(session);
    for (int i = 0; i <= SESSION_TEXTS_PER_S; i++)
        say("command_decision", token, ",\"accepted\":false,\"reason\":\"busy\"");
    assert_closing(1008, "flood");
}

static void no_more_than_an_agent_takes(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    static char text[QUEUE_TOKEN_MAX + 1];
    static uint8_t tokens[COUNT][16];
    unsigned sent = 0, in_first_second = 0;
    memset(text, 'x', QUEUE_TOKEN_MAX);
    for (int i = 0; i < COUNT; i++) {
        text[0] = (char)('0' + i);
        push(text, tokens[i]);
    }
    struct timespec begin, now, pause = {.tv_nsec = 10000000};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    session_refresh(session);
    do {
        while (session_next(session)) {
            session_sent(session, T0);
            refuse(tokens[sent++]);
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        double passed =
            (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
        if (passed < 0.9)
            in_first_second = sent;
        assert_true(passed < 30);
        session_tick(session, T0);
        nanosleep(&pause, NULL);
    } while (sent < COUNT);
    assert_in_range(in_first_second, 0, (SESSION_PACE_BYTES >> 18) + SESSION_COMMANDS_MAX);
    assert_closing(0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_only_when_durable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_is_not_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(marked_as_sent_before_it_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(progress_outlives_the_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_new_before_every_query_is_answered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(eight_at_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_for_an_hour, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_quota_is_the_machines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_answers_are_no_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_an_agent_takes, set_up, tear_down),
    };
    log_setup("test", 0);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
