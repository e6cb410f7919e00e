#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "edits.h"
#include "face.h"
#include "interrupt.h"
#include "log.h"
#include "show.h"
#include "ticket_exit.h"

enum { LINE_BYTES = 4096, QUIET_MS = 250, QUIET_TRIES = 40 };

void face_end(struct face *face, int exit_code)
{
    face->mode = FACE_ENDED;
    face->exit_code = exit_code;
}

void face_cancel(struct face *face)
{
    if (face->mode == FACE_SENDING)
        printf("Cancelled: the upload is abandoned%s.\n", show_may_have_arrived(face->ticket));
    else
        puts("Cancelled. Nothing was sent.");
    face_end(face, TICKET_EXIT_CANCELLED);
}

void face_prompt(struct face *face)
{
    if (face->mode == FACE_COMMANDS)
        fputs("ticket> ", stdout);
    else if (face->mode == FACE_CONFIRMING)
        fputs("Type \"yes\" to send exactly this: ", stdout);
    fflush(stdout);
}

void face_seal_words(int outcome)
{
    const char *words = "out of memory";
    if (outcome == TICKET_NO_RECIPIENTS)
        words = "no recipients are configured that it could be sealed to; ask your administrator";
    else if (outcome == TICKET_TOO_LARGE)
        words = "larger than your administrator allows; drop some frames";
    else if (outcome == TICKET_NOT_READY)
        words = "frames are still being prepared";
    fprintf(stderr, "cloister-ticket: cannot seal the ticket: %s\n", words);
}

static void consent(struct face *face)
{
    int result = ticket_consent(face->ticket);
    if (result == TICKET_STALE) {
        puts("Something changed since it was sealed; please \"send\" again.");
        face->mode = FACE_COMMANDS;
        return;
    }
    if (result) {
        fputs("cloister-ticket: the agent is gone; nothing was sent\n", stderr);
        face_end(face, TICKET_EXIT_ERROR);
        return;
    }
    face->mode = FACE_SENDING;
    face->progress_shown = -1;
    if (!agent_connected_to_console(ticket_agent(face->ticket)))
        puts("Not connected to the help desk: keep this open, or type \"cancel\".");
}

/*
 * An answer counts only if it was typed after the question: what comes before it, a paste that is
 * still arriving included, is thrown away until nobody types. Returns 0; 1 if that does not end.
 */
static int drop_typed_ahead(struct face *face)
{
    face->line.length = 0;
    if (!face->input_is_terminal)
        return 0;
    for (int i = 0; i < QUIET_TRIES; i++) {
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        tcflush(STDIN_FILENO, TCIFLUSH);
        if (poll(&wait, 1, QUIET_MS) == 0 || wait.revents & (POLLHUP | POLLERR | POLLNVAL))
            return 0;
    }
    return 1;
}

/* Everything is ready: seal, show, ask. */
static void seal(struct face *face)
{
    int result = ticket_seal(face->ticket);
    if (result) {
        face_seal_words(result);
        face->mode = FACE_COMMANDS;
        return;
    }
    show_consent(face->ticket);
    if (agent_config(ticket_agent(face->ticket))->auto_consent) {
        puts("Your administrator has configured consent beforehand: sending.");
        consent(face);
    } else if (drop_typed_ahead(face)) {
        puts("Input does not end, so you are not asked. Please \"send\" again.");
        face->mode = FACE_COMMANDS;
    } else {
        face->mode = FACE_CONFIRMING;
    }
}

void face_send(struct face *face)
{
    size_t length;
    review_description(ticket_review(face->ticket), &length);
    if (length == 0)
        puts("(There is no description; \"describe\" adds one.)");
    face->mode = FACE_PREPARING;
    if (!ticket_ready(face->ticket)) {
        struct review_totals totals = review_totals(ticket_review(face->ticket));
        printf("%zu frames are still being prepared; one moment.\n", totals.waiting);
    }
}

static int read_all(struct locked_bytes *text)
{
    char part[4096];
    ssize_t length = 0;
    int result = 0;
    while (!result && text->length <= REVIEW_DESCRIPTION_MAX &&
           (length = read(STDIN_FILENO, part, sizeof(part))) > 0)
        result = locked_bytes_append(text, part, (size_t)length);
    explicit_bzero(part, sizeof(part));
    return length < 0 ? -errno : result;
}

int face_read_description(const struct options *options, struct locked_bytes *text)
{
    int result = 0;
    if (options->description && strcmp(options->description, "-") == 0)
        result = read_all(text);
    else if (options->description)
        result = locked_bytes_append(text, options->description, strlen(options->description));
    if (!result && text->length <= REVIEW_DESCRIPTION_MAX)
        return 0;
    fputs("cloister-ticket: the description cannot be read, or is too long\n", stderr);
    return 1;
}

int face_edit(struct ticket *ticket, const struct options *options, char *complaint,
              size_t capacity)
{
    struct review *review = ticket_review(ticket);
    for (size_t i = 0; i < options->edit_count; i++)
        if (edits_apply(review, &options->edits[i], complaint, capacity))
            return 1;
    return options->until ? edits_until(review, options->until, complaint, capacity) : 0;
}

/* ---- input ---- */

static void describe_line(struct face *face, const char *line)
{
    if (strcmp(line, ".") == 0) {
        review_describe(ticket_review(face->ticket), (char *)face->description.data,
                        face->description.length);
        locked_bytes_clear(&face->description);
        face->mode = FACE_COMMANDS;
        return;
    }
    size_t length = strlen(line);
    if (length + 1 > REVIEW_DESCRIPTION_MAX - face->description.length ||
        locked_bytes_append(&face->description, line, length) ||
        locked_bytes_append(&face->description, "\n", 1))
        puts("The description is full; end it with a dot.");
}

static void confirm_line(struct face *face, const char *line)
{
    if (strcmp(line, "yes") == 0) {
        consent(face);
    } else {
        puts("Not sent.");
        face->mode = FACE_COMMANDS;
    }
}

static void take_line(struct face *face, char *line)
{
    switch (face->mode) {
    case FACE_COMMANDS:
        command_obey(face, line);
        break;
    case FACE_DESCRIBING:
        describe_line(face, line);
        break;
    case FACE_CONFIRMING:
        confirm_line(face, line);
        break;
    case FACE_LISTING:
    case FACE_PREPARING:
    case FACE_SENDING:
        if (strcmp(line, "cancel") == 0)
            face_cancel(face);
        break;
    case FACE_ENDED:
        break;
    }
    if (face->mode != FACE_ENDED)
        face_prompt(face);
}

/* Takes whole lines out of what has been typed. */
static void take_lines(struct face *face)
{
    char line[LINE_BYTES];
    struct locked_bytes *input = &face->line;
    uint8_t *end;
    while (face->mode != FACE_ENDED && input->length &&
           (end = memchr(input->data, '\n', input->length))) {
        size_t length = (size_t)(end - input->data);
        memcpy(line, input->data, length);
        line[length] = '\0';
        input->length -= length + 1;
        memmove(input->data, end + 1, input->length);
        take_line(face, line);
    }
    explicit_bzero(line, sizeof(line));
}

static void take_input(struct face *face)
{
    char part[LINE_BYTES - 1];
    size_t room = sizeof(part) - face->line.length;
    ssize_t length = read(STDIN_FILENO, part, room);
    if (length < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (length <= 0) {
        face->input_ended = true;
        /* Once consent is given the upload goes on without an audience. */
        if (face->mode != FACE_SENDING) {
            puts("\nEnd of input: cancelled. Nothing was sent.");
            face_end(face, TICKET_EXIT_CANCELLED);
        }
        return;
    }
    if (locked_bytes_append(&face->line, part, (size_t)length))
        face_end(face, TICKET_EXIT_ERROR);
    explicit_bzero(part, sizeof(part));
    take_lines(face);
    if (face->line.length >= sizeof(part)) {
        puts("That line is too long.");
        face->line.length = 0;
    }
}

/* ---- what happens by itself ---- */

static void begin_review(struct face *face)
{
    char complaint[256];
    show_frames(face->ticket);
    if (face_edit(face->ticket, face->options, complaint, sizeof(complaint)))
        show_escaped("%s; the options after it were not looked at\n", complaint);
    puts("\"help\" lists what you can do.");
    face->mode = FACE_COMMANDS;
    face_prompt(face);
}

/* A console that is connected and takes nothing, or a vault that is away: once for each reason. */
static void show_why_waiting(struct face *face, const struct upload *upload)
{
    const char *why = upload_state(upload) <= UPLOAD_WAITING ? upload_why(upload) : "";
    if (!why[0] || strcmp(why, face->why_shown) == 0)
        return;
    snprintf(face->why_shown, sizeof(face->why_shown), "%s", why);
    show_escaped("\nNot sent yet: %s. Trying again; \"cancel\" gives up.\n", why);
}

static void show_progress(struct face *face)
{
    const struct upload *upload = ticket_upload(face->ticket);
    uint64_t size = ticket_sealed_size(face->ticket);
    int percent = (int)(upload_progress(upload) * 100 / size);
    if (percent != face->progress_shown && upload_state(upload) >= UPLOAD_SENDING) {
        printf("\rSending: %3d %%", percent);
        fflush(stdout);
        face->progress_shown = percent;
    }
    show_why_waiting(face, upload);
    if (upload_state(upload) == UPLOAD_DONE) {
        show_escaped("\nThe help desk has your ticket: %s\n", upload_number(upload));
        face_end(face, TICKET_EXIT_SENT);
    } else if (upload_state(upload) == UPLOAD_FAILED) {
        show_escaped("\nThe ticket could not be sent: %s", upload_why(upload));
        puts(show_may_have_arrived(face->ticket));
        face_end(face, TICKET_EXIT_REFUSED);
    }
}

static void show_notices(struct face *face)
{
    char words[320];
    const struct agent *agent = ticket_agent(face->ticket);
    if (agent_notices(agent) == face->notices_shown)
        return;
    face->notices_shown = agent_notices(agent);
    agent_uplink_words(agent, words, sizeof(words));
    show_escaped("\n[help desk: %s; ", words);
    agent_capture_words(agent, words, sizeof(words));
    show_escaped("screenshots: %s]\n", words);
    face_prompt(face);
}

static void advance(struct face *face)
{
    show_notices(face);
    looking_retry(face);
    if (face->mode == FACE_LISTING && ticket_listed(face->ticket))
        begin_review(face);
    if (face->mode == FACE_PREPARING && ticket_ready(face->ticket)) {
        seal(face);
        face_prompt(face);
    }
    if (face->mode == FACE_SENDING)
        show_progress(face);
}

static void wait_for_something(struct face *face)
{
    struct pollfd polls[TICKET_POLLS + 3];
    int timeout = ticket_timeout(face->ticket);
    ticket_polls(face->ticket, polls);
    polls[TICKET_POLLS] =
        (struct pollfd){.fd = face->input_ended ? -1 : STDIN_FILENO, .events = POLLIN};
    polls[TICKET_POLLS + 1] =
        (struct pollfd){.fd = face->viewer ? viewer_fd(face->viewer) : -1, .events = POLLIN};
    polls[TICKET_POLLS + 2] = (struct pollfd){.fd = face->interrupt, .events = POLLIN};
    int ready = poll(polls, TICKET_POLLS + 3, timeout);
    if (interrupt_came() && face->mode != FACE_ENDED) {
        putchar('\n');
        face_cancel(face);
        return;
    }
    if (ready < 0)
        return;
    if (polls[TICKET_POLLS].revents)
        take_input(face);
    if (polls[TICKET_POLLS + 1].revents)
        looking_events(face);
}

static void turn(struct face *face)
{
    wait_for_something(face);
    int result = face->mode == FACE_ENDED ? 0 : ticket_turn(face->ticket);
    if (result) {
        putchar('\n');
        face_end(face, show_turn_failure(face->ticket, result));
    }
    advance(face);
}

int terminal_run(struct ticket *ticket, const struct options *options, struct viewer *viewer)
{
    struct face face = {.ticket = ticket,
                        .options = options,
                        .viewer = viewer,
                        .interrupt = interrupt_watch(),
                        .input_is_terminal = isatty(STDIN_FILENO) == 1};
    show_head(ticket);
    puts("");
    while (face.mode != FACE_ENDED)
        turn(&face);
    if (face.exit_code == TICKET_EXIT_CANCELLED)
        ticket_cancel(ticket);
    if (face.viewer)
        viewer_hide(face.viewer);
    locked_bytes_clear(&face.description);
    locked_bytes_clear(&face.line);
    return face.exit_code;
}
