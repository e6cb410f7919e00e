#include "monitor_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"
#include "log.h"
#include "trusted.h"

/* A command line, built in place. */
struct words {
    char text[4096];
    size_t used;
    char *list[32]; /* NULL at the end */
    unsigned count;
    unsigned
        cookies; /* where the last arguments begin: pairs --xauthority and file, one too many */
};

static void __attribute__((format(printf, 2, 3))) add(struct words *words, const char *format, ...)
{
    va_list arguments;
    size_t space = sizeof words->text - words->used;
    va_start(arguments, format);
    int length = vsnprintf(words->text + words->used, space, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= space || words->count + 1 >= 32)
        abort(); /* every part is bounded by its origin; cut arguments must never be executed */
    words->list[words->count++] = words->text + words->used;
    words->used += (size_t)length + 1;
}

/* The cookie files that there may be, for a policy with that descriptor. */
static void add_cookies(struct words *words, const struct reading *reading,
                        const struct policy *policy)
{
    const struct agent_session *session = &reading->session;
    uint32_t place = 0;
    while (place < policy->descriptor_count &&
           strcmp(policy->descriptors[place].name, "xauthority") != 0)
        place++;
    words->cookies = words->count;
    for (uint32_t i = 0; place < policy->descriptor_count && i < reading->cookie_count; i++) {
        add(words, "--xauthority");
        add(words, "%u.%u:%s", session->uid, session->gid == AGENT_UID_NONE ? 65534 : session->gid,
            reading->cookies[i]);
    }
    words->list[words->count] = NULL;
}

/*
 * In the child, which may wait without harm: the path is the user's, and could lead to a file
 * system that hangs. Leaves the first cookie file that is there, or none.
 */
static void choose_cookie(struct words *words)
{
    for (unsigned i = words->cookies; i < words->count; i += 2) {
        words->list[words->cookies + 1] = words->list[i + 1];
        if (access(strchr(words->list[i + 1], '/'), F_OK) == 0 ||
            (errno != ENOENT && errno != ENOTDIR)) {
            words->list[words->cookies + 2] = NULL;
            return;
        }
    }
    words->list[words->cookies] = NULL;
}

static void build_words(struct words *words, const struct monitor_host *host,
                        const struct policy *policy, const struct monitor_start *start)
{
    const struct agent_config *agent = &host->reading.config.agent;
    char path[256];
    words->used = words->count = 0;
    add(words, "%s/cloister-launch", host->programs);
    add(words, "%s", policy->kind);
    add(words, "--instance");
    add(words, "%u", start->instance);
    add(words, "--root-dir");
    add(words, "%s/root", agent->runtime_dir);
    if (policy->variables & POLICY_VARIABLE_CHANNEL &&
        monitor_channel_path(path, sizeof path, agent->runtime_dir, start->slot,
                             start->generation) == 0) {
        add(words, "--set");
        add(words, "channel=%s", path);
    }
    if (policy->variables & POLICY_VARIABLE_STATE) {
        add(words, "--set");
        add(words, "state=%s/%s", agent->state_dir, policy->kind);
    }
    if (policy->variables & POLICY_VARIABLE_RUNTIME) {
        add(words, "--set");
        add(words, "runtime=%s", agent->runtime_dir);
    }
    if (policy->variables & POLICY_VARIABLE_X11) {
        add(words, "--set");
        add(words, "x11=/tmp/.X11-unix/X%u",
            (unsigned)strtoul(host->reading.session.display + 1, NULL, 10));
    }
}

int monitor_folder(int at, const char *path, mode_t mode, uint32_t uid, uint32_t gid)
{
    if (mkdirat(at, path, 0700) != 0 && errno != EEXIST)
        return -errno;
    struct stat st;
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    /* What is right is left alone: a file system that can only be read holds a key all the same. */
    if (result == 0 && (st.st_uid != uid || st.st_gid != gid || (st.st_mode & 07777) != mode) &&
        (fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0))
        result = -errno;
    monitor_close(&fd);
    return result;
}

int monitor_program_check(const struct monitor_host *host, const char *name)
{
    int folder = trusted_open(AT_FDCWD, host->programs, O_RDONLY, S_IFDIR);
    int file = folder < 0 ? folder : trusted_open(folder, name, O_RDONLY, S_IFREG);
    int result = file < 0 ? file : 0;
    if (result != 0)
        log_error("%s/%s, or its folder: %s", host->programs, name, trusted_error(result));
    monitor_close(&folder);
    monitor_close(&file);
    return result;
}

/* Above every descriptor of the monitor: at most 4 for each of 65 children. */
#define SPARE_FD 700

/* In the child: the descriptors that cloister-launch expects, the gate behind them, no others. */
static int arrange(const int *wanted, int count)
{
    for (int i = 0; i < count; i++)
        if (wanted[i] >= 0 && fcntl(wanted[i], F_DUPFD, SPARE_FD + i) != SPARE_FD + i)
            return -1;
    for (int i = 0; i < count; i++) {
        close(i);
        if (wanted[i] >= 0 && dup2(SPARE_FD + i, i) != i)
            return -1;
    }
    return close_range((unsigned)count, ~0U, 0);
}

/* The child, until it is the launcher. Never returns. */
static void run_child(const int *wanted, int count, struct words *words)
{
    char *environment[] = {NULL}, byte;
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* no terminal of root's to write into, no Ctrl-C from it */
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (arrange(wanted, count) == 0 && read(count - 1, &byte, 1) == 1) {
        close(count - 1);
        choose_cookie(words);
        execve(words->list[0], words->list, environment);
        struct launch_failure failure = {.stage = LAUNCH_EXEC, .error = errno};
        (void)!write(LAUNCH_FD_STATUS, &failure, sizeof failure);
    }
    _exit(1);
}

/* Pipes and clone3. Returns 0, or -1 with errno; `out` has what was opened in either case. */
static int clone_child(struct monitor_child *out, uint64_t namespaces, const int *passed,
                       struct words *words)
{
    static const int their_end[] = {
        [MONITOR_LIFE] = 0, [MONITOR_LOG] = 1, [MONITOR_STATUS] = 1, [MONITOR_GATE] = 0};
    int pair[2], result = 0, wanted[4 + MONITOR_PASSED_MAX + 1] = {-1, STDIN_FILENO, -1, -1};
    int *const theirs[] = {&wanted[0], &wanted[2], &wanted[3], &wanted[4 + MONITOR_PASSED_MAX]};
    memcpy(wanted + 4, passed, MONITOR_PASSED_MAX * sizeof *passed);
    for (int i = 0; i <= MONITOR_GATE; i++) {
        *theirs[i] = -1;
        if (result != 0 || (result = pipe2(pair, O_CLOEXEC)) != 0)
            continue;
        *theirs[i] = pair[their_end[i]];
        out->fd[i] = pair[!their_end[i]];
        (void)fcntl(out->fd[i], F_SETFL, O_NONBLOCK);
    }
    if (result == 0) {
        struct clone_args arguments = {.flags = CLONE_PIDFD | namespaces,
                                       .pidfd = (uintptr_t)&out->fd[MONITOR_PIDFD],
                                       .exit_signal = SIGCHLD};
        out->pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
        if (out->pid == 0)
            run_child(wanted, 4 + MONITOR_PASSED_MAX + 1, words);
        result = out->pid < 0 ? -1 : 0;
    }
    for (int i = 0, error = errno; i <= MONITOR_GATE; i++, errno = error)
        monitor_close(theirs[i]);
    return result;
}

/* Makes the control group and names it to the launcher. Returns 0 or -errno. */
static int make_leaf(struct monitor_child *out, const struct monitor_host *host,
                     const struct policy *policy, const struct monitor_start *start,
                     struct words *words)
{
    char procs[CGROUP_TREES_MAX][448];
    struct cgroup_limits limits = {policy->memory_max, policy->pids_max, policy->cpu_percent};
    snprintf(out->leaf, sizeof out->leaf, "%s-%u-%u", policy->kind, start->slot, start->generation);
    int count = cgroup_leaf(&host->reading.cgroup, out->leaf, &limits, procs);
    for (int i = 0; i < count; i++) {
        add(words, "--cgroup");
        add(words, "%s", procs[i]);
    }
    if (count < 0)
        log_error("%s: its control group: %s", policy->kind,
                  count == -ENOTSUP ? "there is none to limit it with; mount cgroup2 on "
                                      "/sys/fs/cgroup, or the v1 hierarchies memory, pids and cpu"
                                    : strerror(-count));
    return count < 0 ? count : 0;
}

/* Everything that a start needs beside the process. Returns 0, or a reason with errno set. */
static enum monitor_reason prepare(struct monitor_child *out, const struct monitor_host *host,
                                   const struct policy *policy, const struct monitor_start *start)
{
    char path[256];
    out->account.uid = AGENT_UID_NONE;
    if (start->instance < READER_INSTANCES_MAX)
        out->account = host->reading.accounts[start->row][start->instance];
    errno = 0;
    if (out->account.uid == AGENT_UID_NONE || out->account.uid == 0) {
        log_error("%s: /etc/passwd has no account for instance %u of %s; systemd-sysusers makes it",
                  policy->kind, start->instance, policy->user);
        return MONITOR_REASON_NO_USER;
    }
    if (monitor_program_check(host, "cloister-launch") != 0 ||
        monitor_program_check(host, policy->program) != 0)
        return MONITOR_REASON_EXECUTABLE;
    snprintf(path, sizeof path, "%s/%s", host->reading.config.agent.state_dir, policy->kind);
    if (policy->variables & POLICY_VARIABLE_STATE &&
        monitor_folder(AT_FDCWD, path, 0700, out->account.uid, out->account.gid) != 0) {
        log_error("%s: %m", path);
        return MONITOR_REASON_SYSTEM;
    }
    return 0;
}

enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct policy *policy, const struct monitor_start *start)
{
    static struct words words;
    monitor_child_forget(out);
    enum monitor_reason reason = prepare(out, host, policy, start);
    if (reason)
        return reason;
    build_words(&words, host, policy, start);
    int error = -make_leaf(out, host, policy, start, &words);
    add_cookies(&words, &host->reading, policy);
    if (error == 0 && clone_child(out, policy->namespaces, start->passed, &words) == 0)
        return 0;
    if (error == 0) {
        reason = MONITOR_REASON_SYSTEM;
        error = errno;
        log_error("%s: cannot be started: %s", policy->kind, strerror(error));
        (void)cgroup_remove(&host->reading.cgroup, out->leaf);
    }
    monitor_child_forget(out);
    errno = error;
    return reason ? reason : MONITOR_REASON_CGROUP;
}

void monitor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void monitor_child_kill(const struct monitor_child *child)
{
    if (child->pid > 0)
        (void)pidfd_send_signal(child->fd[MONITOR_PIDFD], SIGKILL, NULL, 0);
}

void monitor_child_forget(struct monitor_child *child)
{
    for (int i = 0; i < MONITOR_FDS; i++)
        monitor_close(&child->fd[i]);
    child->pid = 0;
}
