/*
 * cloister status: what is asked for, what the kernel says, and its two forms.
 *
 *   status.c        asks, compares, decides what to exit with
 *   status_text.c   for people
 *   status_json.c   for programs
 */
#ifndef CLOISTER_TOOLS_STATUS_H
#define CLOISTER_TOOLS_STATUS_H

#include "cloister.pb.h"
#include "proc.h"

#define STATUS_WORKERS_MAX   8
#define STATUS_FINDINGS_MAX  8
#define STATUS_FINDING_BYTES 160

/* What /proc says of one process, beside what should be seen there. */
struct status_proof {
    bool looked;  /* `view` holds */
    bool missing; /* it was reported to serve and there is no such process */
    struct proc_view view;
    unsigned findings;
    char finding[STATUS_FINDINGS_MAX][STATUS_FINDING_BYTES];
};

struct status {
    ipc_StatusReply reply;
    bool has_commands; /* the vault answered */
    ipc_CommandStatusReply commands;
    bool proved;          /* proofs were looked for: this is root */
    const char *unproved; /* why not, if not proved */
    struct status_proof broker;
    struct status_proof workers[STATUS_WORKERS_MAX];
};

/* Whether this worker ought to serve and does not; see docs/exit-codes.md. Pure. */
bool status_worker_is_down(const ipc_StatusReply *reply, const ipc_WorkerStatus *worker);

/* Whether a console is configured and its connection does not stand. Pure. */
bool status_console_is_down(const ipc_StatusReply *reply);

/* Whether signed commands are refused though this build has keys for them. Pure. */
bool status_commands_are_down(const struct status *status);

/* What cloister status exits with. Pure. */
int status_exit(const struct status *status);

/* Prints for people; `now_ms` is unix time. */
void status_print_text(const struct status *status, uint64_t now_ms);

/* Prints for programs. Returns an enum program_exit. */
int status_print_json(const struct status *status);

#endif
