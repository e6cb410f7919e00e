#include "status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "commands.h"
#include "moment.h"
#include "words.h"

/* "since 2026-11-22 09:12:45 (2 h 3 min)" */
static void print_since(uint64_t since_ms, uint64_t now_ms)
{
    char at[MOMENT_MAX], span[MOMENT_MAX];
    moment_write(at, since_ms);
    moment_write_span(span, now_ms > since_ms ? now_ms - since_ms : 0);
    printf("since %s (%s)", at, span);
}

static void print_retry(uint64_t retry_at_ms, uint64_t now_ms)
{
    char span[MOMENT_MAX];
    if (!retry_at_ms)
        return;
    moment_write_span(span, retry_at_ms > now_ms ? retry_at_ms - now_ms : 0);
    printf("; next attempt %s%s", retry_at_ms > now_ms ? "in " : "now",
           retry_at_ms > now_ms ? span : "");
}

static void print_advice(const char *advice)
{
    if (advice)
        printf("              %s\n", advice);
}

static void print_detail(const char *detail)
{
    if (detail[0])
        printf(": %s", command_safe(detail));
}

static void print_connection(const ipc_StatusReply *reply, uint64_t now_ms)
{
    const ipc_UplinkStatus *uplink = &reply->uplink;
    const struct words *phase = words_uplink_phase(uplink->phase);
    const struct words *reason = words_uplink_reason(uplink->reason);
    printf("Console       %s\n", reply->console[0] ? command_safe(reply->console) : "none");
    printf("Connection    %s", phase->sentence);
    if (uplink->reason != ipc_UPLINK_OK)
        printf(": %s", reason->sentence);
    print_detail(uplink->detail);
    putchar('\n');
    if (uplink->since_ms) {
        fputs("              ", stdout);
        print_since(uplink->since_ms, now_ms);
        print_retry(uplink->retry_at_ms, now_ms);
        putchar('\n');
    }
    print_advice(phase->advice);
    if (uplink->reason != ipc_UPLINK_OK)
        print_advice(reason->advice);
}

static void print_capture(const ipc_CaptureStatus *capture)
{
    const struct words *phase = words_capture_phase(capture->phase);
    char text[MOMENT_MAX];
    printf("Screenshots   %s", phase->sentence);
    if (capture->phase == ipc_CAPTURE_PAUSED && capture->paused_until_ms) {
        moment_write(text, capture->paused_until_ms);
        printf(" until %s", text);
    }
    if (strcmp(capture->detail, phase->sentence) != 0)
        print_detail(capture->detail);
    if (capture->phase == ipc_CAPTURE_CAPTURING || capture->frames) {
        moment_write_bytes(text, capture->bytes);
        printf("; %u frames in memory, %s", capture->frames, text);
    }
    if (capture->merged)
        printf("; %u triggers answered by an earlier frame", capture->merged);
    putchar('\n');
    print_advice(phase->advice);
}

static void print_lock(const ipc_LockReport *lock)
{
    printf("    lock      seccomp %u, %u system calls, %u threads; landlock %u; %s; capabilities "
           "%" PRIx64 "; %s%s%s\n",
           lock->seccomp_mode, lock->seccomp_syscalls, lock->tasks, lock->landlock_abi,
           lock->mdwe ? "mdwe" : "no mdwe (filters alone)", lock->cap_eff,
           lock->no_new_privs ? "no_new_privs" : "NO no_new_privs",
           lock->secret_memory[0] ? "; secrets in " : "", command_safe(lock->secret_memory));
    if (lock->below_preferred[0])
        printf("    below what its policy prefers: %s\n", command_safe(lock->below_preferred));
    if (lock->overlay[0])
        printf("    weakened by the build overlay \"%s\"\n", command_safe(lock->overlay));
}

static void print_proof(const struct status_proof *proof)
{
    const struct proc_view *view = &proof->view;
    char own[64];
    if (proof->looked) {
        proc_namespace_names(own, view->own);
        printf("    kernel    Seccomp %u, NoNewPrivs %d, CapEff %" PRIx64
               ", %u threads; namespaces that are not pid %d's: %s\n",
               view->seccomp, view->no_new_privs, view->cap_eff, view->tasks, (int)view->reference,
               own);
    }
    for (unsigned i = 0; i < proof->findings; i++)
        printf("    DISAGREES %s\n", proof->finding[i]);
}

static void print_worker(const ipc_StatusReply *reply, const ipc_WorkerStatus *worker,
                         const struct status_proof *proof, uint64_t now_ms)
{
    bool rests = worker->state == ipc_WORKER_DOWN && !status_worker_is_down(reply, worker);
    printf("  %-10s  %s", command_safe(worker->name),
           rests ? "at rest" : words_worker_state(worker->state)->sentence);
    if (worker->pid)
        printf(", pid %u, uid %u", worker->pid, worker->uid);
    if (worker->state != ipc_WORKER_DISABLED && worker->since_ms) {
        fputs(", ", stdout);
        print_since(worker->since_ms, now_ms);
    }
    if (worker->restarts)
        printf(", ended %u time%s", worker->restarts, worker->restarts == 1 ? "" : "s");
    putchar('\n');
    if (worker->reason[0] && worker->state != ipc_WORKER_SERVING) {
        printf("    why       %s", command_safe(worker->reason));
        print_retry(worker->retry_at_ms, now_ms);
        putchar('\n');
    }
    if (worker->has_lock && worker->state == ipc_WORKER_SERVING)
        print_lock(&worker->lock);
    print_proof(proof);
}

void status_print_text(const struct status *status, uint64_t now_ms)
{
    const ipc_StatusReply *reply = &status->reply;
    printf("Agent         version %s, ", command_safe(reply->version));
    print_since(reply->started_ms, now_ms);
    putchar('\n');
    if (reply->overlay[0])
        printf("              built with the overlay \"%s\": weaker sandbox, for tests only\n",
               command_safe(reply->overlay));
    print_connection(reply, now_ms);
    print_capture(&reply->capture);
    commands_print_summary(status->has_commands ? &status->commands : NULL);
    printf("Refusals      %u%s\n", reply->refusals,
           reply->refusals ? " (processes cut off for what they sent: see the alerts in the log)"
                           : "");
    puts("Workers");
    print_worker(reply, &reply->broker, &status->broker, now_ms);
    for (size_t i = 0; i < reply->workers_count; i++)
        print_worker(reply, &reply->workers[i], &status->workers[i], now_ms);
    if (status->unproved)
        printf("Kernel        not compared: %s\n", status->unproved);
}
