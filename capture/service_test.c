#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "listing.h"
#include "service.h"
#include "test_engine.h"

#define OWNER  1000U
#define TICKET 7U

static struct test_engine test;
static struct service service;

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    test_display_xvfb(&test.display, 800, 600);
    struct engine_config config = test_engine_config();
    config.limits.max_records = 1000;
    test_engine_start(&test, &config);
    assert_int_equal(service_reserve(&service), 0);
    service_begin(&service, test.engine, OWNER);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    service_end(&service);
    test_engine_stop(&test);
    return 0;
}

static void frames(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t before = ring_records(engine_ring(test.engine));
        test_display_run(&test.display, "xdotool key F1");
        test_engine_frames(&test, before + 1);
    }
}

static const struct service_caller owner = {TICKET, OWNER};

/* The ticket program's side of the key agreement. */
static struct seal *agree(const struct service_caller *caller)
{
    struct seal *seal = NULL;
    ipc_SessionKey request;
    ipc_SessionKeyReply reply;
    assert_int_equal(seal_offer(&seal, request.public_key), 0);
    assert_null(service_session_key(&service, caller, &request, &reply));
    assert_int_equal(seal_complete(seal, caller->ticket, reply.public_key), 0);
    return seal;
}

static void is_refused(const struct service_refusal *refusal, ipc_RefusalReason reason)
{
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, reason);
}

/* Fetches a frame in its parts. Returns the record, to be freed. */
static uint8_t *fetch(struct seal *seal, uint64_t id, uint32_t length)
{
    uint8_t *record = malloc(length + 1);
    size_t used = 0;
    uint32_t parts = 1;
    for (uint32_t part = 0; part < parts; part++) {
        ipc_FrameFetch request = {id, part};
        ipc_FramePart reply;
        struct service_blob blob;
        assert_null(service_frame_fetch(&service, &owner, &request, &reply, &blob));
        assert_true(blob.length <= SERVICE_PART_BYTES);
        assert_int_equal(reply.frame, id);
        assert_int_equal(reply.part, part);
        parts = reply.parts;
        struct seal_label label = {SEAL_PART, id, part, parts};
        assert_int_equal(
            seal_open(seal, &label, blob.bytes, blob.length, record + used, length + 1 - used),
            SEAL_OK);
        used += blob.length - SEAL_OVERHEAD;
    }
    assert_int_equal(used, length);
    return record;
}

/* Lists everything after `after`, page by page; calls `each` for every entry. Returns how many. */
static unsigned list(struct seal *seal, uint64_t after,
                     void (*each)(struct seal *, const struct frame_info *, uint32_t))
{
    static uint8_t listing[SERVICE_LISTING_BYTES];
    unsigned count = 0;
    bool more = true;
    while (more) {
        ipc_FrameList request = {after};
        ipc_FrameListing reply;
        struct service_blob blob;
        assert_null(service_frame_list(&service, &owner, &request, &reply, &blob));
        assert_true(blob.length <= SERVICE_LISTING_BYTES);
        struct seal_label label = {SEAL_LISTING, after, reply.frames, reply.more};
        assert_int_equal(seal_open(seal, &label, blob.bytes, blob.length, listing, sizeof(listing)),
                         SEAL_OK);
        size_t at = 0, length = blob.length - SEAL_OVERHEAD;
        while (at < length) {
            struct frame_info info;
            uint32_t record_length;
            assert_int_equal(listing_next(listing, length, &at, &info, &record_length), FRAME_OK);
            assert_true(info.id > after);
            after = info.id;
            count++;
            reply.frames--;
            if (each != NULL)
                each(seal, &info, record_length);
        }
        assert_int_equal(reply.frames, 0);
        more = reply.more;
    }
    return count;
}

static void apply_one(struct seal *seal, const struct frame_info *listed, uint32_t length)
{
    struct frame_info info;
    uint8_t *record = fetch(seal, listed->id, length);
    assert_int_equal(frame_canvas_apply(test.canvas, record, length, &info), FRAME_OK);
    assert_memory_equal(&info, listed, sizeof(info));
    free(record);
}

static void a_ticket_sees_what_was_captured(void **state)
{
    (void)state;
    struct seal *seal = agree(&owner);
    for (int i = 0; i < 5; i++) {
        struct test_window window = {.x = (int16_t)(i * 50),
                                     .width = 200,
                                     .height = 200,
                                     .colour = (uint32_t)i * 54321,
                                     .override_redirect = 1};
        test_display_window(&test.display, &window);
        frames(1);
    }
    assert_int_equal(list(seal, 0, apply_one), 5);
    test_engine_equals_screen(&test);
    assert_int_equal(list(seal, 3, NULL), 2);
    assert_int_equal(list(seal, 5, NULL), 0);
    assert_int_equal(list(seal, 99, NULL), 0);
    seal_free(seal);
}

static void noise(void)
{
    /* A picture that does not compress: a record of more than one part. */
    size_t row = 800 * 4;
    uint8_t *pixels = malloc(row * 600);
    for (size_t i = 0; i < row * 600; i++)
        pixels[i] = (uint8_t)rand();
    test_display_sync(&test.display);
    xcb_connection_t *c = test.display.painter;
    xcb_gcontext_t gc = xcb_generate_id(c);
    struct test_window window = {.width = 800, .height = 600, .override_redirect = 1};
    xcb_window_t id = test_display_window(&test.display, &window);
    xcb_create_gc(c, gc, id, 0, NULL);
    for (int16_t y = 0; y < 600; y += 50)
        xcb_put_image(c, XCB_IMAGE_FORMAT_Z_PIXMAP, id, gc, 800, 50, 0, y, 0, 24,
                      (uint32_t)(row * 50), pixels + (size_t)y * row);
    test_display_sync(&test.display);
    free(pixels);
}

static void large_records_come_in_parts(void **state)
{
    (void)state;
    struct seal *seal = agree(&owner);
    noise();
    frames(1);
    size_t length = 0;
    assert_int_equal(ring_next(engine_ring(test.engine), 0, &length), 1);
    assert_true(length > SERVICE_PART_PLAIN);
    assert_int_equal(list(seal, 0, apply_one), 1);
    test_engine_equals_screen(&test);
    ipc_FrameFetch request = {1, 2};
    ipc_FramePart reply;
    struct service_blob blob;
    is_refused(service_frame_fetch(&service, &owner, &request, &reply, &blob), ipc_NO_SUCH);
    size_t capacity = 0;
    const uint8_t *scratch = engine_scratch(test.engine, &capacity);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(scratch[i], 0);
    seal_free(seal);
}

static void long_listings_come_in_pages(void **state)
{
    (void)state;
    char title[300];
    memset(title, 't', sizeof(title) - 1);
    title[sizeof(title) - 1] = '\0';
    struct test_window window = {.width = 9, .height = 9, .title = title, .override_redirect = 1};
    test_display_activate(&test.display, test_display_window(&test.display, &window));
    struct seal *seal = agree(&owner);
    frames(1);
    /* Many at once, from one program. */
    test_display_spawn(&test.display, "xdotool click --repeat 300 --delay 12 1");
    uint64_t deadline = clock_ms() + 20000;
    while (ring_records(engine_ring(test.engine)) < 230 && clock_ms() < deadline)
        test_engine_settle(&test, 10);
    unsigned records = ring_records(engine_ring(test.engine));
    assert_true(records >= 230);
    ipc_FrameList request = {0};
    ipc_FrameListing reply;
    struct service_blob blob;
    const struct service_caller second = {TICKET + 1, OWNER};
    struct seal *other = agree(&second);
    assert_null(service_frame_list(&service, &second, &request, &reply, &blob));
    assert_true(reply.more);
    seal_free(other);
    assert_int_equal(list(seal, 0, NULL), records);
    seal_free(seal);
}

static void only_the_owner_and_only_tickets_see_frames(void **state)
{
    (void)state;
    struct seal *seal = agree(&owner), *offer = NULL;
    frames(1);
    ipc_SessionKey key;
    ipc_SessionKeyReply key_reply;
    ipc_FrameList list_request = {0};
    ipc_FrameListing listing;
    ipc_FrameFetch fetch_request = {1, 0};
    ipc_FramePart part;
    struct service_blob blob;
    const struct service_caller strangers[] = {{TICKET, OWNER + 1}, {TICKET, 0}, {0, OWNER}};
    assert_int_equal(seal_offer(&offer, key.public_key), 0);
    for (size_t i = 0; i < 3; i++) {
        const struct service_caller *who = &strangers[i];
        is_refused(service_session_key(&service, who, &key, &key_reply), ipc_NOT_ALLOWED);
        is_refused(service_frame_list(&service, who, &list_request, &listing, &blob),
                   ipc_NOT_ALLOWED);
        is_refused(service_frame_fetch(&service, who, &fetch_request, &part, &blob),
                   ipc_NOT_ALLOWED);
    }
    /* Another ticket of the owner's has no key yet. */
    const struct service_caller second = {TICKET + 1, OWNER};
    is_refused(service_frame_list(&service, &second, &list_request, &listing, &blob),
               ipc_BAD_REQUEST);
    is_refused(service_session_key(&service, &owner, &key, &key_reply), ipc_BAD_REQUEST);
    memset(key.public_key, 0, sizeof(key.public_key));
    is_refused(service_session_key(&service, &second, &key, &key_reply), ipc_BAD_REQUEST);
    fetch_request.frame = 0;
    is_refused(service_frame_fetch(&service, &owner, &fetch_request, &part, &blob), ipc_NO_SUCH);
    fetch_request.frame = 2;
    is_refused(service_frame_fetch(&service, &owner, &fetch_request, &part, &blob), ipc_NO_SUCH);
    seal_free(seal);
    seal_free(offer);
}

static void a_ticket_that_ended_is_forgotten(void **state)
{
    (void)state;
    ipc_FrameList request = {0};
    ipc_FrameListing reply;
    struct service_blob blob;
    struct seal *seal = agree(&owner);
    service_ticket_ended(&service, TICKET + 1);
    service_ticket_ended(&service, 0);
    assert_null(service_frame_list(&service, &owner, &request, &reply, &blob));
    service_ticket_ended(&service, TICKET);
    is_refused(service_frame_list(&service, &owner, &request, &reply, &blob), ipc_BAD_REQUEST);
    seal_free(seal);
    for (uint32_t i = 1; i <= SERVICE_TICKETS; i++)
        seal_free(agree(&(struct service_caller){i, OWNER}));
    ipc_SessionKey key;
    ipc_SessionKeyReply key_reply;
    const struct service_caller one_more = {SERVICE_TICKETS + 1, OWNER};
    assert_int_equal(seal_offer(&seal, key.public_key), 0);
    is_refused(service_session_key(&service, &one_more, &key, &key_reply), ipc_TOO_MANY);
    service_ticket_ended(&service, 3);
    assert_null(service_session_key(&service, &one_more, &key, &key_reply));
    seal_free(seal);
}

static void the_owner_and_root_may_pause(void **state)
{
    (void)state;
    ipc_CapturePause request = {900};
    ipc_CapturePaused reply;
    ipc_CaptureStatus status;
    is_refused(service_pause(&service, &(struct service_caller){0, OWNER + 1}, &request, &reply),
               ipc_NOT_ALLOWED);
    assert_null(service_pause(&service, &(struct service_caller){0, OWNER}, &request, &reply));
    assert_in_range(reply.until_ms, clock_unix_ms() + 880000, clock_unix_ms() + 900000);
    service_status(&service, &status);
    assert_int_equal(status.phase, ipc_CAPTURE_PAUSED);
    assert_int_equal(status.paused_until_ms, reply.until_ms);
    request.seconds = 0;
    assert_null(service_pause(&service, &(struct service_caller){0, 0}, &request, &reply));
    assert_int_equal(reply.until_ms, 0);
    service_status(&service, &status);
    assert_int_equal(status.phase, ipc_CAPTURE_CAPTURING);
    request.seconds = SERVICE_PAUSE_MAX_S + 1;
    is_refused(service_pause(&service, &(struct service_caller){0, 0}, &request, &reply),
               ipc_BAD_REQUEST);
}

static void what_is_forgotten_cannot_be_fetched(void **state)
{
    (void)state;
    struct seal *seal = agree(&owner);
    frames(2);
    assert_int_equal(list(seal, 0, NULL), 2);
    engine_forget(test.engine);
    assert_int_equal(list(seal, 0, NULL), 0);
    ipc_FrameFetch request = {1, 0};
    ipc_FramePart reply;
    struct service_blob blob;
    is_refused(service_frame_fetch(&service, &owner, &request, &reply, &blob), ipc_NO_SUCH);
    frames(1);
    assert_int_equal(list(seal, 0, apply_one), 1);
    seal_free(seal);
}

int main(void)
{
#define ON_XVFB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_XVFB(a_ticket_sees_what_was_captured),
        ON_XVFB(large_records_come_in_parts),
        ON_XVFB(long_listings_come_in_pages),
        ON_XVFB(only_the_owner_and_only_tickets_see_frames),
        ON_XVFB(a_ticket_that_ended_is_forgotten),
        ON_XVFB(the_owner_and_root_may_pause),
        ON_XVFB(what_is_forgotten_cannot_be_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
