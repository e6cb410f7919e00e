/* What the wire tests cannot wait for: time-outs by a clock of our own, and full queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include "log.h"
#include "session.h"
#include "session_agent.h"

#define T0 UINT64_C(1000000)

static char folder[64];
static int folder_fd;
static struct upload_env uploads;
static struct session_env env;
static struct rate rate;
static struct session *session;
static struct session_agent agent = {.host = "console.example.org"};
static uint8_t exporter[32];
static const char *const hosts[] = {"console.example.org"};

static void ignore(void *context, const void *other, const uint8_t id[32])
{
    (void)context;
    (void)other;
    (void)id;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-session-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    uploads.max_bundle_bytes = uploads.quota_bytes = 1 << 30;
    rate_init(&rate, 10, 6000);
    env = (struct session_env){.uploads = &uploads,
                               .console_name = "Test",
                               .hosts = hosts,
                               .host_count = 1,
                               .heartbeat_ms = 45000,
                               .enroll_rate = &rate,
                               .authenticated = ignore};
    crypto_sign_keypair(agent.public_key, agent.secret);
    randombytes_buf(exporter, sizeof(exporter));
    int result = store_open(&uploads.store, folder, true);
    if (!result)
        result = bundle_folders_open(&uploads.folders, folder_fd, true);
    return result ? result : session_new(&session, &env, "192.0.2.1", exporter, T0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    session = session_free(session);
    uploads.store = store_close(uploads.store);
    bundle_folders_close(&uploads.folders);
    close(folder_fd);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_closing(int code, const char *word)
{
    const char *reason;
    assert_int_equal(session_closing(session, &reason), code);
    if (code)
        assert_string_equal(reason, word);
}

/* Takes the next message off the queue; the caller frees it. */
static json_t *take(uint64_t mono_ms)
{
    const char *text = session_next(session);
    assert_non_null(text);
    json_t *o = json_loads(text, 0, NULL);
    session_sent(session, mono_ms);
    return o;
}

static void authenticate(void)
{
    char message[1024];
    size_t n = session_agent_authenticate(message, sizeof(message), &agent, session_next(session),
                                          exporter);
    assert_int_not_equal(n, 0);
    session_sent(session, T0);
    session_text(session, message, n, T0);
    assert_closing(0, "");
    json_t *o = take(T0);
    assert_string_equal(json_string_value(json_object_get(o, "state")), "unenrolled");
    json_decref(o);
}

static void no_authentication_in_time(void **state)
{
    (void)state;
    session_sent(session, T0);
    session_tick(session, T0 + SESSION_AUTH_MS);
    assert_closing(0, "");
    session_tick(session, T0 + SESSION_AUTH_MS + 1);
    assert_closing(4004, "timeout");
}

static void silence(void **state)
{
    (void)state;
    authenticate();
    session_tick(session, T0 + 100000);
    assert_closing(0, "");
    session_alive(session, false, T0 + 100000);
    session_tick(session, T0 + 200000);
    assert_closing(0, "");
    session_tick(session, T0 + 200001);
    assert_closing(4004, "timeout");
}

static void a_message_that_does_not_end(void **state)
{
    (void)state;
    authenticate();
    for (uint64_t t = 0; t <= SESSION_MESSAGE_MS; t += 1000)
        session_alive(session, true, T0 + t);
    session_tick(session, T0 + SESSION_MESSAGE_MS);
    assert_closing(0, "");
    session_tick(session, T0 + SESSION_MESSAGE_MS + 1);
    assert_closing(4004, "timeout");
}

static void a_machine_that_never_enrols(void **state)
{
    (void)state;
    authenticate();
    for (uint64_t t = 0; t <= SESSION_UNENROLLED_MS; t += 10000)
        session_alive(session, false, T0 + t);
    session_tick(session, T0 + SESSION_UNENROLLED_MS);
    assert_closing(0, "");
    session_tick(session, T0 + SESSION_UNENROLLED_MS + 1);
    assert_closing(4004, "timeout");
}

static void answers_that_nobody_takes(void **state)
{
    (void)state;
    static const char abort[] =
        "{\"type\":\"bundle_abort\",\"ticket\":\"00000000000000000000000000000000\"}";
    uint64_t now = T0;
    authenticate();
    for (int i = 0; i < SESSION_QUEUE_MAX; i++) {
        assert_false(session_congested(session));
        now += 100;
        session_text(session, abort, sizeof(abort) - 1, now);
        session_alive(session, false, now);
    }
    assert_true(session_congested(session));
    session_tick(session, now);
    session_alive(session, false, now + SESSION_WRITE_MS);
    session_tick(session, now + SESSION_WRITE_MS);
    assert_closing(0, "");
    session_sent(session, now + SESSION_WRITE_MS);
    session_tick(session, now + SESSION_WRITE_MS + 1);
    assert_closing(0, "");
    session_alive(session, false, now + 2 * SESSION_WRITE_MS);
    session_tick(session, now + 2 * SESSION_WRITE_MS + 1);
    assert_closing(4004, "timeout");
}

static void nothing_is_heard_after_the_close(void **state)
{
    (void)state;
    session_sent(session, T0);
    session_text(session, "{}", 2, T0);
    assert_closing(1008, "malformed");
    session_text(session, "{\"type\":\"x\"}", 12, T0);
    session_close(session, SESSION_CLOSE_GOING_AWAY, "shutdown");
    assert_closing(1008, "malformed");
    assert_null(session_next(session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_authentication_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_does_not_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_machine_that_never_enrols, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_that_nobody_takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_heard_after_the_close, set_up, tear_down),
    };
    log_setup("test", 0);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
