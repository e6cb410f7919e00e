#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "face.h"
#include "preview.h"

static void put_bytes(const struct locked_bytes *bytes)
{
    fwrite(bytes->data, 1, bytes->length, stdout);
    fflush(stdout);
}

static void in_terminal(const struct picture *picture)
{
    struct winsize size = {0};
    struct locked_bytes text = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 10 || size.ws_row < 10)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    if (preview_draw(&text, picture, size.ws_col, size.ws_row - 3U) == 0)
        put_bytes(&text);
    locked_bytes_clear(&text);
}

static void caption_of(const struct face *face, char *out, size_t capacity)
{
    const struct review_frame *frame = review_frame(ticket_review(face->ticket), face->looking_at);
    snprintf(out, capacity,
             "Frame %zu of %zu%s%s - arrows: next, previous; d: drop; drag: blacken; u: undo; q",
             face->looking_at + 1, review_count(ticket_review(face->ticket)),
             frame->dropped ? " (dropped)" : "", frame->redaction_count ? " (redacted)" : "");
}

static void stop_looking(struct face *face)
{
    if (face->viewer)
        viewer_hide(face->viewer);
    face->looking = false;
}

static void in_window(struct face *face, struct picture *picture)
{
    char caption[160];
    caption_of(face, caption, sizeof(caption));
    face->looking = true;
    if (viewer_show(face->viewer, picture, caption)) {
        puts("The display is gone; frames are shown here from now on.");
        face->looking = false;
        face->viewer = NULL; /* its owner frees it */
    }
}

void looking_show(struct face *face, size_t index)
{
    struct picture *picture;
    int result = pipeline_picture(ticket_pipeline(face->ticket), index, &picture);
    bool waited = face->awaits_look && face->looking_at == index;
    face->awaits_look = result == PIPELINE_NOT_YET;
    if (result && waited && face->awaits_look)
        return;
    if (face->awaits_look)
        face->looking_at = index;
    if (result) {
        printf(face->awaits_look ? "Frame %zu is still being fetched; one moment.\n"
                                 : "Frame %zu cannot be shown.\n",
               index + 1);
        return;
    }
    face->looking_at = index;
    if (face->viewer) {
        in_window(face, picture);
        return;
    }
    in_terminal(picture);
    picture_free(picture);
}

void looking_retry(struct face *face)
{
    if (face->awaits_look)
        looking_show(face, face->looking_at);
}

/* The next frame in a direction that can be shown. */
static void step(struct face *face, int direction)
{
    const struct review *review = ticket_review(face->ticket);
    size_t index = face->looking_at;
    do {
        if (direction < 0 ? index == 0 : index + 1 >= review_count(review))
            return;
        index = direction < 0 ? index - 1 : index + 1;
    } while (review_frame(review, index)->state == REVIEW_LOST);
    looking_show(face, index);
}

/* Edits are taken only while they still can be: a sealed ticket is what it is. */
static bool may_edit(const struct face *face)
{
    return face->mode == FACE_COMMANDS || face->mode == FACE_DESCRIBING;
}

static void edit(struct face *face, const struct viewer_event *event)
{
    struct review *review = ticket_review(face->ticket);
    size_t index = face->looking_at;
    if (!may_edit(face))
        return;
    if (event->kind == VIEWER_DROP)
        review_drop(review, index, !review_frame(review, index)->dropped);
    else if (event->kind == VIEWER_UNDO)
        review_unredact(review, index);
    else
        review_redact(review, index, &event->area);
    looking_show(face, index);
}

void looking_events(struct face *face)
{
    while (face->viewer) {
        struct viewer_event event = viewer_next(face->viewer);
        switch (event.kind) {
        case VIEWER_NOTHING:
            return;
        case VIEWER_NEXT:
        case VIEWER_BACK:
            step(face, event.kind == VIEWER_NEXT ? 1 : -1);
            break;
        case VIEWER_DROP:
        case VIEWER_REDACT:
        case VIEWER_UNDO:
            edit(face, &event);
            break;
        case VIEWER_CLOSED:
            stop_looking(face);
            break;
        case VIEWER_LOST:
            stop_looking(face);
            face->viewer = NULL;
            return;
        }
    }
}
