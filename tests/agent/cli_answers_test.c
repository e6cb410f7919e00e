/*
 * What `cloister` does with answers that a healthy agent seldom gives. The broker is real; vault,
 * capture and uplink are played here, in a process that has no lock at all.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "program_exit.h"

extern char **environ;

/* What the played workers answer with, and what `cloister` did. */
struct play {
    struct world *w;
    pid_t child;
    int status; /* as program_exit; -1: it runs */
    char out[65536], err[8192];
    ipc_Enrolled enrolled;
    ipc_CommandStatusReply commands;
    ipc_TokenDecision decision;
    char offered[64]; /* the token that came last */
    unsigned resets;
    ipc_Refused refused;   /* instead of any answer, if it has a reason */
    ipc_UplinkPhase later; /* uplink's next state, once `cloister` has said what it waits for */
    int out_fd, err_fd;
    const char *until; /* cloister is ended when it has said this */
    unsigned asked;    /* how often for the commands */
    unsigned enrolments;
    char token[128];
};

static struct play play;

static void say_uplink(ipc_UplinkPhase phase, ipc_UplinkReason reason, const char *detail)
{
    ipc_UplinkState state = {.has_status = true, .status = {.phase = phase, .reason = reason}};
    snprintf(state.status.detail, sizeof(state.status.detail), "%s", detail);
    assert_int_equal(
        channel_send(play.w->ends[RUN_UPLINK].channel, IPC_UPLINK_STATE, 0, &state, NULL, 0),
        CHANNEL_OK);
    world_settle(play.w);
}

static void on_identity(struct channel *channel, uint32_t request)
{
    ipc_MachineIdentityReply reply = {.has_key = true, .key = {.origin = ipc_KEY_RESET}};
    strcpy(reply.fingerprint, "AAAA-\033[2J");
    strcpy(reply.binding, "disk");
    channel_send(channel, IPC_MACHINE_IDENTITY_REPLY, request, &reply, NULL, 0);
}

static void on_enroll(struct channel *channel, const struct message *m)
{
    ipc_Enroll said;
    assert_int_equal(envelope_decode(&m->envelope, &said), ENVELOPE_OK);
    strcpy(play.token, said.token);
    play.enrolments++;
    channel_send(channel, IPC_ENROLLED, m->envelope.request, &play.enrolled, NULL, 0);
}

static void on_offer(struct channel *channel, const struct message *m)
{
    size_t length = m->envelope.blob_length;
    assert_true(length < sizeof(play.offered));
    memcpy(play.offered, m->envelope.blob, length);
    play.offered[length] = '\0';
    channel_send(channel, IPC_TOKEN_DECISION, m->envelope.request, &play.decision, NULL, 0);
}

/* A command comes and ends while somebody follows. */
static void on_commands(struct channel *channel, uint32_t request)
{
    ipc_CommandEntry *entry = &play.commands.recent[0];
    play.asked++;
    if (play.until && play.asked >= 2) {
        play.commands.recent_count = 1;
        *entry = (ipc_CommandEntry){.profile = ipc_PROFILE_ADMIN, .accepted_ms = UINT64_MAX / 2};
        entry->phase = play.asked == 2 ? ipc_COMMAND_STARTED : ipc_COMMAND_ENDED;
        strcpy(entry->kid, "ops");
        strcpy(entry->summary, "'/bin/id' '<b>&'");
        strcpy(entry->result, play.asked == 2 ? "" : "exit 3");
    }
    channel_send(channel, IPC_COMMAND_STATUS_REPLY, request, &play.commands, NULL, 0);
}

static void on_reset(struct channel *channel, uint32_t request)
{
    ipc_StoreResetDone done = {.epoch_ms = UINT64_C(1790000000000)};
    play.resets++;
    channel_send(channel, IPC_STORE_RESET_DONE, request, &done, NULL, 0);
}

static void answer(struct channel *channel, struct message *m)
{
    if (m->envelope.request == 0)
        ; /* a notification: nothing to answer */
    else if (play.refused.reason)
        channel_send(channel, IPC_REFUSED, m->envelope.request, &play.refused, NULL, 0);
    else if (m->envelope.number == IPC_MACHINE_IDENTITY)
        on_identity(channel, m->envelope.request);
    else if (m->envelope.number == IPC_ENROLL)
        on_enroll(channel, m);
    else if (m->envelope.number == IPC_COMMAND_STATUS)
        on_commands(channel, m->envelope.request);
    else if (m->envelope.number == IPC_TOKEN_OFFER)
        on_offer(channel, m);
    else if (m->envelope.number == IPC_STORE_RESET)
        on_reset(channel, m->envelope.request);
    message_free(m);
}

/* Plays the workers until `cloister` has ended. */
static bool is_over(struct world *w, void *arg)
{
    (void)arg;
    for (int i = 0; i < SUPERVISED; i++) {
        struct message m;
        enum envelope_outcome why;
        while (w->ends[i].channel && channel_receive(w->ends[i].channel, &m, &why) == CHANNEL_OK)
            answer(w->ends[i].channel, &m);
    }
    struct stat said;
    if (play.later && fstat(play.err_fd, &said) == 0 && said.st_size > 0) {
        w->b.uplink = (ipc_UplinkStatus){.phase = play.later};
        play.later = 0;
    }
    char said_so_far[8192] = "";
    if (play.until && pread(play.out_fd, said_so_far, sizeof(said_so_far) - 1, 0) > 0 &&
        strstr(said_so_far, play.until))
        kill(play.child, SIGTERM);
    int status;
    if (waitpid(play.child, &status, WNOHANG) != play.child)
        return false;
    assert_true(WIFEXITED(status) || (play.until && WTERMSIG(status) == SIGTERM));
    play.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
}

static void take_output(char *text, size_t capacity, FILE *file)
{
    rewind(file);
    text[fread(text, 1, capacity - 1, file)] = '\0';
    fclose(file);
}

/* Runs `cloister` with up to four words. Not fork: nng's threads are in this process. */
static int cloister(const char *a, const char *b, const char *c, const char *d)
{
    const char *words[] = {CLOISTER, "--runtime", play.w->folder, a, b, c, d, NULL};
    FILE *out = tmpfile(), *err = tmpfile();
    posix_spawn_file_actions_t files;
    assert_true(out && err && posix_spawn_file_actions_init(&files) == 0);
    play.out_fd = fileno(out);
    play.err_fd = fileno(err);
    posix_spawn_file_actions_adddup2(&files, fileno(out), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(err), STDERR_FILENO);
    assert_int_equal(
        posix_spawn(&play.child, CLOISTER, &files, NULL, (char *const *)(uintptr_t)words, environ),
        0);
    posix_spawn_file_actions_destroy(&files);
    world_run(play.w, is_over, NULL);
    take_output(play.out, sizeof(play.out), out);
    take_output(play.err, sizeof(play.err), err);
    for (const char *at = play.out; *at; at++)
        assert_true(*at != '\033');
    return play.status;
}

static int begin(void **state)
{
    (void)state;
    play = (struct play){.w = world_new()};
    world_all_serve(play.w);
    world_settle(play.w);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_free(play.w);
    return 0;
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* The workers of this test report locks that no process here has: the kernel knows better. */
static void test_a_lie_is_seen(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(cloister("status", NULL, NULL, NULL), PROGRAM_EXIT_DISAGREES);
    assert_non_null(strstr(play.out, "DISAGREES Seccomp is 0, reported 2"));
    assert_non_null(strstr(play.out, "DISAGREES NoNewPrivs is 0, reported 1"));
    assert_int_equal(cloister("status", "--json", NULL, NULL), PROGRAM_EXIT_DISAGREES);
    assert_non_null(strstr(play.out, "Seccomp is 0, reported 2"));
}

static void test_enrolled(void **state)
{
    (void)state;
    need_root();
    play.enrolled.accepted = true;
    say_uplink(ipc_UPLINK_UNENROLLED, ipc_UPLINK_OK, "");
    assert_int_equal(cloister("enroll", "0123456789abcdef", NULL, NULL), PROGRAM_EXIT_OK);
    assert_int_equal(play.enrolments, 1);
    assert_string_equal(play.token, "0123456789abcdef");
    assert_non_null(strstr(play.out, "AAAA-\\x1b[2J"));
    assert_non_null(strstr(play.out, "cloister-console approve"));
}

static void test_token_refused(void **state)
{
    (void)state;
    need_root();
    strcpy(play.enrolled.detail, "token_refused");
    say_uplink(ipc_UPLINK_UNENROLLED, ipc_UPLINK_OK, "");
    assert_int_equal(cloister("enroll", "0123456789abcdef", NULL, NULL), PROGRAM_EXIT_REFUSED);
    assert_non_null(strstr(play.err, "token_refused"));
    assert_null(strstr(play.err, "0123456789abcdef"));
}

static void test_known_already(void **state)
{
    (void)state;
    need_root();
    say_uplink(ipc_UPLINK_PENDING, ipc_UPLINK_OK, "");
    assert_int_equal(cloister("enroll", "0123456789abcdef", NULL, NULL), PROGRAM_EXIT_OK);
    assert_int_equal(play.enrolments, 0);
    assert_non_null(strstr(play.out, "knows this machine already"));
}

static void test_waits_for_the_connection(void **state)
{
    (void)state;
    need_root();
    play.enrolled.accepted = true;
    say_uplink(ipc_UPLINK_CONNECTING, ipc_UPLINK_OK, "");
    play.later = ipc_UPLINK_UNENROLLED;
    assert_int_equal(cloister("enroll", "--wait", "15", "0123456789abcdef"), PROGRAM_EXIT_OK);
    assert_non_null(strstr(play.err, "Waiting for the console: "));
    assert_int_equal(play.enrolments, 1);
}

static void test_gives_up_waiting(void **state)
{
    (void)state;
    need_root();
    play.w->b.uplink = (ipc_UplinkStatus){
        .phase = ipc_UPLINK_WAITING, .reason = ipc_UPLINK_TLS_ISSUER, .detail = "CN=Middle\033[2J"};
    assert_int_equal(cloister("enroll", "--wait", "1", "0123456789abcdef"),
                     PROGRAM_EXIT_NOT_CONNECTED);
    assert_non_null(strstr(play.err, "issuer that is not trusted: CN=Middle\\x1b[2J"));
    assert_non_null(strstr(play.err, "[console] ca"));
    assert_null(strchr(play.err, '\033'));
}

static void test_revoked(void **state)
{
    (void)state;
    need_root();
    play.w->b.uplink =
        (ipc_UplinkStatus){.phase = ipc_UPLINK_WAITING, .reason = ipc_UPLINK_REVOKED};
    assert_int_equal(cloister("enroll", "0123456789abcdef", NULL, NULL), PROGRAM_EXIT_REFUSED);
    assert_non_null(strstr(play.err, "revoked"));
    assert_int_equal(cloister("status", NULL, NULL, NULL), PROGRAM_EXIT_DISAGREES);
    assert_non_null(strstr(play.out, "not connected: the console has revoked this machine"));
}

static void test_refusals(void **state)
{
    static const struct {
        ipc_RefusalReason reason;
        int code;
    } cases[] = {{ipc_NOT_ALLOWED, PROGRAM_EXIT_NOT_ALLOWED},
                 {ipc_FAILED, PROGRAM_EXIT_FAILED},
                 {ipc_BUSY, PROGRAM_EXIT_FAILED},
                 {ipc_SCHEMA_MISMATCH, PROGRAM_EXIT_OTHER_BUILD}};
    (void)state;
    strcpy(play.refused.detail, "because\r\nof \033]0;x\a");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        play.refused.reason = cases[i].reason;
        assert_int_equal(cloister("pause", NULL, NULL, NULL), cases[i].code);
        assert_non_null(strstr(play.err, "because\\x0d\\x0aof \\x1b]0;x\\x07"));
        assert_int_equal(cloister("identity", NULL, NULL, NULL), cases[i].code);
    }
}

/* The vault is there and dies instead of answering. */
static void test_worker_gone(void **state)
{
    (void)state;
    supervisor_kill(&play.w->b, &play.w->b.workers[RUN_VAULT], "by the test");
    world_settle(play.w);
    assert_int_equal(cloister("identity", NULL, NULL, NULL), PROGRAM_EXIT_FAILED);
    assert_non_null(strstr(play.err, "not running"));
}

/* The end of a crashed worker's channel comes before the news of the crash. */
static void test_crash_explains_itself(void **state)
{
    struct worker_end *vault = &play.w->ends[RUN_VAULT];
    struct monitor_message exited = {.op = MONITOR_EXITED,
                                     .slot = RUN_VAULT,
                                     .generation = vault->generation,
                                     .pid = getpid(),
                                     .code = CLD_KILLED,
                                     .value = SIGSYS};
    (void)state;
    vault->generation = 0; /* the played monitor ignores the broker's KILL */
    vault->channel = channel_free(vault->channel);
    world_settle(play.w);
    assert_true(play.w->b.workers[RUN_VAULT].peer->condemned);
    assert_int_equal(send(play.w->monitor, &exited, sizeof(exited), 0), sizeof(exited));
    play.w->b.workers[RUN_VAULT].backoff.first_ms = 60000; /* stays down for the look */
    assert_int_equal(cloister("status", NULL, NULL, NULL),
                     geteuid() == 0 ? PROGRAM_EXIT_DISAGREES : PROGRAM_EXIT_DOWN);
    assert_non_null(strstr(play.out, "why       killed by signal 31 (a forbidden system call)"));
}

/* ---- signed commands ---- */

static void test_commands_in_status(void **state)
{
    (void)state;
    play.commands.keys_count = 1;
    strcpy(play.commands.keys[0].kid, "ops");
    strcpy(play.commands.keys[0].fingerprint, "SHA256:\033[2J");
    strcpy(play.commands.store, "it is gone");
    cloister("status", NULL, NULL, NULL);
    assert_non_null(strstr(play.out, "Commands      1 key\n"));
    assert_non_null(strstr(play.out, "every command is REFUSED: it is gone"));
    assert_non_null(strstr(play.out, "SHA256:\\x1b[2J"));
    assert_int_equal(cloister("commands", NULL, NULL, NULL), PROGRAM_EXIT_OK);
    assert_non_null(strstr(play.out, "No command was accepted yet."));
    assert_int_equal(cloister("commands", "--json", NULL, NULL), PROGRAM_EXIT_OK);
    assert_non_null(strstr(play.out, "\"store\": \"it is gone\""));
}

/* The token reaches the vault as it is, without what an editor left behind it. */
static void test_revocation(void **state)
{
    char path[] = "/tmp/cloister-token-XXXXXX";
    (void)state;
    need_root();
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "a.b.c\r\n", 7), 7);
    close(fd);
    play.decision = (ipc_TokenDecision){.decision = ipc_DECISION_REVOCATION, .revoked = 2};
    assert_int_equal(cloister("commands", "revoke", path, NULL), PROGRAM_EXIT_OK);
    assert_string_equal(play.offered, "a.b.c");
    assert_non_null(strstr(play.out, "2 of this build's keys are revoked now"));
    play.decision = (ipc_TokenDecision){.decision = ipc_DECISION_SIGNATURE};
    assert_int_equal(cloister("commands", "revoke", path, NULL), PROGRAM_EXIT_REFUSED);
    assert_non_null(strstr(play.err, "its signature is wrong (signature)"));
    play.decision = (ipc_TokenDecision){.decision = ipc_DECISION_ACCEPTED};
    assert_int_equal(cloister("commands", "revoke", path, NULL), PROGRAM_EXIT_REFUSED);
    unlink(path);
    assert_int_equal(cloister("commands", "revoke", path, NULL), PROGRAM_EXIT_USAGE);
}

static void test_reset(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(cloister("commands", "reset", "--yes", NULL), PROGRAM_EXIT_OK);
    assert_int_equal(play.resets, 1);
    assert_non_null(strstr(play.out, "new replay store"));
    play.refused.reason = ipc_FAILED;
    strcpy(play.refused.detail, "disk full");
    assert_int_equal(cloister("commands", "reset", "--yes", NULL), PROGRAM_EXIT_FAILED);
    assert_non_null(strstr(play.err, "disk full"));
}

static void write_program(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* A command for admin is shown to the desktop once, when it is accepted. */
static void test_follow(void **state)
{
    char folder[] = "/tmp/cloister-follow-XXXXXX", path[64], told[512] = "";
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/notify-send", folder);
    write_program(path, "#!/bin/sh\nprintf '%s|' \"$@\" >> \"${0%/*}/told\"\n");
    char *before = strdup(getenv("PATH"));
    setenv("PATH", folder, 1);
    play.until = "\"ended\"";
    cloister("commands", "--follow", "--notify", "--json");
    setenv("PATH", before, 1);
    free(before);
    unlink(path);
    snprintf(path, sizeof(path), "%s/told", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, told, sizeof(told) - 1) > 0);
    close(fd);
    unlink(path);
    rmdir(folder);
    assert_string_equal(told,
                        "--app-name=Cloister|--urgency=critical|--|A command of your "
                        "administrators runs as root|'/bin/id' '&lt;b>&amp;'\nsigned by ops|");
    const char *second = strchr(play.out, '\n');
    assert_non_null(strstr(play.out, "\"phase\":\"started\""));
    assert_non_null(second);
    assert_non_null(strstr(second, "\"result\":\"exit 3\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lie_is_seen),
        TEST(test_enrolled),
        TEST(test_token_refused),
        TEST(test_known_already),
        TEST(test_waits_for_the_connection),
        TEST(test_gives_up_waiting),
        TEST(test_revoked),
        TEST(test_refusals),
        TEST(test_worker_gone),
        TEST(test_crash_explains_itself),
        TEST(test_commands_in_status),
        TEST(test_revocation),
        TEST(test_reset),
        TEST(test_follow),
    };
    return cmocka_run_group_tests_name("cli_answers", tests, NULL, NULL);
}
