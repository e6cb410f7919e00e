/* cloister commands --follow: each command as it is accepted, and as it ends. */
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moment.h"
#include "words.h"

#define LOOK_EVERY_S  1
#define START_AFTER_S 3 /* the agent's restart */

extern char **environ;

/* ---- telling the desktop ---- */

/* Text as the body of a notification may hold it: the few tags that it knows are not ours. */
static void without_markup(char *out, size_t capacity, const char *text)
{
    size_t used = 0;
    for (; *text; text++) {
        const char *name = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : NULL;
        size_t length = name ? strlen(name) : 1;
        if (length >= capacity - used)
            break;
        memcpy(out + used, name ? name : text, length);
        used += length;
    }
    out[used] = '\0';
}

static void notify(const ipc_CommandEntry *entry)
{
    static char program[] = "notify-send", name[] = "--app-name=Cloister", end[] = "--",
                critical[] = "--urgency=critical", normal[] = "--urgency=normal";
    bool admin = entry->profile == ipc_PROFILE_ADMIN;
    char title[128], text[512], body[1024];
    char *arguments[] = {program, name, admin ? critical : normal, end, title, body, NULL};
    pid_t child;
    snprintf(title, sizeof(title), "A command of your administrators runs %s",
             admin ? "as root" : "with your rights");
    snprintf(text, sizeof(text), "%s\nsigned by %s", command_safe(entry->summary),
             command_safe(entry->kid));
    without_markup(body, sizeof(body), text);
    int error = posix_spawnp(&child, program, NULL, NULL, arguments, environ);
    if (error)
        command_complain("install libnotify-bin", "commands: notify-send: %s", strerror(error));
    else
        waitpid(child, NULL, 0);
}

/* ---- following ---- */

static void show(void *context, const ipc_CommandEntry *entry, bool fresh)
{
    const struct commands_follow *follow = context;
    if (follow->json) {
        json_t *object = commands_entry_object(entry);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(object);
    } else {
        commands_print_entry(entry);
    }
    fflush(stdout);
    /* Unknown profiles too: rather one notice too many. */
    if (fresh && follow->notify && entry->profile > ipc_PROFILE_DIAGNOSTIC)
        notify(entry);
}

static void pause_for(time_t seconds)
{
    struct timespec pause = {.tv_sec = seconds};
    while (nanosleep(&pause, &pause) && errno == EINTR)
        ;
}

/* nng leaves threads behind when its peer is gone, so waiting is done by a new program. */
static int start_anew(const struct commands_follow *follow, uint64_t since_ms)
{
    static char program[] = "cloister", runtime[] = "--runtime", command[] = "commands",
                flag[] = "--follow", json[] = "--json", notify_flag[] = "--notify",
                since[] = "--since";
    char ms[24], *arguments[10] = {program, runtime, (char *)(uintptr_t)follow->line->runtime,
                                   command, flag};
    int count = 5;
    if (follow->json)
        arguments[count++] = json;
    if (follow->notify)
        arguments[count++] = notify_flag;
    snprintf(ms, sizeof(ms), "%" PRIu64, since_ms);
    arguments[count++] = since;
    arguments[count] = ms;
    pause_for(START_AFTER_S);
    execv("/proc/self/exe", arguments);
    command_complain("is /proc mounted?", "commands: cannot start anew: %s", strerror(errno));
    return PROGRAM_EXIT_FAILED;
}

/* Until the agent no longer answers; *seen_ms: since when there may be new ones. Returns what to
 * exit with. */
static int look(const struct commands_follow *follow, struct door *door, uint64_t *seen_ms)
{
    static ipc_CommandStatusReply replies[2]; /* large */
    unsigned turn = 0;
    for (;; turn ^= 1) {
        ipc_Refused refused;
        ipc_CommandStatusReply *now = &replies[turn], *before = &replies[turn ^ 1];
        uint64_t asked_ms = moment_now_ms(); /* what comes meanwhile is rather shown twice */
        int result = commands_ask(door, now, &refused);
        if (result == PROGRAM_EXIT_REFUSED && refused.reason != ipc_NOT_ALLOWED) {
            *now = *before; /* the vault is being started again */
        } else if (result != PROGRAM_EXIT_OK) {
            return result;
        } else if (!commands_compare(before, now, follow->since_ms, show,
                                     (void *)(uintptr_t)follow)) {
            fputs("cloister: more commands were accepted than are shown\n", stderr);
        }
        *seen_ms = asked_ms;
        if (ferror(stdout))
            return PROGRAM_EXIT_FAILED; /* main says so */
        pause_for(LOOK_EVERY_S);
    }
}

int commands_follow(const struct commands_follow *follow)
{
    struct door door;
    struct commands_follow from = *follow;
    uint64_t seen_ms = 0;
    /* Who is told of new commands is not told of those before, unless this is a new start. */
    if (follow->notify && !follow->since_ms)
        from.since_ms = moment_now_ms();
    int result = command_enter(&door, follow->line);
    if (result == PROGRAM_EXIT_OK)
        result = look(&from, &door, &seen_ms);
    bool waits = follow->notify || follow->since_ms || seen_ms;
    if (result != PROGRAM_EXIT_NOT_RUNNING || !waits)
        return result;
    return start_anew(follow, seen_ms ? seen_ms : from.since_ms);
}
