/*
 * Round trips through the broker against round trips without one, in the place of cloister-ticket:
 *
 *     relay_client RUNTIME ECHO_SOCKET ROUNDS
 *
 * One: FrameFetch to capture and its answer, through the real door, the real channel and the real
 * broker. Other: as many bytes there and back over nng PAIR0 (pair.h), with the same static nng.
 * The two take turns of RELAY_TURN, so that whatever else the machine does falls on both. Prints
 * one JSON object, in nanoseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "pair.h"
#include "relay.h"

#define ANSWER_MS 5000

static uint64_t relayed[RELAY_ROUNDS_MAX], direct[RELAY_ROUNDS_MAX];

static void must(int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "relay_client: %s: %d\n", what, result);
    _exit(1);
}

static void receive(struct agent *agent, struct message *message)
{
    int result;
    while ((result = agent_receive(agent, message)) == AGENT_EMPTY) {
        struct pollfd polls[AGENT_POLLS];
        agent_polls(agent, polls);
        must(poll(polls, AGENT_POLLS, ANSWER_MS) <= 0, "no answer in time");
    }
    must(result, "the agent is gone");
}

static uint64_t round_relayed(struct agent *agent)
{
    ipc_FrameFetch fetch = {.frame = RELAY_FRAME, .part = RELAY_PART};
    struct message message;
    uint32_t request;
    uint64_t start = pair_now_ns();
    must(agent_ask(agent, IPC_FRAME_FETCH, &fetch, NULL, 0, &request), "ask");
    receive(agent, &message);
    uint64_t took = pair_now_ns() - start;
    must(message.envelope.number != IPC_FRAME_PART || message.envelope.request != request,
         "another answer");
    must(message.envelope.body_length + message.envelope.blob_length != RELAY_BYTES, "length");
    message_free(&message);
    return took;
}

static struct agent *connect_agent(const char *runtime)
{
    struct agent *agent = NULL;
    struct agent_no no;
    int result = agent_connect(&agent, runtime, &no);
    must(result, no.words);
    return agent;
}

int main(int argc, char **argv)
{
    size_t rounds = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (rounds < 1 || rounds > RELAY_ROUNDS_MAX)
        return 2;
    pid_t child = pair_start(argv[2]);
    struct agent *agent = connect_agent(argv[1]);
    nng_socket socket = pair_dial(argv[2]);
    for (size_t i = 0; i < RELAY_WARM_UP; i++) {
        round_relayed(agent);
        pair_round(socket, RELAY_BYTES);
    }
    for (size_t from = 0; from < rounds; from += RELAY_TURN) {
        size_t end = rounds - from < RELAY_TURN ? rounds : from + RELAY_TURN;
        for (size_t i = from; i < end; i++)
            relayed[i] = round_relayed(agent);
        for (size_t i = from; i < end; i++)
            direct[i] = pair_round(socket, RELAY_BYTES);
    }
    printf("{");
    pair_print("relayed", relayed, rounds);
    printf(", ");
    pair_print("direct", direct, rounds);
    printf("}\n");
    fflush(stdout);
    agent_cancel(agent);
    kill(child, SIGKILL);
    agent_free(agent);
    _exit(0);
}
