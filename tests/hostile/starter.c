#include "starter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FIRST_UID 64100
#define LEAKED_FD 60

static char home[48];
static char paths[6][80];
enum { CHANNEL, OTHER, X11, STATE, RUNTIME, ROOT };

void starter_listen(const char *path, bool is_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + is_abstract, sizeof(address.sun_path) - 1, "%s", path);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + is_abstract);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(is_abstract || chmod(path, 0666) == 0);
    CHECK(listen(fd, 64) == 0);
}

static void make_folder(const char *parent, const char *name, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    CHECK(mkdir(path, mode) == 0 && chmod(path, mode) == 0);
}

void starter_setup(void)
{
    static const char *const names[] = {"channel", "other", "x11", "state", "run", "root"};
    snprintf(home, sizeof(home), "/tmp/cloister-hostile.XXXXXX");
    CHECK(mkdtemp(home) != NULL && chmod(home, 0755) == 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", home, names[i]);
    starter_listen(paths[CHANNEL], false);
    starter_listen(paths[OTHER], false);
    starter_listen(paths[X11], false);
    make_folder(home, "state", 0777);
    make_folder(home, "run", 0755);
    make_folder(paths[RUNTIME], "chan", 0777);
    make_folder(paths[RUNTIME], "door", 0777);
    make_folder(home, "root", 0700);
}

void starter_teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", home);
    CHECK(system(command) == 0);
}

const char *starter_other_channel(void)
{
    return paths[OTHER];
}

const char *starter_x11(void)
{
    return paths[X11];
}

const char *starter_home(void)
{
    return home;
}

unsigned starter_uid(size_t i, unsigned instance)
{
    return FIRST_UID + (unsigned)i + 100 * instance;
}

const char *starter_runtime(void)
{
    return paths[RUNTIME];
}

/* In the child: what launch.h says, and something harmless for each descriptor of the policy. */
static void place_descriptors(const struct policy *policy, int life, int log, int link)
{
    int null = open("/dev/null", O_RDWR);
    int from[4] = {life, null, log, link};
    for (int i = 0; i < 4; i++)
        CHECK(fcntl(from[i], F_DUPFD, 200 + i) == 200 + i);
    for (size_t i = 0; i < policy->descriptor_count; i++) {
        const char *name = policy->descriptors[i].name;
        int fd = memfd_create(name, 0);
        CHECK(fd >= 0 && write(fd, name, strlen(name)) > 0 && dup2(fd, 300 + (int)i) >= 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK(dup2(200 + i, i) == i);
    for (size_t i = 0; i < policy->descriptor_count; i++)
        CHECK(dup2(300 + (int)i, LAUNCH_FD_FIRST + (int)i) >= 0);
    CHECK(dup2(203, LAUNCH_FD_LINK) == LAUNCH_FD_LINK);
    CHECK(close_range(LAUNCH_FD_FIRST + (unsigned)policy->descriptor_count, LAUNCH_FD_LINK - 1,
                      0) == 0);
    CHECK(close_range(LAUNCH_FD_LINK + 1, ~0U, 0) == 0);
    /* What a careless starter would leave: the launcher must close it. */
    int leak = open("/etc/shadow", O_RDONLY);
    CHECK(leak >= 0 && dup2(leak, LEAKED_FD) == LEAKED_FD && close(leak) == 0);
}

static void enter_outer(const struct start *start)
{
    if (start->outer == NULL)
        return;
    struct sock_fprog program = {start->outer_length,
                                 (struct sock_filter *)(uintptr_t)start->outer};
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void exec_launcher(const struct start *start)
{
    char launcher[512];
    char *arguments[] = {launcher, NULL};
    char *none[] = {NULL};
    snprintf(launcher, sizeof(launcher), "%s/cloister-launch", start->folder);
    CHECK(setgroups(1, (gid_t[]){4}) == 0); /* likewise */
    if (start->spoil != NULL)
        start->spoil();
    enter_outer(start);
    execve(launcher, arguments, none);
    CHECK(!"the launcher cannot be executed");
}

static void send_order(int link, const struct start *start)
{
    size_t i = 0;
    while (cloister_policies[i] != NULL && cloister_policies[i] != start->policy)
        i++;
    struct launch_order order = {.uid = starter_uid(i, start->instance),
                                 .gid = starter_uid(i, start->instance)};
    CHECK(namespaces_read(&order.monitors) == 0);
    snprintf(order.kind, sizeof(order.kind), "%s", start->policy->kind);
    snprintf(order.root, sizeof(order.root), "%s", paths[ROOT]);
    snprintf(order.paths[POLICY_BASE_CHANNEL], sizeof(order.paths[0]), "%s", paths[CHANNEL]);
    snprintf(order.paths[POLICY_BASE_STATE], sizeof(order.paths[0]), "%s", paths[STATE]);
    snprintf(order.paths[POLICY_BASE_X11], sizeof(order.paths[0]), "%s", paths[X11]);
    snprintf(order.paths[POLICY_BASE_RUNTIME], sizeof(order.paths[0]), "%s", paths[RUNTIME]);
    snprintf(order.paths[POLICY_BASE_PROGRAM], sizeof(order.paths[0]), "%s/%s", start->folder,
             start->policy->program);
    if (start->program != NULL)
        snprintf(order.paths[POLICY_BASE_PROGRAM], sizeof(order.paths[0]), "%s", start->program);
    if (start->change != NULL)
        start->change(&order);
    CHECK(send(link, &order, sizeof(order) - start->cut, MSG_NOSIGNAL) > 0);
}

static void write_words(int life, const char *const *words)
{
    for (; *words != NULL; words++)
        CHECK(write(life, *words, strlen(*words) + 1) > 0);
    CHECK(write(life, "", 1) == 1);
}

void starter_start(struct started *out, const struct start *start)
{
    int life[2];
    int log[2];
    int link[2];
    CHECK(pipe2(life, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0 &&
          socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == 0);
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD | (start->policy->namespaces & ~start->less),
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    write_words(life[1], start->words);
    if (start->dead_parent) {
        close(life[1]);
        life[1] = -1;
    }
    fflush(NULL);
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    CHECK(pid >= 0);
    if (pid == 0) {
        place_descriptors(start->policy, life[0], log[1], link[1]);
        exec_launcher(start);
    }
    close(life[0]);
    close(log[1]);
    close(link[1]);
    send_order(link[0], start);
    *out = (struct started){pid, pidfd, life[1], log[0], link[0]};
}

void starter_read_until(struct started *started, const char *word, char *out, size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    while (strstr(out, word) == NULL) {
        struct pollfd log = {.fd = started->log, .events = POLLIN};
        CHECK(poll(&log, 1, STARTER_WAIT_MS) == 1);
        ssize_t n = read(started->log, out + used, capacity - 1 - used);
        CHECK(n > 0);
        used += (size_t)n;
        out[used] = '\0';
    }
}

void starter_finish(struct started *started, struct outcome *outcome)
{
    *outcome = (struct outcome){.wait_status = 0};
    ssize_t n = read(started->link, &outcome->failure, sizeof(outcome->failure));
    /* A reset: the launcher was ended before it took its order. */
    CHECK(n == 0 || n == (ssize_t)sizeof(outcome->failure) || (n < 0 && errno == ECONNRESET));
    struct pollfd gone = {.fd = started->pidfd, .events = POLLIN};
    if (poll(&gone, 1, STARTER_WAIT_MS) == 0)
        CHECK(kill(started->pid, SIGKILL) == 0);
    CHECK(waitpid(started->pid, &outcome->wait_status, 0) == started->pid);
    /* The worker may have left children that hold the pipe; they are of a failed attack. */
    CHECK(fcntl(started->log, F_SETFL, O_NONBLOCK) == 0);
    size_t used = 0;
    while (used < sizeof(outcome->log) - 1 &&
           (n = read(started->log, outcome->log + used, sizeof(outcome->log) - 1 - used)) > 0)
        used += (size_t)n;
    if (started->life >= 0)
        close(started->life);
    close(started->log);
    close(started->link);
    close(started->pidfd);
}

void starter_run(struct outcome *outcome, const struct start *start)
{
    struct started started;
    starter_start(&started, start);
    starter_finish(&started, outcome);
}
