#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>

#include "canvas.h"
#include "encode_pool.h"
#include "image.h"

struct pipeline {
    struct review *review;
    struct encode_pool *pool;
    struct frame_canvas *encode_canvas; /* goes once from the first record to the last */
    struct frame_canvas *view_canvas;   /* goes where the user looks */
    size_t next;                        /* the first frame that was not submitted or lost */
    struct locked_bytes records[REVIEW_FRAMES_MAX];
    uint32_t submitted[REVIEW_FRAMES_MAX]; /* the generation that was submitted last */
    /* A picture that found the pool full, and which it is. */
    struct picture *held;
    size_t held_index;
    uint32_t held_generation;
};

int pipeline_new(struct pipeline **out, struct review *review, unsigned threads)
{
    struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
    if (!pipeline)
        return -ENOMEM;
    pipeline->review = review;
    int result = encode_pool_new(&pipeline->pool, threads);
    if (!result)
        result = frame_canvas_new(&pipeline->encode_canvas);
    if (!result)
        result = frame_canvas_new(&pipeline->view_canvas);
    if (result) {
        pipeline_free(pipeline);
        return result;
    }
    *out = pipeline;
    return 0;
}

static void drop_records(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->next; i++)
        locked_bytes_clear(&pipeline->records[i]);
}

struct pipeline *pipeline_free(struct pipeline *pipeline)
{
    if (!pipeline)
        return NULL;
    encode_pool_free(pipeline->pool);
    frame_canvas_free(pipeline->encode_canvas);
    frame_canvas_free(pipeline->view_canvas);
    picture_free(pipeline->held);
    for (size_t i = 0; i < REVIEW_FRAMES_MAX; i++)
        locked_bytes_clear(&pipeline->records[i]);
    free(pipeline);
    return NULL;
}

void pipeline_lose(struct pipeline *pipeline, size_t index)
{
    review_lose(pipeline->review, index);
}

/* Whether a record is the one that the listing announced: the user decided by the listing. */
static int fits(const struct review_frame *frame, const struct locked_bytes *record)
{
    struct frame_info info;
    return record->length == frame->record_bytes &&
           frame_record_read(record->data, record->length, &info) == FRAME_OK &&
           info.id == frame->info.id && info.width == frame->info.width &&
           info.height == frame->info.height && info.time_ms == frame->info.time_ms;
}

void pipeline_record(struct pipeline *pipeline, size_t index, struct locked_bytes *record)
{
    const struct review_frame *frame = review_frame(pipeline->review, index);
    if (!frame || frame->state != REVIEW_LISTED || pipeline->records[index].length) {
        locked_bytes_clear(record);
    } else if (!fits(frame, record)) {
        locked_bytes_clear(record);
        review_lose(pipeline->review, index);
    } else {
        locked_bytes_trim(record);
        pipeline->records[index] = locked_bytes_take(record);
    }
}

static int apply(struct pipeline *pipeline, struct frame_canvas *canvas, size_t index)
{
    struct frame_info info;
    const struct locked_bytes *record = &pipeline->records[index];
    return frame_canvas_apply(canvas, record->data, record->length, &info);
}

static int load(struct picture **out, const struct frame_canvas *canvas)
{
    int result = picture_new(out, canvas->width, canvas->height);
    if (!result)
        picture_load(*out, canvas->pixels, (size_t)canvas->width * 4);
    return result;
}

static void redact(struct picture *picture, const struct review_frame *frame)
{
    for (size_t i = 0; i < frame->redaction_count; i++)
        picture_redact(picture, &frame->redactions[i]);
}

static int hold(struct pipeline *pipeline, size_t index, uint32_t generation,
                struct picture *picture)
{
    pipeline->held = picture;
    pipeline->held_index = index;
    pipeline->held_generation = generation;
    pipeline->submitted[index] = generation;
    return 0;
}

/* Turns the next record into a held picture. Returns 1 if there was nothing to do. */
static int next_record(struct pipeline *pipeline)
{
    const struct review_frame *frame = review_frame(pipeline->review, pipeline->next);
    if (!frame)
        return 1;
    if (frame->state == REVIEW_LOST) {
        pipeline->next++;
        return 0;
    }
    if (pipeline->records[pipeline->next].length == 0)
        return 1;
    size_t index = pipeline->next++;
    struct picture *picture = NULL;
    int result = apply(pipeline, pipeline->encode_canvas, index);
    if (result == FRAME_OK)
        result = load(&picture, pipeline->encode_canvas);
    if (result == -ENOMEM || result == -EAGAIN || result == -EPERM)
        return -ENOMEM;
    if (result) {
        review_lose(pipeline->review, index);
        return 0;
    }
    return hold(pipeline, index, 0, picture);
}

/* Makes a held picture of a frame whose redactions have changed. Returns 1 if there is none. */
static int next_redo(struct pipeline *pipeline)
{
    for (size_t i = 0; i < review_count(pipeline->review); i++) {
        const struct review_frame *frame = review_frame(pipeline->review, i);
        if (frame->state != REVIEW_REDO || pipeline->submitted[i] == frame->generation)
            continue;
        struct picture *picture;
        int result = image_decode(&picture, frame->original.data, frame->original.length);
        if (result)
            return result < 0 ? result : -ENOMEM;
        redact(picture, frame);
        return hold(pipeline, i, frame->generation, picture);
    }
    return 1;
}

static int submit_held(struct pipeline *pipeline)
{
    int result = encode_pool_submit(pipeline->pool, (uint32_t)pipeline->held_index,
                                    pipeline->held_generation, pipeline->held);
    if (result == 0)
        pipeline->held = NULL;
    return result;
}

static int collect(struct pipeline *pipeline)
{
    struct encoded encoded;
    while (encode_pool_take(pipeline->pool, &encoded) == 0) {
        if (encoded.error)
            return encoded.error;
        review_set_image(pipeline->review, encoded.frame, encoded.generation, &encoded.image);
    }
    return 0;
}

int pipeline_step(struct pipeline *pipeline)
{
    int result = collect(pipeline);
    /* What the user has just changed goes before what merely waits its turn. */
    while (!result) {
        if (!pipeline->held) {
            result = next_redo(pipeline);
            if (result == 1)
                result = next_record(pipeline);
        }
        if (!result && pipeline->held)
            result = submit_held(pipeline);
    }
    if (pipeline->next == review_count(pipeline->review) && !pipeline->held &&
        encode_pool_pending(pipeline->pool) == 0)
        drop_records(pipeline);
    return result < 0 ? result : 0;
}

int pipeline_fd(const struct pipeline *pipeline)
{
    return encode_pool_fd(pipeline->pool);
}

/* Where to begin so as to show `index`: behind what the canvas shows, or at the last key frame. */
static size_t view_from(const struct pipeline *pipeline, size_t index)
{
    for (size_t i = index;; i--) {
        const struct review_frame *frame = review_frame(pipeline->review, i);
        if (frame->info.id == pipeline->view_canvas->id)
            return i + 1;
        if (i == 0 || frame->info.kind == FRAME_KEY)
            return i;
    }
}

static int picture_from_records(struct pipeline *pipeline, size_t index, struct picture **out)
{
    size_t from = view_from(pipeline, index);
    for (size_t i = from; i <= index; i++)
        if (pipeline->records[i].length == 0)
            return PIPELINE_NOT_YET;
    for (size_t i = from; i <= index; i++) {
        int result = apply(pipeline, pipeline->view_canvas, i);
        if (result)
            return result < 0 ? -ENOMEM : PIPELINE_NO_PICTURE;
    }
    int result = load(out, pipeline->view_canvas);
    return result == -EINVAL ? PIPELINE_NO_PICTURE : result;
}

int pipeline_picture(struct pipeline *pipeline, size_t index, struct picture **out)
{
    const struct review_frame *frame = review_frame(pipeline->review, index);
    if (!frame || frame->state == REVIEW_LOST)
        return PIPELINE_NO_PICTURE;
    struct picture *picture;
    int result = frame->state == REVIEW_LISTED
                     ? picture_from_records(pipeline, index, &picture)
                     : image_decode(&picture, frame->original.data, frame->original.length);
    if (result)
        return result < 0 ? -ENOMEM : result;
    redact(picture, frame);
    *out = picture;
    return 0;
}
