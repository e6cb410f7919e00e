/*
 * One command, from its process's hello until the console has its output and the vault its end.
 *
 *   GREETING    the command's process stands up in its sandbox
 *   FETCHING    the vault writes "started" down and answers with the order
 *   HANDING     the order goes to the command's process
 *   RUNNING     its time counts; output is read, hashed, cut and sent
 *   DRAINING    it has ended; what its pipes still hold is read
 *   RECORDING   the vault makes the receipt durable
 *   DELIVERING  the console takes the rest
 *   LEAVING     uplink is told that this was all
 *
 * Time and output limits end the command: SIGTERM to all of its processes, SIGKILL 2 s later. If
 * its process does not answer to that either, the runner ends, and the monitor kills the command
 * with it. What uplink does not take is kept for an hour after the command's end.
 *
 * Every function ends the process where it cannot go on. Main thread.
 */
#ifndef CLOISTER_JOB_H
#define CLOISTER_JOB_H

#include "order.h"
#include "pipes.h"
#include "streams.h"
#include "talk.h"
#include "worker.h"

#define JOB_NEVER STREAMS_NEVER

/* For how long after its end a command's output waits for the console. A test's runner waits less.
 */
#ifndef JOB_KEEP_MS
#define JOB_KEEP_MS 3600000
#endif

enum job_phase {
    JOB_GREETING,
    JOB_FETCHING,
    JOB_HANDING,
    JOB_RUNNING,
    JOB_DRAINING,
    JOB_RECORDING,
    JOB_DELIVERING,
    JOB_LEAVING,
};

struct job {
    struct worker *worker;
    uint32_t number;     /* the vault's, of the command */
    struct grant *grant; /* secret_alloc; NULL when the order is accepted */
    uint8_t *report_key; /* secret_alloc, REPORT_KEY_SIZE; derived when it is (order/report.h) */
    int link;            /* to the command's process; -1 when it has ended */
    struct pipes pipes;

    enum job_phase phase;
    int64_t due_ms; /* when the phase is over; JOB_NEVER */
    struct talk talk;
    struct message order_message; /* owns what `order` points into, until all of it is fed */
    struct order order;
    size_t handed, fed; /* bytes of the order, and of its standard input */

    int last_signal; /* sent for a limit: 0, SIGTERM, SIGKILL */
    ipc_CommandLimit limit;
    ipc_CommandEnd end;
    uint32_t code;
    uint64_t started_ms, ended_ms; /* unix times */
    int64_t give_up_ms;            /* undelivered output is given up then */
    size_t drain[STREAMS];         /* bytes that a pipe held at most when all were dead */

    struct streams streams;
    int64_t retry_ms;                 /* after "busy", when sending goes on; JOB_NEVER */
    uint32_t fetch, finish, farewell; /* requests under way, or 0 */
};

/*
 * Carries out the job whose worker (locked), number, grant, link and pipes are set and all else
 * zero. `memory` is STREAMS_MEMORY bytes.
 */
__attribute__((noreturn)) void job_run(struct job *job, uint8_t *memory);

/* ---- between the files of the job ---- */

int64_t job_now_ms(void);
uint64_t job_unix_ms(void);

/* job_link.c: the command's process. */
void job_hand_over(struct job *job);  /* the order was accepted: hands it on, as far as it goes */
void job_link_ready(struct job *job); /* the link is readable */
void job_on_time(struct job *job);    /* due_ms has come, in a phase that has a process */
void job_limit(struct job *job, ipc_CommandLimit limit); /* ends the command for that limit */

/* job_output.c: the pipes, and chunks. */
void job_feed(struct job *job);                        /* standard input, as far as it goes */
void job_read(struct job *job, enum stream_name name); /* a stream, as far as it goes */
void job_all_dead(struct job *job); /* nobody writes any more: due_ms is JOB_NEVER */
void job_drain(struct job *job);    /* then, what the pipes hold; and closes them */
void job_send(struct job *job);     /* all chunks that can be */

/* job_messages.c: the vault and uplink, through the broker. */
void job_ask_for_order(struct job *job);
void job_finish(struct job *job);
void job_leave(struct job *job);
void job_messages(struct job *job);

#endif
