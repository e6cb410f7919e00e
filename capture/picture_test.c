#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "picture.h"
#include "record.h"

/* The value in kB of a field of the mapping that holds `address`, from /proc/self/smaps. */
static long smaps(const void *address, const char *field, char *flags, size_t capacity)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    long value = -1;
    int inside = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (unsigned long)address >= from && (unsigned long)address < to;
        else if (inside && strncmp(line, field, strlen(field)) == 0)
            value = atol(line + strlen(field));
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, capacity, "%s", line);
    }
    fclose(file);
    return value;
}

static void is_locked(const void *address)
{
    char flags[512] = "";
    smaps(address, "Rss:", flags, sizeof(flags));
    assert_non_null(strstr(flags, " lo")); /* locked */
    assert_non_null(strstr(flags, " dd")); /* not dumped */
    assert_non_null(strstr(flags, " dc")); /* not inherited */
}

static void pixels_lie_in_locked_memory(void **state)
{
    (void)state;
    struct picture *picture = NULL;
    assert_int_equal(picture_new(&picture), 0);
    assert_int_equal(picture_resize(picture, 640, 480), PICTURE_OK);
    assert_int_equal(picture->bytes, 640 * 480 * 4);
    is_locked(picture->shared);
    is_locked(picture->shared + picture->bytes - 1);
    is_locked(picture->previous);
    is_locked(picture->record);
    char flags[512];
    assert_int_equal(smaps(picture->shared, "Rss:", flags, sizeof(flags)), 640 * 480 * 4 / 1024);
    picture_free(picture);
}

static void the_shared_memory_cannot_be_resized(void **state)
{
    (void)state;
    struct picture *picture = NULL;
    assert_int_equal(picture_new(&picture), 0);
    int fd = picture_take_fd(picture);
    assert_true(fd >= 0);
    assert_int_equal(picture_take_fd(picture), -1);
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(ftruncate(fd, (off_t)FRAME_PICTURE_MAX * 2), -1);
    assert_true((fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL) != 0);
    close(fd);
    picture_free(picture);
}

/* Also for the X server, which maps the same memory. */
static void what_is_forgotten_is_gone_from_all_mappings(void **state)
{
    (void)state;
    struct picture *picture = NULL;
    assert_int_equal(picture_new(&picture), 0);
    int fd = picture_take_fd(picture);
    assert_int_equal(picture_resize(picture, 640, 480), PICTURE_OK);
    uint8_t *server = mmap(NULL, picture->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(server, MAP_FAILED);
    memset(server, 0x5a, picture->bytes);
    memset(picture->previous, 0x5a, picture->bytes);
    assert_int_equal(picture->shared[12345], 0x5a);
    assert_int_equal(picture_resize(picture, 320, 240), PICTURE_OK);
    for (size_t i = 0; i < 640 * 480 * 4; i++)
        assert_int_equal(server[i], 0);
    picture_forget(picture);
    assert_int_equal(picture->bytes, 0);
    for (size_t i = 0; i < 640 * 480 * 4; i++)
        assert_int_equal(picture->previous[i], 0);
    munmap(server, 640 * 480 * 4);
    close(fd);
    picture_free(picture);
}

static void desktops_have_a_limit(void **state)
{
    (void)state;
    struct picture *picture = NULL;
    assert_int_equal(picture_new(&picture), 0);
    assert_int_equal(picture_resize(picture, 16384, 8193), PICTURE_TOO_LARGE);
    assert_int_equal(picture_resize(picture, 32768, 1), PICTURE_TOO_LARGE);
    assert_int_equal(picture_resize(picture, 0, 1), PICTURE_TOO_LARGE);
    assert_int_equal(picture->width, 0);
    assert_int_equal(picture_resize(picture, 32767, 1), PICTURE_OK);
    picture_free(picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_lie_in_locked_memory),
        cmocka_unit_test(the_shared_memory_cannot_be_resized),
        cmocka_unit_test(what_is_forgotten_is_gone_from_all_mappings),
        cmocka_unit_test(desktops_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
