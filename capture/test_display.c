#include "test_display.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS   20000
#define WORDS_MAX 32

static void exec_quietly(const char *const *argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (getenv("TEST_DISPLAY_VERBOSE") == NULL)
        dup2(null, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void wait_for_number(struct test_display *display, int fd)
{
    char text[16] = "";
    size_t used = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (strchr(text, '\n') == NULL) {
        assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
        ssize_t n = read(fd, text + used, sizeof(text) - 1 - used);
        assert_true(n > 0);
        used += (size_t)n;
    }
    display->number = atoi(text);
}

void test_display_start(struct test_display *display, const char *const *argv)
{
    const char *words[WORDS_MAX] = {argv[0], "-displayfd"};
    char number[16];
    int numbers[2];
    size_t count = 3;
    memset(display, 0, sizeof(*display));
    assert_int_equal(pipe(numbers), 0);
    fcntl(numbers[0], F_SETFD, FD_CLOEXEC);
    snprintf(number, sizeof(number), "%d", numbers[1]);
    words[2] = number;
    for (size_t i = 1; argv[i] != NULL && count < WORDS_MAX - 1; i++)
        words[count++] = argv[i];
    display->server = fork();
    assert_true(display->server >= 0);
    if (display->server == 0)
        exec_quietly(words);
    close(numbers[1]);
    wait_for_number(display, numbers[0]);
    close(numbers[0]);
    snprintf(display->name, sizeof(display->name), ":%d", display->number);
    snprintf(display->path, sizeof(display->path), "/tmp/.X11-unix/X%d", display->number);
}

void test_display_xvfb(struct test_display *display, unsigned width, unsigned height)
{
    char screen[32];
    snprintf(screen, sizeof(screen), "%ux%ux24", width, height);
    const char *argv[] = {"Xvfb", "-screen", "0", screen, "-nolisten", "tcp", "-noreset", NULL};
    test_display_start(display, argv);
}

/* Asks first: a program may have children of its own to end. */
static void end(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int waited = 0; waited < 3000; waited += 10) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        poll(NULL, 0, 10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void test_display_stop(struct test_display *display)
{
    if (display->painter != NULL)
        xcb_disconnect(display->painter);
    display->painter = NULL;
    while (display->program_count > 0)
        end(display->programs[--display->program_count]);
    if (display->server > 0) {
        kill(display->server, SIGTERM);
        waitpid(display->server, NULL, 0);
    }
    display->server = 0;
}

static pid_t start_command(struct test_display *display, const char *command)
{
    char text[512], *rest = text;
    const char *words[WORDS_MAX] = {NULL};
    snprintf(text, sizeof(text), "%s", command);
    for (size_t i = 0; i < WORDS_MAX - 1; i++) {
        words[i] = strtok_r(i == 0 ? text : NULL, " ", &rest);
        if (words[i] == NULL)
            break;
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("DISPLAY", display->name, 1);
        exec_quietly(words);
    }
    return pid;
}

void test_display_run(struct test_display *display, const char *command)
{
    int status = 0;
    pid_t pid = start_command(display, command);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: status %d", command, status);
}

void test_display_spawn(struct test_display *display, const char *command)
{
    assert_true(display->program_count < sizeof(display->programs) / sizeof(display->programs[0]));
    display->programs[display->program_count++] = start_command(display, command);
}

static void need_painter(struct test_display *display)
{
    if (display->painter != NULL)
        return;
    display->painter = xcb_connect(display->name, NULL);
    assert_int_equal(xcb_connection_has_error(display->painter), 0);
    display->screen = xcb_setup_roots_iterator(xcb_get_setup(display->painter)).data;
}

void test_display_sync(struct test_display *display)
{
    need_painter(display);
    free(xcb_get_input_focus_reply(display->painter, xcb_get_input_focus(display->painter), NULL));
    for (xcb_generic_event_t *e; (e = xcb_poll_for_event(display->painter)) != NULL;)
        free(e);
}

static void set_text(struct test_display *display, xcb_window_t window, xcb_atom_t atom,
                     const char *text, size_t length)
{
    xcb_change_property(display->painter, XCB_PROP_MODE_REPLACE, window, atom, XCB_ATOM_STRING, 8,
                        (uint32_t)length, text);
}

static void describe(struct test_display *display, xcb_window_t id, const struct test_window *w)
{
    if (w->wm_class != NULL) {
        char both[128];
        size_t half = strlen(w->wm_class) + 1;
        assert_true(2 * half <= sizeof(both));
        memcpy(both, w->wm_class, half);
        memcpy(both + half, w->wm_class, half);
        set_text(display, id, XCB_ATOM_WM_CLASS, both, 2 * half);
    }
    if (w->title != NULL)
        set_text(display, id, XCB_ATOM_WM_NAME, w->title, strlen(w->title));
    if (w->transient_for != 0)
        xcb_change_property(display->painter, XCB_PROP_MODE_REPLACE, id, XCB_ATOM_WM_TRANSIENT_FOR,
                            XCB_ATOM_WINDOW, 32, 1, &w->transient_for);
}

xcb_window_t test_display_window(struct test_display *display, const struct test_window *w)
{
    need_painter(display);
    xcb_window_t id = xcb_generate_id(display->painter);
    uint32_t values[] = {w->colour, (uint32_t)w->override_redirect};
    xcb_create_window(display->painter, XCB_COPY_FROM_PARENT, id,
                      w->parent != 0 ? w->parent : display->screen->root, w->x, w->y, w->width,
                      w->height, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT,
                      XCB_CW_BACK_PIXEL | XCB_CW_OVERRIDE_REDIRECT, values);
    describe(display, id, w);
    xcb_map_window(display->painter, id);
    test_display_sync(display);
    return id;
}

static xcb_atom_t atom(struct test_display *display, const char *name)
{
    xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(
        display->painter, xcb_intern_atom(display->painter, 0, (uint16_t)strlen(name), name), NULL);
    assert_non_null(reply);
    xcb_atom_t value = reply->atom;
    free(reply);
    return value;
}

void test_display_activate(struct test_display *display, xcb_window_t window)
{
    need_painter(display);
    xcb_change_property(display->painter, XCB_PROP_MODE_REPLACE, display->screen->root,
                        atom(display, "_NET_ACTIVE_WINDOW"), XCB_ATOM_WINDOW, 32, 1, &window);
    test_display_sync(display);
}

static uint8_t *read_image(struct test_display *display, int16_t x, int16_t y, uint16_t width,
                           uint16_t height)
{
    need_painter(display);
    size_t size = (size_t)width * height * 4;
    uint8_t *copy = malloc(size);
    xcb_get_image_reply_t *reply =
        xcb_get_image_reply(display->painter,
                            xcb_get_image(display->painter, XCB_IMAGE_FORMAT_Z_PIXMAP,
                                          display->screen->root, x, y, width, height, ~0U),
                            NULL);
    assert_non_null(reply);
    assert_int_equal(xcb_get_image_data_length(reply), size);
    memcpy(copy, xcb_get_image_data(reply), size);
    free(reply);
    return copy;
}

uint32_t test_display_pixel(struct test_display *display, int16_t x, int16_t y)
{
    uint8_t *pixel = read_image(display, x, y, 1, 1);
    uint32_t colour = (uint32_t)pixel[2] << 16 | (uint32_t)pixel[1] << 8 | pixel[0];
    free(pixel);
    return colour;
}

uint8_t *test_display_image(struct test_display *display, uint16_t width, uint16_t height)
{
    return read_image(display, 0, 0, width, height);
}
