#include "program_exit.h"

static const char *const texts[PROGRAM_EXIT_LIMIT] = {
    [PROGRAM_EXIT_OK] = "done; for status: everything that should serve does",
    [PROGRAM_EXIT_FAILED] = "tried and failed; the message says why",
    [PROGRAM_EXIT_USAGE] = "wrong usage; nothing was tried",
    [PROGRAM_EXIT_CANCELLED] = "cancelled by the user",
    [PROGRAM_EXIT_NOT_CONNECTED] = "the console is not connected, or not configured",
    [PROGRAM_EXIT_REFUSED] = "refused, by the agent or by the console; the message says why",
    [PROGRAM_EXIT_ALREADY_OPEN] = "a ticket is open already, in another process of this user",
    [PROGRAM_EXIT_NOT_RUNNING] = "the agent is not running or does not answer",
    [PROGRAM_EXIT_NOT_ALLOWED] = "not allowed: to this user, or by the configuration",
    [PROGRAM_EXIT_DOWN] = "status: a part of the agent is down, or the console is not connected",
    [PROGRAM_EXIT_DISAGREES] = "status: /proc contradicts what a worker reported of its lock",
    [PROGRAM_EXIT_OTHER_BUILD] = "this program and the running agent are of different builds",
};

void program_exit_print(FILE *out)
{
    for (int code = 0; code < PROGRAM_EXIT_LIMIT; code++)
        fprintf(out, "  %2d  %s\n", code, texts[code]);
}
