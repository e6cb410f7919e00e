#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "encode.h"

/* A writer with its picture, and a reader. */
struct ends {
    struct frame_encoder *encoder;
    struct frame_canvas *canvas;
    uint16_t width, height;
    size_t stride;
    uint8_t *pixels, *previous, *record;
    size_t capacity, length;
    struct frame_info info;
};

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252ULL; /* xorshift64 (Marsaglia 2003) */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void ends_size(struct ends *e, uint16_t width, uint16_t height, size_t padding)
{
    e->width = width;
    e->height = height;
    e->stride = (size_t)width * 4 + padding;
    e->capacity = frame_encode_bound(width, height);
    free(e->pixels);
    free(e->previous);
    free(e->record);
    e->pixels = calloc(height, e->stride);
    e->previous = calloc(height, (size_t)width * 4);
    e->record = malloc(e->capacity);
    e->info.width = width;
    e->info.height = height;
    e->info.kind = FRAME_KEY;
}

static struct ends *ends_new(uint16_t width, uint16_t height, size_t padding)
{
    struct ends *e = calloc(1, sizeof(*e));
    assert_int_equal(frame_encoder_new(&e->encoder), 0);
    assert_int_equal(frame_canvas_new(&e->canvas), 0);
    ends_size(e, width, height, padding);
    e->info.trigger = FRAME_TRIGGER_BUTTON;
    e->info.id = 1;
    return e;
}

static void ends_free(struct ends *e)
{
    frame_encoder_free(e->encoder);
    frame_canvas_free(e->canvas);
    free(e->pixels);
    free(e->previous);
    free(e->record);
    free(e);
}

static void write_record(struct ends *e)
{
    assert_int_equal(frame_encode(e->encoder, &e->info, e->pixels, e->stride, e->previous,
                                  e->record, e->capacity, &e->length),
                     FRAME_OK);
}

/* The record is handed over in memory of exactly its size, so that AddressSanitizer sees an
 * overrun. */
static int read_record(struct ends *e, struct frame_info *info)
{
    uint8_t *exact = malloc(e->length);
    memcpy(exact, e->record, e->length);
    int outcome = frame_canvas_apply(e->canvas, exact, e->length, info);
    free(exact);
    return outcome;
}

static void next_is_delta(struct ends *e)
{
    e->info.kind = FRAME_DELTA;
    e->info.base = e->info.id++;
}

static void pass_on(struct ends *e)
{
    struct frame_info got;
    write_record(e);
    assert_int_equal(read_record(e, &got), FRAME_OK);
    assert_memory_equal(&got, &e->info, sizeof(got));
    for (size_t y = 0; y < e->height; y++) {
        size_t row = (size_t)e->width * 4;
        assert_memory_equal(e->canvas->pixels + y * row, e->pixels + y * e->stride, row);
        assert_memory_equal(e->previous + y * row, e->pixels + y * e->stride, row);
    }
    next_is_delta(e);
}

static void paint(struct ends *e, size_t x, size_t y, size_t width, size_t height)
{
    for (size_t row = y; row < y + height; row++)
        for (size_t at = x * 4; at < (x + width) * 4; at++)
            e->pixels[row * e->stride + at] = (uint8_t)next_random();
}

static void random_changes_are_rebuilt(void **state)
{
    (void)state;
    struct ends *e = ends_new(301, 211, 12);
    paint(e, 0, 0, 301, 211);
    pass_on(e);
    for (int round = 0; round < 300; round++) {
        for (uint64_t n = next_random() % 6; n > 0; n--) {
            size_t x = next_random() % 301, y = next_random() % 211;
            paint(e, x, y, next_random() % (302 - x), next_random() % (212 - y));
        }
        pass_on(e);
    }
    ends_free(e);
}

static void nothing_changed_is_a_record_without_bands(void **state)
{
    (void)state;
    struct ends *e = ends_new(64, 64, 0);
    pass_on(e);
    pass_on(e);
    assert_int_equal(e->info.bands, 0);
    assert_int_equal(e->length, FRAME_HEADER_BYTES);
    ends_free(e);
}

/* One changed pixel costs its pixel: bands are as narrow as what changed. */
static void a_cursor_costs_little(void **state)
{
    (void)state;
    struct ends *e = ends_new(1920, 1080, 0);
    paint(e, 0, 0, 1920, 1080);
    pass_on(e);
    paint(e, 1919, 1079, 1, 1);
    paint(e, 700, 500, 2, 14);
    pass_on(e);
    assert_int_equal(e->info.bands, 2);
    assert_true(e->length < 400);
    ends_free(e);
}

static void the_size_changes_with_a_key_frame(void **state)
{
    (void)state;
    struct ends *e = ends_new(100, 80, 0);
    paint(e, 0, 0, 100, 80);
    pass_on(e);
    ends_size(e, 333, 222, 4);
    e->info.base = 0;
    paint(e, 0, 0, 333, 222);
    pass_on(e);
    ends_size(e, 1, 1, 0);
    e->info.base = 0;
    pass_on(e);
    ends_size(e, FRAME_SIDE_MAX, 3, 0);
    e->info.base = 0;
    paint(e, 0, 0, FRAME_SIDE_MAX, 3);
    pass_on(e);
    ends_free(e);
}

static void a_delta_fits_only_its_base(void **state)
{
    (void)state;
    struct ends *e = ends_new(40, 30, 0);
    struct frame_info got;
    struct frame_canvas *other = NULL;
    assert_int_equal(frame_canvas_new(&other), 0);
    pass_on(e);
    assert_int_equal(frame_canvas_copy(other, e->canvas), 0);
    pass_on(e);
    write_record(e);
    assert_int_equal(frame_canvas_apply(other, e->record, e->length, &got), FRAME_MISMATCH);
    assert_int_equal(other->id, 1);
    other->id = 0;
    assert_int_equal(frame_canvas_apply(other, e->record, e->length, &got), FRAME_MISMATCH);
    assert_int_equal(read_record(e, &got), FRAME_OK);
    frame_canvas_free(other);
    ends_free(e);
}

static void the_writer_checks_its_space(void **state)
{
    (void)state;
    struct ends *e = ends_new(16, 16, 0);
    size_t length;
    assert_int_equal(frame_encode(e->encoder, &e->info, e->pixels, e->stride, e->previous,
                                  e->record, e->capacity - 1, &length),
                     FRAME_TOO_LARGE);
    e->info.id = 0;
    assert_int_equal(frame_encode(e->encoder, &e->info, e->pixels, e->stride, e->previous,
                                  e->record, e->capacity, &length),
                     FRAME_MALFORMED);
    ends_free(e);
}

/* Whatever is changed in a record, the reader stays within it and either reads or refuses it. */
static void hostile_records_are_survived(void **state)
{
    (void)state;
    struct ends *e = ends_new(50, 40, 0);
    struct frame_info got;
    unsigned refused = 0;
    paint(e, 10, 10, 30, 20);
    write_record(e);
    for (size_t at = 0; at < e->length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            e->record[at] ^= (uint8_t)(1U << bit);
            int outcome = read_record(e, &got);
            assert_true(outcome >= 0);
            refused += outcome != FRAME_OK;
            assert_int_equal(e->canvas->id != 0, outcome == FRAME_OK || outcome == FRAME_MISMATCH);
            e->canvas->id = 0;
            e->record[at] ^= (uint8_t)(1U << bit);
        }
    }
    assert_true(refused > 0);
    size_t whole = e->length;
    for (e->length = 1; e->length < whole; e->length++)
        assert_int_equal(read_record(e, &got), FRAME_MALFORMED);
    ends_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_are_rebuilt),
        cmocka_unit_test(nothing_changed_is_a_record_without_bands),
        cmocka_unit_test(a_cursor_costs_little),
        cmocka_unit_test(the_size_changes_with_a_key_frame),
        cmocka_unit_test(a_delta_fits_only_its_base),
        cmocka_unit_test(the_writer_checks_its_space),
        cmocka_unit_test(hostile_records_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
