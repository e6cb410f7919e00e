#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "face.h"
#include "log.h"
#include "selection.h"
#include "show.h"
#include "ticket_exit.h"

struct command {
    const char *name, *argument, *meaning;
    void (*obey)(struct face *face, char *argument);
};

static void complain(const char *text)
{
    show_escaped("%s\n", text);
}

static void apply(struct face *face, enum option_edit_kind kind, const char *value)
{
    char complaint[256];
    const struct option_edit edit = {kind, value};
    if (edits_apply(ticket_review(face->ticket), &edit, complaint, sizeof(complaint)))
        complain(complaint);
    else
        show_totals(face->ticket);
}

static void obey_list(struct face *face, char *argument)
{
    (void)argument;
    show_frames(face->ticket);
}

static void obey_view(struct face *face, char *argument)
{
    size_t index;
    if (selection_frame(&index, review_count(ticket_review(face->ticket)), argument))
        complain("view N: a frame's number from the list");
    else
        looking_show(face, index);
}

static void obey_drop(struct face *face, char *argument)
{
    apply(face, OPTION_DROP, argument);
}

static void obey_only(struct face *face, char *argument)
{
    apply(face, OPTION_KEEP, argument);
}

static void obey_take(struct face *face, char *argument)
{
    bool chosen[REVIEW_FRAMES_MAX] = {false};
    struct review *review = ticket_review(face->ticket);
    if (selection_parse(chosen, review_count(review), argument)) {
        complain("take N or N-M or N,M: frames from the list");
        return;
    }
    for (size_t i = 0; i < review_count(review); i++)
        if (chosen[i])
            review_drop(review, i, false);
    show_totals(face->ticket);
}

/* "redact 3 10,10,200,50": the same as the option's "3:10,10,200,50". */
static void obey_redact(struct face *face, char *argument)
{
    char *space = strchr(argument, ' ');
    if (space)
        *space = ':';
    apply(face, OPTION_REDACT, argument);
}

static void obey_undo(struct face *face, char *argument)
{
    size_t index;
    struct review *review = ticket_review(face->ticket);
    if (selection_frame(&index, review_count(review), argument))
        complain("undo N: a frame's number from the list");
    else if (review_unredact(review, index))
        complain("That frame has no rectangle to take back.");
}

static void obey_notitle(struct face *face, char *argument)
{
    apply(face, OPTION_NO_TITLE, argument);
}

static void obey_describe(struct face *face, char *argument)
{
    if (*argument) {
        if (review_describe(ticket_review(face->ticket), argument, strlen(argument)))
            complain("The description is too long.");
        return;
    }
    puts("What is wrong? End with a line that has only a dot.");
    locked_bytes_clear(&face->description);
    face->mode = FACE_DESCRIBING;
}

static void obey_status(struct face *face, char *argument)
{
    size_t length;
    (void)argument;
    const char *description = review_description(ticket_review(face->ticket), &length);
    show_head(face->ticket);
    show_totals(face->ticket);
    char text[400];
    log_escape(text, sizeof(text), description, length);
    printf("Description: %s\n", length ? text : "(none)");
}

static void obey_send(struct face *face, char *argument)
{
    (void)argument;
    face_send(face);
}

static void obey_cancel(struct face *face, char *argument)
{
    (void)argument;
    face_cancel(face);
}

static void obey_help(struct face *face, char *argument);

static const struct command commands[] = {
    {"list", "", "the frames", obey_list},
    {"view", "N", "look at frame N", obey_view},
    {"drop", "N[-M]", "do not send these frames (\"all\", \"2,5-7\")", obey_drop},
    {"take", "N[-M]", "take dropped frames back", obey_take},
    {"only", "N[-M]", "send only these frames", obey_only},
    {"redact", "N x,y,w,h", "blacken a rectangle of frame N, in pixels", obey_redact},
    {"undo", "N", "take the last rectangle of frame N back", obey_undo},
    {"notitle", "N[-M]", "do not send these frames' window titles", obey_notitle},
    {"describe", "[TEXT]", "say what is wrong", obey_describe},
    {"status", "", "where it would go, and what", obey_status},
    {"send", "", "seal the ticket, and send it if you consent", obey_send},
    {"cancel", "", "give up; nothing is sent", obey_cancel},
    {"quit", "", "the same", obey_cancel},
    {"help", "", "this", obey_help},
};

static void obey_help(struct face *face, char *argument)
{
    (void)face;
    (void)argument;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        printf("  %-8s %-10s %s\n", commands[i].name, commands[i].argument, commands[i].meaning);
}

/* Cuts blanks off both ends. */
static char *trimmed(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

void command_obey(struct face *face, char *line)
{
    char *name = trimmed(line);
    char *argument = name + strcspn(name, " \t");
    if (*argument)
        *argument++ = '\0';
    argument = trimmed(argument);
    if (!*name)
        return;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].obey(face, argument);
            return;
        }
    complain("Unknown command; \"help\" lists them.");
}
