/*
 * A console's messages, one on each line of the input, to a session that has signed in as far as
 * they let it, has a bundle of three chunks under way, asks to be enrolled, and takes commands.
 * What the session sends must be within the wire's limits and in order, every refusal must have a
 * reason, and every request of a runner exactly one answer.
 *
 *   #TEXT  a binary message with this token    !BYTES  a binary message as it stands
 *   =xyz   what vault, runner and time do, a letter each: see play()
 */
#include "session.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define TICKET 7

static const uint8_t ticket_id[WIRE_TICKET_SIZE] = "0123456789abcdef";
static uint8_t chunk[WIRE_CHUNK_SIZE];

#define REQUESTS 4096

struct console {
    struct session *session;
    uint32_t wanted; /* the chunk that the session asked for */
    bool wants, closed, setup;
    size_t queued;
    bool offered, asked, resumed, delivered; /* questions of the session that are open */
    uint8_t token[WIRE_TOKEN_SIZE];          /* that it asked about last */
    uint32_t requests, stdout_next, stderr_next;
    bool open[REQUESTS]; /* the runner's requests */
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

    if (length < WIRE_HEADER_SIZE || length > WIRE_HEADER_SIZE + WIRE_CHUNK_SIZE)
        abort();
    if (frame[0] != WIRE_KIND_STDOUT && frame[0] != WIRE_KIND_STDERR &&
        (memcmp(frame + 1, ticket_id, sizeof ticket_id) != 0 ||
         (frame[0] != WIRE_KIND_CHUNK && frame[0] != WIRE_KIND_DIGESTS)))
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

/* One question at a time, and a token only while approved. */
static void on_offer(void *user, const void *token, size_t length)
{
    struct console *console = user;
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (console->offered || console->asked || length == 0 || length > WIRE_TOKEN_MAX)
        abort();
    EVP_Digest(token, length, digest, NULL, EVP_sha256(), NULL);
    memcpy(console->token, digest, WIRE_TOKEN_SIZE);
    console->offered = true;
    console->stdout_next = console->stderr_next = 0;
}

static void on_query(void *user, const uint8_t *token)
{
    struct console *console = user;

    if (console->offered || console->asked)
        abort();
    memcpy(console->token, token, WIRE_TOKEN_SIZE);
    console->asked = true;
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    struct console *console = user;

    if (console->resumed)
        abort();
    memcpy(console->token, token, WIRE_TOKEN_SIZE);
    console->stdout_next = stdout_next;
    console->stderr_next = stderr_next;
    console->resumed = true;
}

static void on_delivered(void *user, const uint8_t *token)
{
    struct console *console = user;

    (void)token;
    if (console->delivered)
        abort();
    console->delivered = true;
}

static void on_taken(void *user, uint32_t request)
{
    struct console *console = user;

    if (!console->open[request])
        abort();
    console->open[request] = false;
}

static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    if (why < OUTPUT_NO_SUCH || why > OUTPUT_ORDER)
        abort();
    on_taken(user, request);
}

static const struct commands_agent agent = {on_offer,     on_query, on_resume,
                                            on_delivered, on_taken, on_refused};

static void hand_in(struct console *console, enum output_stream stream, uint32_t index,
                    int64_t now_ms)
{
    uint32_t open = 0;

    if (console->requests + 1 >= REQUESTS)
        return;
    console->open[++console->requests] = true;
    commands_chunk(session_commands(console->session), console->requests, console->token, stream,
                   index, chunk, 10, now_ms);
    for (uint32_t i = 0; i < REQUESTS; i++)
        open += console->open[i];
    if (open > WIRE_OUTPUT_WINDOW)
        abort();
}

static bool answered(bool *question)
{
    bool open = *question;

    *question = false;
    return open;
}

/* Vault and runner answer what was asked, or do of themselves what they may at any time. */
static void play(struct console *console, char what, int64_t *now_ms)
{
    struct commands *commands = session_commands(console->session);
    static const char receipt[] = "aaa.bbb.ccc";

    if (strchr("abrv", what) && answered(&console->offered))
        commands_decided(commands,
                         what == 'a'   ? COMMANDS_ACCEPTED
                         : what == 'b' ? COMMANDS_BUSY
                         : what == 'v' ? COMMANDS_REVOCATION
                                       : COMMANDS_REFUSED,
                         "word", receipt, strlen(receipt), *now_ms);
    else if (strchr("uwe", what) && answered(&console->asked))
        commands_found(commands,
                       what == 'u'   ? COMMANDS_UNKNOWN
                       : what == 'w' ? COMMANDS_UNDER_WAY
                                     : COMMANDS_ENDED,
                       receipt, strlen(receipt), *now_ms);
    else if (what == 'n' && (answered(&console->offered) || answered(&console->asked)))
        commands_unanswered(commands, *now_ms);
    else if (strchr("yz", what) && answered(&console->resumed))
        commands_resumed(commands, what == 'y', *now_ms);
    else if (strchr("dD", what) && answered(&console->delivered))
        commands_forgotten(commands, what == 'd', *now_ms);
    else if (what == 'o')
        hand_in(console, OUTPUT_STDOUT, console->stdout_next++, *now_ms);
    else if (what == 'p')
        hand_in(console, OUTPUT_STDERR, console->stderr_next++, *now_ms);
    else if (what == 'q')
        hand_in(console, OUTPUT_STDOUT, console->stdout_next - 1, *now_ms);
    else if (what == 'f')
        commands_output_ended(commands, console->token, *now_ms);
    else if (what == 'g')
        commands_runner_gone(commands, console->token, *now_ms);
    else if (what == 't' || what == 'T')
        *now_ms += what == 't' ? 2000 : 41000;
}

static bool receive_token(struct console *console, const uint8_t *text, size_t length,
                          int64_t now_ms, struct fault *fault)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t *frame = calloc(1, WIRE_HEADER_SIZE + length);
    bool going;

    if (!frame)
        abort();
    EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL);
    frame[0] = WIRE_KIND_TOKEN;
    memcpy(frame + 1, digest, WIRE_TOKEN_SIZE);
    memcpy(frame + WIRE_HEADER_SIZE, text, length);
    going =
        session_receive_binary(console->session, frame, WIRE_HEADER_SIZE + length, now_ms, fault);
    free(frame);
    return going;
}

/* One line of the input. */
static bool receive(struct console *console, const uint8_t *line, size_t length, int64_t *now_ms,
                    struct fault *fault)
{
    if (length > 0 && line[0] == '#')
        return receive_token(console, line + 1, length - 1, *now_ms, fault);
    if (length > 0 && line[0] == '!')
        return session_receive_binary(console->session, line + 1, length - 1, *now_ms, fault);
    if (length == 0 || line[0] != '=')
        return session_receive(console->session, (const char *)line, length, *now_ms, fault);
    for (size_t i = 1; i < length && session_commands(console->session); i++)
        if (line[i] != '\0')
            play(console, (char)line[i], now_ms);
    return true;
}

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
    static struct console console;
    static const struct session_config config = {
        "console.example.org", "0.1.0", "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11", &agent, &console};
    struct fault fault;
    int64_t now_ms = 1000;
    bool going = true;

    memset(&console, 0, sizeof console);
    fault_clear(&fault);
    if (wire_setup() < 0 ||
        session_new(&console.session, &config, &callbacks, &console, now_ms) < 0)
        abort();
    while (size > 0 && going) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;

        going = receive(&console, data, length, &now_ms, &fault) &&
                session_tick(console.session, now_ms, &fault);
        if (going && session_deadline_ms(console.session) <= now_ms)
            abort(); /* the owner would spin */
        if (going == (fault.reason != FAULT_NONE))
            abort();
        if (going)
            act(&console, now_ms);
        now_ms += 100;
        size -= end ? length + 1 : length;
        data += end ? length + 1 : length;
    }
    session_free(console.session);
    for (uint32_t i = 0; i < REQUESTS; i++)
        if (console.open[i])
            abort();
    return 0;
}
