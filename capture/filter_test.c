/*
 * Capture's work under its shipped seccomp program, against a real X server: all of it must pass,
 * and what is not its work must kill.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "capture_filter.h"
#include "clock.h"
#include "service.h"
#include "test_display.h"

#define TRIGGERS UINT64_C(0x3ffe07)

static struct test_display display;

static int set_up(void **state)
{
    (void)state;
    test_display_xvfb(&display, 800, 600);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_display_stop(&display);
    return 0;
}

static void install_filter(void)
{
    struct sock_fprog program = {
        .len = capture_filter.instructions,
        .filter = (struct sock_filter *)(uintptr_t)capture_filter.program,
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        _exit(99);
}

/* As sandbox_files does where the launcher could not raise the limit: from here on nothing can be
 * locked. */
static void give_up_locking(void)
{
    struct rlimit none = {0, 0};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || syscall(SYS_capset, &head, data) != 0)
        _exit(97);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (syscall(SYS_mlock, page, 4096) == 0)
        _exit(96);
}

static void need(int good, int line)
{
    if (!good)
        _exit(line % 90 + 1);
}
#define NEED(good) need(good, __LINE__)

/* Waits in the engine's way until it has `frames` frames. `told` gets a byte when it is ready. */
static void run_until(struct engine *engine, struct x11 *x11, uint32_t frames)
{
    while (ring_records(engine_ring(engine)) < frames) {
        struct pollfd ready = {.fd = x11_fd(x11), .events = POLLIN};
        poll(&ready, 1, engine_timeout_ms(engine));
        NEED(engine_run(engine) == ENGINE_OK);
    }
}

static struct picture *picture;
static struct engine *engine;
static struct service service;
static int x11_socket, told;

static void serve_a_ticket(void)
{
    struct service_caller caller = {1, 1000};
    ipc_SessionKey key;
    ipc_SessionKeyReply key_reply;
    ipc_FrameList list = {0};
    ipc_FrameListing listing;
    ipc_FrameFetch fetch = {1, 0};
    ipc_FramePart part;
    struct service_blob blob;
    uint8_t seed[32];
    service_begin(&service, engine, 1000);
    NEED(crypto_kx_keypair(key.public_key, seed) == 0);
    NEED(service_session_key(&service, &caller, &key, &key_reply) == NULL);
    NEED(service_frame_list(&service, &caller, &list, &listing, &blob) == NULL);
    NEED(listing.frames == 3);
    NEED(service_frame_fetch(&service, &caller, &fetch, &part, &blob) == NULL);
    service_ticket_ended(&service, 1);
}

/* What main() does behind its lock: every way of the engine, the largest buffers, forgetting. */
static void whole_life(void)
{
    static struct engine_config config = {.limits = {60000, 64U << 20, 100},
                                          .cpu_percent = 100,
                                          .session_active = true,
                                          .deny = {.count = 1, .patterns = {"Vault*"}}};
    struct x11 *x11 = NULL;
    char why[128];
    NEED(x11_start(&x11, x11_socket, NULL, picture, TRIGGERS, true, why, sizeof(why)) == X11_OK);
    NEED(engine_begin(engine, &config, x11, picture) == ENGINE_OK);
    NEED(engine_run(engine) == ENGINE_OK);
    NEED(write(told, "x", 1) == 1);
    run_until(engine, x11, 3);
    serve_a_ticket();
    engine_pause(engine, 1);
    engine_session(engine, false);
    engine_session(engine, true);
    NEED(picture_resize(picture, 3840, 2160) == PICTURE_OK);
    NEED(write(told, "x", 1) == 1);
    /* The server is killed; the engine must see that and end well. */
    int outcome;
    do {
        struct pollfd ready = {.fd = x11_fd(x11), .events = POLLIN};
        poll(&ready, 1, -1);
        outcome = engine_run(engine);
    } while (outcome == ENGINE_OK);
    NEED(outcome == ENGINE_LOST);
    engine_free(engine);
    x11_free(x11);
}

/* Runs `body` in a child behind the filter, with what main() opens before its lock. */
static pid_t behind_filter(void (*body)(void), int *ready)
{
    int pipefd[2];
    assert_int_equal(pipe(pipefd), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        told = pipefd[1];
        x11_socket = x11_dial(display.path);
        NEED(x11_socket >= 0 && picture_new(&picture) == 0);
        NEED(engine_new(&engine) == 0 && service_reserve(&service) == 0);
        give_up_locking();
        install_filter();
        body();
        _exit(0);
    }
    close(pipefd[1]);
    *ready = pipefd[0];
    return child;
}

static void wait_ready(int ready)
{
    char byte;
    struct pollfd wait = {.fd = ready, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 20000), 1);
    assert_int_equal(read(ready, &byte, 1), 1);
}

static void its_work_passes(void **state)
{
    (void)state;
    int ready, status;
    pid_t child = behind_filter(whole_life, &ready);
    wait_ready(ready);
    test_display_run(&display, "xdotool key F1 click 1 sleep 0.1 key Return sleep 0.1 key F2");
    test_display_run(&display, "xdotool sleep 0.2 key F1 sleep 0.2 key F1 sleep 0.2 key F1");
    wait_ready(ready);
    kill(display.server, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ready);
    assert_false(WIFSIGNALED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_a_file(void)
{
    open("/tmp/cloister-leak", O_WRONLY | O_CREAT, 0600);
}
static void open_shared_memory(void)
{
    memfd_create("more", 0);
}
static void make_socket(void)
{
    socket(AF_UNIX, SOCK_STREAM, 0);
}
static void connect_elsewhere(void)
{
    struct sockaddr address = {.sa_family = AF_UNSPEC};
    connect(x11_socket, &address, sizeof(address));
}
static void make_child(void)
{
    syscall(SYS_fork);
}
static void make_code(void)
{
    mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void clear_append(void)
{
    fcntl(x11_socket, F_SETFL, O_APPEND | O_DIRECT);
}
static void duplicate(void)
{
    fcntl(x11_socket, F_DUPFD, 100);
}
static void signal_others(void)
{
    kill(getppid(), 0);
}

static void what_is_not_its_work_kills(void **state)
{
    (void)state;
    static void (*const deeds[])(void) = {open_a_file,       open_shared_memory, make_socket,
                                          connect_elsewhere, make_child,         make_code,
                                          clear_append,      duplicate,          signal_others};
    for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        int ready, status;
        pid_t child = behind_filter(deeds[i], &ready);
        assert_int_equal(waitpid(child, &status, 0), child);
        close(ready);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("deed %zu ended with status 0x%x", i, status);
    }
}

int main(void)
{
#define ON_XVFB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_XVFB(its_work_passes),
        ON_XVFB(what_is_not_its_work_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
