#include "review.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct frame_info info(uint64_t id)
{
    return (struct frame_info){.id = id, .width = 100, .height = 50, .kind = FRAME_KEY};
}

static struct review *with_frames(size_t count)
{
    struct review *review;
    assert_int_equal(review_new(&review), 0);
    for (size_t i = 0; i < count; i++) {
        struct frame_info one = info(10 + i);
        assert_int_equal(review_add(review, &one, 1000), 0);
    }
    return review;
}

static struct locked_bytes image(const char *text)
{
    struct locked_bytes bytes = {0};
    assert_int_equal(locked_bytes_append(&bytes, text, strlen(text)), 0);
    return bytes;
}

static int set_image(struct review *review, size_t index, uint32_t generation, const char *text)
{
    struct locked_bytes bytes = image(text);
    int result = review_set_image(review, index, generation, &bytes);
    assert_null(bytes.data);
    return result;
}

static void frames_come_in_order(void **state)
{
    (void)state;
    struct review *review = with_frames(3);
    struct frame_info again = info(12), later = info(13);
    assert_int_equal(review_add(review, &again, 1), -EINVAL);
    assert_int_equal(review_add(review, &later, 1), 0);
    assert_int_equal(review_count(review), 4);
    assert_int_equal(review_frame(review, 3)->info.id, 13);
    assert_null(review_frame(review, 4));
    review_free(review);
}

static void frames_are_bounded(void **state)
{
    (void)state;
    struct review *review = with_frames(REVIEW_FRAMES_MAX);
    struct frame_info more = info(1000000);
    assert_int_equal(review_add(review, &more, 1), REVIEW_FULL);
    review_free(review);
}

static void totals_follow_decisions(void **state)
{
    (void)state;
    struct review *review = with_frames(4);
    assert_int_equal(set_image(review, 0, 0, "12345"), 0);
    assert_int_equal(set_image(review, 1, 0, "1234567"), 0);
    assert_int_equal(review_drop(review, 1, true), 0);
    review_lose(review, 2);
    struct review_totals totals = review_totals(review);
    assert_int_equal(totals.frames, 4);
    assert_int_equal(totals.kept, 2);
    assert_int_equal(totals.dropped, 1);
    assert_int_equal(totals.lost, 1);
    assert_int_equal(totals.waiting, 1);
    assert_int_equal(totals.image_bytes, 5);
    assert_false(review_complete(review));
    assert_int_equal(set_image(review, 3, 0, "1"), 0);
    assert_true(review_complete(review));
    assert_null(review_image(review_frame(review, 1)));
    assert_non_null(review_image(review_frame(review, 3)));
    review_free(review);
}

static void redaction_replaces_the_image(void **state)
{
    (void)state;
    struct review *review = with_frames(1);
    const struct review_frame *frame = review_frame(review, 0);
    struct rectangle area = {1, 2, 3, 4};
    assert_int_equal(set_image(review, 0, 0, "original"), 0);
    assert_int_equal(review_redact(review, 0, &area), 0);
    assert_int_equal(frame->state, REVIEW_REDO);
    /* The unredacted image must not be what goes. */
    assert_null(review_image(frame));
    assert_int_equal(review_redact(review, 0, &area), 0);
    /* An image of the first rectangle alone comes too late. */
    assert_int_equal(set_image(review, 0, 1, "one rectangle"), REVIEW_STALE);
    assert_null(review_image(frame));
    assert_int_equal(set_image(review, 0, 2, "redacted"), 0);
    assert_memory_equal(review_image(frame)->data, "redacted", 8);
    assert_int_equal(review_unredact(review, 0), 0);
    assert_null(review_image(frame));
    assert_int_equal(review_unredact(review, 0), 0);
    assert_memory_equal(review_image(frame)->data, "original", 8);
    assert_int_equal(review_unredact(review, 0), REVIEW_OUTSIDE);
    review_free(review);
}

/* Redacted before its first image came: the original alone does not make it ready. */
static void early_redaction_holds(void **state)
{
    (void)state;
    struct review *review = with_frames(1);
    struct rectangle area = {0, 0, 5, 5};
    assert_int_equal(review_redact(review, 0, &area), 0);
    assert_int_equal(set_image(review, 0, 0, "original"), 0);
    assert_int_equal(review_frame(review, 0)->state, REVIEW_REDO);
    assert_null(review_image(review_frame(review, 0)));
    assert_false(review_complete(review));
    review_free(review);
}

static void rectangles_are_checked(void **state)
{
    (void)state;
    struct review *review = with_frames(1);
    static const struct rectangle bad[] = {
        {0, 0, 0, 5}, {0, 0, 5, 0}, {100, 0, 5, 5}, {0, 50, 5, 5}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(review_redact(review, 0, &bad[i]), REVIEW_OUTSIDE);
    struct rectangle good = {99, 49, UINT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < REVIEW_REDACTIONS_MAX; i++)
        assert_int_equal(review_redact(review, 0, &good), 0);
    assert_int_equal(review_redact(review, 0, &good), REVIEW_FULL);
    assert_int_equal(review_redact(review, 1, &good), REVIEW_NO_FRAME);
    assert_int_equal(review_unredact(review, 1), REVIEW_NO_FRAME);
    assert_int_equal(review_drop(review, 1, true), REVIEW_NO_FRAME);
    review_free(review);
}

static void lost_frames_stay_lost(void **state)
{
    (void)state;
    struct review *review = with_frames(2);
    struct rectangle area = {0, 0, 5, 5};
    review_lose(review, 0);
    assert_int_equal(set_image(review, 0, 0, "late"), REVIEW_STALE);
    assert_int_equal(review_drop(review, 0, true), REVIEW_LOST_FRAME);
    assert_int_equal(review_redact(review, 0, &area), REVIEW_LOST_FRAME);
    /* What is encoded already is here, whatever capture forgets. */
    assert_int_equal(set_image(review, 1, 0, "here"), 0);
    review_lose(review, 1);
    assert_int_equal(review_frame(review, 1)->state, REVIEW_READY);
    review_free(review);
}

static void every_change_voids_the_seal(void **state)
{
    (void)state;
    struct review *review = with_frames(2);
    struct rectangle area = {0, 0, 5, 5};
    assert_int_equal(set_image(review, 0, 0, "a"), 0);
    assert_false(review_sealed_is_current(review));
#define VOIDED_BY(change)                                                                          \
    do {                                                                                           \
        review_mark_sealed(review);                                                                \
        assert_true(review_sealed_is_current(review));                                             \
        change;                                                                                    \
        assert_false(review_sealed_is_current(review));                                            \
    } while (0)
    VOIDED_BY(review_drop(review, 0, true));
    VOIDED_BY(review_drop(review, 0, false));
    VOIDED_BY(review_redact(review, 0, &area));
    VOIDED_BY(review_unredact(review, 0));
    VOIDED_BY(review_withhold_title(review, 0, true));
    VOIDED_BY(review_describe(review, "x", 1));
    VOIDED_BY(review_lose(review, 1));
    struct frame_info more = info(500);
    VOIDED_BY(review_add(review, &more, 1));
    /* What changes nothing voids nothing. */
    review_mark_sealed(review);
    review_drop(review, 0, false);
    review_withhold_title(review, 0, true);
    assert_true(review_sealed_is_current(review));
    review_free(review);
}

static void titles_are_withheld(void **state)
{
    (void)state;
    struct review *review;
    assert_int_equal(review_new(&review), 0);
    struct frame_info open = info(1), denied = info(2);
    denied.flags = FRAME_TITLE_WITHHELD;
    review_add(review, &open, 1);
    review_add(review, &denied, 1);
    assert_true(review_title_goes(review_frame(review, 0)));
    assert_false(review_title_goes(review_frame(review, 1)));
    assert_int_equal(review_withhold_title(review, 0, true), 0);
    assert_int_equal(review_withhold_title(review, 1, false), 0);
    assert_false(review_title_goes(review_frame(review, 0)));
    assert_false(review_title_goes(review_frame(review, 1)));
    review_free(review);
}

static void description_is_kept_and_bounded(void **state)
{
    (void)state;
    struct review *review = with_frames(0);
    static char large[REVIEW_DESCRIPTION_MAX + 1];
    size_t length;
    assert_string_equal(review_description(review, &length), "");
    assert_int_equal(length, 0);
    assert_int_equal(review_describe(review, "broken", 6), 0);
    assert_int_equal(review_describe(review, large, sizeof(large)), REVIEW_FULL);
    assert_memory_equal(review_description(review, &length), "broken", 6);
    assert_int_equal(length, 6);
    assert_int_equal(review_describe(review, "", 0), 0);
    review_description(review, &length);
    assert_int_equal(length, 0);
    assert_null(review_free(review));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_in_order),
        cmocka_unit_test(frames_are_bounded),
        cmocka_unit_test(totals_follow_decisions),
        cmocka_unit_test(redaction_replaces_the_image),
        cmocka_unit_test(early_redaction_holds),
        cmocka_unit_test(rectangles_are_checked),
        cmocka_unit_test(lost_frames_stay_lost),
        cmocka_unit_test(every_change_voids_the_seal),
        cmocka_unit_test(titles_are_withheld),
        cmocka_unit_test(description_is_kept_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
