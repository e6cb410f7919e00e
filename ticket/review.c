#include "review.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct review {
    size_t count;
    struct review_frame *frames[REVIEW_FRAMES_MAX];
    struct locked_bytes description;
    uint64_t revision, sealed_revision;
};

int review_new(struct review **out)
{
    struct review *review = calloc(1, sizeof(*review));
    if (!review)
        return -ENOMEM;
    review->revision = 1; /* so that nothing counts as sealed */
    *out = review;
    return 0;
}

static void frame_free(struct review_frame *frame)
{
    locked_bytes_clear(&frame->original);
    locked_bytes_clear(&frame->redacted);
    explicit_bzero(frame, sizeof(*frame));
    free(frame);
}

struct review *review_free(struct review *review)
{
    if (!review)
        return NULL;
    for (size_t i = 0; i < review->count; i++)
        frame_free(review->frames[i]);
    locked_bytes_clear(&review->description);
    free(review);
    return NULL;
}

int review_add(struct review *review, const struct frame_info *info, uint32_t record_bytes)
{
    if (review->count == REVIEW_FRAMES_MAX)
        return REVIEW_FULL;
    if (review->count && info->id <= review->frames[review->count - 1]->info.id)
        return -EINVAL;
    struct review_frame *frame = calloc(1, sizeof(*frame));
    if (!frame)
        return -ENOMEM;
    frame->info = *info;
    frame->record_bytes = record_bytes;
    review->frames[review->count++] = frame;
    review->revision++;
    return 0;
}

size_t review_count(const struct review *review)
{
    return review->count;
}

static struct review_frame *find(struct review *review, size_t index)
{
    return index < review->count ? review->frames[index] : NULL;
}

const struct review_frame *review_frame(const struct review *review, size_t index)
{
    return index < review->count ? review->frames[index] : NULL;
}

struct review_totals review_totals(const struct review *review)
{
    struct review_totals totals = {.frames = review->count};
    for (size_t i = 0; i < review->count; i++) {
        const struct review_frame *frame = review->frames[i];
        const struct locked_bytes *image = review_image(frame);
        totals.merged += frame->info.merged;
        if (frame->state == REVIEW_LOST) {
            totals.lost++;
        } else if (frame->dropped) {
            totals.dropped++;
        } else {
            totals.kept++;
            totals.waiting += frame->state != REVIEW_READY;
            totals.image_bytes += image ? image->length : 0;
        }
    }
    return totals;
}

int review_drop(struct review *review, size_t index, bool dropped)
{
    struct review_frame *frame = find(review, index);
    if (!frame)
        return REVIEW_NO_FRAME;
    if (frame->state == REVIEW_LOST)
        return REVIEW_LOST_FRAME;
    review->revision += frame->dropped != dropped;
    frame->dropped = dropped;
    return 0;
}

/* The redactions of an encoded frame have changed. */
static void redo(struct review *review, struct review_frame *frame)
{
    review->revision++;
    frame->generation++;
    locked_bytes_clear(&frame->redacted);
    if (frame->state == REVIEW_READY || frame->state == REVIEW_REDO)
        frame->state = frame->redaction_count ? REVIEW_REDO : REVIEW_READY;
}

int review_redact(struct review *review, size_t index, const struct rectangle *area)
{
    struct review_frame *frame = find(review, index);
    if (!frame)
        return REVIEW_NO_FRAME;
    if (frame->state == REVIEW_LOST)
        return REVIEW_LOST_FRAME;
    if (area->width == 0 || area->height == 0 || area->x >= frame->info.width ||
        area->y >= frame->info.height)
        return REVIEW_OUTSIDE;
    if (frame->redaction_count == REVIEW_REDACTIONS_MAX)
        return REVIEW_FULL;
    frame->redactions[frame->redaction_count++] = *area;
    redo(review, frame);
    return 0;
}

int review_unredact(struct review *review, size_t index)
{
    struct review_frame *frame = find(review, index);
    if (!frame)
        return REVIEW_NO_FRAME;
    if (frame->redaction_count == 0)
        return REVIEW_OUTSIDE;
    frame->redaction_count--;
    redo(review, frame);
    return 0;
}

int review_withhold_title(struct review *review, size_t index, bool withheld)
{
    struct review_frame *frame = find(review, index);
    if (!frame)
        return REVIEW_NO_FRAME;
    review->revision += frame->title_withheld != withheld;
    frame->title_withheld = withheld;
    return 0;
}

bool review_title_goes(const struct review_frame *frame)
{
    return !frame->title_withheld && !(frame->info.flags & FRAME_TITLE_WITHHELD);
}

int review_describe(struct review *review, const char *text, size_t length)
{
    struct locked_bytes description = {0};
    if (length > REVIEW_DESCRIPTION_MAX)
        return REVIEW_FULL;
    int result = locked_bytes_append(&description, text, length);
    if (result)
        return result;
    locked_bytes_clear(&review->description);
    review->description = description;
    review->revision++;
    return 0;
}

const char *review_description(const struct review *review, size_t *length)
{
    *length = review->description.length;
    return review->description.data ? (const char *)review->description.data : "";
}

int review_set_image(struct review *review, size_t index, uint32_t generation,
                     struct locked_bytes *image)
{
    struct review_frame *frame = find(review, index);
    int result = !frame ? REVIEW_NO_FRAME : 0;
    if (frame && generation == 0 && frame->state == REVIEW_LISTED) {
        frame->original = locked_bytes_take(image);
        frame->state = frame->redaction_count ? REVIEW_REDO : REVIEW_READY;
    } else if (frame && generation == frame->generation && frame->state == REVIEW_REDO) {
        frame->redacted = locked_bytes_take(image);
        frame->state = REVIEW_READY;
    } else if (frame) {
        result = REVIEW_STALE;
    }
    locked_bytes_clear(image);
    return result;
}

void review_lose(struct review *review, size_t index)
{
    struct review_frame *frame = find(review, index);
    if (!frame || frame->state != REVIEW_LISTED)
        return;
    frame->state = REVIEW_LOST;
    review->revision++;
}

const struct locked_bytes *review_image(const struct review_frame *frame)
{
    if (frame->dropped || frame->state != REVIEW_READY)
        return NULL;
    return frame->redaction_count ? &frame->redacted : &frame->original;
}

bool review_complete(const struct review *review)
{
    return review_totals(review).waiting == 0;
}

void review_mark_sealed(struct review *review)
{
    review->sealed_revision = review->revision;
}

bool review_sealed_is_current(const struct review *review)
{
    return review->sealed_revision == review->revision;
}
