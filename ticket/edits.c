#include "edits.h"

#include <stdio.h>
#include <string.h>

#include "selection.h"

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

static int apply_redaction(struct review *review, const char *value, char *complaint,
                           size_t capacity)
{
    size_t index;
    struct rectangle area;
    int result = selection_redaction(&index, &area, review_count(review), value);
    if (result)
        return complain(complaint, capacity, value, selection_words(result));
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
    int result = selection_parse(chosen, review_count(review), edit->value);
    if (result)
        return complain(complaint, capacity, edit->value, selection_words(result));
    apply_choice(review, edit->kind, chosen);
    return 0;
}
