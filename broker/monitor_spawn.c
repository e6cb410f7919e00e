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

/* A command line, built in place. */
struct words {
    char text[4096];
    size_t used;
    char *list[32];
    unsigned count;
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

static void add_variable(struct words *words, const char *name, const char *value)
{
    add(words, "--set");
    add(words, "%s=%s", name, value);
}

/* The X socket and the first cookie file that is there (or cannot be looked at by root: NFS). */
static void add_x11(struct words *words, const struct monitor_host *host)
{
    char cookies[3][256], socket[64];
    const struct agent_session *session = &host->session;
    unsigned count = session_cookies(cookies, session, &host->config, &host->roots), i = 0;
    snprintf(socket, sizeof socket, "/tmp/.X11-unix/X%u",
             (unsigned)strtoul(session->display + 1, NULL, 10));
    add_variable(words, "x11", socket);
    while (i < count && access(cookies[i], F_OK) != 0 && errno == ENOENT)
        i++;
    if (i < count) {
        add(words, "--xauthority");
        add(words, "%u.%u:%s", session->uid, session->gid == AGENT_UID_NONE ? 65534 : session->gid,
            cookies[i]);
    }
}

static void build_words(struct words *words, const struct monitor_host *host,
                        const struct monitor_start *start)
{
    const struct agent_config *agent = &host->config.agent;
    const struct policy *policy = start->policy;
    char path[256];
    words->used = words->count = 0;
    add(words, "%s/cloister-launch", host->programs);
    add(words, "%s", policy->kind);
    add(words, "--instance");
    add(words, "%u", start->instance);
    add(words, "--root-dir");
    add(words, "%s/root", agent->runtime_dir);
    if (policy->variables & POLICY_VARIABLE_CHANNEL) {
        if (monitor_channel_path(path, sizeof path, agent->runtime_dir, start->slot,
                                 start->generation) != 0)
            abort();
        add_variable(words, "channel", path);
    }
    if (policy->variables & POLICY_VARIABLE_STATE) {
        snprintf(path, sizeof path, "%s/%s", agent->state_dir, policy->kind);
        add_variable(words, "state", path);
    }
    if (policy->variables & POLICY_VARIABLE_RUNTIME)
        add_variable(words, "runtime", agent->runtime_dir);
    if (policy->variables & POLICY_VARIABLE_X11)
        add_x11(words, host);
}

/* Makes the worker's own state folder, 0700 and its own, where there is none yet. */
static int make_state(const struct monitor_host *host, const struct policy *policy,
                      const struct monitor_child *child)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", host->config.agent.state_dir, policy->kind);
    if (!(policy->variables & POLICY_VARIABLE_STATE) || (mkdir(path, 0700) != 0 && errno != EEXIST))
        return policy->variables & POLICY_VARIABLE_STATE ? -1 : 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 || fstat(fd, &st) != 0                               ? -1
                 : st.st_uid == child->uid                                   ? 0
                 : st.st_uid == 0 && fchown(fd, child->uid, child->gid) == 0 ? 0
                                                                             : -1;
    if (fd >= 0)
        close(fd);
    return result;
}

int monitor_program_check(const struct monitor_host *host, const char *name)
{
    int folder = config_open_trusted(AT_FDCWD, host->programs, O_RDONLY, S_IFDIR);
    int file = folder < 0 ? folder : config_open_trusted(folder, name, O_RDONLY, S_IFREG);
    if (folder >= 0)
        close(folder);
    if (file >= 0) {
        close(file);
    } else {
        log_error("%s/%s: %s", host->programs, name,
                  file == -EPERM ? "it and its folder must be root's and writable by nobody else"
                                 : strerror(-file));
    }
    return file < 0 ? file : 0;
}

#define SPARE_FD                                                                                   \
    700 /* above every descriptor of the monitor: at most 4 for each of 65 children                \
         */

/* In the child: the descriptors that cloister-launch expects, the gate behind them, and no others.
 */
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
static void run_child(const int *wanted, int count, char *const *words)
{
    char *environment[] = {NULL};
    char byte;
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* no terminal of root's to write into, no Ctrl-C from it */
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (arrange(wanted, count) == 0 && read(count - 1, &byte, 1) == 1) {
        close(count - 1);
        execve(words[0], words, environment);
        struct launch_failure failure = {.stage = LAUNCH_EXEC, .error = errno};
        (void)!write(LAUNCH_FD_STATUS, &failure, sizeof failure);
    }
    _exit(1);
}

static void close_both(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static int take_end(int pair[2], int end)
{
    int fd = pair[end];
    pair[end] = -1;
    return fd;
}

/* Pipes and clone3. Returns 0, or -1 with errno. */
static int clone_child(struct monitor_child *out, const struct monitor_start *start,
                       char *const *words)
{
    enum { LIFE, LOG, STATUS, GATE, PIPES };
    int pipes[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}, pidfd = -1, result = 0;
    for (int i = 0; i < PIPES && result == 0; i++)
        result = pipe2(pipes[i], O_CLOEXEC);
    if (result == 0) {
        int wanted[5 + MONITOR_PASSED_MAX] = {pipes[LIFE][0], STDIN_FILENO, pipes[LOG][1],
                                              pipes[STATUS][1]};
        int count = 4;
        for (unsigned i = 0; i < start->passed_count && i < MONITOR_PASSED_MAX; i++)
            wanted[count++] = start->passed[i];
        wanted[count++] = pipes[GATE][0];
        struct clone_args arguments = {.flags = CLONE_PIDFD | start->policy->namespaces,
                                       .pidfd = (uintptr_t)&pidfd,
                                       .exit_signal = SIGCHLD};
        out->pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
        if (out->pid == 0)
            run_child(wanted, count, words);
        result = out->pid < 0 ? -1 : 0;
    }
    if (result == 0) {
        out->pidfd = pidfd;
        out->life = take_end(pipes[LIFE], 1);
        out->log = take_end(pipes[LOG], 0);
        out->status = take_end(pipes[STATUS], 0);
        out->gate = take_end(pipes[GATE], 1);
        (void)fcntl(out->log, F_SETFL, O_NONBLOCK);
        (void)fcntl(out->status, F_SETFL, O_NONBLOCK);
    }
    int error = errno;
    for (int i = 0; i < PIPES; i++)
        close_both(pipes[i]);
    errno = error;
    return result;
}

/* Finds the account of this instance. Root is nobody's account. */
static int find_account(struct monitor_child *out, const struct monitor_host *host,
                        const struct monitor_start *start)
{
    char name[64];
    struct session_account account;
    snprintf(name, sizeof name, start->instance ? "%s-%u" : "%s", start->policy->user,
             start->instance);
    if (session_account_find(&account, host->roots.etc, name) != 0 || account.uid == 0 ||
        account.gid == 0 || account.gid == AGENT_UID_NONE) {
        log_error("%s: the account %s is not in %s/passwd; create the agent's accounts with "
                  "systemd-sysusers",
                  start->policy->kind, name, host->roots.etc);
        return -1;
    }
    out->uid = account.uid;
    out->gid = account.gid;
    return 0;
}

static int make_leaf(struct monitor_child *out, const struct monitor_host *host,
                     const struct monitor_start *start, struct words *words)
{
    const struct policy *policy = start->policy;
    char procs[CGROUP_TREES_MAX][448];
    struct cgroup_limits limits = {.memory_bytes = policy->memory_max,
                                   .pids = policy->pids_max,
                                   .cpu_percent = policy->cpu_percent};
    snprintf(out->leaf, sizeof out->leaf, "%s-%u-%u", policy->kind, start->slot, start->generation);
    int count = cgroup_leaf(&host->cgroup, out->leaf, &limits, procs);
    for (int i = 0; i < count; i++) {
        add(words, "--cgroup");
        add(words, "%s", procs[i]);
    }
    if (count == -ENOTSUP) {
        log_error("%s: no control groups to limit it with; mount cgroup2 on /sys/fs/cgroup, or the "
                  "v1 hierarchies memory, pids and cpu below it",
                  policy->kind);
    } else if (count < 0) {
        log_error("%s: control group %s: %s", policy->kind, out->leaf, strerror(-count));
    }
    return count < 0 ? count : 0;
}

enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct monitor_start *start)
{
    static struct words words;
    *out = (struct monitor_child){.pidfd = -1, .gate = -1, .life = -1, .status = -1, .log = -1};
    errno = 0;
    if (find_account(out, host, start) != 0)
        return MONITOR_REASON_NO_USER;
    int result = monitor_program_check(host, "cloister-launch");
    if (result != 0 || (result = monitor_program_check(host, start->policy->program)) != 0) {
        errno = -result;
        return MONITOR_REASON_EXECUTABLE;
    }
    if (make_state(host, start->policy, out) != 0) {
        log_error("%s: its state folder below %s: %m", start->policy->kind,
                  host->config.agent.state_dir);
        return MONITOR_REASON_SYSTEM;
    }
    build_words(&words, host, start);
    result = make_leaf(out, host, start, &words);
    if (result != 0) {
        errno = -result;
        return MONITOR_REASON_CGROUP;
    }
    words.list[words.count] = NULL;
    if (clone_child(out, start, words.list) != 0) {
        int error = errno;
        log_error("%s: cannot be started: %s", start->policy->kind, strerror(error));
        (void)cgroup_remove(&host->cgroup, out->leaf);
        out->pid = 0;
        errno = error;
        return MONITOR_REASON_SYSTEM;
    }
    return 0;
}

void monitor_child_release(struct monitor_child *child)
{
    if (child->gate >= 0) {
        (void)!write(child->gate, "", 1);
        close(child->gate);
        child->gate = -1;
    }
}

void monitor_child_kill(const struct monitor_child *child)
{
    if (child->pid > 0)
        (void)pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
}

void monitor_child_forget(struct monitor_child *child)
{
    int *const fds[] = {&child->pidfd, &child->gate, &child->life, &child->status, &child->log};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    child->pid = 0;
}
