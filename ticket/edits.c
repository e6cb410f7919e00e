#include "edits.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "frame_id.h"
#include "selection.h"

#define ID_PREFIX "id:"

static int complain(char *complaint, size_t capacity, const char *value, const char *what)
{
    snprintf(complaint, capacity, "\"%s\": %s", value, what);
    return 1;
}

static const char *selection_words(int outcome)
{
    return outcome == SELECTION_RANGE ? "there is no such frame" : "not of the form that is needed";
}

/* Drops, keeps or withholds the titles of chosen frames; lost ones are passed over. */
static void apply_choice(struct review *review, enum option_edit_kind kind, const bool *chosen)
{
    for (size_t i = 0; i < review_count(review); i++) {
        if (kind == OPTION_NO_TITLE && chosen[i])
            review_withhold_title(review, i, true);
        else if (kind == OPTION_DROP && chosen[i])
            review_drop(review, i, true);
        else if (kind == OPTION_KEEP)
            review_drop(review, i, !chosen[i]);
    }
}

static const char *id_words(int outcome)
{
    switch (outcome) {
    case FRAME_ID_GONE:
        return "that frame is forgotten; list the frames again";
    case FRAME_ID_UNKNOWN:
        return "there is no frame of that id; list the frames again";
    default:
        return "not an id of a frame, as \"17@1763807000123\"";
    }
}

bool edits_name_ids(const char *value)
{
    return strncmp(value, ID_PREFIX, strlen(ID_PREFIX)) == 0;
}

/* "id:1@2,id:3@4". A frame that is forgotten cannot be sent, so there is nothing to choose. */
static int choose_ids(bool *chosen, const struct review *review, const char *value)
{
    for (;;) {
        size_t index;
        if (!edits_name_ids(value))
            return FRAME_ID_FORM;
        value += strlen(ID_PREFIX);
        size_t length = strcspn(value, ",");
        int result = frame_id_find(&index, review, value, length);
        if (result && result != FRAME_ID_GONE)
            return result;
        if (!result)
            chosen[index] = true;
        if (!value[length])
            return 0;
        value += length + 1;
    }
}

/* Reads "3:1,2,3,4" or "id:17@5:1,2,3,4". Returns NULL or why it cannot be. */
static const char *read_redaction(size_t *index, struct rectangle *area,
                                  const struct review *review, const char *value)
{
    if (!edits_name_ids(value)) {
        int result = selection_redaction(index, area, review_count(review), value);
        return result ? selection_words(result) : NULL;
    }
    value += strlen(ID_PREFIX);
    size_t length = strcspn(value, ":");
    if (!value[length] || selection_rectangle(area, value + length + 1))
        return selection_words(SELECTION_FORM);
    int result = frame_id_find(index, review, value, length);
    if (result == FRAME_ID_GONE)
        *index = SIZE_MAX;
    return result && result != FRAME_ID_GONE ? id_words(result) : NULL;
}

static int apply_redaction(struct review *review, const char *value, char *complaint,
                           size_t capacity)
{
    size_t index;
    struct rectangle area;
    const char *why = read_redaction(&index, &area, review, value);
    if (why)
        return complain(complaint, capacity, value, why);
    if (index == SIZE_MAX)
        return 0; /* it is forgotten: nothing to blacken, nothing to send */
    switch (review_redact(review, index, &area)) {
    case 0:
        return 0;
    case REVIEW_OUTSIDE:
        return complain(complaint, capacity, value, "the rectangle lies outside the frame");
    case REVIEW_LOST_FRAME:
        return complain(complaint, capacity, value, "the frame is lost");
    default:
        return complain(complaint, capacity, value, "too many rectangles");
    }
}

int edits_apply(struct review *review, const struct option_edit *edit, char *complaint,
                size_t capacity)
{
    bool chosen[REVIEW_FRAMES_MAX] = {false};
    if (edit->kind == OPTION_REDACT)
        return apply_redaction(review, edit->value, complaint, capacity);
    bool ids = edits_name_ids(edit->value);
    int result = ids ? choose_ids(chosen, review, edit->value)
                     : selection_parse(chosen, review_count(review), edit->value);
    if (result)
        return complain(complaint, capacity, edit->value,
                        ids ? id_words(result) : selection_words(result));
    apply_choice(review, edit->kind, chosen);
    return 0;
}

int edits_until(struct review *review, const char *id, char *complaint, size_t capacity)
{
    size_t last;
    const char *name = edits_name_ids(id) ? id + strlen(ID_PREFIX) : id;
    int result = frame_id_find(&last, review, name, strlen(name));
    if (result)
        return complain(complaint, capacity, id, id_words(result));
    for (size_t i = last + 1; i < review_count(review); i++)
        review_drop(review, i, true);
    return 0;
}
