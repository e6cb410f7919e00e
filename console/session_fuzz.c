/*
 * A whole session of an approved machine that says anything in any order. The input is a list of
 * steps: one byte for what is sent, two for a length, then bytes. Steps with valid messages let the
 * fuzzer get past signatures and digests that it could not guess. The state folder is in memory.
 *
 * Checked beside the sanitizers: a bundle is complete only if all of its chunks were sent; a
 * command is answered only if its machine signed that; its output is stored once, in order, as it
 * was sent, and never acknowledged before.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include "frame.h"
#include "log.h"
#include "queue.h"
#include "session.h"
#include "session_agent.h"

#define CHUNKS 2
#define SIZE   (MESSAGE_CHUNK_BYTES + 5)
#define HOST   "h"
#define TOKENS 10 /* more than are open at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
    STEP_TEXT,
    STEP_BINARY,
    STEP_BEGIN,
    STEP_DIGESTS,
    STEP_CHUNK,
    STEP_ABORT,
    STEP_TIME,
    STEP_SENT,
    STEP_PUSH,
    STEP_DECIDE,
    STEP_ANSWER,
    STEP_OUTPUT,
    STEP_RECEIPT,
    STEP_RECONNECT,
    STEPS,
};

static struct upload_env uploads;
static struct session_command_env commands;
static char tokens[TOKENS][8];
static uint8_t token_ids[TOKENS][16];
static char receipts[TOKENS][1024];
static uint64_t answered; /* a bit for each token whose receipt was said */
static uint8_t *scratch;  /* a chunk of output */
static struct session_env env;
static struct rate rate;
static struct session_agent agent = {.host = HOST, .commands = true};
static uint8_t id[32], exporter[32];
static uint8_t content[SIZE], digests[CHUNKS * 32], digest[32];
static const uint8_t ticket[16] = {1};
static char begin[1024];
static const char *const hosts[] = {HOST};
static char folder[64];

/* In the place of logging/log.c's (linker's --wrap): formats, so that a bad argument is found, and
 * says nothing. */
void __wrap_log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_line(int priority, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;
    (void)priority;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
}

static void require(int condition)
{
    if (!condition)
        abort();
}

static void ignore(void *context, const void *session, const uint8_t machine[32])
{
    (void)context;
    (void)session;
    (void)machine;
}

static void make_begin(void)
{
    uint8_t text[26 + 16 + 32 + 16] = "cloister/v1 bundle-origin", signature[64];
    char ticket_hex[33], digest_hex[65], signature64[96];
    memcpy(text + 26, ticket, 16);
    memcpy(text + 42, digest, 32);
    for (int i = 0; i < 8; i++)
        text[74 + i] = (uint8_t)((uint64_t)SIZE >> (8 * i));
    crypto_sign_detached(signature, NULL, text, sizeof(text), agent.secret);
    session_agent_base64(signature64, sizeof(signature64), signature, 64);
    snprintf(begin, sizeof(begin),
             "{\"type\":\"bundle_begin\",\"ticket\":\"%s\",\"digest\":\"%s\",\"size\":%d,"
             "\"chunk_size\":262144,\"chunks\":%d,\"recipients\":[\"age1\"],\"consent_time_ms\":0,"
             "\"signature\":\"%s\"}",
             sodium_bin2hex(ticket_hex, sizeof(ticket_hex), ticket, 16),
             sodium_bin2hex(digest_hex, sizeof(digest_hex), digest, 32), SIZE, CHUNKS, signature64);
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
}

static void enroll(void)
{
    char token[64], fingerprint[PROOF_FINGERPRINT_TEXT];
    struct machine m = {.name = "fuzz"};
    memcpy(m.id, id, 32);
    memcpy(m.public_key, agent.public_key, 32);
    proof_fingerprint(fingerprint, agent.public_key);
    require(machines_token(uploads.store, token, 0, 1000) == 0);
    require(machines_enroll(uploads.store, token, &m, 1) == 0);
    require(machines_approve(uploads.store, id, fingerprint, 1) == 0);
}

/* A token, and the receipt that its machine would sign about it. */
static void make_token(unsigned i)
{
    char machine_hex[65], token_hex[33], header[128], payload[512];
    uint8_t signature[64];
    snprintf(tokens[i], sizeof(tokens[i]), "t%u", i);
    require(queue_token_id(token_ids[i], tokens[i], strlen(tokens[i])));
    sodium_bin2hex(machine_hex, sizeof(machine_hex), id, 32);
    snprintf(header, sizeof(header), "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", machine_hex);
    snprintf(payload, sizeof(payload),
             "{\"typ\":\"cloister-receipt\",\"ver\":1,\"machine\":\"%s\",\"token\":\"%s\","
             "\"decision\":\"not_run\",\"reason\":\"no_session\"}",
             machine_hex, sodium_bin2hex(token_hex, sizeof(token_hex), token_ids[i], 16));
    char *text = receipts[i];
    session_agent_base64(text, sizeof(receipts[i]), (const uint8_t *)header, strlen(header));
    strcat(text, ".");
    size_t used = strlen(text);
    session_agent_base64(text + used, sizeof(receipts[i]) - used, (const uint8_t *)payload,
                         strlen(payload));
    crypto_sign_detached(signature, NULL, (const uint8_t *)text, strlen(text), agent.secret);
    strcat(text, ".");
    used = strlen(text);
    session_agent_base64(text + used, sizeof(receipts[i]) - used, signature, sizeof(signature));
}

static void set_up(void)
{
    static const uint8_t seed[32] = {7};
    require(sodium_init() >= 0);
    crypto_sign_seed_keypair(agent.public_key, agent.secret, seed);
    proof_machine_id(id, agent.public_key);
    for (uint32_t i = 0; i < CHUNKS; i++)
        crypto_hash_sha256(digests + i * 32, content + i * MESSAGE_CHUNK_BYTES,
                           bundle_file_chunk_length(SIZE, i));
    crypto_hash_sha256(digest, digests, sizeof(digests));
    make_begin();
    strcpy(folder, "/dev/shm/console-fuzz-XXXXXX");
    require(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    int state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(store_open(&uploads.store, folder, true) == 0);
    require(bundle_folders_open(&uploads.folders, state, true) == 0);
    uploads.max_bundle_bytes = uploads.quota_bytes = 1 << 20;
    rate_init(&rate, 10, 6000);
    commands = (struct session_command_env){output_folder_open(state, true), 1 << 20, 2 << 20};
    env = (struct session_env){&uploads, "Fuzz", hosts, 1, 45000, &rate, ignore, NULL, &commands};
    for (unsigned i = 0; i < TOKENS; i++)
        make_token(i);
    scratch = malloc(FRAME_MAX);
    require(scratch != NULL && commands.folder >= 0);
    enroll();
}

static void authenticate(struct session *s, uint64_t now)
{
    char message[1024];
    size_t n =
        session_agent_authenticate(message, sizeof(message), &agent, session_next(s), exporter);
    require(n > 0);
    session_text(s, message, n, now);
}

/* Sends a frame of `kind` for our ticket; the input says the index and where to flip a bit. */
static void send_frame(struct session *s, uint8_t kind, const uint8_t *in, size_t length,
                       uint64_t now)
{
    static uint8_t frame[FRAME_MAX];
    uint32_t index = length > 0 ? in[0] % (CHUNKS + 1) : 0;
    memset(frame, 0, FRAME_HEADER_BYTES);
    frame[0] = kind;
    memcpy(frame + 1, ticket, sizeof(ticket));
    frame[17] = (uint8_t)index;
    uint32_t known = index % CHUNKS; /* past the end it sends bytes that belong elsewhere */
    size_t body = kind == FRAME_DIGESTS ? (size_t)(CHUNKS - known) * 32
                                        : bundle_file_chunk_length(SIZE, known);
    const uint8_t *from = kind == FRAME_DIGESTS ? digests + (size_t)known * 32
                                                : content + (size_t)known * MESSAGE_CHUNK_BYTES;
    memcpy(frame + FRAME_HEADER_BYTES, from, body);
    if (length > 1)
        frame[in[1]] ^= length > 2 ? in[2] : 0;
    session_binary(s, frame, FRAME_HEADER_BYTES + body, now);
}

/* Of the token that the input names. */
static void say(struct session *s, const uint8_t *in, size_t length, const char *format,
                const char *more, uint64_t now)
{
    char text[2048], hex[33];
    unsigned token = length > 0 ? in[0] % TOKENS : 0;
    sodium_bin2hex(hex, sizeof(hex), token_ids[token], 16);
    int n = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"token\":\"%s\"%s}", format, hex, more);
    session_text(s, text, (size_t)n, now);
}

static void decide(struct session *s, const uint8_t *in, size_t length, uint64_t now)
{
    static const char *const reasons[] = {
        ",\"accepted\":true,\"reason\":\"accepted\"",
        ",\"accepted\":true,\"reason\":\"revocation\"",
        ",\"accepted\":false,\"reason\":\"expired\"",
        ",\"accepted\":false,\"reason\":\"busy\"",
    };
    say(s, in, length, "command_decision", reasons[length > 1 ? in[1] % 4 : 0], now);
}

/* The receipt of the token that the input names, with a byte changed if it says so. */
static void send_receipt(struct session *s, const uint8_t *in, size_t length, uint64_t now)
{
    char more[1100];
    unsigned token = length > 0 ? in[0] % TOKENS : 0;
    strcpy(stpcpy(stpcpy(more, ",\"receipt\":\""), receipts[token]), "\"");
    bool changed = length > 2 && more[12 + in[1]] != (char)in[2] && in[2];
    if (changed)
        more[12 + in[1]] = (char)in[2];
    else
        answered |= UINT64_C(1) << token;
    say(s, in, length, "command_receipt", more, now);
}

/* What a chunk holds follows from whose it is, so that it can be checked in the end. */
static size_t fill_chunk(uint8_t *out, const uint8_t id16[16], unsigned stream, uint32_t index)
{
    size_t length = 1 + (index * 37 + stream) % 600;
    memset(out, (int)(id16[0] + stream + index), length);
    return length;
}

static void send_output(struct session *s, const uint8_t *in, size_t length, uint64_t now)
{
    unsigned token = length > 0 ? in[0] % TOKENS : 0, stream = length > 1 ? in[1] & 1 : 0;
    uint32_t index = length > 2 ? in[2] : 0;
    frame_header(scratch, stream ? FRAME_STDERR : FRAME_STDOUT, token_ids[token], index);
    size_t bytes = fill_chunk(scratch + FRAME_HEADER_BYTES, token_ids[token], stream, index);
    session_binary(s, scratch, FRAME_HEADER_BYTES + bytes, now);
}

static void push(struct session *s, const uint8_t *in, size_t length)
{
    unsigned token = length > 0 ? in[0] % TOKENS : 0;
    require(store_begin(uploads.store) == 0);
    int result = queue_push(uploads.store, id, token_ids[token], tokens[token],
                            strlen(tokens[token]), length > 1, 1);
    require(store_end(uploads.store, 0) == 0 && result >= 0);
    session_refresh(s);
}

static struct session *reconnect(struct session *s, uint64_t now)
{
    session_free(s);
    require(session_new(&s, &env, "192.0.2.1", exporter, now) == 0);
    authenticate(s, now);
    return s;
}

/* Nothing may be acknowledged, or asked for, beyond what is in the file. */
static void check_said(const struct session *s)
{
    bool binary;
    size_t length = session_next_length(s, &binary);
    if (length == 0 || binary)
        return;
    json_t *o = json_loads(session_next(s), 0, NULL);
    require(o != NULL);
    if (json_object_get(o, "stdout")) {
        struct queue_item item;
        struct output_file file;
        const struct output_place start = {0};
        const char *hex = json_string_value(json_object_get(o, "token"));
        require(queue_find(uploads.store, hex, id, &item) == 0);
        json_int_t out = json_integer_value(json_object_get(o, "stdout"));
        json_int_t err = json_integer_value(json_object_get(o, "stderr"));
        int result = output_file_open(&file, commands.folder, item.row, false, &start);
        require(result == 0 || out + err == 0);
        require(out <= file.durable.chunks[0] && err <= file.durable.chunks[1]);
        output_file_close(&file);
    }
    json_decref(o);
}

static void take_bundle_step(struct session *s, enum step step, const uint8_t *in, size_t length,
                             uint64_t now)
{
    static const char abort_text[] =
        "{\"type\":\"bundle_abort\",\"ticket\":\"01000000000000000000000000000000\"}";
    if (step == STEP_BEGIN)
        session_text(s, begin, strlen(begin), now);
    else if (step == STEP_ABORT)
        session_text(s, abort_text, sizeof(abort_text) - 1, now);
    else
        send_frame(s, step == STEP_DIGESTS ? FRAME_DIGESTS : FRAME_CHUNK, in, length, now);
}

static void take_command_step(struct session *s, enum step step, const uint8_t *in, size_t length,
                              uint64_t now)
{
    if (step == STEP_PUSH)
        push(s, in, length);
    else if (step == STEP_DECIDE)
        decide(s, in, length, now);
    else if (step == STEP_ANSWER)
        say(s, in, length, length > 1 && in[1] & 1 ? "command_unknown" : "command_running", "",
            now);
    else if (step == STEP_OUTPUT)
        send_output(s, in, length, now);
    else
        send_receipt(s, in, length, now);
}

static struct session *take_step(struct session *s, uint8_t number, const uint8_t *in,
                                 size_t length, uint64_t *now)
{
    enum step step = number % STEPS;
    if (step == STEP_RECONNECT)
        return reconnect(s, *now);
    if (step == STEP_TEXT) {
        session_text(s, (const char *)in, length, *now);
    } else if (step == STEP_BINARY) {
        session_binary(s, in, length, *now);
    } else if (step == STEP_TIME) {
        *now += (length > 0 ? in[0] : 1) * 100;
        session_alive(s, length > 1, *now);
        session_tick(s, *now);
    } else if (step == STEP_SENT) {
        check_said(s);
        if (session_next(s))
            session_sent(s, *now);
    } else if (step >= STEP_PUSH) {
        take_command_step(s, step, in, length, *now);
    } else {
        take_bundle_step(s, step, in, length, *now);
    }
    return s;
}

/* All that is stored of a command is what was sent, once. */
static int check_command(void *context, const struct queue_item *item)
{
    static uint8_t stored[OUTPUT_CHUNK_MAX], expected[OUTPUT_CHUNK_MAX];
    struct output_record record;
    uint32_t next[2] = {0, 0};
    uint64_t offset = 0;
    unsigned token = 0;
    (void)context;
    while (memcmp(item->token, token_ids[token], 16) != 0)
        require(++token < TOKENS);
    require(!item->has_receipt || answered & UINT64_C(1) << token);
    require(item->state != QUEUE_DONE || item->has_receipt ||
            strcmp(item->reason, "revocation") == 0);
    int fd = output_file_read(commands.folder, item->row), result = OUTPUT_END;
    while (fd >= 0 && (result = output_file_next(fd, &offset, &record, stored)) == 0) {
        size_t length = fill_chunk(expected, item->token, record.stream, record.index);
        require(record.index >= next[record.stream] && record.length == length &&
                memcmp(stored, expected, length) == 0);
        next[record.stream] = record.index + 1;
    }
    require(result == OUTPUT_END && offset >= item->place.size);
    if (fd >= 0)
        close(fd);
    require(output_file_remove(commands.folder, item->row) == 0);
    return 0;
}

/* The whole file must be there and right if the bundle has a number; then all is forgotten. */
static void check_and_forget(void)
{
    struct bundle b;
    uint32_t have = 0;
    require(queue_each(uploads.store, NULL, check_command, NULL) == 0);
    require(store_run(store_prepare(uploads.store, "DELETE FROM commands")) == 0);
    answered = 0;
    if (bundles_get(uploads.store, id, ticket, &b) == 0 && b.number) {
        int fd = bundle_file_open(&uploads.folders, b.row);
        require(fd >= 0);
        require(bundle_file_verify(fd, digests, SIZE, 0, false, &have) == 0 && have == CHUNKS);
        close(fd);
    }
    if (bundles_get(uploads.store, id, ticket, &b) == 0)
        require(bundle_file_remove(&uploads.folders, b.row) == 0);
    require(store_run(store_prepare(uploads.store, "DELETE FROM bundles")) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *s = NULL;
    uint64_t now = 1000000;
    if (!uploads.store)
        set_up();
    require(session_new(&s, &env, "192.0.2.1", exporter, now) == 0);
    if (size > 0 && data[0] & 0x80)
        authenticate(s, now);
    while (size >= 3) {
        size_t length = (size_t)(data[1] | data[2] << 8);
        uint8_t step = data[0];
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        s = take_step(s, step & 0x7f, data, length, &now);
        data += length;
        size -= length;
    }
    session_free(s);
    check_and_forget();
    return 0;
}
