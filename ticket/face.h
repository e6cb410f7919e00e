/*
 * The terminal face: what its parts (terminal.c, commands.c, looking.c, script.c) share.
 * Main thread.
 */
#ifndef CLOISTER_FACE_H
#define CLOISTER_FACE_H

#include "options.h"
#include "ticket.h"
#include "viewer.h"

enum face_mode {
    FACE_LISTING,    /* waiting for the list of frames */
    FACE_COMMANDS,   /* a prompt */
    FACE_DESCRIBING, /* lines up to a single "." are the description */
    FACE_PREPARING,  /* "send" was said; the last frames are being encoded */
    FACE_CONFIRMING, /* "yes" is awaited */
    FACE_SENDING,
    FACE_ENDED,
};

struct face {
    struct ticket *ticket;
    const struct options *options;
    struct viewer *viewer; /* NULL without a display */
    bool input_is_terminal, input_ended;
    enum face_mode mode;
    int exit_code;
    size_t looking_at; /* the frame in the viewer */
    bool looking;
    bool awaits_look; /* the user wants to see looking_at, whose record has not come yet */
    struct locked_bytes description; /* FACE_DESCRIBING: so far */
    struct locked_bytes line;        /* input without a line feed yet */
    uint32_t notices_shown;
    int progress_shown;  /* percent */
    char why_shown[192]; /* why the console last took nothing */
    int interrupt;       /* readable when the user wants to end it by a signal */
};

/* ---- terminal.c ---- */
/* Runs until the ticket is sent or given up. Returns an enum ticket_exit. */
int terminal_run(struct ticket *ticket, const struct options *options, struct viewer *viewer);
void face_prompt(struct face *face);
void face_end(struct face *face, int exit_code);
/* Gives the ticket up, and says so. */
void face_cancel(struct face *face);
/* "send": seals as soon as everything is ready. */
void face_send(struct face *face);

/* ---- commands.c ---- */
/* Obeys one line (terminated, without line feed) at the prompt. */
void command_obey(struct face *face, char *line);

/* ---- looking.c ---- */
/* Shows a frame: in the window if there is a display, else in the terminal. */
void looking_show(struct face *face, size_t index);
/* Tries again to show what had not come yet. */
void looking_retry(struct face *face);
/* Takes in what the user did in the window. */
void looking_events(struct face *face);

/* ---- script.c ---- */
/* Lists, or edits and sends, without asking. Returns an enum ticket_exit. */
int script_run(struct ticket *ticket, const struct options *options);

/* ---- both faces ---- */
/*
 * Appends the description that the command line names, its own text or all of standard input, to
 * `text`. Before the agent is connected, which would wait meanwhile. Returns 0; 1 after a
 * complaint.
 */
int face_read_description(const struct options *options, struct locked_bytes *text);
/*
 * Does what the command line says about frames. Returns 0; or 1 with a sentence in `complaint`,
 * when some of it may be done: then nothing may be sent without the user's looking at it.
 */
int face_edit(struct ticket *ticket, const struct options *options, char *complaint,
              size_t capacity);
/* Says on standard error why a ticket could not be sealed. */
void face_seal_words(int outcome);

#endif
