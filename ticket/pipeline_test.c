#include "pipeline.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <cmocka.h>

#include "document.h"
#include "image.h"
#include "peer.h"
#include "sample.h"

enum { WIDTH = 320, HEIGHT = 200, COUNT = 40, KEY_EVERY = 16 };

/* A listing in a review, its records, and the pictures that they stand for. */
struct scene {
    struct review *review;
    struct pipeline *pipeline;
    struct locked_bytes records[COUNT];
    uint8_t *pixels[COUNT];
};

static void setup(struct scene *scene)
{
    struct sample *sample = sample_new(WIDTH, HEIGHT);
    assert_int_equal(review_new(&scene->review), 0);
    for (size_t i = 0; i < COUNT; i++) {
        struct frame_info info;
        size_t length;
        uint8_t *record = sample_record(sample, i % KEY_EVERY == 0, &length, &info);
        scene->records[i] = (struct locked_bytes){0};
        assert_int_equal(locked_bytes_append(&scene->records[i], record, length), 0);
        assert_int_equal(review_add(scene->review, &info, (uint32_t)length), 0);
        scene->pixels[i] = malloc(WIDTH * HEIGHT * 4);
        memcpy(scene->pixels[i], sample_pixels(sample), WIDTH * HEIGHT * 4);
        free(record);
    }
    sample_free(sample);
    assert_int_equal(pipeline_new(&scene->pipeline, scene->review, 2), 0);
}

static void teardown(struct scene *scene)
{
    assert_null(pipeline_free(scene->pipeline));
    review_free(scene->review);
    for (size_t i = 0; i < COUNT; i++) {
        locked_bytes_clear(&scene->records[i]);
        free(scene->pixels[i]);
    }
}

static void work_until_complete(struct scene *scene)
{
    assert_int_equal(pipeline_step(scene->pipeline), 0);
    while (!review_complete(scene->review)) {
        struct pollfd wait = {.fd = pipeline_fd(scene->pipeline), .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 20000), 1);
        assert_int_equal(pipeline_step(scene->pipeline), 0);
    }
}

static void feed(struct scene *scene, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        pipeline_record(scene->pipeline, i, &scene->records[i]);
}

static void assert_shows(const struct picture *picture, const uint8_t *pixels)
{
    assert_int_equal(picture->width, WIDTH);
    assert_int_equal(picture->height, HEIGHT);
    const uint8_t *got = (const uint8_t *)picture->pixels;
    for (size_t i = 0; i < WIDTH * HEIGHT * 4; i++)
        if (i % 4 != 3)
            assert_int_equal(got[i], pixels[i]);
}

static void assert_image(const struct scene *scene, size_t index)
{
    const struct locked_bytes *image = review_image(review_frame(scene->review, index));
    struct picture *picture;
    assert_non_null(image);
    assert_int_equal(image_decode(&picture, image->data, image->length), 0);
    assert_shows(picture, scene->pixels[index]);
    picture_free(picture);
}

static void every_frame_becomes_its_image(void **state)
{
    (void)state;
    struct scene scene;
    setup(&scene);
    feed(&scene, 0, COUNT);
    work_until_complete(&scene);
    for (size_t i = 0; i < COUNT; i++)
        assert_image(&scene, i);
    teardown(&scene);
}

static void frames_can_be_seen_before_they_are_encoded(void **state)
{
    (void)state;
    struct scene scene;
    struct picture *picture;
    setup(&scene);
    feed(&scene, 0, 20);
    /* No step was made, so nothing is encoded. */
    for (int i = 19; i >= 0; i--) {
        assert_int_equal(pipeline_picture(scene.pipeline, (size_t)i, &picture), 0);
        assert_shows(picture, scene.pixels[i]);
        picture_free(picture);
    }
    /* Onwards and in leaps too, from whatever was shown before. */
    static const size_t leaps[] = {3, 4, 5, 5, 9, 17, 2, 16, 15, 19};
    for (size_t i = 0; i < sizeof(leaps) / sizeof(*leaps); i++) {
        assert_int_equal(pipeline_picture(scene.pipeline, leaps[i], &picture), 0);
        assert_shows(picture, scene.pixels[leaps[i]]);
        picture_free(picture);
    }
    assert_int_equal(pipeline_picture(scene.pipeline, 20, &picture), PIPELINE_NOT_YET);
    assert_int_equal(pipeline_picture(scene.pipeline, COUNT, &picture), PIPELINE_NO_PICTURE);
    feed(&scene, 20, COUNT);
    work_until_complete(&scene);
    assert_int_equal(pipeline_picture(scene.pipeline, 33, &picture), 0);
    assert_shows(picture, scene.pixels[33]);
    picture_free(picture);
    teardown(&scene);
}

static void redaction_reaches_image_and_view(void **state)
{
    (void)state;
    struct scene scene;
    struct rectangle area = {10, 20, 30, 40};
    setup(&scene);
    feed(&scene, 0, COUNT);
    /* One before and one after the first encoding. */
    assert_int_equal(review_redact(scene.review, 3, &area), 0);
    work_until_complete(&scene);
    assert_int_equal(review_redact(scene.review, 30, &area), 0);
    work_until_complete(&scene);
    static const size_t indexes[] = {3, 30};
    for (int k = 0; k < 2; k++) {
        uint8_t *pixels = scene.pixels[indexes[k]];
        for (uint32_t y = 20; y < 60; y++)
            memset(pixels + (y * WIDTH + 10) * 4, 0, 30 * 4);
        struct picture *picture;
        assert_int_equal(pipeline_picture(scene.pipeline, indexes[k], &picture), 0);
        assert_shows(picture, pixels);
        picture_free(picture);
        assert_image(&scene, indexes[k]);
    }
    /* Taken back: the original is still there. */
    assert_int_equal(review_unredact(scene.review, 30), 0);
    assert_true(review_complete(scene.review));
    teardown(&scene);
}

/* A delta whose base is missing shows nothing; the next key frame does again. */
static void a_lost_frame_takes_its_followers_along(void **state)
{
    (void)state;
    struct scene scene;
    setup(&scene);
    feed(&scene, 0, 5);
    pipeline_lose(scene.pipeline, 5);
    feed(&scene, 6, COUNT);
    work_until_complete(&scene);
    for (size_t i = 0; i < COUNT; i++) {
        int lost = i >= 5 && i < KEY_EVERY;
        assert_int_equal(review_frame(scene.review, i)->state, lost ? REVIEW_LOST : REVIEW_READY);
        if (!lost)
            assert_image(&scene, i);
    }
    teardown(&scene);
}

static void damaged_and_swapped_records_are_lost(void **state)
{
    (void)state;
    struct scene scene;
    setup(&scene);
    scene.records[2].data[scene.records[2].length / 2] ^= 0x55;
    pipeline_record(scene.pipeline, 0, &scene.records[1]);
    feed(&scene, 1, 3);
    pipeline_record(scene.pipeline, 16, &scene.records[32]);
    for (size_t i = 3; i < COUNT; i++)
        if (i != 16 && i != 32)
            pipeline_record(scene.pipeline, i, &scene.records[i]);
    pipeline_lose(scene.pipeline, 1);
    pipeline_lose(scene.pipeline, 32);
    work_until_complete(&scene);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(review_frame(scene.review, i)->state, REVIEW_LOST);
    teardown(&scene);
}

static void dropped_frames_still_carry_their_followers(void **state)
{
    (void)state;
    struct scene scene;
    setup(&scene);
    for (size_t i = 0; i < COUNT; i += 2)
        assert_int_equal(review_drop(scene.review, i, true), 0);
    feed(&scene, 0, COUNT);
    work_until_complete(&scene);
    for (size_t i = 1; i < COUNT; i += 2)
        assert_image(&scene, i);
    teardown(&scene);
}

static struct age_recipient recipient;

static void save_bundle(const struct chunk_list *chunks)
{
    struct peer_bytes all = {NULL, 0};
    for (uint32_t i = 0; i < chunk_list_count(chunks); i++) {
        size_t length;
        const uint8_t *chunk = chunk_list_chunk(chunks, i, &length);
        peer_append(&all, chunk, length);
    }
    peer_write("bundle", all.data, all.length);
    peer_bytes_free(&all);
}

static void check_json(void)
{
    peer_run("python3 -c '\n"
             "import json\n"
             "t = json.load(open(\"ticket.json\"))\n"
             "assert t[\"format\"] == \"cloister-ticket/1\"\n"
             "assert t[\"ticket\"] == \"07\" + \"00\" * 15, t[\"ticket\"]\n"
             "assert t[\"description\"] == \"it \\\"broke\\\"\\n\"\n"
             "assert t[\"dropped\"] == 37 and t[\"lost\"] == 0\n"
             "f = t[\"frames\"]\n"
             "assert [x[\"file\"] for x in f] == [\"frames/000%%d.webp\" %% n for n in (1, 2, 3)]\n"
             "assert f[0][\"title\"] == \"Window 2\" and \"title\" not in f[1]\n"
             "assert f[1][\"title_withheld\"] and f[0][\"trigger\"] == \"button 1\"\n"
             "assert f[1][\"redactions\"] == [{\"x\": 1, \"y\": 2, \"width\": 3, \"height\": 4}]\n"
             "import os\n"
             "assert [x[\"bytes\"] for x in f] == [os.stat(x[\"file\"]).st_size for x in f]\n'");
}

/* The whole way: what the technician unpacks is what the user kept. */
static void the_sealed_ticket_holds_what_was_kept(void **state)
{
    (void)state;
    struct scene scene;
    struct rectangle area = {1, 2, 3, 4};
    struct chunk_list *chunks;
    struct document_facts facts = {.ticket = {7},
                                   .opened_time_ms = 1790000000000,
                                   .sealed_time_ms = 1790000100000,
                                   .capture_state = "capturing",
                                   .max_bytes = 1 << 30};
    setup(&scene);
    feed(&scene, 0, COUNT);
    assert_int_equal(document_seal(&chunks, scene.review, &facts, &recipient, 1),
                     DOCUMENT_NOT_READY);
    work_until_complete(&scene);
    for (size_t i = 0; i < COUNT; i++)
        if (i != 1 && i != 7 && i != 39)
            assert_int_equal(review_drop(scene.review, i, true), 0);
    assert_int_equal(review_redact(scene.review, 7, &area), 0);
    assert_int_equal(review_withhold_title(scene.review, 7, true), 0);
    assert_int_equal(review_describe(scene.review, "it \"broke\"\n", 11), 0);
    assert_int_equal(document_seal(&chunks, scene.review, &facts, &recipient, 1),
                     DOCUMENT_NOT_READY);
    work_until_complete(&scene);
    assert_int_equal(document_seal(&chunks, scene.review, &facts, &recipient, 1), 0);
    assert_true(review_sealed_is_current(scene.review));
    save_bundle(chunks);
    chunk_list_free(chunks);
    peer_run("age -d -i key bundle | lz4 -dc | tar x");
    peer_run("printf 'it \"broke\"\\n' | cmp - description.txt");
    peer_run("test $(ls frames | wc -l) = 3 && test $(ls | grep -c -v -e key -e bundle) = 3");
    static const size_t kept[] = {1, 7, 39};
    for (int i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof(name), "frames/000%d.webp", i + 1);
        struct peer_bytes file = peer_read(name);
        const struct locked_bytes *image = review_image(review_frame(scene.review, kept[i]));
        assert_int_equal(file.length, image->length);
        assert_memory_equal(file.data, image->data, image->length);
        peer_bytes_free(&file);
    }
    check_json();
    facts.max_bytes = 1000;
    assert_int_equal(document_seal(&chunks, scene.review, &facts, &recipient, 1), -27);
    teardown(&scene);
}

/* Without any frame a ticket is still one. */
static void a_description_alone_is_a_ticket(void **state)
{
    (void)state;
    struct review *review;
    struct chunk_list *chunks;
    struct document_facts facts = {.capture_state = "off", .max_bytes = 1 << 20};
    assert_int_equal(review_new(&review), 0);
    assert_int_equal(review_describe(review, "help", 4), 0);
    assert_int_equal(document_seal(&chunks, review, &facts, &recipient, 1), 0);
    save_bundle(chunks);
    peer_run("mkdir alone && age -d -i key bundle | lz4 -dc | tar -C alone -x");
    peer_run(
        "test $(cat alone/description.txt) = help && python3 -m json.tool alone/ticket.json >json");
    chunk_list_free(chunks);
    review_free(review);
}

static void the_list_is_json(void **state)
{
    (void)state;
    struct scene scene;
    struct locked_bytes text;
    struct document_facts facts = {.capture_state = "capturing"};
    setup(&scene);
    review_drop(scene.review, 4, true);
    pipeline_lose(scene.pipeline, 6);
    assert_int_equal(document_list(&text, scene.review, &facts), 0);
    peer_write("list.json", text.data, text.length);
    locked_bytes_clear(&text);
    peer_run(
        "python3 -c 'import json; f = json.load(open(\"list.json\"))[\"frames\"]; "
        "assert len(f) == 40 and f[4][\"state\"] == \"dropped\" and f[6][\"state\"] == \"lost\" "
        "and f[0][\"number\"] == 1 and f[39][\"title\"] == \"Window 40\"'");
    teardown(&scene);
}

static int enter(void **state)
{
    assert_true(sodium_init() >= 0);
    peer_enter(state);
    peer_run("age-keygen -o key 2>/dev/null");
    struct peer_bytes key = peer_read("key");
    char *text = memmem(key.data, key.length, "age1", 4);
    *strchr(text, '\n') = '\0';
    assert_int_equal(age_recipient_parse(&recipient, text), 0);
    peer_bytes_free(&key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_becomes_its_image),
        cmocka_unit_test(frames_can_be_seen_before_they_are_encoded),
        cmocka_unit_test(redaction_reaches_image_and_view),
        cmocka_unit_test(a_lost_frame_takes_its_followers_along),
        cmocka_unit_test(damaged_and_swapped_records_are_lost),
        cmocka_unit_test(dropped_frames_still_carry_their_followers),
        cmocka_unit_test(the_sealed_ticket_holds_what_was_kept),
        cmocka_unit_test(a_description_alone_is_a_ticket),
        cmocka_unit_test(the_list_is_json),
    };
    return cmocka_run_group_tests(tests, enter, peer_leave);
}
