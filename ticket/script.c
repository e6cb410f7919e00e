#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "edits.h"
#include "face.h"
#include "interrupt.h"
#include "json_write.h"
#include "log.h"
#include "show.h"
#include "ticket_exit.h"

/* How long an upload that comes no further is waited for without --wait-for-connection. */
#define PATIENCE_MS 30000

struct script {
    struct ticket *ticket;
    const struct options *options;
    uint64_t progress;         /* the most that the console has had of the upload */
    uint64_t stalled_since_ms; /* when it first had to wait after that; 0: it has not */
    char why_said[192];
    int interrupt;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits at most a second for something, and does it. Returns 0 or an exit code. */
static int turn(struct script *script)
{
    struct pollfd polls[TICKET_POLLS + 1];
    int timeout = ticket_timeout(script->ticket);
    ticket_polls(script->ticket, polls);
    polls[TICKET_POLLS] = (struct pollfd){.fd = script->interrupt, .events = POLLIN};
    poll(polls, TICKET_POLLS + 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
    if (interrupt_came()) {
        fprintf(stderr, "cloister-ticket: cancelled%s\n", show_may_have_arrived(script->ticket));
        return TICKET_EXIT_CANCELLED;
    }
    int result = ticket_turn(script->ticket);
    if (result == 0)
        return 0;
    return show_turn_failure(script->ticket, result);
}

static int list(struct script *script)
{
    struct locked_bytes text;
    if (!script->options->json) {
        show_head(script->ticket);
        show_frames(script->ticket);
        return TICKET_EXIT_SENT;
    }
    if (ticket_list_json(script->ticket, &text)) {
        fputs("cloister-ticket: out of locked memory\n", stderr);
        return TICKET_EXIT_ERROR;
    }
    fwrite(text.data, 1, text.length, stdout);
    locked_bytes_clear(&text);
    return TICKET_EXIT_SENT;
}

static int edit(struct script *script)
{
    char complaint[256], plain[1024];
    if (!face_edit(script->ticket, script->options, complaint, sizeof(complaint)))
        return 0;
    log_escape(plain, sizeof(plain), complaint, strlen(complaint));
    fprintf(stderr, "cloister-ticket: %s\n", plain);
    return TICKET_EXIT_USAGE;
}

static int wait_for_console(struct script *script)
{
    int said = 0, result = 0;
    while (!result && !agent_connected_to_console(ticket_agent(script->ticket))) {
        char words[320], plain[1400];
        if (!said++) {
            agent_uplink_words(ticket_agent(script->ticket), words, sizeof(words));
            log_escape(plain, sizeof(plain), words, strlen(words));
            fprintf(stderr, "cloister-ticket: %s\n", plain);
        }
        if (!script->options->wait_for_connection)
            return TICKET_EXIT_NOT_CONNECTED;
        result = turn(script);
    }
    return result;
}

static int seal(struct script *script)
{
    int result = 0;
    while (!result && !ticket_ready(script->ticket))
        result = turn(script);
    if (result)
        return result;
    result = ticket_seal(script->ticket);
    if (result)
        face_seal_words(result);
    return result ? TICKET_EXIT_ERROR : 0;
}

/* Whether the upload has waited for longer than one waits without having come any further. */
static bool out_of_patience(struct script *script, const struct upload *upload)
{
    if (upload_progress(upload) > script->progress) {
        script->progress = upload_progress(upload);
        script->stalled_since_ms = 0;
    }
    if (upload_state(upload) > UPLOAD_WAITING)
        return false;
    if (!script->stalled_since_ms)
        script->stalled_since_ms = now_ms();
    return !script->options->wait_for_connection &&
           now_ms() - script->stalled_since_ms > PATIENCE_MS;
}

/* A console that is connected and takes nothing, or a vault that is away: once for each reason. */
static void say_why_waiting(struct script *script, const struct upload *upload)
{
    char plain[800];
    const char *why = upload_state(upload) <= UPLOAD_WAITING ? upload_why(upload) : "";
    if (!why[0] || strcmp(why, script->why_said) == 0)
        return;
    snprintf(script->why_said, sizeof(script->why_said), "%s", why);
    log_escape(plain, sizeof(plain), why, strlen(why));
    fprintf(stderr, "cloister-ticket: not sent yet: %s; trying again\n", plain);
}

static int abandon(struct script *script, const struct upload *upload)
{
    char plain[800];
    const char *why = upload_why(upload);
    if (!why[0]) {
        fprintf(stderr, "cloister-ticket: the connection is gone; the upload is abandoned%s\n",
                show_may_have_arrived(script->ticket));
        return TICKET_EXIT_NOT_CONNECTED;
    }
    log_escape(plain, sizeof(plain), why, strlen(why));
    fprintf(stderr, "cloister-ticket: the ticket could not be sent: %s%s\n", plain,
            show_may_have_arrived(script->ticket));
    return TICKET_EXIT_REFUSED;
}

static void print_sent(struct script *script)
{
    const char *number = upload_number(ticket_upload(script->ticket));
    struct json_write json = {0};
    struct locked_bytes text;
    if (!script->options->json) {
        show_escaped("%s\n", number);
        return;
    }
    json_begin(&json, NULL, '{');
    json_text(&json, "number", number, strlen(number));
    json_number(&json, "sealed_bytes", ticket_sealed_size(script->ticket));
    json_number(&json, "screenshots", review_totals(ticket_review(script->ticket)).kept);
    json_end(&json, '}');
    if (json_write_finish(&json, &text) == 0)
        fwrite(text.data, 1, text.length, stdout);
    locked_bytes_clear(&text);
}

static int send_it(struct script *script)
{
    if (ticket_consent(script->ticket)) {
        fputs("cloister-ticket: the agent does not take the consent\n", stderr);
        return TICKET_EXIT_ERROR;
    }
    const struct upload *upload = ticket_upload(script->ticket);
    int result = 0;
    while (!result && upload_state(upload) < UPLOAD_DONE) {
        result = turn(script);
        if (result || upload_state(upload) >= UPLOAD_DONE)
            break;
        say_why_waiting(script, upload);
        if (out_of_patience(script, upload))
            result = abandon(script, upload);
    }
    if (upload_state(upload) == UPLOAD_DONE) {
        print_sent(script);
        return TICKET_EXIT_SENT;
    }
    if (upload_state(upload) == UPLOAD_FAILED) {
        char plain[800];
        log_escape(plain, sizeof(plain), upload_why(upload), strlen(upload_why(upload)));
        fprintf(stderr, "cloister-ticket: the ticket could not be sent: %s%s\n", plain,
                show_may_have_arrived(script->ticket));
        result = TICKET_EXIT_REFUSED;
    }
    return result;
}

static int run(struct script *script)
{
    int result = 0;
    while (!result && !ticket_listed(script->ticket))
        result = turn(script);
    if (!result && script->options->list)
        return list(script);
    if (!result)
        result = edit(script);
    if (!result)
        result = seal(script);
    if (!result)
        result = wait_for_console(script);
    return result ? result : send_it(script);
}

int script_run(struct ticket *ticket, const struct options *options)
{
    struct script script = {.ticket = ticket, .options = options, .interrupt = interrupt_watch()};
    int result = run(&script);
    if (result != TICKET_EXIT_SENT && result != TICKET_EXIT_ERROR)
        ticket_cancel(ticket);
    return result;
}
