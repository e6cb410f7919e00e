/*
 * Round trips over nng PAIR0 as Debian ships it, with the threads that it takes by itself:
 *
 *     stock_pair ECHO_SOCKET ROUNDS
 *
 * prints one JSON object, in nanoseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pair.h"
#include "relay.h"

static uint64_t rounds_ns[RELAY_ROUNDS_MAX];

int main(int argc, char **argv)
{
    size_t rounds = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (rounds < 1 || rounds > RELAY_ROUNDS_MAX)
        return 2;
    pid_t child = pair_start(argv[1]);
    nng_socket socket = pair_dial(argv[1]);
    for (size_t i = 0; i < RELAY_WARM_UP; i++)
        pair_round(socket, RELAY_BYTES);
    for (size_t i = 0; i < rounds; i++)
        rounds_ns[i] = pair_round(socket, RELAY_BYTES);
    printf("{");
    pair_print("stock", rounds_ns, rounds);
    printf("}\n");
    fflush(stdout);
    kill(child, SIGKILL);
    _exit(0);
}
