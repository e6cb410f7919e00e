/*
 * What the kernel shows of a locked worker that lives: not what the worker says of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe_filter.h"
#include "starter.h"

#define WAIT_MS 10000

static struct started worker;
static char report[1024];

static void start_waiting(struct started *started, char *text, size_t capacity)
{
    char where[400];
    snprintf(where, sizeof(where), "%s %s %s", starter_other_channel(), starter_x11(),
             starter_runtime());
    struct start start = {
        .policy = cloister_policies[0],
        .folder = HOSTILE_FOLDER "/probe",
        .words = {"wait", "1", where},
    };
    starter_start(started, &start);
    starter_read_until(started, "\n", text, capacity);
    assert_non_null(strstr(text, "locked tasks=4 "));
}

static void read_file(const char *name, char *out, size_t capacity)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/%d/%s", worker.pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n;
    size_t used = 0;
    while ((n = read(fd, out + used, capacity - 1 - used)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    close(fd);
}

static void the_kernel_shows_every_layer(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\nSeccomp:\t2\n",
        "\nNoNewPrivs:\t1\n",
        "\nCapInh:\t0000000000000000\n",
        "\nGroups:\t \n",
        "\nThreads:\t4\n",
        "\nCapPrm:\t0000000000000000\n",
        "\nCapBnd:\t0000000000000000\n",
        "\nCapEff:\t0000000000000000\n",
        "\nCapAmb:\t0000000000000000\n",
    };
    char status[8192];
    read_file("status", status, sizeof(status));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(status, lines[i]) == NULL)
            fail_msg("not in status: %s\n%s", lines[i], status);
    unsigned uid[4];
    const char *line = strstr(status, "\nUid:");
    assert_int_equal(sscanf(line, "\nUid: %u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]), 4);
    assert_true(uid[0] >= 64100 && uid[0] == uid[1] && uid[0] == uid[2] && uid[0] == uid[3]);
}

static void every_namespace_is_its_own(void **state)
{
    (void)state;
    static const char *const names[] = {"mnt", "net", "pid", "ipc", "uts", "cgroup"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        char own[64];
        struct stat a;
        struct stat b;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", worker.pid, names[i]);
        snprintf(own, sizeof(own), "/proc/self/ns/%s", names[i]);
        assert_int_equal(stat(path, &a), 0);
        assert_int_equal(stat(own, &b), 0);
        assert_int_not_equal(a.st_ino, b.st_ino);
    }
}

/* The root holds the program, its libraries, /proc and the channel, all but /proc read-only. */
static void the_root_holds_nothing_else(void **state)
{
    (void)state;
    char mounts[16384];
    read_file("mounts", mounts, sizeof(mounts));
    int count = 0;
    char *save = NULL;
    for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char target[256];
        char options[512];
        assert_int_equal(sscanf(line, "%*s %255s %*s %511s", target, options), 2);
        int known = strcmp(target, "/") == 0 || strcmp(target, "/channel") == 0 ||
                    strcmp(target, "/proc") == 0 || strcmp(target, "/bin/cloister-probe") == 0 ||
                    strncmp(target, "/lib", 4) == 0;
        if (!known || strstr(options, "nosuid") == NULL || strstr(options, "nodev") == NULL ||
            (strcmp(target, "/proc") != 0 && strncmp(options, "ro", 2) != 0))
            fail_msg("%s", line);
        count++;
    }
    assert_in_range(count, 5, 20);
}

static void no_environment_and_no_other_descriptor(void **state)
{
    (void)state;
    char environment[256];
    read_file("environ", environment, sizeof(environment));
    assert_string_equal(environment, "");
    for (int fd = 0; fd < 128; fd++) {
        char path[64];
        char name[128];
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", worker.pid, fd);
        ssize_t n = readlink(path, name, sizeof(name) - 1);
        if (n < 0)
            continue;
        name[n] = '\0';
        int expected = strncmp(name, "pipe:", 5) == 0 || strstr(name, "secretmem") != NULL ||
                       (fd == 1 && strstr(name, "null") != NULL);
        if (!expected)
            fail_msg("descriptor %d is %s", fd, name);
    }
}

static void limits_are_the_policys(void **state)
{
    (void)state;
    char limits[4096];
    unsigned long soft;
    unsigned long hard;
    read_file("limits", limits, sizeof(limits));
    const char *line = strstr(limits, "Max core file size");
    assert_int_equal(sscanf(line + 26, "%lu %lu", &soft, &hard), 2);
    assert_int_equal(hard, 0);
    line = strstr(limits, "Max open files");
    assert_int_equal(sscanf(line + 26, "%lu %lu", &soft, &hard), 2);
    assert_int_equal(hard, 128);
}

/* The filter as the kernel runs it, and not as the worker reports it. */
static void the_filter_is_the_shipped_one(void **state)
{
    (void)state;
    static struct sock_filter program[BPF_MAXINSNS];
    assert_int_equal(ptrace(PTRACE_SEIZE, worker.pid, NULL, NULL), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, worker.pid, NULL, NULL), 0);
    assert_int_equal(waitpid(worker.pid, NULL, __WALL), worker.pid);
    long n = ptrace(PTRACE_SECCOMP_GET_FILTER, worker.pid, NULL, program);
    assert_int_equal(ptrace(PTRACE_DETACH, worker.pid, NULL, NULL), 0);
    if (n < 0)
        skip(); /* a kernel without CONFIG_CHECKPOINT_RESTORE */
    assert_int_equal(n, probe_filter.instructions);
    assert_memory_equal(program, probe_filter.program, (size_t)n * sizeof(program[0]));
    char hash[80] = "sha256=";
    for (int i = 0; i < 32; i++)
        snprintf(hash + 7 + 2 * i, 3, "%02x", probe_filter.sha256[i]);
    assert_non_null(strstr(report, hash));
}

static void assert_gone(struct started *started)
{
    struct pollfd gone = {.fd = started->pidfd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, WAIT_MS), 1);
}

static void it_ends_with_its_life_pipe(void **state)
{
    (void)state;
    struct started started;
    char text[1024];
    start_waiting(&started, text, sizeof(text));
    close(started.life);
    started.life = -1;
    assert_gone(&started);
    struct outcome outcome;
    starter_finish(&started, &outcome);
}

/* The parent dies while somebody else keeps the life pipe open: the signal alone ends the worker.
 */
static void it_dies_with_its_parent(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct started started;
        char text[1024];
        start_waiting(&started, text, sizeof(text));
        if (fork() == 0) {
            /* A bystander with the life pipe's writing end, until the test closes its pipe. */
            close(out[1]);
            poll(&(struct pollfd){.fd = out[0]}, 1, 2 * WAIT_MS);
            _exit(0);
        }
        if (write(out[1], &started.pid, sizeof(started.pid)) != sizeof(started.pid))
            _exit(1);
        _exit(0);
    }
    pid_t pid = 0;
    assert_int_equal(read(out[0], &pid, sizeof(pid)), sizeof(pid));
    close(out[1]);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    for (int i = 0; i < WAIT_MS / 10 && kill(pid, 0) == 0; i++)
        poll(NULL, 0, 10);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    close(out[0]);
}

static int setup(void **state)
{
    (void)state;
    starter_setup();
    start_waiting(&worker, report, sizeof(report));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct outcome outcome;
    close(worker.life);
    worker.life = -1;
    starter_finish(&worker, &outcome);
    starter_teardown();
    return 0;
}

int main(void)
{
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_shows_every_layer),
        cmocka_unit_test(every_namespace_is_its_own),
        cmocka_unit_test(the_root_holds_nothing_else),
        cmocka_unit_test(no_environment_and_no_other_descriptor),
        cmocka_unit_test(limits_are_the_policys),
        cmocka_unit_test(the_filter_is_the_shipped_one),
        cmocka_unit_test(it_ends_with_its_life_pipe),
        cmocka_unit_test(it_dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
