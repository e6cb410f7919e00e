#include "show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "log.h"
#include "ticket_exit.h"

enum { TITLE_COLUMNS = 40 };

static void escape(char *out, size_t capacity, const char *text)
{
    log_escape(out, capacity, text, strlen(text));
}

void show_escaped(const char *format, const char *text)
{
    char plain[1024];
    escape(plain, sizeof(plain), text);
    for (const char *at = format; *at; at++) {
        if (at[0] == '%' && at[1] == 's') {
            fputs(plain, stdout);
            at++;
        } else {
            putchar(*at);
        }
    }
}

void show_size(char out[16], uint64_t bytes)
{
    if (bytes < 1000)
        snprintf(out, 16, "%u B", (unsigned)bytes);
    else if (bytes < 1000000)
        snprintf(out, 16, "%.1f kB", (double)bytes / 1e3);
    else
        snprintf(out, 16, "%.1f MB", (double)bytes / 1e6);
}

void show_head(struct ticket *ticket)
{
    char words[320];
    const struct agent *agent = ticket_agent(ticket);
    const ipc_TicketConfig *config = agent_config(agent);
    show_escaped("Help desk:   %s\n",
                 config->destination[0] ? config->destination : "none is configured");
    for (pb_size_t i = 0; i < config->recipients_count; i++)
        show_escaped(i ? "             %s\n" : "Sealed to:   %s\n", config->recipients[i]);
    agent_uplink_words(agent, words, sizeof(words));
    show_escaped("Connection:  %s\n", words);
    agent_capture_words(agent, words, sizeof(words));
    show_escaped("Screenshots: %s\n", words);
    if (config->auto_consent)
        puts("Consent:     given beforehand by your administrator's setting (auto_consent): "
             "\"send\"\n"
             "             sends without asking again");
    else
        puts("Consent:     nothing is sent before you have typed \"yes\"");
}

static const char *state_words(const struct review_frame *frame)
{
    if (frame->state == REVIEW_LOST)
        return "lost";
    if (frame->dropped)
        return "dropped";
    return frame->redaction_count ? "redacted" : "";
}

static void show_frame(const struct review_frame *frame, size_t number)
{
    char clock[16] = "", trigger[24], title[TITLE_COLUMNS + 1], size[16];
    time_t seconds = (time_t)(frame->info.time_ms / 1000);
    struct tm local;
    if (localtime_r(&seconds, &local))
        strftime(clock, sizeof(clock), "%H:%M:%S", &local);
    document_trigger(trigger, &frame->info);
    show_size(size, frame->original.length ? frame->original.length : frame->record_bytes);
    if (review_title_goes(frame))
        log_escape(title, sizeof(title), frame->info.title, frame->info.title_length);
    else
        snprintf(title, sizeof(title), "(title withheld)");
    printf("%4zu  %-8s  %-12s  %4ux%-4u  %9s  %-8s  %s\n", number, clock, trigger,
           frame->info.width, frame->info.height, size, state_words(frame), title);
}

void show_totals(struct ticket *ticket)
{
    char size[16];
    struct review_totals totals = review_totals(ticket_review(ticket));
    show_size(size, totals.image_bytes);
    printf("%zu frames: %zu to send (%s%s), %zu dropped, %zu lost", totals.frames, totals.kept,
           size, totals.waiting ? " so far" : "", totals.dropped, totals.lost);
    if (totals.waiting)
        printf("; %zu still being prepared", totals.waiting);
    putchar('\n');
    if (ticket_frames_why(ticket)[0])
        show_escaped("Screenshots: %s\n", ticket_frames_why(ticket));
    if (agent_frames_forgotten(ticket_agent(ticket)))
        puts("Capture has forgotten its frames since this ticket was opened; those listed as lost\n"
             "cannot be sent.");
}

void show_frames(struct ticket *ticket)
{
    const struct review *review = ticket_review(ticket);
    if (review_count(review))
        printf("%4s  %-8s  %-12s  %9s  %9s  %-8s  %s\n", "no.", "time", "trigger", "pixels", "size",
               "", "window");
    for (size_t i = 0; i < review_count(review); i++)
        show_frame(review_frame(review, i), i + 1);
    show_totals(ticket);
}

void show_consent(struct ticket *ticket)
{
    char size[16];
    const ipc_TicketConfig *config = agent_config(ticket_agent(ticket));
    struct review_totals totals = review_totals(ticket_review(ticket));
    show_size(size, ticket_sealed_size(ticket));
    printf("\n%zu screenshots and your description, %s sealed, go to\n", totals.kept, size);
    show_escaped("  %s, readable by\n", config->destination);
    for (pb_size_t i = 0; i < config->recipients_count; i++)
        show_escaped("  %s\n", config->recipients[i]);
}

const char *show_may_have_arrived(const struct ticket *ticket)
{
    const struct upload *upload = ticket_upload(ticket);
    return upload && upload_may_have_arrived(upload)
               ? "; all of it was sent, so the help desk may have it: ask before you send it again"
               : "";
}

int show_turn_failure(const struct ticket *ticket, int outcome)
{
    fprintf(stderr, "cloister-ticket: %s%s\n",
            outcome == TICKET_GONE ? "the agent ended the ticket" : "out of locked memory",
            show_may_have_arrived(ticket));
    return TICKET_EXIT_ERROR;
}

int show_no_agent(int outcome, const struct agent_no *no)
{
    char words[800];
    escape(words, sizeof(words), no->words);
    switch (outcome) {
    case AGENT_ABSENT:
        fprintf(stderr, "cloister-ticket: the agent does not run: %s\n", words);
        return TICKET_EXIT_NOT_RUNNING;
    case AGENT_TURNED_AWAY:
        fprintf(stderr, "cloister-ticket: the agent refused: %s\n", words);
        return TICKET_EXIT_REFUSED;
    case AGENT_ALREADY_OPEN:
        fprintf(stderr, "cloister-ticket: already open in process %u\n", no->pid);
        return TICKET_EXIT_ALREADY_OPEN;
    case AGENT_LOST:
    case AGENT_BROKEN:
        fprintf(stderr, "cloister-ticket: the agent ended the connection\n");
        return TICKET_EXIT_ERROR;
    default:
        fprintf(stderr, "cloister-ticket: cannot reach the agent: %s\n",
                strerror(outcome < 0 ? -outcome : 0));
        return TICKET_EXIT_ERROR;
    }
}
