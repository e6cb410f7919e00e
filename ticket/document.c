#include "document.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bundle.h"
#include "frame_id.h"
#include "json_write.h"

void document_trigger(char out[24], const struct frame_info *info)
{
    switch (info->trigger) {
    case FRAME_TRIGGER_BUTTON:
        snprintf(out, 24, "button %u", info->trigger_detail);
        return;
    case FRAME_TRIGGER_RETURN:
        snprintf(out, 24, "return");
        return;
    case FRAME_TRIGGER_KEYPAD_ENTER:
        snprintf(out, 24, "keypad enter");
        return;
    case FRAME_TRIGGER_FUNCTION:
        snprintf(out, 24, "f%u", info->trigger_detail);
        return;
    }
    snprintf(out, 24, "unknown");
}

static void put_rectangle(struct json_write *json, uint32_t x, uint32_t y, uint32_t width,
                          uint32_t height)
{
    json_begin(json, NULL, '{');
    json_number(json, "x", x);
    json_number(json, "y", y);
    json_number(json, "width", width);
    json_number(json, "height", height);
    json_end(json, '}');
}

static void put_rectangles(struct json_write *json, const struct review_frame *frame)
{
    json_begin(json, "redactions", '[');
    for (size_t i = 0; i < frame->redaction_count; i++) {
        const struct rectangle *area = &frame->redactions[i];
        put_rectangle(json, area->x, area->y, area->width, area->height);
    }
    json_end(json, ']');
    json_begin(json, "monitors", '[');
    for (size_t i = 0; i < frame->info.monitor_count; i++) {
        const struct frame_monitor *monitor = &frame->info.monitors[i];
        put_rectangle(json, monitor->x, monitor->y, monitor->width, monitor->height);
    }
    json_end(json, ']');
}

/* The members of a frame that go into the bundle and into lists alike. */
static void put_frame(struct json_write *json, const struct review_frame *frame)
{
    char trigger[24];
    document_trigger(trigger, &frame->info);
    json_number(json, "time_ms", frame->info.time_ms);
    json_text(json, "trigger", trigger, strlen(trigger));
    if (review_title_goes(frame))
        json_text(json, "title", frame->info.title, frame->info.title_length);
    json_bool(json, "title_withheld", !review_title_goes(frame));
    json_bool(json, "blanked", (frame->info.flags & FRAME_BLANKED) != 0);
    json_number(json, "width", frame->info.width);
    json_number(json, "height", frame->info.height);
    json_number(json, "merged", frame->info.merged);
    put_rectangles(json, frame);
}

static void frame_name(char out[24], size_t number)
{
    snprintf(out, 24, "frames/%04zu.webp", number);
}

static void put_kept_frames(struct json_write *json, const struct review *review)
{
    char name[24];
    size_t number = 0;
    json_begin(json, "frames", '[');
    for (size_t i = 0; i < review_count(review); i++) {
        const struct review_frame *frame = review_frame(review, i);
        const struct locked_bytes *image = review_image(frame);
        if (!image)
            continue;
        frame_name(name, ++number);
        json_begin(json, NULL, '{');
        json_text(json, "file", name, strlen(name));
        json_number(json, "bytes", image->length);
        put_frame(json, frame);
        json_end(json, '}');
    }
    json_end(json, ']');
}

static void put_facts(struct json_write *json, const struct document_facts *facts)
{
    char ticket[2 * DOCUMENT_TICKET_BYTES + 1];
    sodium_bin2hex(ticket, sizeof(ticket), facts->ticket, sizeof(facts->ticket));
    json_text(json, "ticket", ticket, strlen(ticket));
    json_number(json, "opened_time_ms", facts->opened_time_ms);
    json_bool(json, "auto_consent", facts->auto_consent);
    json_text(json, "capture", facts->capture_state, strlen(facts->capture_state));
}

static int make_json(struct locked_bytes *out, const struct review *review,
                     const struct document_facts *facts)
{
    struct json_write json = {0};
    struct review_totals totals = review_totals(review);
    size_t length;
    const char *description = review_description(review, &length);
    json_begin(&json, NULL, '{');
    json_text(&json, "format", "cloister-ticket/1", 17);
    json_text(&json, "version", CLOISTER_VERSION, strlen(CLOISTER_VERSION));
    put_facts(&json, facts);
    json_number(&json, "sealed_time_ms", facts->sealed_time_ms);
    json_text(&json, "description", description, length);
    json_number(&json, "dropped", totals.dropped);
    json_number(&json, "lost", totals.lost);
    json_number(&json, "merged", totals.merged);
    put_kept_frames(&json, review);
    json_end(&json, '}');
    return json_write_finish(&json, out);
}

static int add_frames(struct bundle *bundle, const struct review *review)
{
    char name[24];
    size_t number = 0;
    int result = 0;
    for (size_t i = 0; i < review_count(review) && !result; i++) {
        const struct review_frame *frame = review_frame(review, i);
        const struct locked_bytes *image = review_image(frame);
        if (!image)
            continue;
        frame_name(name, ++number);
        result = bundle_add(bundle, name, image->data, image->length, frame->info.time_ms);
    }
    return result;
}

static int fill(struct bundle *bundle, const struct review *review,
                const struct document_facts *facts)
{
    struct locked_bytes json;
    size_t length;
    const char *description = review_description(review, &length);
    int result = make_json(&json, review, facts);
    if (!result)
        result = bundle_add(bundle, "ticket.json", json.data, json.length, facts->sealed_time_ms);
    if (!result)
        result = bundle_add(bundle, "description.txt", description, length, facts->sealed_time_ms);
    if (!result)
        result = add_frames(bundle, review);
    locked_bytes_clear(&json);
    return result;
}

int document_seal(struct chunk_list **out, struct review *review,
                  const struct document_facts *facts, const struct age_recipient *recipients,
                  size_t recipient_count)
{
    struct bundle *bundle;
    if (!review_complete(review))
        return DOCUMENT_NOT_READY;
    int result = bundle_new(&bundle, recipients, recipient_count, facts->max_bytes);
    if (result)
        return result;
    result = fill(bundle, review, facts);
    if (!result)
        result = bundle_finish(bundle, out);
    bundle_free(bundle);
    if (!result)
        review_mark_sealed(review);
    return result;
}

static const char *state_word(const struct review_frame *frame)
{
    if (frame->state == REVIEW_LOST)
        return "lost";
    return frame->dropped ? "dropped" : "kept";
}

int document_list(struct locked_bytes *out, const struct review *review,
                  const struct document_facts *facts)
{
    struct json_write json = {0};
    json_begin(&json, NULL, '{');
    put_facts(&json, facts);
    json_begin(&json, "frames", '[');
    for (size_t i = 0; i < review_count(review); i++) {
        const struct review_frame *frame = review_frame(review, i);
        const char *state = state_word(frame);
        char id[FRAME_ID_BYTES];
        json_begin(&json, NULL, '{');
        json_number(&json, "number", i + 1);
        frame_id_write(id, &frame->info);
        json_text(&json, "id", id, strlen(id));
        json_text(&json, "state", state, strlen(state));
        json_number(&json, "record_bytes", frame->record_bytes);
        put_frame(&json, frame);
        json_end(&json, '}');
    }
    json_end(&json, ']');
    json_end(&json, '}');
    return json_write_finish(&json, out);
}
