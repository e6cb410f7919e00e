#include "encode_pool.h"
#include "image.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "peer.h"
#include "picture.h"

static struct picture *noise(uint32_t width, uint32_t height, uint32_t seed)
{
    struct picture *picture;
    size_t size = (size_t)width * height * 4;
    uint8_t *bytes = malloc(size);
    peer_pattern(bytes, size, seed);
    assert_int_equal(picture_new(&picture, width, height), 0);
    picture_load(picture, bytes, (size_t)width * 4);
    free(bytes);
    return picture;
}

static void assert_same(const struct picture *a, const struct picture *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_memory_equal(a->pixels, b->pixels, (size_t)a->width * a->height * 4);
}

static void encodes_without_loss(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {1, 300}, {640, 1}, {333, 77}, {800, 600}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct picture *picture = noise(sizes[i][0], sizes[i][1], (uint32_t)i), *back;
        struct locked_bytes image = {0};
        assert_int_equal(image_encode(&image, picture), 0);
        assert_int_equal(image_decode(&back, image.data, image.length), 0);
        assert_same(picture, back);
        picture_free(back);
        picture_free(picture);
        locked_bytes_clear(&image);
    }
}

/* dwebp writes a PAM: a header that ends in "ENDHDR\n", then RGBA. */
static void stock_dwebp_sees_the_same_pixels(void **state)
{
    (void)state;
    struct picture *picture = noise(123, 45, 9);
    struct locked_bytes image = {0};
    assert_int_equal(image_encode(&image, picture), 0);
    peer_write("image.webp", image.data, image.length);
    peer_run("dwebp -quiet image.webp -pam -o image.pam");
    struct peer_bytes pam = peer_read("image.pam");
    const uint8_t *at = memmem(pam.data, pam.length, "ENDHDR\n", 7);
    assert_non_null(at);
    at += 7;
    assert_int_equal(pam.data + pam.length - at, 123 * 45 * 4);
    for (size_t i = 0; i < 123 * 45; i++, at += 4)
        assert_int_equal(picture->pixels[i],
                         0xff000000U | (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]);
    peer_bytes_free(&pam);
    locked_bytes_clear(&image);
    picture_free(picture);
}

static int inside(const struct rectangle *area, uint32_t x, uint32_t y)
{
    return x >= area->x && y >= area->y && x - area->x < area->width && y - area->y < area->height;
}

static void redacted_pixels_are_gone_after_decoding(void **state)
{
    (void)state;
    static const struct rectangle areas[] = {
        {10, 20, 30, 5},         {0, 0, 1, 1},          {90, 70, 100, 100},
        {99, 79, UINT32_MAX, 1}, {5, 5, 0, 9},          {200, 5, 5, 5},
        {5, 200, 5, 5},          {UINT32_MAX, 0, 9, 9}, {0, 50, UINT32_MAX, 2},
    };
    const size_t count = sizeof(areas) / sizeof(*areas);
    struct picture *picture = noise(100, 80, 3), *original = noise(100, 80, 3), *back;
    struct locked_bytes image = {0};
    for (size_t i = 0; i < count; i++)
        picture_redact(picture, &areas[i]);
    assert_int_equal(image_encode(&image, picture), 0);
    assert_int_equal(image_decode(&back, image.data, image.length), 0);
    for (uint32_t y = 0; y < 80; y++)
        for (uint32_t x = 0; x < 100; x++) {
            int hidden = 0;
            for (size_t i = 0; i < count; i++)
                hidden |= inside(&areas[i], x, y);
            uint32_t want = hidden ? 0xff000000 : original->pixels[y * 100 + x];
            assert_int_equal(back->pixels[y * 100 + x], want);
        }
    picture_free(picture);
    picture_free(original);
    picture_free(back);
    locked_bytes_clear(&image);
}

static void loads_rows_with_padding(void **state)
{
    (void)state;
    const uint8_t rows[2][8] = {{1, 2, 3, 0, 9, 9, 9, 9}, {4, 5, 6, 7, 9, 9, 9, 9}};
    struct picture *picture;
    assert_int_equal(picture_new(&picture, 1, 2), 0);
    picture_load(picture, rows, 8);
    assert_int_equal(picture->pixels[0], 0xff030201);
    assert_int_equal(picture->pixels[1], 0xff060504);
    picture_free(picture);
}

static void refuses_damaged_images(void **state)
{
    (void)state;
    struct picture *picture = noise(40, 40, 1), *back = NULL;
    struct locked_bytes image = {0};
    assert_int_equal(image_encode(&image, picture), 0);
    for (size_t length = 0; length < image.length; length += 13) {
        uint8_t *exact = malloc(length + 1);
        memcpy(exact, image.data, length);
        assert_int_equal(image_decode(&back, exact, length), IMAGE_BAD);
        free(exact);
    }
    assert_int_equal(image_decode(&back, "not an image at all", 19), IMAGE_BAD);
    locked_bytes_clear(&image);
    picture_free(picture);
}

static void refuses_impossible_sizes(void **state)
{
    (void)state;
    struct picture *picture;
    assert_true(picture_new(&picture, 0, 1) < 0);
    assert_true(picture_new(&picture, 1, 0) < 0);
    assert_true(picture_new(&picture, PICTURE_SIDE_MAX + 1, 1) < 0);
}

static void scales_to_means(void **state)
{
    (void)state;
    struct picture *from, *to;
    assert_int_equal(picture_new(&from, 4, 2), 0);
    assert_int_equal(picture_new(&to, 2, 1), 0);
    for (int i = 0; i < 8; i++)
        from->pixels[i] = i % 4 < 2 ? 0xff102030 : (i < 4 ? 0xff000000 : 0xff808080);
    picture_scale(to, from);
    assert_int_equal(to->pixels[0], 0xff102030);
    assert_int_equal(to->pixels[1], 0xff404040);
    picture_scale(from, to);
    assert_int_equal(from->pixels[0], 0xff102030);
    assert_int_equal(from->pixels[7], 0xff404040);
    picture_free(from);
    picture_free(to);
    uint32_t w, h;
    picture_fit(1920, 1080, 960, 960, &w, &h);
    assert_int_equal(w, 960);
    assert_int_equal(h, 540);
    picture_fit(100, 1000, 50, 50, &w, &h);
    assert_int_equal(w, 5);
    assert_int_equal(h, 50);
    picture_fit(16383, 1, 10, 10, &w, &h);
    assert_int_equal(w, 10);
    assert_int_equal(h, 1);
}

static struct encoded wait_result(struct encode_pool *pool)
{
    struct encoded result;
    while (encode_pool_take(pool, &result) == ENCODE_POOL_EMPTY) {
        struct pollfd wait = {.fd = encode_pool_fd(pool), .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 20000), 1);
    }
    assert_int_equal(result.error, 0);
    return result;
}

static void check_result(struct encoded result)
{
    struct picture *want = noise(64, 48, result.frame), *got;
    assert_int_equal(result.generation, result.frame * 7);
    assert_int_equal(image_decode(&got, result.image.data, result.image.length), 0);
    assert_same(want, got);
    picture_free(want);
    picture_free(got);
    locked_bytes_clear(&result.image);
}

static void pool_encodes_everything_once(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    for (unsigned threads = 0; threads < 4; threads++) {
        struct encode_pool *pool;
        char seen[COUNT] = {0};
        unsigned taken = 0, full = 0;
        assert_int_equal(encode_pool_new(&pool, threads), 0);
        for (uint32_t i = 0; i < COUNT; i++) {
            struct picture *picture = noise(64, 48, i);
            while (encode_pool_submit(pool, i, i * 7, picture) == ENCODE_POOL_FULL) {
                struct encoded result = wait_result(pool);
                assert_int_equal(seen[result.frame]++, 0);
                check_result(result);
                taken++, full++;
            }
        }
        assert_true(threads == 0 || full > 0);
        assert_int_equal(encode_pool_pending(pool), COUNT - taken);
        for (; taken < COUNT; taken++) {
            struct encoded result = wait_result(pool);
            assert_int_equal(seen[result.frame]++, 0);
            check_result(result);
        }
        assert_int_equal(encode_pool_pending(pool), 0);
        assert_null(encode_pool_free(pool));
    }
}

static void pool_can_be_dropped_at_work(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        struct encode_pool *pool;
        assert_int_equal(encode_pool_new(&pool, 2), 0);
        for (uint32_t k = 0; k < i % 5; k++) {
            struct picture *picture = noise(200, 200, k);
            if (encode_pool_submit(pool, k, 0, picture) == ENCODE_POOL_FULL)
                picture_free(picture);
        }
        assert_null(encode_pool_free(pool));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_without_loss),
        cmocka_unit_test(stock_dwebp_sees_the_same_pixels),
        cmocka_unit_test(redacted_pixels_are_gone_after_decoding),
        cmocka_unit_test(loads_rows_with_padding),
        cmocka_unit_test(refuses_damaged_images),
        cmocka_unit_test(refuses_impossible_sizes),
        cmocka_unit_test(scales_to_means),
        cmocka_unit_test(pool_encodes_everything_once),
        cmocka_unit_test(pool_can_be_dropped_at_work),
    };
    return cmocka_run_group_tests(tests, peer_enter, peer_leave);
}
