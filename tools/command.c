#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "words.h"

#define ANSWER_WAIT_MS 65000 /* the broker gives up after 60 s and says so */

void command_complain(const char *advice, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("cloister: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (advice)
        fprintf(stderr, "  %s\n", advice);
}

int command_parse(struct command_line *line, int argc, char **argv, const struct option *options,
                  const char *help, bool (*take)(void *context, int option, char *value),
                  void *context)
{
    char where[64];
    snprintf(where, sizeof(where), "cloister %.40s --help", argv[0]);
    opterr = 0;
    optind = 0; /* start anew: main has parsed with another list */
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return PROGRAM_EXIT_OK;
        }
        if (option == '?' || option == ':') {
            command_complain(where, "%s: %s: %s", argv[0], command_safe(argv[optind - 1]),
                             option == ':' ? "a value is missing" : "no such option here");
            return PROGRAM_EXIT_USAGE;
        }
        if (option == 'R') {
            line->runtime = optarg;
            line->runtime_given = true;
        } else if (!take(context, option, optarg)) {
            return PROGRAM_EXIT_USAGE;
        }
    }
    return COMMAND_GO_ON;
}

bool command_take_flag(void *context, int option, char *value)
{
    (void)option;
    (void)value;
    *(bool *)context = true;
    return true;
}

bool command_operands(int argc, char **argv, int least, int most)
{
    char where[64];
    int count = argc - optind;
    if (count >= least && count <= most)
        return true;
    snprintf(where, sizeof(where), "cloister %.40s --help", argv[0]);
    if (count < least)
        command_complain(where, "%s: something is missing after it", argv[0]);
    else
        command_complain(where, "%s: \"%s\" is one word too many", argv[0],
                         command_safe(argv[optind + most]));
    return false;
}

bool command_root(const char *what)
{
    if (geteuid() == 0)
        return true;
    command_complain("run it as root, with sudo for example", "%s: only root may do this", what);
    return false;
}

int command_enter(struct door *door, const struct command_line *line)
{
    enum ipc_peer self = geteuid() == 0 ? IPC_PEER_ADMIN : IPC_PEER_CONTROL;
    switch (door_enter(door, line->runtime, self)) {
    case DOOR_OK:
        return PROGRAM_EXIT_OK;
    case DOOR_NOT_RUNNING:
        command_complain("start it with 'systemctl start cloister'; 'journalctl -u cloister' says "
                         "why it stopped",
                         "%s", command_safe(door->why));
        return PROGRAM_EXIT_NOT_RUNNING;
    case DOOR_TURNED_AWAY:
        command_complain(NULL, "the agent let nobody in: %s", command_safe(door->why));
        return PROGRAM_EXIT_NOT_ALLOWED;
    case DOOR_REFUSED:
        command_complain(words_refusal(door->refused.reason)->advice, "the agent refused: %s",
                         command_safe(door->why));
        return door->refused.reason == ipc_SCHEMA_MISMATCH ? PROGRAM_EXIT_OTHER_BUILD
                                                           : PROGRAM_EXIT_NOT_ALLOWED;
    case DOOR_BROKEN:
        break;
    }
    command_complain("see 'journalctl -u cloister'", "%s", command_safe(door->why));
    return PROGRAM_EXIT_NOT_RUNNING;
}

static int refusal(const char *what, const ipc_Refused *refused)
{
    const struct words *words = words_refusal(refused->reason);
    command_complain(words->advice, "%s: %s%s%s", what, words->sentence,
                     refused->detail[0] ? ": " : "", command_safe(refused->detail));
    switch (refused->reason) {
    case ipc_NOT_ALLOWED:
        return PROGRAM_EXIT_NOT_ALLOWED;
    case ipc_SCHEMA_MISMATCH:
        return PROGRAM_EXIT_OTHER_BUILD;
    default:
        return PROGRAM_EXIT_FAILED;
    }
}

int command_ask(struct door *door, const char *what, uint16_t number, const void *body,
                uint16_t expected, void *out, ipc_Refused *refused)
{
    return command_ask_with(door, what, number, body, NULL, 0, expected, out, refused);
}

int command_ask_with(struct door *door, const char *what, uint16_t number, const void *body,
                     const void *blob, size_t blob_length, uint16_t expected, void *out,
                     ipc_Refused *refused)
{
    struct message answer;
    ipc_Refused no;
    int result = PROGRAM_EXIT_NOT_RUNNING;
    int error =
        door_call(door, number, body, blob, blob_length, ANSWER_WAIT_MS, &answer, NULL, NULL);
    if (error) {
        command_complain("see 'journalctl -u cloister'", "%s: %s", what,
                         error == -ECONNRESET  ? "the agent hung up"
                         : error == -ETIMEDOUT ? "the agent does not answer"
                                               : strerror(-error));
        return PROGRAM_EXIT_NOT_RUNNING;
    }
    if (answer.envelope.number == expected &&
        envelope_decode(&answer.envelope, out) == ENVELOPE_OK) {
        result = PROGRAM_EXIT_OK;
    } else if (answer.envelope.number == IPC_REFUSED &&
               envelope_decode(&answer.envelope, &no) == ENVELOPE_OK) {
        if (refused)
            *refused = no;
        result = refused ? PROGRAM_EXIT_REFUSED : refusal(what, &no);
    } else {
        command_complain("restart the agent", "%s: the agent's answer makes no sense", what);
    }
    message_free(&answer);
    return result;
}

int command_sibling(char *out, size_t capacity, const char *name)
{
    ssize_t length = readlink("/proc/self/exe", out, capacity);
    if (length < 0)
        return -errno;
    const char *slash = memrchr(out, '/', (size_t)length);
    size_t folder = slash ? (size_t)(slash - out) + 1 : 0;
    if (!slash || strlen(name) >= capacity - folder)
        return -ENAMETOOLONG;
    strcpy(out + folder, name);
    return 0;
}

const char *command_safe(const char *text)
{
    static char buffers[4][4 * 264 + 1]; /* the longest text of the schema, each byte as \xHH */
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    log_escape(out, sizeof(buffers[0]), text, strlen(text));
    return out;
}

void command_hex(char *out, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
