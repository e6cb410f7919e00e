#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "little_endian.h"
#include "record.h"

static struct frame_info example(void)
{
    struct frame_info info = {.kind = FRAME_DELTA,
                              .trigger = FRAME_TRIGGER_FUNCTION,
                              .trigger_detail = 5,
                              .flags = FRAME_BLANKED,
                              .id = 0x0102030405060708,
                              .base = 0x0102030405060707,
                              .time_ms = 1700000000123,
                              .merged = 7,
                              .width = 3000,
                              .height = 1080,
                              .monitor_count = 2,
                              .monitors = {{0, 0, 1920, 1080}, {1920, 56, 1080, 1024}},
                              .title_length = 5,
                              .title = "hello"};
    return info;
}

static void a_head_survives_the_way(void **state)
{
    (void)state;
    struct frame_info info = example(), got;
    uint8_t head[FRAME_HEAD_MAX];
    size_t length = 0;
    assert_int_equal(frame_head_write(&info, head, sizeof(head), &length), FRAME_OK);
    assert_int_equal(length, FRAME_HEADER_BYTES + 2 * FRAME_MONITOR_BYTES + 5);
    assert_memory_equal(head, "CLFR\x01\x02\x04\x02\x08\x07\x06\x05\x04\x03\x02\x01", 16);
    assert_int_equal(frame_head_read(head, length, &got), FRAME_OK);
    assert_memory_equal(&got, &info, sizeof(got));
    assert_int_equal(frame_head_write(&info, head, length - 1, &length), FRAME_TOO_LARGE);
}

static void refuses_a_head_of_any_other_length(void **state)
{
    (void)state;
    struct frame_info info = example(), got;
    uint8_t head[FRAME_HEAD_MAX + 1] = {0};
    size_t length = 0;
    assert_int_equal(frame_head_write(&info, head, sizeof(head), &length), FRAME_OK);
    for (size_t cut = 0; cut < sizeof(head); cut++)
        if (cut != length)
            assert_int_equal(frame_head_read(head, cut, &got), FRAME_MALFORMED);
}

/* What each field must not be. */
static void refuses_nonsense(void **state)
{
    (void)state;
    struct nonsense {
        size_t at;
        uint8_t value;
    } cases[] = {
        {0, 'X'},   {4, 2},     {5, 0},   {5, 3},
        {6, 0},     {6, 5},     {7, 4},   {7, 3}, /* a title that is withheld and there */
        {37, 0x80}, {39, 0x80}, {44, 17}, {44, 0xff},
        {45, 2},    {46, 1},    {63, 5}, /* a monitor that ends outside */
        {8, 7},                          /* a delta of itself */
        {43, 0xff}, {72, 0x1b},
    };
    struct frame_info info = example(), got;
    uint8_t head[FRAME_HEAD_MAX];
    size_t length = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(frame_head_write(&info, head, sizeof(head), &length), FRAME_OK);
        assert_int_equal(frame_head_read(head, length, &got), FRAME_OK);
        head[cases[i].at] = cases[i].value;
        if (frame_head_read(head, length, &got) != FRAME_MALFORMED)
            fail_msg("case %zu was read", i);
    }
}

/* A record of two bands, 2 x 1 pixels each, whose blocks are not looked at here. */
static size_t two_bands(uint8_t *record, size_t capacity, struct frame_band bands[2])
{
    struct frame_info info = example();
    info.bands = 2;
    info.band_bytes = 2 * (FRAME_BAND_HEADER + 9);
    size_t length = 0;
    assert_int_equal(frame_head_write(&info, record, capacity, &length), FRAME_OK);
    for (size_t i = 0; i < 2; i++) {
        frame_band_write(record + length, &bands[i]);
        memset(record + length + FRAME_BAND_HEADER, 0, 9);
        length += FRAME_BAND_HEADER + 9;
    }
    return length;
}

static int reads(struct frame_band first, struct frame_band second)
{
    uint8_t record[1024];
    struct frame_info got;
    size_t length = two_bands(record, sizeof(record), (struct frame_band[]){first, second});
    return frame_record_read(record, length, &got) == FRAME_OK;
}

static void bands_must_add_up(void **state)
{
    (void)state;
    struct frame_band good = {.x = 2998, .y = 3, .width = 2, .height = 1, .packed_length = 9};
    struct frame_band below = good, band;
    below.y = 4;
    assert_true(reads(good, below));
    assert_false(reads(below, good));
    assert_false(reads(good, good));
    band = below, band.x = 2999;
    assert_false(reads(good, band));
    band = below, band.x = 3001;
    assert_false(reads(good, band));
    band = below, band.width = 0;
    assert_false(reads(good, band));
    band = below, band.height = 0;
    assert_false(reads(good, band));
    band = below, band.y = 1079, band.height = 2;
    assert_false(reads(good, band));
    band = below, band.y = 1081;
    assert_false(reads(good, band));
    band = below, band.packed_length = 8;
    assert_false(reads(good, band));
    band = below, band.packed_length = 10;
    assert_false(reads(good, band));
    band = below, band.packed_length = 0xffffffff;
    assert_false(reads(good, band));
    band = below, band.packed_length = 0;
    assert_false(reads(good, band));
    band = below, band.x = 0, band.width = 2000, band.height = 33; /* above FRAME_BAND_BYTES */
    assert_false(reads(good, band));
    band.height = 32;
    assert_true(reads(good, band));
}

static void a_record_ends_where_it_says(void **state)
{
    (void)state;
    struct frame_band bands[2] = {{.y = 3, .width = 2, .height = 1, .packed_length = 9},
                                  {.y = 4, .width = 2, .height = 1, .packed_length = 9}};
    uint8_t record[1024] = {0};
    struct frame_info got;
    size_t length = two_bands(record, sizeof(record), bands);
    assert_int_equal(frame_record_read(record, length, &got), FRAME_OK);
    assert_int_equal(frame_record_length(&got), length);
    for (size_t cut = 0; cut < length + 64; cut++)
        if (cut != length)
            assert_int_equal(frame_record_read(record, cut, &got), FRAME_MALFORMED);
    le_put32(record + 48, 3);
    assert_int_equal(frame_record_read(record, length, &got), FRAME_MALFORMED);
    le_put32(record + 48, 1);
    assert_int_equal(frame_record_read(record, length, &got), FRAME_MALFORMED);
}

static void a_key_frame_covers_everything(void **state)
{
    (void)state;
    struct frame_info info = example(), got;
    info.kind = FRAME_KEY;
    info.base = 0;
    info.width = 2, info.height = 3;
    info.monitor_count = 0;
    info.bands = 1;
    info.band_bytes = FRAME_BAND_HEADER + 4;
    uint8_t record[512] = {0};
    for (uint16_t y = 0; y < 2; y++) {
        for (uint16_t width = 1; width <= 2; width++) {
            size_t length = 0;
            struct frame_band band = {
                .y = y, .width = width, .height = (uint16_t)(3 - y), .packed_length = 4};
            assert_int_equal(frame_head_write(&info, record, sizeof(record), &length), FRAME_OK);
            frame_band_write(record + length, &band);
            int whole = y == 0 && width == 2;
            assert_int_equal(frame_record_read(record, length + info.band_bytes, &got),
                             whole ? FRAME_OK : FRAME_MALFORMED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_survives_the_way),
        cmocka_unit_test(refuses_a_head_of_any_other_length),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(bands_must_add_up),
        cmocka_unit_test(a_record_ends_where_it_says),
        cmocka_unit_test(a_key_frame_covers_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
