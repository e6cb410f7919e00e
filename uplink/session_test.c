/* The feature `commands`: who may say what of it, and when. The rest is tested against peers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "session.h"

#define CHALLENGE(more)                                                                            \
    "{\"type\":\"challenge\",\"protocol\":1,\"challenge\":"                                        \
    "\"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8\",\"console\":\"test\"" more "}"
#define OFFER ",\"features\":[\"alerts\",\"commands\"]"
#define WELCOME(state)                                                                             \
    "{\"type\":\"welcome\",\"state\":\"" state "\",\"heartbeat_ms\":45000,\"chunk_window\":8,"     \
    "\"max_bundle_bytes\":536870912,\"time_ms\":1790000000000}"
#define STATE(state) "{\"type\":\"state\",\"state\":\"" state "\"}"
#define ID           "256d04db4e5e4ac308751ed0885b722b" /* of header.payload.signature */
#define QUERY        "{\"type\":\"command_query\",\"token\":\"" ID "\",\"stdout\":0,\"stderr\":0}"
#define DONE         "{\"type\":\"command_done\",\"token\":\"" ID "\"}"

static struct {
    char text[2048], word[32];
    unsigned status, offered, queried, chunks, outputs;
    size_t queued;
} seen;

static struct session *session;
static struct fault fault;

static int on_send_text(void *user, const char *text, size_t length)
{
    (void)user;
    (void)length;
    snprintf(seen.text, sizeof seen.text, "%s", text);
    return 0;
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    (void)user;
    seen.chunks += *(const uint8_t *)bytes == WIRE_KIND_CHUNK;
    seen.outputs += *(const uint8_t *)bytes == WIRE_KIND_STDOUT;
    seen.queued += length;
    return 0;
}

static size_t on_queued(void *user)
{
    (void)user;
    return seen.queued;
}

/* The ticket program hands in one chunk after the other. */
static void on_news(void *user, const struct upload_news *news)
{
    static const uint8_t chunk[WIRE_CHUNK_SIZE];

    (void)user;
    if (news->event == UPLOAD_READY || news->event == UPLOAD_TAKEN)
        assert_int_equal(uploads_chunk(session_uploads(session), 1,
                                       news->index + (news->event == UPLOAD_TAKEN), chunk,
                                       sizeof chunk, 0),
                         0);
}

static void on_close(void *user, uint16_t status, const char *word)
{
    (void)user;
    seen.status = status;
    snprintf(seen.word, sizeof seen.word, "%s", word);
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

static void on_offer(void *user, const void *token, size_t length)
{
    (void)user;
    (void)token;
    assert_int_equal(length, 24);
    seen.offered++;
}

static void on_query(void *user, const uint8_t *token)
{
    (void)user;
    (void)token;
    seen.queried++;
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    (void)user;
    (void)token;
    (void)stdout_next;
    (void)stderr_next;
}

static void on_taken(void *user, uint32_t request)
{
    (void)user;
    (void)request;
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    (void)user;
    (void)request;
    (void)why;
}

static const struct session_callbacks callbacks = {
    {on_send_text, on_send_binary, on_queued, on_news}, on_close, on_sign, on_state, on_enrolled};
static const struct commands_agent agent = {on_offer, on_query, on_resume,
                                            on_query, on_taken, on_refused};

static int make(const struct commands_agent *wanted)
{
    const struct session_config config = {.host = "console.example.org",
                                          .agent_version = "0.1.0",
                                          .boot_id = "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11",
                                          .agent = wanted};

    memset(&seen, 0, sizeof seen);
    fault_clear(&fault);
    return session_new(&session, &config, &callbacks, NULL, 0);
}

static int set_up(void **state)
{
    (void)state;
    return make(&agent);
}

static int set_up_without(void **state)
{
    (void)state;
    return make(NULL);
}

static int tear_down(void **state)
{
    (void)state;
    session = session_free(session);
    return 0;
}

static bool say(const char *text)
{
    return session_receive(session, text, strlen(text), 0, &fault);
}

/* A frame of this kind with the token of docs/wire.md. */
static bool send_frame(uint8_t kind)
{
    uint8_t frame[WIRE_HEADER_SIZE + 24] = {kind};
    uint8_t digest[EVP_MAX_MD_SIZE];

    memcpy(frame + WIRE_HEADER_SIZE, "header.payload.signature", 24);
    EVP_Digest(frame + WIRE_HEADER_SIZE, 24, digest, NULL, EVP_sha256(), NULL);
    memcpy(frame + 1, digest, WIRE_TOKEN_SIZE);
    return session_receive_binary(session, frame, sizeof frame, 0, &fault);
}

/* Signs in; with `offer` the console has the feature. */
static void sign_in(bool offer, const char *welcome)
{
    struct wire_authenticate authenticate = {0};

    assert_true(say(offer ? CHALLENGE(OFFER) : CHALLENGE("")));
    assert_int_equal(session_signed(session, &authenticate, 0), 0);
    assert_true(say(welcome));
}

static void expect_closed(const char *word)
{
    assert_int_equal(fault.reason, FAULT_PROTOCOL);
    assert_int_equal(seen.status, 1008);
    assert_string_equal(seen.word, word);
}

static void agrees_on_what_both_know(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_non_null(strstr(seen.text, ",\"features\":[\"commands\"]}"));
    assert_non_null(session_commands(session));
    assert_true(send_frame(WIRE_KIND_TOKEN));
    assert_int_equal(seen.offered, 1);
}

static void says_nothing_of_what_was_not_offered(void **state)
{
    (void)state;
    sign_in(false, WELCOME("approved"));
    assert_null(strstr(seen.text, "features"));
    assert_null(session_commands(session));
    assert_false(say(QUERY));
    expect_closed("unknown_type");
}

static void takes_no_token_without_the_feature(void **state)
{
    (void)state;
    sign_in(false, WELCOME("approved"));
    assert_false(send_frame(WIRE_KIND_TOKEN));
    expect_closed("unknown_type");
}

/* Nor does what the message says matter: its type is not known. */
static void knows_no_type_without_the_feature(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_null(strstr(seen.text, "features"));
    assert_false(say("{\"type\":\"command_ack\"}"));
    expect_closed("unknown_type");
}

static void refuses_other_kinds(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_false(send_frame(WIRE_KIND_STDOUT));
    expect_closed("malformed");
}

static void refuses_half_a_header(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_false(session_receive_binary(session, "\x10", 1, 0, &fault));
    expect_closed("malformed");
}

static void refuses_a_token_before_the_welcome(void **state)
{
    (void)state;
    assert_true(say(CHALLENGE(OFFER)));
    assert_false(send_frame(WIRE_KIND_TOKEN));
    expect_closed("order");
}

static void refuses_a_token_without_approval(void **state)
{
    (void)state;
    sign_in(true, WELCOME("pending"));
    assert_false(send_frame(WIRE_KIND_TOKEN));
    expect_closed("order");
}

static void refuses_a_query_without_approval(void **state)
{
    (void)state;
    sign_in(true, WELCOME("unenrolled"));
    assert_false(say(QUERY));
    expect_closed("order");
}

static void refuses_what_no_command_expects(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_false(say(DONE));
    expect_closed("order");
}

static void forgets_commands_with_the_approval(void **state)
{
    (void)state;
    sign_in(true, WELCOME("approved"));
    assert_true(send_frame(WIRE_KIND_TOKEN));
    assert_true(say(STATE("pending")));
    assert_true(say(STATE("approved")));
    assert_true(say(QUERY)); /* not twice open */
    assert_int_equal(seen.queried, 0);
    commands_unanswered(session_commands(session), 0); /* what the vault says of the first */
    assert_int_equal(seen.queried, 1);
}

#define TICKET "\"ticket\":\"00000000000000000000000000000000\""

static void begin_bundle(void)
{
    static const uint8_t digests[40 * WIRE_DIGEST_SIZE];
    const struct wire_bundle bundle = {
        .size = 40 * WIRE_CHUNK_SIZE, .chunks = 40, .recipient_count = 1, .recipients = {"age1x"}};

    assert_int_equal(uploads_offer(session_uploads(session), 1, &bundle, digests), 0);
    assert_int_equal(uploads_begin(session_uploads(session), 1, 0), 0);
    assert_true(say("{\"type\":\"bundle_ready\"," TICKET ",\"have\":0}"));
}

static void begin_output(void)
{
    static const uint8_t chunk[WIRE_OUTPUT_MAX];
    uint8_t digest[EVP_MAX_MD_SIZE];

    assert_true(send_frame(WIRE_KIND_TOKEN));
    commands_decided(session_commands(session), COMMANDS_ACCEPTED, "accepted", NULL, 0, 0);
    EVP_Digest("header.payload.signature", 24, digest, NULL, EVP_sha256(), NULL);
    for (uint32_t i = 0; i < WIRE_OUTPUT_WINDOW; i++)
        commands_chunk(session_commands(session), i + 1, digest, OUTPUT_STDOUT, i, chunk,
                       sizeof chunk, 0);
}

/* A slow network carries both, whichever of them began. */
static void lets_bundles_and_output_take_turns(void **state)
{
    (void)state;
    sign_in(true, "{\"type\":\"welcome\",\"state\":\"approved\",\"heartbeat_ms\":45000,"
                  "\"chunk_window\":64,\"max_bundle_bytes\":536870912,\"time_ms\":1}");
    seen.queued = 2 * UPLOAD_QUEUE_MAX;
    begin_bundle();
    begin_output();
    assert_int_equal(seen.chunks + seen.outputs, 0);
    for (int i = 0; i < 24; i++) {
        seen.queued = UPLOAD_QUEUE_MAX - WIRE_CHUNK_SIZE / 2; /* room for one */
        assert_true(session_tick(session, 0, &fault));
    }
    assert_int_equal(seen.chunks, 12);
    assert_int_equal(seen.outputs, 12);
}

#define unit(name)         cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define unit_without(name) cmocka_unit_test_setup_teardown(name, set_up_without, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(agrees_on_what_both_know),
        unit(says_nothing_of_what_was_not_offered),
        unit(takes_no_token_without_the_feature),
        unit_without(knows_no_type_without_the_feature),
        unit(refuses_other_kinds),
        unit(refuses_half_a_header),
        unit(refuses_a_token_before_the_welcome),
        unit(refuses_a_token_without_approval),
        unit(refuses_a_query_without_approval),
        unit(refuses_what_no_command_expects),
        unit(forgets_commands_with_the_approval),
        unit(lets_bundles_and_output_take_turns),
    };

    return wire_setup() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
