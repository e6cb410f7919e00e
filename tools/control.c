/* cloister pause, resume, key reset. */
#include "command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"
#include "moment.h"

#define PAUSE_DEFAULT "15m"
#define PAUSE_MOST_S  86400u

static const char pause_help[] =
    "usage: cloister pause [--runtime DIR] [DURATION]\n"
    "\n"
    "Takes no screenshots for DURATION: 90s, 15m, 2h; at most 24h, 15m unless given. Frames taken\n"
    "before stay in memory. A second pause replaces the first. For the user whose desktop it is,\n"
    "and root.\n";

static const char resume_help[] = "usage: cloister resume [--runtime DIR]\n"
                                  "\n"
                                  "Takes screenshots again, before the pause is over.\n";

static const char key_help[] =
    "usage: cloister key reset [--yes] [--runtime DIR]\n"
    "\n"
    "Gives up this machine's key and makes a new one. The console then sees another machine, "
    "which\n"
    "has to be enrolled or approved again. Meant for a key that cannot be read any more. Root "
    "only.\n"
    "\n"
    "  --yes   do not ask; needed where there is no terminal to ask at\n";

static const struct option plain[] = {COMMAND_OPTIONS};

static int set_pause(const struct command_line *line, const char *what, uint32_t seconds)
{
    struct door door;
    ipc_CapturePause request = {.seconds = seconds};
    ipc_CapturePaused reply;
    char until[MOMENT_MAX];
    int result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result =
        command_ask(&door, what, IPC_CAPTURE_PAUSE, &request, IPC_CAPTURE_PAUSED, &reply, NULL);
    door_leave(&door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    moment_write(until, reply.until_ms);
    if (reply.until_ms)
        printf("No screenshots are taken until %s. 'cloister resume' ends the pause.\n", until);
    else
        printf("Screenshots are taken again.\n");
    return PROGRAM_EXIT_OK;
}

int pause_command(struct command_line *line, int argc, char **argv)
{
    int result = command_parse(line, argc, argv, plain, pause_help, NULL, NULL);
    if (result != COMMAND_GO_ON)
        return result;
    if (!command_operands(argc, argv, 0, 1))
        return PROGRAM_EXIT_USAGE;
    const char *text = optind < argc ? argv[optind] : PAUSE_DEFAULT;
    uint32_t seconds = moment_read_span(text, PAUSE_MOST_S);
    if (!seconds) {
        command_complain("allowed: a number and s, m or h, up to 24h; for example 15m",
                         "pause: \"%s\" is no duration", command_safe(text));
        return PROGRAM_EXIT_USAGE;
    }
    return set_pause(line, "pause", seconds);
}

int resume_command(struct command_line *line, int argc, char **argv)
{
    int result = command_parse(line, argc, argv, plain, resume_help, NULL, NULL);
    if (result != COMMAND_GO_ON)
        return result;
    return command_operands(argc, argv, 0, 0) ? set_pause(line, "resume", 0) : PROGRAM_EXIT_USAGE;
}

/* COMMAND_GO_ON, or what to exit with. */
static int confirm(void)
{
    char answer[16] = "";
    if (!isatty(STDIN_FILENO)) {
        command_complain("give --yes if you mean it",
                         "key reset: there is no terminal to ask at whether you mean it");
        return PROGRAM_EXIT_USAGE;
    }
    fputs("This machine's key will be given up for good. The console will see another machine,\n"
          "which has to be approved again.\n"
          "Type \"reset\" to go on: ",
          stdout);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "reset\n") == 0)
        return COMMAND_GO_ON;
    command_complain(NULL, "key reset: cancelled, nothing was changed");
    return PROGRAM_EXIT_CANCELLED;
}

static int reset(const struct command_line *line)
{
    struct door door;
    ipc_KeyReset request = {0};
    ipc_KeyResetDone reply;
    int result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result =
        command_ask(&door, "key reset", IPC_KEY_RESET, &request, IPC_KEY_RESET_DONE, &reply, NULL);
    if (result == PROGRAM_EXIT_OK) {
        puts("This machine has a new key.");
        result = identity_show(&door);
        puts("\nIt is used from the next connection on: 'systemctl restart cloister' connects "
             "anew.\n"
             "'cloister status' then says whether the machine has to be enrolled or approved.");
    }
    door_leave(&door);
    return result;
}

int key_command(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {{"yes", no_argument, NULL, 'y'}, COMMAND_OPTIONS};
    bool yes = false;
    int result = command_parse(line, argc, argv, options, key_help, command_take_flag, &yes);
    if (result != COMMAND_GO_ON)
        return result;
    if (!command_operands(argc, argv, 1, 1))
        return PROGRAM_EXIT_USAGE;
    if (strcmp(argv[optind], "reset") != 0) {
        command_complain("the only one is: cloister key reset", "key: \"%s\" is not known",
                         command_safe(argv[optind]));
        return PROGRAM_EXIT_USAGE;
    }
    if (!command_root("key reset"))
        return PROGRAM_EXIT_NOT_ALLOWED;
    result = yes ? COMMAND_GO_ON : confirm();
    return result == COMMAND_GO_ON ? reset(line) : result;
}
