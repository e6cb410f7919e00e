/*
 * shebang_read against the kernel's own reading: each first line is also written to a file, which
 * is executed with a program that shows its arguments as its interpreter.
 */
#include "shebang.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/shebang_test.XXXXXX";
static char shower[SHEBANG_MAX]; /* the interpreter: shows its name and arguments, each in a line */
static char script[64];

static void write_file(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    static const char text[] = "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\n";
    assert_non_null(mkdtemp(folder));
    snprintf(shower, sizeof shower, "%s/show", folder);
    snprintf(script, sizeof script, "%s/script", folder);
    write_file(shower, text, sizeof text - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* What the kernel makes of the file: what its interpreter shows, or the errno of execve. */
static int run_file(char *out, size_t capacity)
{
    int ends[2], errors[2], error = 0;
    assert_true(pipe2(ends, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl(script, script, (char *)NULL);
        error = errno;
        _exit(write(errors[1], &error, sizeof error) != sizeof error);
    }
    close(ends[1]);
    close(errors[1]);
    ssize_t n, used = 0;
    while ((n = read(ends[0], out + used, capacity - 1 - (size_t)used)) > 0)
        used += n;
    out[used] = '\0';
    if (read(errors[0], &error, sizeof error) == 0)
        error = 0;
    close(ends[0]);
    close(errors[0]);
    waitpid(pid, NULL, 0);
    return error;
}

/* Compares both readings of a script of these bytes. */
static void compare(const char *bytes, size_t length)
{
    char shown[4096], ours[4096];
    struct shebang shebang;
    write_file(script, bytes, length);
    int error = run_file(shown, sizeof shown);
    int outcome = shebang_read(&shebang, (const uint8_t *)bytes, length);
    if (error != 0) { /* no interpreter, or none of that name */
        assert_true(outcome == -ENOEXEC || access(shebang.interpreter, X_OK) != 0);
        return;
    }
    assert_int_equal(outcome, 0);
    snprintf(ours, sizeof ours, "%s\n%s%s%s\n", shebang.interpreter, shebang.argument,
             shebang.argument[0] ? "\n" : "", script);
    assert_string_equal(ours, shown);
}

/* A line with the interpreter's path where it says @. */
static void line(const char *text)
{
    char bytes[1024];
    const char *at = strchr(text, '@');
    int n = at ? snprintf(bytes, sizeof bytes, "%.*s%s%s", (int)(at - text), text, shower, at + 1)
               : snprintf(bytes, sizeof bytes, "%s", text);
    compare(bytes, (size_t)n);
}

static void test_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "#!@\n",
        "#!@",
        "#! @\n",
        "#! \t @ \t\n",
        "#!@ -a\n",
        "#!@ -a -b  c\n",
        "#!@\t-a\t-b \n",
        "#!@   \nmore\n",
        "#!@ -a",
        "#!@ -a  ",
        "#!@\r\n",
        "#!/no/such\n",
        "#!\n",
        "#!  \n",
        "#! ",
        "#!@ a\rb\n",
        "#!@ \"x y\"\n",
        "#!@ # comment\n",
        "#!@ \xc3\xa9\n",
        "#!@ -a \t \n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        line(lines[i]);
}

/* Lines around the kernel's limit of 256 bytes: the argument is cut, or the interpreter is. */
static void test_long_lines(void **state)
{
    (void)state;
    static const char ends[][4] = {"\n", "", " \n", "x\n", "xx\n", "  x", "\0x"};
    for (size_t length = 225; length < 262; length++)
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
            char bytes[512];
            size_t n = (size_t)snprintf(bytes, sizeof bytes, "#!%s ", shower);
            memset(bytes + n, 'a', length - n);
            memcpy(bytes + length, ends[e], sizeof ends[e]);
            compare(bytes, length + (e == 6 ? 2 : strlen(ends[e])));
        }
}

static void test_long_interpreter(void **state)
{
    (void)state;
    static const char ends[][4] = {"\n", "", " \n", "x\n", " x\n", "\0x"};
    char path[SHEBANG_MAX + 16];
    for (size_t length = 245; length < 262; length++) {
        size_t n = (size_t)snprintf(path, sizeof path, "#!%s/", folder);
        memset(path + n, 'i', length - n);
        path[length] = '\0';
        if (symlink("show", path + 2) != 0)
            assert_int_equal(errno, ENAMETOOLONG);
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
            char bytes[512];
            memcpy(bytes, path, length);
            memcpy(bytes + length, ends[e], sizeof ends[e]);
            compare(bytes, length + (e == 5 ? 2 : strlen(ends[e])));
        }
    }
}

static void test_nul_in_the_line(void **state)
{
    (void)state;
    char bytes[512];
    int n = snprintf(bytes, sizeof bytes, "#!%s -a", shower);
    memcpy(bytes + n, "\0-b \n", 5);
    compare(bytes, (size_t)n + 5);
}

static void test_no_script(void **state)
{
    (void)state;
    struct shebang shebang;
    assert_int_equal(shebang_read(&shebang, (const uint8_t *)"echo", 4), -ENOEXEC);
    assert_int_equal(shebang_read(&shebang, (const uint8_t *)"#!", 2), -ENOEXEC);
    assert_int_equal(shebang_read(&shebang, (const uint8_t *)"", 0), -ENOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_interpreter),
        cmocka_unit_test(test_nul_in_the_line),
        cmocka_unit_test(test_no_script),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
