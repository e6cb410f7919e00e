#include "ticket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "document.h"

/* As many as a welcome can name. */
enum {
    RECIPIENTS =
        sizeof(((ipc_TicketConfig *)0)->recipients) / sizeof(((ipc_TicketConfig *)0)->recipients[0])
};

struct ticket {
    struct agent *agent;
    struct review *review;
    struct pipeline *pipeline;
    struct fetch *fetch;
    struct chunk_list *sealed;
    struct upload *upload;
    uint64_t opened_time_ms;
};

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int ticket_connect(struct ticket **out, const char *folder, struct agent_no *no)
{
    struct ticket *ticket = calloc(1, sizeof(*ticket));
    if (!ticket)
        return -ENOMEM;
    ticket->opened_time_ms = clock_ms(CLOCK_REALTIME);
    int result = agent_connect(&ticket->agent, folder, no);
    if (result) {
        ticket_free(ticket);
        return result;
    }
    *out = ticket;
    return 0;
}

int ticket_start(struct ticket *ticket)
{
    int result = review_new(&ticket->review);
    if (!result)
        result = pipeline_new(&ticket->pipeline, ticket->review, 0);
    if (!result)
        result = fetch_new(&ticket->fetch, ticket->agent, ticket->review, ticket->pipeline);
    return result > 0 ? TICKET_GONE : result;
}

struct ticket *ticket_free(struct ticket *ticket)
{
    if (!ticket)
        return NULL;
    upload_free(ticket->upload);
    chunk_list_free(ticket->sealed);
    fetch_free(ticket->fetch);
    pipeline_free(ticket->pipeline);
    review_free(ticket->review);
    agent_free(ticket->agent);
    free(ticket);
    return NULL;
}

void ticket_polls(const struct ticket *ticket, struct pollfd polls[TICKET_POLLS])
{
    agent_polls(ticket->agent, polls);
    polls[AGENT_POLLS] = (struct pollfd){.fd = pipeline_fd(ticket->pipeline), .events = POLLIN};
}

static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

int ticket_timeout(struct ticket *ticket)
{
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    int wait = fetch_tick(ticket->fetch, now);
    return ticket->upload ? sooner(wait, upload_tick(ticket->upload, now)) : wait;
}

int ticket_turn(struct ticket *ticket)
{
    struct message message;
    int result;
    while ((result = agent_receive(ticket->agent, &message)) == 0) {
        /* An answer that nobody waits for any more came too late. */
        if (!fetch_message(ticket->fetch, &message) && ticket->upload)
            upload_message(ticket->upload, &message);
        message_free(&message);
        ticket_timeout(ticket);
    }
    if (result != AGENT_EMPTY)
        return TICKET_GONE;
    return pipeline_step(ticket->pipeline);
}

struct review *ticket_review(struct ticket *ticket)
{
    return ticket->review;
}

struct pipeline *ticket_pipeline(struct ticket *ticket)
{
    return ticket->pipeline;
}

const struct agent *ticket_agent(const struct ticket *ticket)
{
    return ticket->agent;
}

bool ticket_listed(const struct ticket *ticket)
{
    return fetch_state(ticket->fetch) >= FETCH_RECORDS;
}

bool ticket_ready(const struct ticket *ticket)
{
    return fetch_state(ticket->fetch) >= FETCH_DONE && review_complete(ticket->review);
}

const char *ticket_frames_why(const struct ticket *ticket)
{
    return fetch_why(ticket->fetch);
}

static void fill_facts(const struct ticket *ticket, struct document_facts *facts, char capture[64])
{
    const ipc_TicketConfig *config = agent_config(ticket->agent);
    agent_capture_words(ticket->agent, capture, 64);
    *facts = (struct document_facts){
        .opened_time_ms = ticket->opened_time_ms,
        .sealed_time_ms = clock_ms(CLOCK_REALTIME),
        .auto_consent = config->auto_consent,
        .capture_state = capture,
        .max_bytes = config->max_bundle_bytes,
    };
    memcpy(facts->ticket, config->ticket, sizeof(facts->ticket));
}

static int recipients_of(const struct ticket *ticket, struct age_recipient *out, size_t *count)
{
    const ipc_TicketConfig *config = agent_config(ticket->agent);
    *count = config->recipients_count;
    for (size_t i = 0; i < *count; i++)
        if (age_recipient_parse(&out[i], config->recipients[i]))
            return TICKET_NO_RECIPIENTS;
    return *count ? 0 : TICKET_NO_RECIPIENTS;
}

int ticket_seal(struct ticket *ticket)
{
    struct age_recipient recipients[RECIPIENTS];
    struct document_facts facts;
    struct chunk_list *sealed;
    char capture[64];
    size_t count;
    if (!ticket_ready(ticket))
        return TICKET_NOT_READY;
    int result = recipients_of(ticket, recipients, &count);
    if (result)
        return result;
    fill_facts(ticket, &facts, capture);
    result = document_seal(&sealed, ticket->review, &facts, recipients, count);
    if (result == -EFBIG)
        return TICKET_TOO_LARGE;
    if (result)
        return result == DOCUMENT_NOT_READY ? TICKET_NOT_READY : result;
    chunk_list_free(ticket->sealed);
    ticket->sealed = sealed;
    return 0;
}

uint64_t ticket_sealed_size(const struct ticket *ticket)
{
    return ticket->sealed ? chunk_list_size(ticket->sealed) : 0;
}

int ticket_consent(struct ticket *ticket)
{
    if (!ticket->sealed || ticket->upload || !review_sealed_is_current(ticket->review))
        return TICKET_STALE;
    int result = upload_new(&ticket->upload, ticket->agent, ticket->sealed);
    return result > 0 ? TICKET_GONE : result;
}

const struct upload *ticket_upload(const struct ticket *ticket)
{
    return ticket->upload;
}

int ticket_list_json(const struct ticket *ticket, struct locked_bytes *out)
{
    struct document_facts facts;
    char capture[64];
    fill_facts(ticket, &facts, capture);
    return document_list(out, ticket->review, &facts);
}

void ticket_cancel(struct ticket *ticket)
{
    agent_cancel(ticket->agent);
}
