#include "status.h"

#include <linux/sched.h>
#include <string.h>

#include "command.h"
#include "commands.h"
#include "json_text.h"
#include "words.h"

static json_t *hex64(uint64_t value)
{
    return json_sprintf("%016llx", (unsigned long long)value);
}

static json_t *lock_object(const ipc_LockReport *lock)
{
    char digest[65];
    command_hex(digest, lock->filter_digest, sizeof(lock->filter_digest));
    return json_pack("{s:I, s:I, s:I, s:s, s:I, s:b, s:o, s:I, s:b, s:o, s:o, s:o}", "seccomp_mode",
                     (json_int_t)lock->seccomp_mode, "seccomp_syscalls",
                     (json_int_t)lock->seccomp_syscalls, "seccomp_instructions",
                     (json_int_t)lock->seccomp_instructions, "filter_sha256", digest, "threads",
                     (json_int_t)lock->tasks, "no_new_privs", lock->no_new_privs, "cap_eff",
                     hex64(lock->cap_eff), "landlock_abi", (json_int_t)lock->landlock_abi, "mdwe",
                     lock->mdwe, "secret_memory", json_text(lock->secret_memory), "below_preferred",
                     json_text(lock->below_preferred), "overlay", json_text(lock->overlay));
}

/* The words of "mnt pid net" as a list. */
static json_t *namespace_list(uint64_t mask)
{
    char names[64], *rest = names;
    json_t *list = json_array();
    if (!mask)
        return list;
    proc_namespace_names(names, mask);
    for (char *name; list && (name = strsep(&rest, " "));)
        json_array_append_new(list, json_string(name));
    return list;
}

static json_t *proof_object(const struct status_proof *proof)
{
    const struct proc_view *view = &proof->view;
    json_t *findings = json_array();
    for (unsigned i = 0; findings && i < proof->findings; i++)
        json_array_append_new(findings, json_text(proof->finding[i]));
    if (!proof->looked)
        return proof->findings ? json_pack("{s:o}", "disagreements", findings)
                               : (json_decref(findings), json_null());
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:b, s:I, s:o, s:I, s:o}", "pid",
                     (json_int_t)view->pid, "uid", (json_int_t)view->uid, "cap_eff",
                     hex64(view->cap_eff), "cap_prm", hex64(view->cap_prm), "cap_bnd",
                     hex64(view->cap_bnd), "seccomp_mode", (json_int_t)view->seccomp,
                     "seccomp_filters", (json_int_t)view->seccomp_filters, "no_new_privs",
                     view->no_new_privs, "threads", (json_int_t)view->tasks, "namespaces",
                     namespace_list(view->own), "namespaces_reference", (json_int_t)view->reference,
                     "disagreements", findings);
}

static json_t *worker_object(const ipc_StatusReply *reply, const ipc_WorkerStatus *worker,
                             const struct status_proof *proof)
{
    bool serving = worker->state == ipc_WORKER_SERVING;
    return json_pack("{s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:o}", "name",
                     json_text(worker->name), "state", words_worker_state(worker->state)->word,
                     "down", status_worker_is_down(reply, worker), "pid", (json_int_t)worker->pid,
                     "uid", (json_int_t)worker->uid, "since_ms", (json_int_t)worker->since_ms,
                     "restarts", (json_int_t)worker->restarts, "reason",
                     json_text(serving ? "" : worker->reason), "retry_at_ms",
                     (json_int_t)worker->retry_at_ms, "lock",
                     serving && worker->has_lock ? lock_object(&worker->lock) : json_null(),
                     "kernel", proof_object(proof));
}

static json_t *connection_object(const ipc_StatusReply *reply)
{
    const ipc_UplinkStatus *uplink = &reply->uplink;
    return json_pack("{s:o, s:s, s:s, s:b, s:o, s:I, s:I}", "console", json_text(reply->console),
                     "phase", words_uplink_phase(uplink->phase)->word, "reason",
                     words_uplink_reason(uplink->reason)->word, "down",
                     status_console_is_down(reply), "detail", json_text(uplink->detail), "since_ms",
                     (json_int_t)uplink->since_ms, "retry_at_ms", (json_int_t)uplink->retry_at_ms);
}

static json_t *capture_object(const ipc_CaptureStatus *capture)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "phase",
                     words_capture_phase(capture->phase)->word, "frames",
                     (json_int_t)capture->frames, "bytes", (json_int_t)capture->bytes, "merged",
                     (json_int_t)capture->merged, "paused_until_ms",
                     (json_int_t)capture->paused_until_ms, "detail", json_text(capture->detail));
}

int status_print_json(const struct status *status)
{
    const ipc_StatusReply *reply = &status->reply;
    json_t *workers = json_array();
    for (size_t i = 0; workers && i < reply->workers_count; i++)
        json_array_append_new(workers,
                              worker_object(reply, &reply->workers[i], &status->workers[i]));
    return json_print(json_pack(
        "{s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "version", json_text(reply->version),
        "started_ms", (json_int_t)reply->started_ms, "overlay", json_text(reply->overlay),
        "refusals", (json_int_t)reply->refusals, "connection", connection_object(reply), "capture",
        capture_object(&reply->capture), "commands",
        status->has_commands ? commands_object(&status->commands) : json_null(), "workers", workers,
        "broker", worker_object(reply, &reply->broker, &status->broker), "not_compared",
        status->unproved ? json_string(status->unproved) : json_null()));
}
