/*
 * Signed commands between a real channel, at whose other end the test is the broker, and a real
 * session, to which it is the console. Only what lies between session and network is left out: the
 * client's session is the test's, and a process that would end comes back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay_place.h"

#define CHALLENGE                                                                                  \
    "{\"type\":\"challenge\",\"protocol\":1,\"challenge\":"                                        \
    "\"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8\",\"console\":\"test\","                        \
    "\"features\":[\"commands\"]}"
#define WELCOME                                                                                    \
    "{\"type\":\"welcome\",\"state\":\"approved\",\"heartbeat_ms\":45000,\"chunk_window\":8,"      \
    "\"max_bundle_bytes\":536870912,\"time_ms\":1790000000000}"
#define TOKEN   "header.payload.signature"
#define ID      "256d04db4e5e4ac308751ed0885b722b"
#define RECEIPT "aaa.bbb.ccc"

static struct relay_place place;

static struct {
    struct session *session;
    char text[2048]; /* what the console got last, "" when that was looked at */
    uint8_t frame[WIRE_BINARY_MAX];
    size_t frame_length;
    uint8_t token[WIRE_TOKEN_SIZE];
    struct message message; /* what the broker got last */
    jmp_buf ended;
    int64_t now_ms;
} at;

struct session *__wrap_client_session(struct client *client);
void __wrap_worker_fail(enum worker_exit code, const char *format, ...);

struct session *__wrap_client_session(struct client *client)
{
    (void)client;
    return at.session;
}

void __wrap_worker_fail(enum worker_exit code, const char *format, ...)
{
    (void)format;
    longjmp(at.ended, (int)code);
}

/* ---- the console ---- */

static int on_send_text(void *user, const char *text, size_t length)
{
    (void)user;
    (void)length;
    snprintf(at.text, sizeof at.text, "%s", text);
    return 0;
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    (void)user;
    assert_true(length <= sizeof at.frame);
    memcpy(at.frame, bytes, length);
    at.frame_length = length;
    return 0;
}

static size_t on_queued(void *user)
{
    (void)user;
    return 0;
}

static void on_news(void *user, const struct upload_news *news)
{
    (void)user;
    (void)news;
}

static void on_close(void *user, uint16_t status, const char *word)
{
    (void)user;
    (void)status;
    fail_msg("closed: %s", word);
}

static void on_sign(void *user, const uint8_t *challenge)
{
    (void)user;
    (void)challenge;
}

static void on_state(void *user, enum wire_state state, const struct wire_message *welcome)
{
    (void)user;
    (void)state;
    (void)welcome;
}

static void on_enrolled(void *user, bool accepted, const char *detail)
{
    (void)user;
    (void)accepted;
    (void)detail;
}

static const struct session_callbacks callbacks = {
    {on_send_text, on_send_binary, on_queued, on_news}, on_close, on_sign, on_state, on_enrolled};

static void say(const char *text)
{
    struct fault fault;

    fault_clear(&fault);
    assert_true(session_receive(at.session, text, strlen(text), at.now_ms, &fault));
}

static void send_token(void)
{
    uint8_t frame[WIRE_HEADER_SIZE + sizeof TOKEN - 1];
    struct fault fault;

    fault_clear(&fault);
    wire_write_header(frame, WIRE_KIND_TOKEN, at.token, 0);
    memcpy(frame + WIRE_HEADER_SIZE, TOKEN, sizeof TOKEN - 1);
    assert_true(session_receive_binary(at.session, frame, sizeof frame, at.now_ms, &fault));
}

static void expect_text(const char *text)
{
    assert_string_equal(at.text, text);
    at.text[0] = '\0';
}

static void pass(int64_t ms)
{
    struct fault fault;

    fault_clear(&fault);
    at.now_ms += ms;
    assert_true(session_tick(at.session, at.now_ms, &fault));
}

/* ---- the broker ---- */

/* The next message at the broker must be of this type; returns its request number. */
static uint32_t expect(uint16_t number, void *body)
{
    struct pollfd ready = {.fd = channel_fd(place.broker), .events = POLLIN};
    enum envelope_outcome why;

    message_free(&at.message);
    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    assert_int_equal(channel_receive(place.broker, &at.message, &why), CHANNEL_OK);
    assert_int_equal(at.message.envelope.number, number);
    assert_int_equal(envelope_decode(&at.message.envelope, body), ENVELOPE_OK);
    return at.message.envelope.request;
}

/* The broker says something, and the relay has handled it. Returns 0, or how the process ended. */
static int bring(uint16_t number, uint32_t request, const void *body, const char *blob)
{
    struct pollfd ready = {.fd = channel_fd(place.worker.channel), .events = POLLIN};
    static struct message message; /* longjmp: not on the stack */
    int code;

    assert_int_equal(
        channel_send(place.broker, number, request, body, blob, blob ? strlen(blob) : 0),
        CHANNEL_OK);
    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    code = setjmp(at.ended);
    if (code == 0) {
        assert_true(worker_next(&place.worker, &message));
        relay_message(&place.relay, &message, at.now_ms);
    }
    message_free(&message);
    return code;
}

static int decide(uint32_t request, ipc_Decision decision, const char *receipt)
{
    ipc_TokenDecision body = {.decision = decision};

    memcpy(body.token, at.token, sizeof body.token);
    return bring(IPC_TOKEN_DECISION, request, &body, receipt);
}

static int find(uint32_t request, ipc_CommandPhase phase, const char *receipt)
{
    const ipc_CommandQueryReply body = {.phase = phase};

    return bring(IPC_COMMAND_QUERY_REPLY, request, &body, receipt);
}

static int refuse(uint32_t request)
{
    const ipc_Refused body = {.reason = ipc_RefusalReason_NOT_RUNNING};

    return bring(IPC_REFUSED, request, &body, NULL);
}

static int hand_in(uint32_t request, ipc_OutputStream stream, uint32_t index)
{
    ipc_OutputChunk body = {.stream = stream, .index = index};

    memcpy(body.token, at.token, sizeof body.token);
    return bring(IPC_OUTPUT_CHUNK, request, &body, "output");
}

static void expect_refused(uint32_t request, ipc_RefusalReason reason)
{
    ipc_Refused body;

    assert_int_equal(expect(IPC_REFUSED, &body), request);
    assert_int_equal(body.reason, reason);
}

static uint32_t expect_offer(void)
{
    ipc_TokenOffer body;
    uint32_t request = expect(IPC_TOKEN_OFFER, &body);

    assert_int_equal(at.message.envelope.blob_length, sizeof TOKEN - 1);
    assert_memory_equal(at.message.envelope.blob, TOKEN, sizeof TOKEN - 1);
    return request;
}

static uint32_t expect_query(void)
{
    ipc_CommandQuery body;
    uint32_t request = expect(IPC_COMMAND_QUERY, &body);

    assert_memory_equal(body.token, at.token, sizeof at.token);
    return request;
}

/* ---- */

static int set_up(void **state)
{
    const struct session_config config = {.host = "console.example.org",
                                          .agent_version = "0.1.0",
                                          .boot_id = "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11",
                                          .agent = &relay_agent,
                                          .agent_user = &place.relay};
    struct wire_authenticate authenticate = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    static int client;

    (void)state;
    memset(&at, 0, sizeof at);
    relay_place_open(&place);
    EVP_Digest(TOKEN, sizeof TOKEN - 1, digest, NULL, EVP_sha256(), NULL);
    memcpy(at.token, digest, sizeof at.token);
    place.relay.client = (struct client *)(void *)&client; /* never looked into */
    if (session_new(&at.session, &config, &callbacks, NULL, 0) < 0)
        return -1;
    say(CHALLENGE);
    assert_int_equal(session_signed(at.session, &authenticate, 0), 0);
    say(WELCOME);
    at.text[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    message_free(&at.message);
    session_free(at.session);
    return relay_place_close(&place);
}

/* To the point where its command runs. */
static void run(void)
{
    send_token();
    assert_int_equal(decide(expect_offer(), ipc_Decision_DECISION_ACCEPTED, NULL), 0);
    expect_text("{\"type\":\"command_decision\",\"token\":\"" ID
                "\",\"accepted\":true,\"reason\":\"accepted\"}");
}

static void end_output(uint32_t request)
{
    ipc_OutputEnd body;
    ipc_OutputEnded ended;

    memcpy(body.token, at.token, sizeof body.token);
    assert_int_equal(bring(IPC_OUTPUT_END, request, &body, NULL), 0);
    assert_int_equal(expect(IPC_OUTPUT_ENDED, &ended), request);
}

static void carries_a_command(void **state)
{
    ipc_OutputTaken taken;
    ipc_ReceiptDelivered delivered;
    const ipc_ReceiptForgotten forgotten = ipc_ReceiptForgotten_init_zero;

    (void)state;
    run();
    assert_int_equal(hand_in(77, ipc_OutputStream_OUTPUT_STDERR, 0), 0);
    assert_int_equal(at.frame_length, WIRE_HEADER_SIZE + 6);
    assert_int_equal(at.frame[0], WIRE_KIND_STDERR);
    assert_memory_equal(at.frame + WIRE_HEADER_SIZE, "output", 6);
    say("{\"type\":\"command_ack\",\"token\":\"" ID "\",\"stdout\":0,\"stderr\":1}");
    assert_int_equal(expect(IPC_OUTPUT_TAKEN, &taken), 77);
    end_output(78);
    assert_int_equal(find(expect_query(), ipc_CommandPhase_COMMAND_ENDED, RECEIPT), 0);
    expect_text("{\"type\":\"command_receipt\",\"token\":\"" ID "\",\"receipt\":\"" RECEIPT "\"}");
    say("{\"type\":\"command_done\",\"token\":\"" ID "\"}");
    assert_int_equal(
        bring(IPC_RECEIPT_FORGOTTEN, expect(IPC_RECEIPT_DELIVERED, &delivered), &forgotten, NULL),
        0);
    assert_memory_equal(delivered.token, at.token, sizeof at.token);
}

static void says_why_a_token_is_refused(void **state)
{
    (void)state;
    send_token();
    assert_int_equal(decide(expect_offer(), ipc_Decision_DECISION_NOT_YET_VALID, RECEIPT), 0);
    expect_text("{\"type\":\"command_decision\",\"token\":\"" ID "\",\"accepted\":false,"
                "\"reason\":\"not_yet_valid\",\"receipt\":\"" RECEIPT "\"}");
    send_token();
    assert_int_equal(decide(expect_offer(), ipc_Decision_DECISION_REVOCATION, NULL), 0);
    expect_text("{\"type\":\"command_decision\",\"token\":\"" ID "\",\"accepted\":true,"
                "\"reason\":\"revocation\"}");
}

static void waits_while_the_vault_is_busy(void **state)
{
    ipc_CommandEnded ended = {{1}};

    (void)state;
    send_token();
    assert_int_equal(decide(expect_offer(), ipc_Decision_DECISION_BUSY, NULL), 0);
    expect_text("");
    assert_int_equal(bring(IPC_COMMAND_ENDED, 0, &ended, NULL), 0);
    assert_int_equal(decide(expect_offer(), ipc_Decision_DECISION_BUSY, NULL), 0);
    pass(COMMANDS_RETRY_MS);
    expect_offer();
}

static void asks_again_when_nobody_answers(void **state)
{
    (void)state;
    send_token();
    assert_int_equal(refuse(expect_offer()), 0);
    pass(COMMANDS_RETRY_MS);
    assert_int_equal(refuse(expect_query()), 0);
    pass(COMMANDS_RETRY_MS);
    assert_int_equal(find(expect_query(), ipc_CommandPhase_COMMAND_UNKNOWN, NULL), 0);
    expect_offer();
}

static void resumes_what_is_under_way(void **state)
{
    ipc_OutputResume from;
    const ipc_OutputResumed resumed = ipc_OutputResumed_init_zero;

    (void)state;
    say("{\"type\":\"command_query\",\"token\":\"" ID "\",\"stdout\":5,\"stderr\":6}");
    assert_int_equal(find(expect_query(), ipc_CommandPhase_COMMAND_STARTED, NULL), 0);
    expect_text("{\"type\":\"command_running\",\"token\":\"" ID "\"}");
    assert_int_equal(bring(IPC_OUTPUT_RESUMED, expect(IPC_OUTPUT_RESUME, &from), &resumed, NULL),
                     0);
    assert_int_equal(from.out_next, 5);
    assert_int_equal(from.err_next, 6);
    assert_memory_equal(from.token, at.token, sizeof at.token);
    assert_int_equal(hand_in(7, ipc_OutputStream_OUTPUT_STDOUT, 5), 0);
    assert_int_equal(at.frame[0], WIRE_KIND_STDOUT);
    assert_int_equal(at.frame[17], 5);
}

static void gives_the_receipt_where_no_runner_is_left(void **state)
{
    ipc_OutputResume from;
    ipc_ReceiptDelivered delivered;

    (void)state;
    say("{\"type\":\"command_query\",\"token\":\"" ID "\",\"stdout\":0,\"stderr\":0}");
    assert_int_equal(find(expect_query(), ipc_CommandPhase_COMMAND_ENDED, RECEIPT), 0);
    assert_int_equal(refuse(expect(IPC_OUTPUT_RESUME, &from)), 0);
    assert_int_equal(find(expect_query(), ipc_CommandPhase_COMMAND_ENDED, RECEIPT), 0);
    expect_text("{\"type\":\"command_receipt\",\"token\":\"" ID "\",\"receipt\":\"" RECEIPT "\"}");
    say("{\"type\":\"command_done\",\"token\":\"" ID "\"}");
    assert_int_equal(refuse(expect(IPC_RECEIPT_DELIVERED, &delivered)), 0);
    pass(COMMANDS_RETRY_MS);
    expect(IPC_RECEIPT_DELIVERED, &delivered);
}

static void refuses_output_that_nobody_waits_for(void **state)
{
    ipc_CommandEnded ended;

    (void)state;
    memcpy(ended.token, at.token, sizeof ended.token);
    assert_int_equal(hand_in(5, ipc_OutputStream_OUTPUT_STDOUT, 0), 0);
    expect_refused(5, ipc_RefusalReason_NO_SUCH);
    end_output(6);
    assert_int_equal(bring(IPC_COMMAND_ENDED, 0, &ended, NULL), 0);
    run();
    assert_int_equal(hand_in(7, ipc_OutputStream_OUTPUT_UNSPECIFIED, 0), 0);
    expect_refused(7, ipc_RefusalReason_BAD_REQUEST);
    assert_int_equal(hand_in(8, ipc_OutputStream_OUTPUT_STDOUT, 1), 0); /* where is 0? */
    expect_refused(8, ipc_RefusalReason_BUSY);
}

/* Before the sign-in, or with a console that does not know the feature. */
static void refuses_output_without_the_feature(void **state)
{
    struct session *session = at.session;

    (void)state;
    at.session = NULL;
    assert_int_equal(hand_in(5, ipc_OutputStream_OUTPUT_STDOUT, 0), 0);
    expect_refused(5, ipc_RefusalReason_NO_SUCH);
    end_output(6);
    at.session = session;
}

static void ends_on_answers_that_nobody_asked_for(void **state)
{
    const ipc_OutputResumed resumed = ipc_OutputResumed_init_zero;
    const ipc_ReceiptForgotten forgotten = ipc_ReceiptForgotten_init_zero;
    uint32_t offer;

    (void)state;
    assert_int_equal(decide(0, ipc_Decision_DECISION_ACCEPTED, NULL), WORKER_EXIT_PROTOCOL);
    assert_int_equal(find(1, ipc_CommandPhase_COMMAND_ENDED, RECEIPT), WORKER_EXIT_PROTOCOL);
    assert_int_equal(bring(IPC_OUTPUT_RESUMED, 1, &resumed, NULL), WORKER_EXIT_PROTOCOL);
    assert_int_equal(bring(IPC_RECEIPT_FORGOTTEN, 1, &forgotten, NULL), WORKER_EXIT_PROTOCOL);
    assert_int_equal(refuse(1), WORKER_EXIT_PROTOCOL);
    send_token();
    offer = expect_offer();
    assert_int_equal(decide(offer + 1, ipc_Decision_DECISION_ACCEPTED, NULL), WORKER_EXIT_PROTOCOL);
    assert_int_equal(decide(offer, ipc_Decision_DECISION_ACCEPTED, NULL), 0);
    assert_int_equal(decide(offer, ipc_Decision_DECISION_ACCEPTED, NULL), WORKER_EXIT_PROTOCOL);
}

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(carries_a_command),
        unit(says_why_a_token_is_refused),
        unit(waits_while_the_vault_is_busy),
        unit(asks_again_when_nobody_answers),
        unit(resumes_what_is_under_way),
        unit(gives_the_receipt_where_no_runner_is_left),
        unit(refuses_output_that_nobody_waits_for),
        unit(refuses_output_without_the_feature),
        unit(ends_on_answers_that_nobody_asked_for),
    };

    return wire_setup() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
