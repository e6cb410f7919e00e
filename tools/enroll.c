/* cloister enroll. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "identity.h"
#include "moment.h"
#include "words.h"

#define WAIT_DEFAULT_S 60
#define WAIT_MOST_S    86400
#define LOOK_EVERY_MS  500
#define ENROLL_PAUSE_S 2 /* the schema allows one Enroll a second */

static const char help[] =
    "usage: cloister enroll [--wait SECONDS] [--runtime DIR] TOKEN\n"
    "       cloister enroll [--wait SECONDS] [--runtime DIR] --token-file FILE\n"
    "\n"
    "Makes this machine known to the console, with a token from 'cloister-console token'. Waits\n"
    "until the console is connected. Then an administrator compares the fingerprint that is shown\n"
    "here and approves the machine at the console. Root only.\n"
    "\n"
    "  --token-file FILE   read the token from FILE, - for standard input. Better than TOKEN, "
    "which\n"
    "                      other users see in the list of processes\n"
    "  --wait SECONDS      how long to wait for a connection (default 60; 0: look once)\n";

struct enrolment {
    ipc_Enroll request; /* the token: wiped after use */
    const char *file;
    long wait_s;
    int64_t deadline_ms;
    const char *said; /* the last progress */
};

static int64_t monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool take(void *context, int option, char *value)
{
    struct enrolment *e = context;
    char *end;
    if (option == 'f') {
        e->file = value;
        return true;
    }
    errno = 0;
    e->wait_s = strtol(value, &end, 10);
    if (*value && !*end && !errno && e->wait_s >= 0 && e->wait_s <= WAIT_MOST_S)
        return true;
    command_complain("allowed: 0 to 86400", "enroll: --wait: \"%s\" is no number of seconds",
                     command_safe(value));
    return false;
}

/* Takes over a token of `length` bytes, with white space around it, or complains. */
static bool take_token(struct enrolment *e, const char *text, size_t length)
{
    while (length && strchr(" \t\r\n", text[length - 1]))
        length--;
    while (length && strchr(" \t\r\n", *text)) {
        text++;
        length--;
    }
    bool right = length >= 16 && length < sizeof(e->request.token);
    for (size_t i = 0; right && i < length; i++)
        right = text[i] > ' ' && text[i] <= '~';
    if (right)
        memcpy(e->request.token, text, length);
    else
        command_complain("a token is one word of 16 to 128 characters, as 'cloister-console token' "
                         "prints it",
                         "enroll: this is not an enrolment token");
    return right;
}

static bool read_token(struct enrolment *e)
{
    char text[512];
    size_t used = 0;
    ssize_t got = 0;
    bool standard = strcmp(e->file, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(e->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && used < sizeof(text) && (got = read(fd, text + used, sizeof(text) - used)) > 0)
        used += (size_t)got;
    int error = errno;
    if (fd >= 0 && !standard)
        close(fd);
    bool right = false;
    if (fd < 0 || got < 0)
        command_complain(NULL, "enroll: cannot read the token from %s: %s", command_safe(e->file),
                         strerror(error));
    else
        right = take_token(e, text, used);
    explicit_bzero(text, sizeof(text));
    return right;
}

/* Says once what is being waited for. */
static void progress(struct enrolment *e, const ipc_UplinkStatus *uplink)
{
    const struct words *phase = words_uplink_phase(uplink->phase);
    const struct words *reason = words_uplink_reason(uplink->reason);
    const char *say = uplink->reason ? reason->sentence : phase->sentence;
    /* Between two attempts that fail alike, what is done meanwhile is no news. */
    if (say == e->said || (e->said && !uplink->reason))
        return;
    e->said = say;
    fprintf(stderr, "Waiting for the console: %s%s%s\n", say, uplink->detail[0] ? ": " : "",
            command_safe(uplink->detail));
    if (uplink->reason && reason->advice)
        fprintf(stderr, "  %s\n", reason->advice);
}

/* What to do about this state: COMMAND_GO_ON to send the token, PROGRAM_EXIT_NOT_CONNECTED to
 * wait, or what to exit with. */
static int judge(struct door *door, const ipc_UplinkStatus *uplink)
{
    int shown;
    switch (uplink->phase) {
    case ipc_UPLINK_UNENROLLED:
        return COMMAND_GO_ON;
    case ipc_UPLINK_PENDING:
    case ipc_UPLINK_APPROVED:
        shown = identity_show(door);
        printf("\nThe console knows this machine already: %s.\n",
               words_uplink_phase(uplink->phase)->sentence);
        return shown;
    default:
        return PROGRAM_EXIT_NOT_CONNECTED;
    }
}

static int give_up(const ipc_UplinkStatus *uplink)
{
    const struct words *phase = words_uplink_phase(uplink->phase);
    const struct words *reason = words_uplink_reason(uplink->reason);
    if (uplink->reason)
        command_complain(reason->advice, "enroll: the console is not connected: %s%s%s",
                         reason->sentence, uplink->detail[0] ? ": " : "",
                         command_safe(uplink->detail));
    else
        command_complain(phase->advice ? phase->advice : "a longer --wait may help", "enroll: %s",
                         phase->sentence);
    return PROGRAM_EXIT_NOT_CONNECTED;
}

/* Waits until the token may be sent. COMMAND_GO_ON, or what to exit with. */
static int await(struct enrolment *e, struct door *door)
{
    static ipc_StatusReply reply; /* large */
    for (;;) {
        ipc_Status request = {0};
        int result =
            command_ask(door, "enroll", IPC_STATUS, &request, IPC_STATUS_REPLY, &reply, NULL);
        if (result != PROGRAM_EXIT_OK)
            return result;
        if (reply.uplink.phase == ipc_UPLINK_NOT_CONFIGURED)
            return give_up(&reply.uplink);
        if (reply.uplink.reason == ipc_UPLINK_REVOKED) {
            give_up(&reply.uplink);
            return PROGRAM_EXIT_REFUSED;
        }
        result = judge(door, &reply.uplink);
        if (result != PROGRAM_EXIT_NOT_CONNECTED)
            return result;
        if (monotonic_ms() >= e->deadline_ms)
            return give_up(&reply.uplink);
        progress(e, &reply.uplink);
        struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

/* Sends the token. COMMAND_GO_ON: the connection broke meanwhile, so wait and try again. */
static int send_token(struct enrolment *e, struct door *door)
{
    ipc_Enrolled reply;
    ipc_Refused refused;
    int result =
        command_ask(door, "enroll", IPC_ENROLL, &e->request, IPC_ENROLLED, &reply, &refused);
    if (result == PROGRAM_EXIT_REFUSED) {
        bool gone = refused.reason == ipc_NOT_RUNNING || refused.reason == ipc_BUSY;
        if (gone && monotonic_ms() < e->deadline_ms)
            return COMMAND_GO_ON;
        const struct words *words = words_refusal(refused.reason);
        command_complain(words->advice, "enroll: %s%s%s", words->sentence,
                         refused.detail[0] ? ": " : "", command_safe(refused.detail));
        return gone || refused.reason == ipc_PEER_GONE ? PROGRAM_EXIT_NOT_CONNECTED
                                                       : PROGRAM_EXIT_FAILED;
    }
    if (result != PROGRAM_EXIT_OK)
        return result;
    if (!reply.accepted) {
        command_complain("a token works once and for a limited time: have a new one made with "
                         "'cloister-console token'",
                         "enroll: the console refused: %s", command_safe(reply.detail));
        return PROGRAM_EXIT_REFUSED;
    }
    result = identity_show(door);
    puts("\nEnrolled. Next: an administrator finds this machine with 'cloister-console machines',\n"
         "asks for the fingerprint above, and approves it with 'cloister-console approve'.\n"
         "'cloister status' says when that has happened.");
    return result;
}

static int enroll(struct enrolment *e, struct command_line *line)
{
    struct door door;
    int result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    e->deadline_ms = monotonic_ms() + e->wait_s * 1000;
    while ((result = await(e, &door)) == COMMAND_GO_ON &&
           (result = send_token(e, &door)) == COMMAND_GO_ON)
        sleep(ENROLL_PAUSE_S);
    door_leave(&door);
    return result;
}

int enroll_command(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {{"token-file", required_argument, NULL, 'f'},
                                            {"wait", required_argument, NULL, 'w'},
                                            COMMAND_OPTIONS};
    struct enrolment e = {.wait_s = WAIT_DEFAULT_S};
    int result = command_parse(line, argc, argv, options, help, take, &e);
    if (result != COMMAND_GO_ON)
        return result;
    if (!command_operands(argc, argv, e.file ? 0 : 1, e.file ? 0 : 1))
        return PROGRAM_EXIT_USAGE;
    if (!command_root("enroll"))
        return PROGRAM_EXIT_NOT_ALLOWED;
    bool right = e.file ? read_token(&e) : take_token(&e, argv[optind], strlen(argv[optind]));
    if (!e.file) /* no longer than needed in the list of processes */
        explicit_bzero(argv[optind], strlen(argv[optind]));
    result = right ? enroll(&e, line) : PROGRAM_EXIT_USAGE;
    explicit_bzero(&e.request, sizeof(e.request));
    return result;
}
