#include "commands_played.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"

struct played_commands seen;

struct commands *commands;
int64_t now;
static char ids[16][ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)]; /* of the tokens "0" to "f" */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(seen.log);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(seen.log + used, sizeof seen.log - used, format, arguments);
    va_end(arguments);
    assert_true(strlen(seen.log) < sizeof seen.log - 300);
}

void digest_of(uint8_t *id, const char *token)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL);
    memcpy(id, digest, WIRE_TOKEN_SIZE);
}

static char name_of(const uint8_t *id)
{
    char hex[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];

    encoding_hex(hex, id, WIRE_TOKEN_SIZE);
    for (int i = 0; i < 16; i++)
        if (strcmp(hex, ids[i]) == 0)
            return "0123456789abcdef"[i];
    return '?';
}

/* The message's type and token, and a decision's word. */
static int on_send_text(void *user, const char *text, size_t length)
{
    char type[32], id[40] = "", word[40] = "";
    const char *reason = strstr(text, "\"reason\":\"");
    uint8_t token[WIRE_TOKEN_SIZE];

    (void)user;
    assert_int_equal(strlen(text), length);
    assert_int_equal(
        sscanf(text, "{\"type\":\"command_%31[a-z]\",\"token\":\"%39[0-9a-f]", type, id), 2);
    assert_true(encoding_hex_read(token, sizeof token, id, strlen(id)));
    if (reason)
        assert_int_equal(sscanf(reason, "\"reason\":\"%39[a-z_]", word), 1);
    note("%s %c%s%s%s%s; ", type, name_of(token), word[0] ? " " : "", word,
         strstr(text, "\"accepted\":true") ? " yes" : "",
         strstr(text, "\"receipt\":\"" RECEIPT "\"") ? " +" : "");
    return 0;
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    struct wire_frame frame;

    (void)user;
    assert_int_equal(wire_read_frame(&frame, bytes, length), 0);
    note("chunk %c %u/%u; ", name_of(frame.id), frame.kind, frame.index);
    return 0;
}

static size_t on_queued(void *user)
{
    (void)user;
    return seen.queued;
}

static void on_offer(void *user, const void *token, size_t length)
{
    (void)user;
    note("offer %.*s; ", (int)length, (const char *)token);
}

static void on_query(void *user, const uint8_t *token)
{
    (void)user;
    note("query %c; ", name_of(token));
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    (void)user;
    note("resume %c %u %u; ", name_of(token), stdout_next, stderr_next);
}

static void on_delivered(void *user, const uint8_t *token)
{
    (void)user;
    note("delivered %c; ", name_of(token));
}

static void on_taken(void *user, uint32_t request)
{
    (void)user;
    note("taken %u; ", request);
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    (void)user;
    note("refused %u %d; ", request, why);
}

static const struct commands_callbacks callbacks = {on_send_text, on_send_binary, on_queued};
static const struct commands_agent agent = {on_offer,     on_query, on_resume,
                                            on_delivered, on_taken, on_refused};

int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        char token[2] = {"0123456789abcdef"[i], '\0'};
        uint8_t id[WIRE_TOKEN_SIZE];

        digest_of(id, token);
        encoding_hex(ids[i], id, sizeof id);
    }
    memset(&seen, 0, sizeof seen);
    now = 1000000;
    return commands_new(&commands, &callbacks, NULL, &agent, NULL);
}

int tear_down(void **state)
{
    (void)state;
    commands = commands_free(commands);
    return 0;
}

void expect(const char *text)
{
    assert_string_equal(seen.log, text);
    seen.log[0] = '\0';
}

int token(const char *text)
{
    struct wire_frame frame = {
        .kind = WIRE_KIND_TOKEN, .content = (const uint8_t *)text, .length = strlen(text)};

    digest_of(frame.id, text);
    return commands_token(commands, &frame, now);
}

int say(enum wire_type type, const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    struct wire_message message = {
        .type = type, .stdout_count = stdout_count, .stderr_count = stderr_count};

    digest_of(message.token, text);
    return commands_receive(commands, &message, now);
}

int ack(const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    return say(WIRE_COMMAND_ACK, text, stdout_count, stderr_count);
}

int query(const char *text, uint32_t stdout_count, uint32_t stderr_count)
{
    return say(WIRE_COMMAND_QUERY, text, stdout_count, stderr_count);
}

int done(const char *text)
{
    return say(WIRE_COMMAND_DONE, text, 0, 0);
}

void decide(enum commands_verdict verdict, const char *word)
{
    commands_decided(commands, verdict, word, NULL, 0, now);
}

void find(enum commands_state state)
{
    bool ended = state == COMMANDS_ENDED;

    commands_found(commands, state, ended ? RECEIPT : NULL, ended ? strlen(RECEIPT) : 0, now);
}

void hand_in(uint32_t request, const char *text, enum output_stream stream, uint32_t index)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_chunk(commands, request, id, stream, index, "output", 6, now);
}

void output_ends(const char *text)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_output_ended(commands, id, now);
}

void runner_goes(const char *text)
{
    uint8_t id[WIRE_TOKEN_SIZE];

    digest_of(id, text);
    commands_runner_gone(commands, id, now);
}

void pass(int64_t ms)
{
    int64_t until = now + ms;
    struct fault fault;

    fault_clear(&fault);
    while (commands_deadline_ms(commands) <= until) {
        int64_t deadline = commands_deadline_ms(commands);

        now = deadline > now ? deadline : now;
        assert_true(commands_tick(commands, now, &fault));
        assert_true(commands_deadline_ms(commands) > now);
    }
    now = until;
}

bool times_out(int64_t ms)
{
    struct fault fault;

    fault_clear(&fault);
    now += ms;
    return !commands_tick(commands, now, &fault) && fault.reason == FAULT_PHASE_TIMEOUT;
}

void run(const char *text)
{
    assert_int_equal(token(text), 0);
    decide(COMMANDS_ACCEPTED, "accepted");
    seen.log[0] = '\0';
}
