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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "log.h"
#include "trusted.h"

#define NOBODY 65534u

/* Every part is bounded by its origin; something cut must never be acted upon. */
static void __attribute__((format(printf, 3, 4)))
put(char *out, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, capacity, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= capacity)
        abort();
}

/* The launcher uses of it what its policy names. */
static void fill_order(struct launch_order *order, const struct monitor_host *host,
                       const struct policy *policy, const struct monitor_start *start,
                       const struct reader_account *account)
{
    const struct agent_config *agent = &host->reading.config.agent;
    const struct agent_session *session = &agent->session;
    const size_t size = sizeof order->paths[0];
    *order =
        (struct launch_order){.uid = account->uid,
                              .gid = account->gid,
                              .monitors = host->namespaces,
                              .cookie_uid = session->uid,
                              .cookie_gid = session->gid == AGENT_UID_NONE ? NOBODY : session->gid};
    put(order->kind, sizeof order->kind, "%s", policy->kind);
    put(order->root, sizeof order->root, "%s/root", agent->runtime_dir);
    put(order->paths[POLICY_BASE_PROGRAM], size, "%s/%s", host->programs, policy->program);
    put(order->paths[POLICY_BASE_STATE], size, "%s/%s", agent->state_dir, policy->kind);
    put(order->paths[POLICY_BASE_RUNTIME], size, "%s", agent->runtime_dir);
    put(order->paths[POLICY_BASE_X11], size, "/tmp/.X11-unix/X%u",
        (unsigned)strtoul(session->display + 1, NULL, 10));
    if (monitor_channel_path(order->paths[POLICY_BASE_CHANNEL], size, agent->runtime_dir,
                             start->slot, start->generation) != 0)
        abort();
    memcpy(order->cookies, host->reading.cookies, sizeof order->cookies);
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

/* Above every descriptor of the monitor: at most 5 for each of 65 children, and a few more. */
#define SPARE_FD 700

#define WANTED_FDS (LAUNCH_FD_LINK + 1)

/* In the child: the descriptors that cloister-launch expects in their places, and no others. */
static int arrange(const int wanted[WANTED_FDS])
{
    for (int i = 0; i < WANTED_FDS; i++)
        if (wanted[i] >= 0 && fcntl(wanted[i], F_DUPFD, SPARE_FD + i) != SPARE_FD + i)
            return -1;
    for (int i = 0; i < WANTED_FDS; i++) {
        close(i);
        if (wanted[i] >= 0 && dup2(SPARE_FD + i, i) != i)
            return -1;
    }
    return close_range(WANTED_FDS, ~0U, 0);
}

/* The child, until it is the launcher. Never returns. */
static void run_child(const struct monitor_child *own, const struct monitor_host *host,
                      const int wanted[WANTED_FDS])
{
    char program[320], *arguments[] = {program, NULL}, *environment[] = {NULL};
    struct launch_failure failure = {.stage = "cgroup"};
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* no terminal of root's to write into, no Ctrl-C from it */
    sigprocmask(SIG_SETMASK, &none, NULL);
    put(program, sizeof program, "%s/cloister-launch", host->programs);
    if (arrange(wanted) != 0)
        _exit(1);
    failure.error = -cgroup_join(&host->reading.cgroup, own->leaf);
    if (failure.error == 0) {
        execve(program, arguments, environment);
        failure = (struct launch_failure){.stage = "exec", .error = errno};
    }
    (void)!write(LAUNCH_FD_LINK, &failure, sizeof failure);
    _exit(1);
}

/* Pipes, link and clone3. Returns 0 or -errno; `out` has what was opened in either case. */
static int clone_child(struct monitor_child *out, const struct monitor_host *host,
                       uint64_t namespaces, const struct monitor_start *start)
{
    int life[2] = {-1, -1}, log[2] = {-1, -1}, link[2] = {-1, -1}, wanted[WANTED_FDS], leaf = -1;
    int result = pipe2(life, O_CLOEXEC) != 0 || pipe2(log, O_CLOEXEC | O_DIRECT) != 0 ||
                         fcntl(log[0], F_SETFL, O_NONBLOCK) != 0 ||
                         socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) != 0
                     ? -errno
                     : 0;
    out->fd[MONITOR_LIFE] = life[1];
    out->fd[MONITOR_LOG] = log[0];
    out->fd[MONITOR_LAUNCHER] = link[0];
    memset(wanted, 0xff, sizeof wanted); /* -1 */
    wanted[STDIN_FILENO] = life[0];
    wanted[STDOUT_FILENO] = STDIN_FILENO; /* /dev/null */
    wanted[STDERR_FILENO] = log[1];
    wanted[LAUNCH_FD_LINK] = link[1];
    memcpy(wanted + LAUNCH_FD_FIRST, start->passed, sizeof start->passed);
    if (result == 0)
        result = cgroup_birthplace(&leaf, &host->reading.cgroup, out->leaf);
    if (result == 0) {
        struct clone_args arguments = {.flags = CLONE_PIDFD | namespaces |
                                                (leaf < 0 ? 0 : CLONE_INTO_CGROUP),
                                       .cgroup = (uint64_t)leaf,
                                       .pidfd = (uintptr_t)&out->fd[MONITOR_PIDFD],
                                       .exit_signal = SIGCHLD};
        out->pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
        if (out->pid == 0)
            run_child(out, host, wanted);
        result = out->pid < 0 ? -errno : 0;
    }
    monitor_close(&leaf);
    monitor_close(&life[0]);
    monitor_close(&log[1]);
    monitor_close(&link[1]);
    return result;
}

/* Makes the control group that the child joins. Returns 0 or -errno. */
static int make_leaf(struct monitor_child *out, const struct monitor_host *host,
                     const struct policy *policy, const struct monitor_start *start)
{
    struct cgroup_limits limits = {policy->memory_max, policy->pids_max, policy->cpu_percent};
    put(out->leaf, sizeof out->leaf, "%s-%u-%u", policy->kind, start->slot, start->generation);
    int result = cgroup_leaf(&host->reading.cgroup, out->leaf, &limits);
    if (result != 0)
        log_error("%s: its control group: %s", policy->kind,
                  result == -ENOTSUP ? "there is none to limit it with; mount cgroup2 on "
                                       "/sys/fs/cgroup, or the v1 hierarchies memory, pids and cpu"
                                     : strerror(-result));
    return result;
}

int monitor_account(struct reader_account *out, const struct monitor_host *host, uint32_t row,
                    uint32_t instance, const struct policy *policy)
{
    const struct agent_session *session = &host->reading.config.agent.session;
    *out = (struct reader_account){0, 0};
    if (policy->identity == POLICY_SESSION)
        *out = (struct reader_account){session->uid, session->gid};
    else if (policy->identity == POLICY_ACCOUNT && instance < READER_INSTANCES_MAX)
        *out = host->reading.accounts[row][instance];
    if (identity_fits(policy->identity, out->uid, out->gid))
        return 0;
    log_error("%s: /etc/passwd has no account for instance %u of %s; systemd-sysusers makes it",
              policy->kind, instance, policy->user ? policy->user : "the session");
    return -1;
}

/* Everything that a start needs beside the process. Returns 0, or a reason with errno set. */
static enum monitor_reason prepare(struct monitor_child *out, const struct monitor_host *host,
                                   const struct policy *policy, const struct monitor_start *start)
{
    struct reader_account account;
    const char *state = out->order.paths[POLICY_BASE_STATE];
    errno = 0;
    if (monitor_account(&account, host, start->row, start->instance, policy) != 0)
        return MONITOR_REASON_NO_USER;
    fill_order(&out->order, host, policy, start, &account);
    if (monitor_program_check(host, "cloister-launch") != 0 ||
        monitor_program_check(host, policy->program) != 0)
        return MONITOR_REASON_EXECUTABLE;
    if (policy->variables & POLICY_VARIABLE_STATE &&
        monitor_folder(AT_FDCWD, state, 0700, account.uid, account.gid) != 0) {
        log_error("%s: %m", state);
        return MONITOR_REASON_SYSTEM;
    }
    errno = -make_leaf(out, host, policy, start);
    return errno != 0 ? MONITOR_REASON_CGROUP : 0;
}

enum monitor_reason monitor_spawn(struct monitor_child *out, const struct monitor_host *host,
                                  const struct policy *policy, const struct monitor_start *start)
{
    enum monitor_reason reason = prepare(out, host, policy, start);
    int error = reason ? 0 : -clone_child(out, host, policy->namespaces, start);
    if (error == 0)
        return reason;
    log_error("%s: cannot be started: %s", policy->kind, strerror(error));
    (void)cgroup_remove(&host->reading.cgroup, out->leaf);
    monitor_child_forget(out);
    errno = error;
    return MONITOR_REASON_SYSTEM;
}

void monitor_child_release(const struct monitor_child *child)
{
    (void)!send(child->fd[MONITOR_LAUNCHER], &child->order, sizeof child->order,
                MSG_DONTWAIT | MSG_NOSIGNAL);
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
