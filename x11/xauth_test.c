#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xauth.h"

struct file {
    uint8_t bytes[4096];
    size_t length;
};

static void put_field(struct file *file, const char *text, size_t length)
{
    file->bytes[file->length++] = (uint8_t)(length >> 8);
    file->bytes[file->length++] = (uint8_t)length;
    memcpy(file->bytes + file->length, text, length);
    file->length += length;
}

static void put(struct file *file, unsigned family, const char *host, const char *number,
                const char *name, char data)
{
    char cookie[XAUTH_COOKIE_BYTES];
    memset(cookie, data, sizeof(cookie));
    file->bytes[file->length++] = (uint8_t)(family >> 8);
    file->bytes[file->length++] = (uint8_t)family;
    put_field(file, host, strlen(host));
    put_field(file, number, strlen(number));
    put_field(file, name, strlen(name));
    put_field(file, cookie, sizeof(cookie));
}

#define MIT "MIT-MAGIC-COOKIE-1"

static void finds(const struct file *file, const char *host, const char *display, char data)
{
    struct xauth_cookie cookie;
    uint8_t *exact = malloc(file->length);
    memcpy(exact, file->bytes, file->length);
    int outcome = xauth_find(&cookie, exact, file->length, host, display);
    free(exact);
    assert_int_equal(outcome, data == 0 ? XAUTH_NONE : XAUTH_OK);
    for (size_t i = 0; data != 0 && i < sizeof(cookie.bytes); i++)
        assert_int_equal(cookie.bytes[i], data);
}

static void chooses_the_best_entry(void **state)
{
    (void)state;
    struct file file = {.length = 0};
    put(&file, 256, "here", "1", "XDM-AUTHORIZATION-1", 'x');
    put(&file, 0, "\x7f", "1", MIT, 'i');
    finds(&file, "here", "1", 0);
    put(&file, 256, "other", "1", MIT, 'o');
    finds(&file, "here", "1", 'o');
    put(&file, 65535, "", "1", MIT, 'w');
    finds(&file, "here", "1", 'w');
    put(&file, 256, "here", "1", MIT, 'h');
    finds(&file, "here", "1", 'h');
    finds(&file, "elsewhere", "1", 'w');
    put(&file, 65535, "", "", MIT, 'a');
    finds(&file, "here", "1", 'h');
    finds(&file, "here", "2", 'a');
}

static void a_cut_file_is_malformed(void **state)
{
    (void)state;
    struct file file = {.length = 0};
    struct xauth_cookie cookie;
    put(&file, 256, "here", "1", MIT, 'h');
    assert_int_equal(xauth_find(&cookie, file.bytes, 0, "here", "1"), XAUTH_NONE);
    for (size_t cut = 1; cut < file.length; cut++) {
        uint8_t *exact = malloc(cut);
        memcpy(exact, file.bytes, cut);
        assert_int_equal(xauth_find(&cookie, exact, cut, "here", "1"), XAUTH_MALFORMED);
        free(exact);
    }
    memset(file.bytes, 0xff, sizeof(file.bytes));
    assert_int_equal(xauth_find(&cookie, file.bytes, sizeof(file.bytes), "", ""), XAUTH_MALFORMED);
}

/* The format as the stock program writes it. */
static void reads_what_xauth_wrote(void **state)
{
    (void)state;
    char path[] = "/tmp/cloister-xauth-XXXXXX", command[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof(command),
             "xauth -q -f %s add box/unix:5 . 000102030405060708090a0b0c0d0e0f", path);
    assert_int_equal(system(command), 0);
    uint8_t bytes[4096];
    FILE *file = fopen(path, "r");
    size_t length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    remove(path);
    struct xauth_cookie cookie;
    assert_int_equal(xauth_find(&cookie, bytes, length, "box", "5"), XAUTH_OK);
    for (size_t i = 0; i < sizeof(cookie.bytes); i++)
        assert_int_equal(cookie.bytes[i], i);
    assert_int_equal(xauth_find(&cookie, bytes, length, "box", "6"), XAUTH_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_best_entry),
        cmocka_unit_test(a_cut_file_is_malformed),
        cmocka_unit_test(reads_what_xauth_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
