/* What is called down, and that nothing a worker says reaches a terminal or breaks JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>
#include <cmocka.h>

#include "program_exit.h"
#include "status.h"

enum { VAULT, CAPTURE, UPLINK, RESOLVER };

/* An agent of which everything serves, connected and approved. */
static struct status *healthy(void)
{
    static struct status status;
    static const char *const names[] = {"vault", "capture", "uplink", "resolver"};
    status = (struct status){.proved = true};
    ipc_StatusReply *reply = &status.reply;
    strcpy(reply->version, "0.1.0");
    strcpy(reply->console, "console.example:443");
    reply->has_uplink = reply->has_capture = true;
    reply->uplink.phase = ipc_UPLINK_APPROVED;
    reply->capture.phase = ipc_CAPTURE_CAPTURING;
    reply->workers_count = 4;
    for (size_t i = 0; i < 4; i++) {
        ipc_WorkerStatus *worker = &reply->workers[i];
        strcpy(worker->name, names[i]);
        worker->state = i == RESOLVER ? ipc_WORKER_DOWN : ipc_WORKER_SERVING;
        worker->has_lock = i != RESOLVER;
        worker->lock.seccomp_mode = 2;
    }
    return &status;
}

static void test_healthy(void **state)
{
    (void)state;
    assert_int_equal(status_exit(healthy()), PROGRAM_EXIT_OK);
}

static void test_worker_down(void **state)
{
    (void)state;
    struct status *status = healthy();
    status->reply.workers[VAULT].state = ipc_WORKER_STARTING;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_DOWN);
    status->reply.workers[VAULT].state = ipc_WORKER_DISABLED;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_OK);
}

static void test_capture(void **state)
{
    (void)state;
    struct status *status = healthy();
    ipc_StatusReply *reply = &status->reply;
    reply->workers[CAPTURE].state = ipc_WORKER_DOWN;
    static const struct {
        ipc_CapturePhase phase;
        int code;
    } cases[] = {{ipc_CAPTURE_NOT_RUNNING, PROGRAM_EXIT_DOWN},
                 {ipc_CAPTURE_NO_SESSION, PROGRAM_EXIT_OK},
                 {ipc_CAPTURE_WAITING_FOR_X, PROGRAM_EXIT_DOWN},
                 {ipc_CAPTURE_WAYLAND, PROGRAM_EXIT_DOWN}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reply->capture.phase = cases[i].phase;
        assert_int_equal(status_exit(status), cases[i].code);
    }
    reply->workers[CAPTURE].state = ipc_WORKER_SERVING;
    reply->capture.phase = ipc_CAPTURE_PAUSED;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_OK);
}

static void test_console(void **state)
{
    (void)state;
    struct status *status = healthy();
    ipc_StatusReply *reply = &status->reply;
    for (int phase = 0; phase < (int)_ipc_UplinkPhase_ARRAYSIZE; phase++) {
        reply->uplink.phase = (ipc_UplinkPhase)phase;
        bool stands = phase == ipc_UPLINK_NOT_CONFIGURED || phase == ipc_UPLINK_UNENROLLED ||
                      phase == ipc_UPLINK_PENDING || phase == ipc_UPLINK_APPROVED;
        assert_int_equal(status_exit(status), stands ? PROGRAM_EXIT_OK : PROGRAM_EXIT_DOWN);
    }
    reply->uplink.phase = (ipc_UplinkPhase)99;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_DOWN);
}

static void test_disagreement_comes_first(void **state)
{
    (void)state;
    struct status *status = healthy();
    status->reply.workers[VAULT].state = ipc_WORKER_DOWN;
    status->workers[CAPTURE].findings = 1;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_DISAGREES);
    status->workers[CAPTURE].findings = 0;
    status->broker.findings = 1;
    assert_int_equal(status_exit(status), PROGRAM_EXIT_DISAGREES);
}

/* Runs `print` with standard output in a file; returns what was written. */
static char *printed(int (*print)(const struct status *status), const struct status *status)
{
    static char text[65536];
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    assert_true(before >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
    int result = print(status);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    rewind(file);
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    assert_int_equal(result, PROGRAM_EXIT_OK);
    return text;
}

static int print_text(const struct status *status)
{
    status_print_text(status, UINT64_C(1790000000000));
    return PROGRAM_EXIT_OK;
}

static const char hostile[] = "\033]0;owned\a\r\nvault serving \xff\xc3\x28 \\ \"x\" \xc3\xa9";

/* As a worker or a console might fill every text that it can. */
static struct status *attacked(void)
{
    struct status *status = healthy();
    ipc_StatusReply *reply = &status->reply;
    strcpy(reply->uplink.detail, hostile);
    strcpy(reply->capture.detail, hostile);
    strcpy(reply->console, hostile);
    reply->uplink.phase = (ipc_UplinkPhase)77;
    reply->uplink.reason = (ipc_UplinkReason)-5;
    reply->uplink.since_ms = reply->uplink.retry_at_ms = UINT64_MAX;
    reply->capture.paused_until_ms = reply->capture.bytes = UINT64_MAX;
    for (size_t i = 0; i < 4; i++) {
        ipc_WorkerStatus *worker = &reply->workers[i];
        strcpy(worker->reason, hostile);
        memcpy(worker->lock.overlay, "\033[2J", 5);
        memcpy(worker->lock.below_preferred,
               "\x9b"
               "31m",
               5);
        worker->state = i == VAULT ? ipc_WORKER_SERVING : ipc_WORKER_DOWN;
        worker->since_ms = worker->retry_at_ms = UINT64_MAX;
    }
    return status;
}

static void test_text_is_safe(void **state)
{
    (void)state;
    char *text = printed(print_text, attacked());
    assert_non_null(strstr(text, "\\x1b]0;owned\\x07\\x0d\\x0avault serving"));
    for (char *c = text; *c; c++)
        assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
}

static void test_json_is_whole(void **state)
{
    (void)state;
    json_error_t error;
    json_t *root =
        json_loads(printed(status_print_json, attacked()), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(root);
    json_t *connection = json_object_get(root, "connection");
    assert_string_equal(json_string_value(json_object_get(connection, "phase")), "unknown");
    assert_non_null(strstr(json_string_value(json_object_get(connection, "detail")), "\\x1b]0;"));
    assert_int_equal(json_array_size(json_object_get(root, "workers")), 4);
    json_decref(root);
}

static void test_json_of_the_healthy(void **state)
{
    (void)state;
    json_error_t error;
    struct status *status = healthy();
    strcpy(status->reply.capture.detail, "b\xc3\xbcro \033"); /* UTF-8 stays what it is */
    status->workers[VAULT].looked = true;
    status->workers[VAULT].view = (struct proc_view){.pid = 7, .seccomp = 2, .tasks = 3};
    status->workers[VAULT].findings = 1;
    strcpy(status->workers[VAULT].finding[0], "runs as uid 1, not 2");
    json_t *root = json_loads(printed(status_print_json, status), 0, &error);
    assert_non_null(root);
    json_t *detail = json_object_get(json_object_get(root, "capture"), "detail");
    assert_string_equal(json_string_value(detail), "b\xc3\xbcro \033");
    json_t *kernel =
        json_object_get(json_array_get(json_object_get(root, "workers"), VAULT), "kernel");
    assert_int_equal(json_integer_value(json_object_get(kernel, "seccomp_mode")), 2);
    json_t *findings = json_object_get(kernel, "disagreements");
    assert_string_equal(json_string_value(json_array_get(findings, 0)), "runs as uid 1, not 2");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_worker_down),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_disagreement_comes_first),
        cmocka_unit_test(test_text_is_safe),
        cmocka_unit_test(test_json_is_whole),
        cmocka_unit_test(test_json_of_the_healthy),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
