/* cloister commands: shows them, revokes keys, resets the replay store. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_text.h"
#include "moment.h"
#include "words.h"

#define TOKEN_MAX 262144

static const char help[] =
    "usage: cloister commands [--json] [--follow [--notify] [--since MS]] [--runtime DIR]\n"
    "       cloister commands revoke FILE\n"
    "       cloister commands reset [--yes]\n"
    "\n"
    "Shows the keys that may sign commands for this machine and the commands that it accepted "
    "last:\n"
    "when, for which profile, signed by whom, what ran and how it ended.\n"
    "\n"
    "  --follow     go on, and show each as it is accepted and as it ends\n"
    "  --notify     with --follow: tell the desktop of commands for user and admin, by "
    "notify-send;\n"
    "               do not mind if the agent is not running\n"
    "  --since MS   with --follow: not those that were accepted before, unix milliseconds\n"
    "  --json       as JSON; with --follow one object a line\n"
    "\n"
    "revoke takes a list of revoked keys that one of the keys signed ('cloister-sign revoke'; -:\n"
    "standard input) and retires them for good. Root only.\n"
    "\n"
    "reset makes a new replay store in place of one that is missing or damaged. Commands that "
    "were\n"
    "signed before are refused from then on, since nobody knows which of them have run. Root "
    "only.\n"
    "\n"
    "  --yes        do not ask; needed where there is no terminal to ask at\n";

struct asked {
    bool json, follow, notify, yes;
    uint64_t since_ms;
};

static bool take(void *context, int option, char *value)
{
    struct asked *asked = context;
    char *end;
    switch (option) {
    case 'j':
        asked->json = true;
        return true;
    case 'f':
        asked->follow = true;
        return true;
    case 'n':
        asked->notify = true;
        return true;
    case 'y':
        asked->yes = true;
        return true;
    default:
        errno = 0;
        asked->since_ms = strtoull(value, &end, 10);
        if (*value >= '0' && *value <= '9' && !*end && !errno)
            return true;
        command_complain("allowed: unix milliseconds", "commands: --since: \"%s\" is no number",
                         command_safe(value));
        return false;
    }
}

int commands_ask(struct door *door, ipc_CommandStatusReply *reply, ipc_Refused *refused)
{
    ipc_CommandStatus request = {0};
    return command_ask(door, "commands", IPC_COMMAND_STATUS, &request, IPC_COMMAND_STATUS_REPLY,
                       reply, refused);
}

static int show(const struct command_line *line, bool json)
{
    static ipc_CommandStatusReply reply; /* large */
    struct door door;
    int result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result = commands_ask(&door, &reply, NULL);
    door_leave(&door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    if (json)
        return json_print(commands_object(&reply));
    commands_print_text(&reply);
    return PROGRAM_EXIT_OK;
}

/* ---- revoke ---- */

/* Reads a token without what follows its end on the line. NULL, having complained. */
static char *read_token(const char *path, size_t *length)
{
    char *token = malloc(TOKEN_MAX + 2);
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = token && fd >= 0 ? 1 : -1;
    *length = 0;
    while (got > 0 && *length < TOKEN_MAX + 2) {
        got = read(fd, token + *length, TOKEN_MAX + 2 - *length);
        *length += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    if (fd >= 0 && !standard)
        close(fd);
    while (got == 0 && *length && strchr(" \t\r\n", token[*length - 1]))
        (*length)--;
    if (got == 0 && *length && *length <= TOKEN_MAX)
        return token;
    free(token);
    command_complain("'cloister-sign revoke' makes one", "commands revoke: %s: %s",
                     command_safe(path), got < 0 ? strerror(error) : "it is empty or too long");
    return NULL;
}

static int report(const ipc_TokenDecision *decision)
{
    const struct words *words = words_decision(decision->decision);
    if (decision->decision == ipc_DECISION_REVOCATION) {
        printf("Taken. %u of this build's keys %s revoked now.\n", decision->revoked,
               decision->revoked == 1 ? "is" : "are");
        return PROGRAM_EXIT_OK;
    }
    command_complain(words->advice, "commands revoke: refused: %s (%s)", words->sentence,
                     words->word);
    return PROGRAM_EXIT_REFUSED;
}

static int offer_revocation(const struct command_line *line, const char *path)
{
    struct door door;
    ipc_TokenDecision decision;
    ipc_TokenOffer offer = {0};
    size_t length;
    char *token = read_token(path, &length);
    if (!token)
        return PROGRAM_EXIT_USAGE;
    int result = command_enter(&door, line);
    if (result == PROGRAM_EXIT_OK) {
        result = command_ask_with(&door, "commands revoke", IPC_TOKEN_OFFER, &offer, token, length,
                                  IPC_TOKEN_DECISION, &decision, NULL);
        door_leave(&door);
    }
    free(token);
    return result == PROGRAM_EXIT_OK ? report(&decision) : result;
}

/* ---- reset ---- */

/* COMMAND_GO_ON, or what to exit with. */
static int confirm(void)
{
    char answer[16] = "";
    if (!isatty(STDIN_FILENO)) {
        command_complain("give --yes if you mean it",
                         "commands reset: there is no terminal to ask at whether you mean it");
        return PROGRAM_EXIT_USAGE;
    }
    fputs(
        "The record of which commands have run here is given up for a new one. Commands that are\n"
        "signed already are refused from now on: what should still run has to be signed anew.\n"
        "If the store went missing or older by itself, find out why before you go on: somebody\n"
        "may want a command to run a second time.\n"
        "Type \"reset\" to go on: ",
        stdout);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "reset\n") == 0)
        return COMMAND_GO_ON;
    command_complain(NULL, "commands reset: cancelled, nothing was changed");
    return PROGRAM_EXIT_CANCELLED;
}

static int reset(const struct command_line *line)
{
    struct door door;
    ipc_StoreReset request = {0};
    ipc_StoreResetDone reply;
    char at[MOMENT_MAX];
    int result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result = command_ask(&door, "commands reset", IPC_STORE_RESET, &request, IPC_STORE_RESET_DONE,
                         &reply, NULL);
    door_leave(&door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    moment_write(at, reply.epoch_ms);
    printf("There is a new replay store. Commands that are valid from a time before %s are\n"
           "refused.\n",
           at);
    return PROGRAM_EXIT_OK;
}

/* ---- the command line ---- */

static bool one_purpose(const struct asked *asked, int operands)
{
    bool looks = asked->json || asked->follow || asked->notify || asked->since_ms;
    if ((asked->notify || asked->since_ms) && !asked->follow)
        command_complain("cloister commands --help", "commands: this needs --follow");
    else if ((operands && looks) || (!operands && asked->yes))
        command_complain("cloister commands --help", "commands: these do not go together");
    else
        return true;
    return false;
}

static int change(const struct command_line *line, const struct asked *asked, int argc, char **argv)
{
    bool revokes = strcmp(argv[optind], "revoke") == 0;
    if (!revokes && strcmp(argv[optind], "reset") != 0) {
        command_complain("there are: revoke FILE, reset", "commands: \"%s\" is not known",
                         command_safe(argv[optind]));
        return PROGRAM_EXIT_USAGE;
    }
    if (revokes && asked->yes) {
        command_complain("cloister commands --help", "commands: revoke does not ask");
        return PROGRAM_EXIT_USAGE;
    }
    if (!command_operands(argc, argv, revokes ? 2 : 1, revokes ? 2 : 1))
        return PROGRAM_EXIT_USAGE;
    if (!command_root(revokes ? "commands revoke" : "commands reset"))
        return PROGRAM_EXIT_NOT_ALLOWED;
    if (revokes)
        return offer_revocation(line, argv[optind + 1]);
    int result = asked->yes ? COMMAND_GO_ON : confirm();
    return result == COMMAND_GO_ON ? reset(line) : result;
}

int commands_command(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},   {"follow", no_argument, NULL, 'f'},
        {"notify", no_argument, NULL, 'n'}, {"since", required_argument, NULL, 's'},
        {"yes", no_argument, NULL, 'y'},    COMMAND_OPTIONS};
    struct asked asked = {0};
    int result = command_parse(line, argc, argv, options, help, take, &asked);
    if (result != COMMAND_GO_ON)
        return result;
    if (!one_purpose(&asked, argc - optind))
        return PROGRAM_EXIT_USAGE;
    if (optind < argc)
        return change(line, &asked, argc, argv);
    if (!asked.follow)
        return show(line, asked.json);
    struct commands_follow follow = {
        .line = line, .json = asked.json, .notify = asked.notify, .since_ms = asked.since_ms};
    return commands_follow(&follow);
}
