#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "listing.h"

static size_t record(uint8_t *out, size_t capacity, uint64_t id, const char *title)
{
    struct frame_info info = {.kind = FRAME_DELTA,
                              .trigger = FRAME_TRIGGER_RETURN,
                              .id = id,
                              .base = id - 1,
                              .width = 8,
                              .height = 8};
    info.title_length = (uint16_t)strlen(title);
    memcpy(info.title, title, info.title_length);
    size_t length = 0;
    assert_int_equal(frame_head_write(&info, out, capacity, &length), FRAME_OK);
    return length;
}

static void lists_in_order(void **state)
{
    (void)state;
    uint8_t one[512], listing[4096];
    size_t used = 0;
    const char *titles[] = {"first", "", "third"};
    for (uint64_t i = 0; i < 3; i++) {
        size_t length = record(one, sizeof(one), i + 2, titles[i]);
        assert_int_equal(listing_append(listing, sizeof(listing), &used, one, length), FRAME_OK);
    }
    size_t at = 0;
    for (uint64_t i = 0; i < 3; i++) {
        struct frame_info info;
        uint32_t length = 0;
        assert_int_equal(listing_next(listing, used, &at, &info, &length), FRAME_OK);
        assert_int_equal(info.id, i + 2);
        assert_string_equal(info.title, titles[i]);
        assert_int_equal(length, FRAME_HEADER_BYTES + strlen(titles[i]));
    }
    assert_int_equal(at, used);
}

static void stops_where_it_is_full(void **state)
{
    (void)state;
    uint8_t one[512], listing[LISTING_ENTRY_HEADER + FRAME_HEADER_BYTES + 1];
    size_t used = 0, length = record(one, sizeof(one), 2, "ab");
    assert_int_equal(listing_append(listing, sizeof(listing), &used, one, length), FRAME_TOO_LARGE);
    assert_int_equal(used, 0);
    assert_int_equal(listing_append(listing, sizeof(listing), &used, one, length - 1),
                     FRAME_MALFORMED);
    length = record(one, sizeof(one), 2, "a");
    assert_int_equal(listing_append(listing, sizeof(listing), &used, one, length), FRAME_OK);
    assert_int_equal(used, sizeof(listing));
}

static void refuses_every_cut_and_flip(void **state)
{
    (void)state;
    uint8_t one[512], listing[512];
    size_t used = 0, length = record(one, sizeof(one), 2, "title");
    assert_int_equal(listing_append(listing, sizeof(listing), &used, one, length), FRAME_OK);
    struct frame_info info;
    uint32_t record_length;
    for (size_t cut = 0; cut < used; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact + 1, listing, cut);
        size_t at = 1;
        assert_int_equal(listing_next(exact, cut + 1, &at, &info, &record_length), FRAME_MALFORMED);
        assert_int_equal(at, 1);
        free(exact);
    }
    for (size_t at = 0; at < LISTING_ENTRY_HEADER; at++) {
        listing[at] ^= 1;
        size_t from = 0;
        assert_int_equal(listing_next(listing, used, &from, &info, &record_length),
                         FRAME_MALFORMED);
        listing[at] ^= 1;
    }
    size_t outside = used + 1;
    assert_int_equal(listing_next(listing, used, &outside, &info, &record_length), FRAME_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_in_order),
        cmocka_unit_test(stops_where_it_is_full),
        cmocka_unit_test(refuses_every_cut_and_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
