#include "state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char path[64];
    int folder;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->path, "/tmp/state_folder_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->folder = state_folder_open(place->path);
    assert_true(place->folder >= 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    close(place->folder);
    snprintf(command, sizeof command, "rm -r %s", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void put(int folder, const char *name, const char *text, mode_t mode)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_content(int folder, const char *name, const char *text)
{
    char bytes[64];
    size_t length = 0;
    assert_int_equal(state_file_read(folder, name, bytes, sizeof bytes, &length), STATE_READ);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, length);
}

static void what_is_written_is_read(void **state)
{
    struct place *place = *state;
    char bytes[4];
    size_t length;
    struct stat st;
    assert_int_equal(state_file_read(place->folder, "a", bytes, sizeof bytes, &length),
                     STATE_MISSING);
    assert_int_equal(state_file_exists(place->folder, "a"), 0);
    mode_t umask_before = umask(0);
    assert_int_equal(state_file_write(place->folder, "a", "one", 3), 0);
    assert_content(place->folder, "a", "one");
    assert_int_equal(state_file_write(place->folder, "a", "three", 5), 0);
    umask(umask_before);
    assert_content(place->folder, "a", "three");
    assert_int_equal(state_file_read(place->folder, "a", bytes, sizeof bytes, &length),
                     STATE_TOO_LONG);
    assert_int_equal(fstatat(place->folder, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(state_file_exists(place->folder, "a.new"), 0);
}

static void what_an_interrupted_write_left_is_no_obstacle(void **state)
{
    struct place *place = *state;
    put(place->folder, "a.new", "half a fi", 0600);
    assert_int_equal(state_file_write(place->folder, "a", "whole", 5), 0);
    assert_content(place->folder, "a", "whole");
}

static void a_link_is_never_followed(void **state)
{
    struct place *place = *state;
    char bytes[16];
    size_t length;
    put(place->folder, "target", "theirs", 0600);
    assert_int_equal(symlinkat("target", place->folder, "a"), 0);
    assert_int_equal(symlinkat("target", place->folder, "a.new"), 0);
    assert_int_equal(state_file_read(place->folder, "a", bytes, sizeof bytes, &length), -EPERM);
    assert_int_equal(state_file_exists(place->folder, "a"), 1);
    assert_int_equal(state_file_write(place->folder, "a", "ours", 4), 0);
    assert_content(place->folder, "a", "ours");
    assert_content(place->folder, "target", "theirs");
}

static void what_others_could_read_or_write_is_refused(void **state)
{
    struct place *place = *state;
    char bytes[16];
    size_t length;
    put(place->folder, "open", "x", 0640);
    assert_int_equal(state_file_read(place->folder, "open", bytes, 16, &length), -EPERM);
    put(place->folder, "twice", "x", 0600);
    assert_int_equal(linkat(place->folder, "twice", place->folder, "again", 0), 0);
    assert_int_equal(state_file_read(place->folder, "twice", bytes, 16, &length), -EPERM);
    assert_int_equal(mkfifoat(place->folder, "pipe", 0600), 0);
    assert_int_equal(state_file_read(place->folder, "pipe", bytes, 16, &length), -EPERM);
    if (geteuid() == 0) {
        put(place->folder, "other", "x", 0600);
        assert_int_equal(fchownat(place->folder, "other", 65534, -1, 0), 0);
        assert_int_equal(state_file_read(place->folder, "other", bytes, 16, &length), -EPERM);
    }
}

static void the_folder_must_be_ours_alone(void **state)
{
    struct place *place = *state;
    assert_int_equal(state_folder_check(place->folder), 0);
    assert_int_equal(fchmod(place->folder, 0750), 0);
    assert_int_equal(state_folder_check(place->folder), -EPERM);
    assert_int_equal(fchmod(place->folder, 0700), 0);
    int file = openat(place->folder, "f", O_CREAT | O_RDWR, 0600);
    assert_int_equal(state_folder_check(file), -ENOTDIR);
    close(file);
    assert_int_equal(state_folder_check(-1), -EBADF);
}

static void setting_aside_overwrites_nothing(void **state)
{
    struct place *place = *state;
    char aside[STATE_NAME_MAX];
    put(place->folder, "a", "first", 0600);
    assert_int_equal(state_file_set_aside(place->folder, "a", 1000, aside), 0);
    assert_string_equal(aside, "a.bad-1000");
    put(place->folder, "a", "second", 0600);
    assert_int_equal(state_file_set_aside(place->folder, "a", 1000, aside), 0);
    assert_string_equal(aside, "a.bad-1001");
    assert_content(place->folder, "a.bad-1000", "first");
    assert_content(place->folder, "a.bad-1001", "second");
    assert_int_equal(state_file_set_aside(place->folder, "a", 1000, aside), -ENOENT);
}

static void long_names_are_refused(void **state)
{
    struct place *place = *state;
    char name[STATE_NAME_MAX], aside[STATE_NAME_MAX];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    put(place->folder, name, "x", 0600);
    assert_int_equal(state_file_write(place->folder, name, "y", 1), -ENAMETOOLONG);
    assert_int_equal(state_file_set_aside(place->folder, name, 1, aside), -ENAMETOOLONG);
    assert_content(place->folder, name, "x");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_is_written_is_read),       test(what_an_interrupted_write_left_is_no_obstacle),
        test(a_link_is_never_followed),      test(what_others_could_read_or_write_is_refused),
        test(the_folder_must_be_ours_alone), test(setting_aside_overwrites_nothing),
        test(long_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
