/*
 * A hostile program in cloister-ticket's place, setgid as that, which speaks to the agent as it
 * ought to until the bundle is to be sent.
 *
 * usage: forger --runtime DIR honest|changed|unconsented
 *
 * honest: consents to two chunks and sends them (so that what the others are refused for is their
 * own doing). changed: consents to two chunks and alters one byte of the second before it is sent.
 * unconsented: sends without a consent. Prints the ticket number (0) or why there is none (1).
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "chunk_list.h"
#include "log.h"
#include "upload.h"

enum { LENGTH = CHUNK_BYTES + 1000 };

static int complain(const char *words)
{
    char plain[800];
    log_escape(plain, sizeof(plain), words, strlen(words));
    fprintf(stderr, "forger: %s\n", plain);
    return 1;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct chunk_list *make_bundle(void)
{
    static uint8_t bytes[LENGTH];
    struct chunk_list *list;
    randombytes_buf(bytes, sizeof(bytes));
    if (chunk_list_new(&list, LENGTH) || chunk_list_append(list, bytes, sizeof(bytes)) ||
        chunk_list_finish(list))
        return NULL;
    return list;
}

/* Waits for something and takes what has come. Returns 0 or an agent_outcome. */
static int turn(struct agent *agent, struct upload *upload)
{
    struct pollfd polls[AGENT_POLLS];
    struct message message;
    agent_polls(agent, polls);
    poll(polls, AGENT_POLLS, 100);
    int result;
    while ((result = agent_receive(agent, &message)) == 0) {
        if (upload)
            upload_message(upload, &message);
        message_free(&message);
    }
    return result == AGENT_EMPTY ? 0 : result;
}

static int send_unconsented(struct agent *agent, const struct chunk_list *list)
{
    uint32_t request;
    size_t length;
    const ipc_BundleChunk body = {.index = 0};
    const uint8_t *chunk = chunk_list_chunk(list, 0, &length);
    if (agent_ask(agent, IPC_BUNDLE_CHUNK, &body, chunk, length, &request))
        return complain("the agent is gone");
    while (turn(agent, NULL) == 0)
        ;
    return complain("the agent ended the connection");
}

static int send_list(struct agent *agent, const struct chunk_list *list, int change)
{
    struct upload *upload;
    size_t length;
    if (upload_new(&upload, agent, list))
        return complain("the consent does not go out");
    /* The digests that were consented to have been sent. */
    if (change)
        ((uint8_t *)(uintptr_t)chunk_list_chunk(list, 1, &length))[500] ^= 1;
    while (upload_state(upload) < UPLOAD_DONE) {
        upload_tick(upload, now_ms());
        if (turn(agent, upload))
            return complain("the agent ended the connection");
    }
    if (upload_state(upload) == UPLOAD_FAILED)
        return complain(upload_why(upload));
    puts(upload_number(upload));
    return 0;
}

static int act(struct agent *agent, const char *mode)
{
    struct chunk_list *list = make_bundle();
    if (!list)
        return complain("no memory");
    if (strcmp(mode, "unconsented") == 0)
        return send_unconsented(agent, list);
    return send_list(agent, list, strcmp(mode, "changed") == 0);
}

int main(int argc, char **argv)
{
    struct agent *agent;
    struct agent_no no;
    if (argc != 4 || strcmp(argv[1], "--runtime") != 0 || sodium_init() < 0)
        return 2;
    if (agent_connect(&agent, argv[2], &no))
        return complain(no.words);
    int result = act(agent, argv[3]);
    fflush(stdout);
    _exit(result); /* as cloister-ticket: without nng's clean-up, see agent_free */
}
