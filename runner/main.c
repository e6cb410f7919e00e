/*
 * cloister-runner: holds the channel for one signed command, and its output until the console has
 * it. The command itself is another process, of another account, in a sandbox of its own; this one
 * has three pipes and a socket to it, and can start nothing.
 *
 * It carries out one order, the vault's, made for this very instance: that is checked under the key
 * of the grant that it has from the monitor, past the broker.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "grant_take.h"
#include "job.h"
#include "log.h"
#include "report.h"
#include "runner_filter.h"

/* The policy's descriptors. */
#define GRANT_FD   3
#define COMMAND_FD 4

static struct grant *take_grant(void)
{
    struct grant *grant = secret_alloc(sizeof *grant);
    if (!grant)
        worker_fail(WORKER_EXIT_FAILED, "no memory for the grant: %s", strerror(errno));
    int error = grant_take(GRANT_FD, grant);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "the grant cannot be read: %s", strerror(-error));
    return grant;
}

int main(void)
{
    static uint8_t memory[STREAMS_MEMORY];
    static struct worker worker;
    static struct job job;
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("runner", 1);
    signal(SIGPIPE, SIG_IGN); /* a command may close its standard input */
    if (sodium_init() < 0)
        worker_fail(WORKER_EXIT_FAILED, "libsodium does not start");
    job.grant = take_grant();
    job.report_key = secret_alloc(REPORT_KEY_SIZE);
    if (!job.report_key)
        worker_fail(WORKER_EXIT_FAILED, "no memory for a key: %s", strerror(errno));
    job.link = COMMAND_FD;
    int error = pipes_open(&job.pipes);
    if (error)
        worker_fail(WORKER_EXIT_FAILED, "no pipes: %s", strerror(-error));
    worker_start(&worker, "runner", IPC_PEER_RUNNER, &runner_filter);
    if (worker.welcome.which_config != ipc_Welcome_runner_tag)
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not a runner's");
    job.number = worker.welcome.config.runner.number;
    worker_lock(&worker);
    job.worker = &worker;
    job_run(&job, memory);
}
