/*
 * A console's text messages, one on each line of the input, to a session that has signed in as far
 * as they let it, has a bundle of three chunks under way, and asks to be enrolled. What the session
 * sends must be within the wire's limits and in order, and every refusal must have a reason.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#define TICKET 7

static const uint8_t ticket_id[WIRE_TICKET_SIZE] = "0123456789abcdef";
static uint8_t chunk[WIRE_CHUNK_SIZE];

struct console {
    struct session *session;
    uint32_t wanted; /* the chunk that the session asked for */
    bool wants, closed, setup;
    size_t queued;
};

static int on_send_text(void *user, const char *text, size_t length)
{
    const struct console *console = user;

    if (console->closed || length == 0 || length > WIRE_TEXT_MAX || text[0] != '{')
        abort();
    return 0;
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    struct console *console = user;
    const uint8_t *frame = bytes;

    if (length < WIRE_HEADER_SIZE || length > WIRE_HEADER_SIZE + WIRE_CHUNK_SIZE ||
        memcmp(frame + 1, ticket_id, sizeof ticket_id) != 0 ||
        (frame[0] != WIRE_KIND_CHUNK && frame[0] != WIRE_KIND_DIGESTS))
        abort();
    console->queued += length;
    return 0;
}

static size_t on_queued(void *user)
{
    struct console *console = user;
    size_t queued = console->queued;

    console->queued = 0;
    return queued;
}

static void on_news(void *user, const struct upload_news *news)
{
    struct console *console = user;

    if (news->ticket != TICKET)
        abort();
    console->wants = news->event == UPLOAD_READY || news->event == UPLOAD_TAKEN;
    console->wanted = news->event == UPLOAD_TAKEN ? news->index + 1 : news->index;
    if (console->wanted > 3)
        abort();
}

static void on_close(void *user, uint16_t status, const char *word)
{
    struct console *console = user;

    if (status < 1000 || word[0] == '\0')
        abort();
    console->closed = true;
}

static void on_sign(void *user, const uint8_t *challenge)
{
    (void)user;
    (void)challenge;
}

static void on_state(void *user, enum wire_state state, const struct wire_message *welcome)
{
    (void)user;
    if (state > WIRE_APPROVED || (welcome && welcome->chunk_window == 0))
        abort();
}

static void on_enrolled(void *user, bool accepted, const char *detail)
{
    (void)user;
    (void)accepted;
    if (strlen(detail) >= FAULT_DETAIL_MAX)
        abort();
}

static const struct session_callbacks callbacks = {
    {on_send_text, on_send_binary, on_queued, on_news}, on_close, on_sign, on_state, on_enrolled};

/* What uplink does between two messages of the console. */
static void act(struct console *console, int64_t now_ms)
{
    static const struct wire_bundle bundle = {
        .ticket = "0123456789abcdef",
        .size = 2 * WIRE_CHUNK_SIZE + 5,
        .chunks = 3,
        .recipient_count = 1,
        .recipients = {"age1x"},
    };
    struct wire_authenticate authenticate = {0};
    struct uploads *uploads = session_uploads(console->session);

    session_signed(console->session, &authenticate, now_ms);
    if (!session_is_open(console->session))
        return;
    if (!console->setup) {
        console->setup = true;
        if (uploads_offer(uploads, TICKET, &bundle, chunk) != 0)
            abort();
    }
    session_enroll(console->session, "0123456789abcdef", "name", NULL, now_ms);
    if (session_state(console->session) == WIRE_APPROVED)
        uploads_begin(uploads, TICKET, now_ms);
    while (console->wants && console->wanted < 3) {
        console->wants = false;
        if (uploads_chunk(uploads, TICKET, console->wanted, chunk,
                          wire_chunk_length(bundle.size, console->wanted), now_ms) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct session_config config = {"console.example.org", "0.1.0",
                                                 "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11"};
    struct console console = {0};
    struct fault fault;
    int64_t now_ms = 1000;
    bool going = true;

    fault_clear(&fault);
    if (wire_setup() < 0 ||
        session_new(&console.session, &config, &callbacks, &console, now_ms) < 0)
        abort();
    while (size > 0 && going) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;

        going = session_receive(console.session, (const char *)data, length, now_ms, &fault) &&
                session_tick(console.session, now_ms, &fault);
        if (going == (fault.reason != FAULT_NONE))
            abort();
        if (going)
            act(&console, now_ms);
        now_ms += 100;
        size -= end ? length + 1 : length;
        data += end ? length + 1 : length;
    }
    session_free(console.session);
    return 0;
}
