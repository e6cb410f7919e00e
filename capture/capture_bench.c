/*
 * What a frame costs, measured through the engine on a real X server with real programs:
 *
 *     capture_bench WIDTH HEIGHT TRIGGERS [video|cpu]
 *
 * starts Xvfb with openbox and two shells in xterms, in which commands are typed and windows moved,
 * presses F2 for each trigger, and prints JSON lines: medians over the triggers, in
 * microseconds and bytes. The bare grab is the same request over the same connection, alone,
 * measured between the triggers. With "video" the whole screen is noise that changes before each
 * trigger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "test_engine.h"

#define TRIGGERS_MAX 2000
#define MAIM_RUNS    5

static struct test_engine test;
static unsigned width = 1920, height = 1080, triggers = 100;
static int video, cpu;
static uint64_t grab_us[TRIGGERS_MAX], total_us[TRIGGERS_MAX], bytes[TRIGGERS_MAX];
static uint64_t delta_bytes[TRIGGERS_MAX];
static unsigned deltas;

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, unsigned count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), ascending);
    return values[count / 2];
}

/* Of values that median has sorted. */
static uint64_t slow_tenth(const uint64_t *values, unsigned count)
{
    return count > 0 ? values[count - 1 - count / 10] : 0;
}

static uint64_t mean(const uint64_t *values, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / count : 0;
}

static void print(const char *name, uint64_t value, const char *unit)
{
    printf("{\"name\": \"%s\", \"width\": %u, \"height\": %u, \"video\": %s, \"value\": %llu, "
           "\"unit\": \"%s\"}\n",
           name, width, height, video ? "true" : "false", (unsigned long long)value, unit);
}

/* Noise that LZ4 cannot pack, over the whole screen. */
static void play(void)
{
    static xcb_window_t window;
    static xcb_gcontext_t gc;
    enum { ROWS = 8 };
    uint32_t *noise = malloc((size_t)width * ROWS * 4);
    if (gc == 0) {
        struct test_window whole = {
            .width = (uint16_t)width, .height = (uint16_t)height, .override_redirect = 1};
        window = test_display_window(&test.display, &whole);
        gc = xcb_generate_id(test.display.painter);
        xcb_create_gc(test.display.painter, gc, window, 0, NULL);
    }
    for (unsigned y = 0; y < height; y += ROWS) {
        for (size_t i = 0; i < (size_t)width * ROWS; i++)
            noise[i] = (uint32_t)rand() * 2654435761U & 0xffffff;
        xcb_put_image(test.display.painter, XCB_IMAGE_FORMAT_Z_PIXMAP, window, gc, (uint16_t)width,
                      ROWS, 0, (int16_t)y, 0, 24, width * ROWS * 4, (const uint8_t *)noise);
    }
    test_display_sync(&test.display);
    free(noise);
}

/* A command without spaces that prints lines which were not there before. */
static char script[] = "/tmp/cloister-bench-XXXXXX";

static void make_script(void)
{
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fputs("ls -l /usr/lib/* | shuf -n 15\n", file);
    fclose(file);
    assert_int_equal(chmod(script, 0755), 0);
}

static void desktop(void)
{
    test_display_spawn(&test.display, "openbox");
    test_display_spawn(&test.display, "xterm -geometry 100x45+30+60 -e sh");
    test_display_spawn(&test.display, "xterm -geometry 100x45+700+300 -e sh");
    test_display_run(&test.display, "xdotool search --sync --class xterm");
    /* What is mapped while openbox starts may be lost: ask again. */
    for (int i = 0; i < 10; i++) {
        test_display_run(&test.display, "xdotool search --class xterm windowmap");
        poll(NULL, 0, 100);
    }
    test_display_run(&test.display, "xdotool search --onlyvisible --class xterm windowfocus");
}

/* What a person does before a trigger: types; one time in three also runs what was typed, whose
 * output scrolls the window; one time in ten moves both windows instead. */
static void work(unsigned i)
{
    char command[128];
    if (video) {
        play();
        return;
    }
    if (i % 10 == 9)
        snprintf(command, sizeof(command), "xdotool search --class xterm windowmove %u %u",
                 100 + i * 37 % (width / 3), 80 + i * 23 % (height / 3));
    else if (i % 3 == 0)
        snprintf(command, sizeof(command), "xdotool type --delay 1 %s\n", script);
    else
        snprintf(command, sizeof(command), "xdotool type --delay 1 words%u,", i);
    test_display_run(&test.display, command);
}

static uint64_t bare_grab(void)
{
    uint64_t start = clock_us(CLOCK_MONOTONIC);
    if (x11_grab(test.x11) != X11_OK)
        return 0;
    return clock_us(CLOCK_MONOTONIC) - start;
}

/* The usual screenshot program, started anew as somebody who presses a key for it would. */
static uint64_t maim(void)
{
    uint64_t start = clock_us(CLOCK_MONOTONIC);
    test_display_run(&test.display, "maim /dev/null");
    return clock_us(CLOCK_MONOTONIC) - start;
}

static void one(unsigned i, unsigned *stored)
{
    struct engine_status before, after;
    work(i);
    test_engine_settle(&test, 60);
    engine_status(test.engine, &before);
    uint64_t bare = bare_grab();
    test_display_run(&test.display, "xdotool key F2");
    test_engine_settle(&test, 20);
    engine_status(test.engine, &after);
    const struct engine_cost *cost = engine_cost(test.engine);
    if (after.merged != before.merged || cost->bytes == 0)
        return;
    grab_us[*stored] = bare;
    total_us[*stored] = cost->total_us;
    bytes[*stored] = cost->bytes;
    (*stored)++;
    struct frame_info info = test_engine_frame(&test, test_engine_newest(&test));
    if (info.kind == FRAME_DELTA)
        delta_bytes[deltas++] = cost->bytes;
}

/* Processor time that another process has used, in us. */
static uint64_t cpu_of(pid_t pid)
{
    char path[32], text[512];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    const char *after = strrchr(text, ')');
    assert_int_equal(
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
        2);
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* 5 triggers a second for CPU_SECONDS, with something to see for each: 1000 is one core. */
#define CPU_SECONDS 20U

static void bench_cpu(void)
{
    uint64_t before[2] = {cpu_of(test.display.server), 0}, used[2];
    test_display_run(&test.display, "xdotool key --repeat 100 --delay 200 F12");
    used[0] = cpu_of(test.display.server) - before[0];
    struct engine_config config = test_engine_config();
    test_engine_start(&test, &config);
    before[0] = cpu_of(test.display.server);
    before[1] = clock_us(CLOCK_THREAD_CPUTIME_ID);
    test_display_spawn(&test.display, "xdotool key --repeat 100 --delay 200 F12");
    uint64_t end = clock_ms() + CPU_SECONDS * 1000;
    while (clock_ms() < end)
        test_engine_settle(&test, 500);
    uint64_t server = cpu_of(test.display.server) - before[0];
    server = server > used[0] ? server - used[0] : 0;
    used[1] = clock_us(CLOCK_THREAD_CPUTIME_ID) - before[1];
    struct engine_status status;
    engine_status(test.engine, &status);
    print("frames in 20 s", status.frames, "frames");
    print("capture at 5 triggers a second", used[1] / (CPU_SECONDS * 1000), "permille of a core");
    print("X server's share of it", server / (CPU_SECONDS * 1000), "permille of a core");
}

static void bench(void **state)
{
    (void)state;
    struct engine_config config = test_engine_config();
    struct engine_status status;
    config.limits = (struct ring_limits){900000, 64U << 20, 300};
    config.cpu_percent = video ? 2 : 100;
    test_display_xvfb(&test.display, width, height);
    make_script();
    desktop();
    if (cpu) {
        bench_cpu();
        test_engine_stop(&test);
        remove(script);
        return;
    }
    test_engine_start(&test, &config);
    unsigned stored = 0;
    uint64_t maim_us[MAIM_RUNS];
    for (unsigned i = 0; i < triggers; i++)
        one(i, &stored);
    for (unsigned i = 0; !video && i < MAIM_RUNS; i++)
        maim_us[i] = maim();
    engine_status(test.engine, &status);
    uint64_t raw = (uint64_t)width * height * 4;
    print("bare grab", median(grab_us, stored), "us");
    print("trigger to stored", median(total_us, stored), "us");
    print("trigger to stored, 90th percentile", slow_tenth(total_us, stored), "us");
    if (!video)
        print("maim", median(maim_us, MAIM_RUNS), "us");
    print("raw frame", raw, "bytes");
    print("stored per frame, mean", mean(bytes, stored), "bytes");
    print("stored per frame, median", median(bytes, stored), "bytes");
    print("stored per delta, median", median(delta_bytes, deltas), "bytes");
    print("frames kept", status.frames, "frames");
    print("bytes kept", status.bytes, "bytes");
    print("triggers merged", status.merged, "triggers");
    test_engine_stop(&test);
    remove(script);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        width = (unsigned)atoi(argv[1]);
    if (argc > 2)
        height = (unsigned)atoi(argv[2]);
    if (argc > 3)
        triggers = (unsigned)atoi(argv[3]);
    video = argc > 4 && strcmp(argv[4], "video") == 0;
    cpu = argc > 4 && strcmp(argv[4], "cpu") == 0;
    if (width < 800 || height < 600 || triggers == 0 || triggers > TRIGGERS_MAX) {
        fprintf(stderr, "usage: capture_bench WIDTH HEIGHT TRIGGERS [video|cpu]\n");
        return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
