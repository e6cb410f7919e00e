#include "played_agent.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoding.h"

#define CHUNK WIRE_OUTPUT_MAX

/* ---- the file ---- */

static void save(const struct played_agent *agent)
{
    char id[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)];
    FILE *file;

    if (agent->state == COMMANDS_UNKNOWN) {
        unlink(agent->file);
        return;
    }
    file = fopen(agent->file, "w");
    if (!file)
        abort();
    encoding_hex(id, agent->token, WIRE_TOKEN_SIZE);
    fprintf(file, "%s %s\n", id, agent->state == COMMANDS_ENDED ? "ended" : "started");
    if (fclose(file) != 0)
        abort();
}

void played_agent_load(struct played_agent *agent)
{
    FILE *file = fopen(agent->file, "r");
    char id[33], word[16];

    if (!file)
        return;
    if (fscanf(file, "%32s %15s", id, word) == 2 &&
        encoding_hex_read(agent->token, WIRE_TOKEN_SIZE, id, strlen(id)))
        agent->state = strcmp(word, "ended") == 0 ? COMMANDS_ENDED : COMMANDS_UNDER_WAY;
    fclose(file);
}

/* ---- what uplink asks for ---- */

static void on_offer(void *user, const void *token, size_t length)
{
    struct played_agent *agent = user;
    uint8_t digest[EVP_MAX_MD_SIZE];

    EVP_Digest(token, length, digest, NULL, EVP_sha256(), NULL);
    memcpy(agent->asked, digest, WIRE_TOKEN_SIZE);
    agent->refuses = length >= 6 && memcmp(token, "refuse", 6) == 0;
    agent->offered = true;
}

static void on_query(void *user, const uint8_t *token)
{
    struct played_agent *agent = user;

    memcpy(agent->asked, token, WIRE_TOKEN_SIZE);
    agent->queried = true;
}

static void on_resume(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next)
{
    struct played_agent *agent = user;

    if (memcmp(agent->token, token, WIRE_TOKEN_SIZE) != 0)
        abort();
    agent->resume_next[OUTPUT_STDOUT] = stdout_next;
    agent->resume_next[OUTPUT_STDERR] = stderr_next;
    agent->resumed = true;
}

static void on_delivered(void *user, const uint8_t *token)
{
    struct played_agent *agent = user;

    agent->forget = memcmp(agent->token, token, WIRE_TOKEN_SIZE) == 0; /* else: a later one runs */
    agent->delivered = true;
}

static void on_taken(void *user, uint32_t request)
{
    struct played_agent *agent = user;

    (void)request;
    agent->under_way--;
}

/* It is sent again when uplink says so. */
static void on_refused(void *user, uint32_t request, enum output_refusal why)
{
    struct played_agent *agent = user;

    (void)request;
    (void)why;
    agent->under_way--;
    agent->sending = false;
}

const struct commands_agent played_agent_hooks = {on_offer,     on_query, on_resume,
                                                  on_delivered, on_taken, on_refused};

/* ---- and what is done about it ---- */

static void decide(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    agent->offered = false;
    if (agent->refuses) {
        commands_decided(commands, COMMANDS_REFUSED, "signature", NULL, 0, now_ms);
        return;
    }
    memcpy(agent->token, agent->asked, WIRE_TOKEN_SIZE);
    agent->state = COMMANDS_UNDER_WAY;
    agent->next[OUTPUT_STDOUT] = agent->next[OUTPUT_STDERR] = 0;
    agent->sending = true;
    save(agent);
    commands_decided(commands, COMMANDS_ACCEPTED, "accepted", NULL, 0, now_ms);
}

static void answer_query(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    char id[ENCODING_HEX_SIZE(WIRE_TOKEN_SIZE)], receipt[64];
    bool known = memcmp(agent->token, agent->asked, WIRE_TOKEN_SIZE) == 0;
    int length;

    agent->queried = false;
    encoding_hex(id, agent->asked, WIRE_TOKEN_SIZE);
    length = snprintf(receipt, sizeof receipt, "played.%s.receipt", id);
    commands_found(commands, known ? agent->state : COMMANDS_UNKNOWN, receipt, (size_t)length,
                   now_ms);
}

static void go_on(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    agent->resumed = false;
    agent->sending = agent->state == COMMANDS_UNDER_WAY;
    memcpy(agent->next, agent->resume_next, sizeof agent->next);
    commands_resumed(commands, agent->sending, now_ms);
}

static uint32_t chunks(const struct played_agent *agent, enum output_stream stream)
{
    return (agent->bytes[stream] + CHUNK - 1) / CHUNK;
}

static void hand_in(struct played_agent *agent, struct commands *commands,
                    enum output_stream stream, int64_t now_ms)
{
    static uint8_t pattern[CHUNK + 251];
    uint32_t index = agent->next[stream]++;
    uint32_t left = agent->bytes[stream] - index * CHUNK;

    if (pattern[1] == 0)
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (uint8_t)(i % 251);
    agent->under_way++;
    commands_chunk(commands, ++agent->last_request, agent->token, stream, index,
                   pattern + (uint64_t)index * CHUNK % 251, left < CHUNK ? left : CHUNK, now_ms);
}

static void finish(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    agent->state = COMMANDS_ENDED;
    agent->sending = false;
    save(agent);
    commands_output_ended(commands, agent->token, now_ms);
    commands_runner_gone(commands, agent->token, now_ms);
}

static bool run(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    bool some = false;

    for (int i = 0; i < OUTPUT_STREAMS; i++) {
        if (agent->sending && agent->under_way < WIRE_OUTPUT_WINDOW &&
            agent->next[i] < chunks(agent, i)) {
            hand_in(agent, commands, i, now_ms);
            some = true;
        }
    }
    if (!some && agent->sending && agent->under_way == 0) {
        finish(agent, commands, now_ms);
        some = true;
    }
    return some;
}

static void forget(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    agent->delivered = false;
    if (agent->forget)
        agent->state = COMMANDS_UNKNOWN;
    save(agent);
    commands_forgotten(commands, true, now_ms);
}

bool played_agent_turn(struct played_agent *agent, struct commands *commands, int64_t now_ms)
{
    if (agent->delivered)
        forget(agent, commands, now_ms);
    else if (agent->offered)
        decide(agent, commands, now_ms);
    else if (agent->queried)
        answer_query(agent, commands, now_ms);
    else if (agent->resumed)
        go_on(agent, commands, now_ms);
    else
        return run(agent, commands, now_ms);
    return true;
}
