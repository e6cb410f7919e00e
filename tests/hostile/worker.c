/*
 * A worker that turns hostile. Built once per policy (HOSTILE_FILTER, HOSTILE_HEADER), with the
 * shipped worker's filter, and started by the shipped launcher under the shipped policy.
 *
 *   test_words.h: MODE VICTIM "OTHER_CHANNEL X11 RUNTIME" [ATTACK]
 *
 * MODE "lock" locks fully, "spoil-..." does first what the lock must notice, "files" stops before
 * the filter, so that the other layers stand alone, "wait" locks, tells its report and waits for
 * the end of its life pipe. Without an attack it tells its report. Exit status: 0 the attack
 * succeeded, 1 to 199 its errno, HOSTILE_* otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include HOSTILE_HEADER
#include "attacks.h"
#include "hostile.h"
#include "lock.h"
#include "test_words.h"

#define THREADS 3

static void *wait_forever(void *nothing)
{
    char byte;
    (void)nothing;
    /* The life pipe ends with the test. */
    while (read(0, &byte, 1) > 0)
        continue;
    return NULL;
}

static int say(const char *stage, int error)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "%s: %s\n", stage ? stage : "?", strerror(-error));
    return n > 0 && write(2, line, (size_t)n) == n ? HOSTILE_NOT_LOCKED : HOSTILE_BROKEN;
}

static atomic_bool diverged;

static void *diverge(void *nothing)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        atomic_store(&diverged, true);
    return wait_forever(nothing);
}

static pthread_t start_thread(void *(*run)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        _exit(HOSTILE_BROKEN);
    return thread;
}

/* What a careless or hostile worker may have done before sandbox_files. */
static void spoil_files(const char *mode)
{
    if (strcmp(mode, "spoil-thread") == 0)
        start_thread(wait_forever);
}

/* ... and before sandbox_lock. */
static void spoil_lock(const char *mode)
{
    if (strcmp(mode, "spoil-diverged") == 0) {
        start_thread(diverge);
        while (!atomic_load(&diverged))
            sched_yield();
    } else if (strcmp(mode, "spoil-file") == 0) {
        open("/proc/self/status", O_RDONLY);
    } else if (strcmp(mode, "spoil-folder") == 0) {
        open("/proc", O_RDONLY | O_DIRECTORY);
    } else if (strcmp(mode, "spoil-path") == 0) {
        open("/", O_PATH);
    } else if (strcmp(mode, "spoil-dumpable") == 0) {
        prctl(PR_SET_DUMPABLE, 1);
    } else if (strcmp(mode, "spoil-parent") == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
    }
}

static int lock(const char *mode, const char *runtime, struct sandbox_report *report)
{
    int error = sandbox_early();
    if (error != 0)
        return say("early", error);
    sandbox_variable("runtime", runtime);
    spoil_files(mode);
    error = sandbox_files(&HOSTILE_FILTER, report);
    if (error != 0)
        return say(report->stage, error);
    for (int i = 0; i < THREADS; i++)
        start_thread(wait_forever);
    if (strcmp(mode, "files") == 0)
        return 0;
    spoil_lock(mode);
    error = sandbox_lock(&HOSTILE_FILTER, report);
    return error == 0 ? 0 : say(report->stage, error);
}

static int tell(const struct sandbox_report *report)
{
    char line[512];
    char hash[65];
    for (int i = 0; i < 32; i++)
        snprintf(hash + 2 * i, 3, "%02x", report->filter_sha256[i]);
    int n = snprintf(line, sizeof(line),
                     "locked tasks=%u instructions=%u syscalls=%u landlock=%u mdwe=%u secret=%s "
                     "below=%u overlay=%s sha256=%s\n",
                     report->tasks, report->instructions, report->syscalls, report->landlock_abi,
                     report->mdwe, secret_kind_name(report->secret), report->below,
                     report->overlay ? report->overlay : "none", hash);
    return n > 0 && write(2, line, (size_t)n) == n ? 0 : HOSTILE_BROKEN;
}

/* Splits "OTHER_CHANNEL X11 RUNTIME". */
static int split(char *text, struct attack_target *target, const char **runtime)
{
    char *save = NULL;
    target->other_channel = strtok_r(text, " ", &save);
    target->x11 = strtok_r(NULL, " ", &save);
    *runtime = strtok_r(NULL, " ", &save);
    return *runtime == NULL ? HOSTILE_BROKEN : 0;
}

int main(int argc, char **argv)
{
    char *words[TEST_WORDS_MAX + 1];
    (void)argv;
    if (argc == 2)
        return 0; /* the attack "execve itself" has succeeded */
    int count = test_words(words);
    if (argc != 1 || count < 3)
        return HOSTILE_BROKEN;
    struct sandbox_report report;
    const char *runtime = NULL;
    struct attack_target target = {.victim = atoi(words[1])};
    int result = split(words[2], &target, &runtime);
    if (result == 0)
        result = lock(words[0], runtime, &report);
    if (result != 0)
        _exit(result);
    if (count < 4) {
        result = tell(&report);
        if (strcmp(words[0], "wait") == 0)
            wait_forever(NULL);
        _exit(result);
    }
    const struct attack *attack = attack_find(words[3]);
    _exit(attack == NULL ? HOSTILE_BROKEN : -attack->run(&target));
}
