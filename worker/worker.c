#include "worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define WELCOME_WAIT_MS 10000
#define CALLER_FDS_MAX  6

void worker_fail(enum worker_exit code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_error("%s", text);
    /* _exit: nothing that atexit handlers could flush belongs to a worker. */
    _exit(code);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sandbox_failed(const struct sandbox_report *report, int error)
{
    worker_fail(WORKER_EXIT_SANDBOX, "cannot lock: %s: %s",
                report->stage ? report->stage : "unknown stage", strerror(-error));
}

static void check_sent(int outcome)
{
    if (outcome == CHANNEL_OK)
        return;
    if (outcome == CHANNEL_CLOSED)
        _exit(WORKER_EXIT_DONE);
    worker_fail(WORKER_EXIT_CHANNEL, "cannot send to the broker: %s",
                outcome < 0 ? strerror(-outcome) : "its queue stays full");
}

static void say_hello(struct worker *worker)
{
    ipc_Hello hello;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    uint32_t number = worker_request(worker, IPC_HELLO, &hello, NULL, 0);
    int64_t deadline = now_ms() + WELCOME_WAIT_MS;
    while (!worker_next(worker, &worker->hello_answer)) {
        int64_t left = deadline - now_ms();
        if (left <= 0)
            worker_fail(WORKER_EXIT_CHANNEL, "the broker does not answer");
        worker_wait(worker, NULL, 0, (int)left);
    }
    const struct envelope *answer = &worker->hello_answer.envelope;
    if (answer->number != IPC_WELCOME || answer->request != number)
        worker_fail(WORKER_EXIT_CHANNEL, "the broker refused the hello");
    worker_decode(worker, &worker->hello_answer, &worker->welcome);
}

void worker_start(struct worker *worker, const char *name, enum ipc_peer peer,
                  const struct sandbox_filter *filter)
{
    *worker = (struct worker){.name = name, .peer = peer, .filter = filter};
    log_setup(name, 1);
    int error = sandbox_files(filter, &worker->report);
    if (error)
        sandbox_failed(&worker->report, error);
    error = channel_dial(&worker->channel, WORKER_CHANNEL, peer, true);
    if (error)
        worker_fail(WORKER_EXIT_CHANNEL, "cannot dial the broker: %s", strerror(-error));
    say_hello(worker);
}

static void append_word(char *out, size_t capacity, const char *word)
{
    size_t used = strlen(out);
    snprintf(out + used, capacity - used, "%s%s", used ? " " : "", word);
}

void worker_fill_report(const struct sandbox_report *from, ipc_LockReport *to)
{
    to->seccomp_mode =
        2; /* sandbox_lock has read it back for every task, or we would not be here */
    to->seccomp_instructions = from->instructions;
    to->seccomp_syscalls = from->syscalls;
    memcpy(to->filter_digest, from->filter_sha256, sizeof(to->filter_digest));
    to->tasks = from->tasks;
    to->no_new_privs = true; /* likewise, and cap_eff is empty */
    to->landlock_abi = from->landlock_abi;
    to->mdwe = from->mdwe;
    const char *kind = from->secret == SECRET_NONE ? "" : secret_kind_name(from->secret);
    snprintf(to->secret_memory, sizeof(to->secret_memory), "%s", kind);
    if (from->below & SANDBOX_BELOW_LANDLOCK)
        append_word(to->below_preferred, sizeof(to->below_preferred), "landlock");
    if (from->below & SANDBOX_BELOW_MDWE)
        append_word(to->below_preferred, sizeof(to->below_preferred), "mdwe");
    if (from->below & SANDBOX_BELOW_SECRET)
        append_word(to->below_preferred, sizeof(to->below_preferred), "secretmem");
    snprintf(to->overlay, sizeof(to->overlay), "%s", from->overlay ? from->overlay : "");
}

void worker_lock(struct worker *worker)
{
    int error = sandbox_lock(worker->filter, &worker->report);
    if (error)
        sandbox_failed(&worker->report, error);
    ipc_Ready ready = {.has_lock = true};
    worker_fill_report(&worker->report, &ready.lock);
    worker_notify(worker, IPC_READY, &ready);
}

void worker_wait(struct worker *worker, struct pollfd *fds, size_t count, int timeout_ms)
{
    struct pollfd all[2 + CALLER_FDS_MAX] = {
        {.fd = WORKER_LIFE_FD, .events = POLLIN},
        {.fd = channel_fd(worker->channel), .events = POLLIN},
    };
    if (count > CALLER_FDS_MAX)
        worker_fail(WORKER_EXIT_FAILED, "waits for too many descriptors");
    if (count)
        memcpy(all + 2, fds, count * sizeof(*fds));
    int n = poll(all, 2 + count, timeout_ms);
    if (n < 0 && errno != EINTR)
        worker_fail(WORKER_EXIT_FAILED, "poll: %s", strerror(errno));
    if (n < 0)
        for (size_t i = 0; i < 2 + CALLER_FDS_MAX; i++)
            all[i].revents = 0;
    if (all[0].revents)
        _exit(WORKER_EXIT_DONE);
    if (count)
        memcpy(fds, all + 2, count * sizeof(*fds));
}

bool worker_next(struct worker *worker, struct message *message)
{
    enum envelope_outcome why = ENVELOPE_OK;
    int outcome = channel_receive(worker->channel, message, &why);
    if (outcome == CHANNEL_EMPTY)
        return false;
    if (outcome == CHANNEL_CLOSED)
        _exit(WORKER_EXIT_DONE);
    if (outcome == CHANNEL_MALFORMED)
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent a message that is %s",
                    envelope_outcome_name(why));
    if (outcome < 0)
        worker_fail(WORKER_EXIT_CHANNEL, "cannot receive: %s", strerror(-outcome));
    if (!(message->envelope.type->to >> worker->peer & 1u))
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent %s, which is not for %s",
                    message->envelope.type->name, worker->name);
    return true;
}

void worker_decode(struct worker *worker, const struct message *message, void *out)
{
    if (envelope_decode(&message->envelope, out) != ENVELOPE_OK)
        worker_fail(WORKER_EXIT_PROTOCOL, "%s: the body of %s does not decode", worker->name,
                    message->envelope.type->name);
}

void worker_notify(struct worker *worker, uint16_t number, const void *body)
{
    check_sent(channel_send(worker->channel, number, 0, body, NULL, 0));
}

uint32_t worker_request(struct worker *worker, uint16_t number, const void *body, const void *blob,
                        size_t blob_length)
{
    if (++worker->last_request == 0)
        worker->last_request = 1;
    check_sent(
        channel_send(worker->channel, number, worker->last_request, body, blob, blob_length));
    return worker->last_request;
}

void worker_answer(struct worker *worker, const struct message *request, uint16_t number,
                   const void *body, const void *blob, size_t blob_length)
{
    check_sent(
        channel_send(worker->channel, number, request->envelope.request, body, blob, blob_length));
}

void worker_refuse(struct worker *worker, const struct message *request, ipc_RefusalReason reason,
                   const char *detail)
{
    ipc_Refused refused = {.reason = reason};
    snprintf(refused.detail, sizeof(refused.detail), "%s", detail);
    worker_answer(worker, request, IPC_REFUSED, &refused, NULL, 0);
}
