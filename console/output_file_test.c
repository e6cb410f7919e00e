/* Files of output: what is found again after anything may have been torn. */
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
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "output_file.h"
#include "output_reader.h"

#define ROW 7

static char folder_path[64];
static int state_fd, folder;
static struct output_file file;
static const struct output_place start;
static uint8_t content[OUTPUT_CHUNK_MAX];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder_path, "/tmp/console-output-XXXXXX");
    if (!mkdtemp(folder_path))
        return -1;
    state_fd = open(folder_path, O_RDONLY | O_DIRECTORY);
    folder = output_folder_open(state_fd, true);
    randombytes_buf(content, sizeof(content));
    return folder < 0 ? -1 : output_file_open(&file, folder, ROW, true, &start);
}

static int tear_down(void **state)
{
    (void)state;
    output_file_close(&file);
    output_file_remove(folder, ROW);
    close(folder);
    unlinkat(state_fd, "commands", AT_REMOVEDIR);
    close(state_fd);
    return rmdir(folder_path);
}

static void append(unsigned stream, uint32_t index, size_t length)
{
    assert_int_equal(output_file_append(&file, stream, index, content, length), 0);
}

static void reopen(const struct output_place *noted)
{
    output_file_close(&file);
    assert_int_equal(output_file_open(&file, folder, ROW, false, noted), 0);
}

/* Changes one byte of the file. */
static void damage(uint64_t offset)
{
    char name[128];
    uint8_t byte;
    snprintf(name, sizeof(name), "%s/commands/%d.out", folder_path, ROW);
    int fd = open(name, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void assert_place(const struct output_place *p, uint64_t size, uint32_t out, uint32_t err)
{
    assert_int_equal(p->size, size);
    assert_int_equal(p->chunks[0], out);
    assert_int_equal(p->chunks[1], err);
}

static void durable_only_after_sync(void **state)
{
    (void)state;
    append(0, 0, 10);
    append(1, 0, OUTPUT_CHUNK_MAX);
    assert_place(&file.written, 34 + 24 + OUTPUT_CHUNK_MAX, 1, 1);
    assert_place(&file.durable, 0, 0, 0);
    assert_int_equal(output_file_sync(&file), 0);
    assert_place(&file.durable, 34 + 24 + OUTPUT_CHUNK_MAX, 1, 1);
}

static void found_again(void **state)
{
    (void)state;
    append(0, 0, 10);
    struct output_place noted = file.written;
    append(0, 1, 20);
    append(1, 5, 30); /* chunks 0 to 4 are missing */
    reopen(&start);
    assert_place(&file.durable, 34 + 44 + 54, 2, 6);
    reopen(&noted);
    assert_place(&file.durable, 34 + 44 + 54, 2, 6);
    reopen(&file.durable);
    assert_place(&file.durable, 34 + 44 + 54, 2, 6);
}

static void torn_anywhere(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < 44; offset++) {
        append(0, file.written.chunks[0], 10);
        struct output_place before = file.written;
        append(1, file.written.chunks[1], 20);
        append(0, file.written.chunks[0], 30);
        damage(before.size + offset);
        reopen(&before);
        assert_place(&file.written, before.size, before.chunks[0], before.chunks[1]);
    }
    struct stat status;
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_size, file.written.size);
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (off_t left = 0; left < 34; left++) {
        struct output_place before = file.written;
        append(0, before.chunks[0], 10);
        assert_int_equal(ftruncate(file.fd, (off_t)before.size + left), 0);
        reopen(&start);
        assert_place(&file.written, before.size, before.chunks[0], 0);
        append(0, before.chunks[0], 1);
        reopen(&start);
        assert_place(&file.written, before.size + 25, before.chunks[0] + 1, 0);
    }
}

static void shorter_than_it_was_noted(void **state)
{
    (void)state;
    append(0, 0, 10);
    append(0, 1, 10);
    struct output_place noted = file.written;
    assert_int_equal(ftruncate(file.fd, 40), 0);
    reopen(&noted);
    assert_place(&file.durable, 34, 1, 0);
}

static void indices_must_ascend(void **state)
{
    (void)state;
    append(0, 3, 10);
    append(0, 3, 10); /* its caller does not do this */
    reopen(&start);
    assert_place(&file.durable, 34, 4, 0);
}

static void not_made_unless_wanted(void **state)
{
    (void)state;
    struct output_file other;
    assert_int_equal(output_file_open(&other, folder, ROW + 1, false, &start), -ENOENT);
    assert_int_equal(other.fd, -1);
    assert_place(&other.durable, 0, 0, 0);
    assert_int_equal(output_file_read(folder, ROW + 1), -ENOENT);
    assert_int_equal(output_file_remove(folder, ROW + 1), 0);
}

static void a_full_disk_appends_nothing(void **state)
{
    (void)state;
    int full = open("/dev/full", O_RDWR);
    append(0, 0, 10);
    int fd = file.fd;
    file.fd = full;
    assert_int_equal(output_file_append(&file, 0, 1, content, 10), -ENOSPC);
    file.fd = fd;
    close(full);
    assert_place(&file.written, 34, 1, 0);
}

struct collected {
    uint8_t data[2][4096];
    size_t length[2];
    uint32_t missing[2];
};

static int collect(void *context, unsigned stream, const uint8_t *data, size_t length)
{
    struct collected *c = context;
    memcpy(c->data[stream] + c->length[stream], data, length);
    c->length[stream] += length;
    return 0;
}

static void miss(void *context, unsigned stream, uint32_t missing)
{
    struct collected *c = context;
    c->missing[stream] += missing;
}

static void read_while_it_is_written(void **state)
{
    (void)state;
    struct collected c = {0};
    const struct output_sink sink = {collect, miss, &c};
    struct output_reader *reader;
    struct receipt receipt = {.stream[0].bytes = 110};
    uint8_t expected[110];
    assert_int_equal(output_reader_new(&reader, folder, ROW), 0);
    assert_int_equal(output_reader_go_on(reader, &sink), 0);
    append(0, 0, 100);
    append(0, 1, 10);
    assert_int_equal(output_reader_go_on(reader, &sink), 0);
    assert_int_equal(output_reader_go_on(reader, &sink), 0);
    assert_int_equal(c.length[0], 110);
    memcpy(expected, content, 100);
    memcpy(expected + 100, content, 10);
    assert_memory_equal(c.data[0], expected, 110);
    crypto_hash_sha256(receipt.stream[0].sha256, expected, 110);
    crypto_hash_sha256(receipt.stream[1].sha256, NULL, 0);
    assert_true(output_reader_matches(reader, &receipt));
    receipt.stream[0].bytes++;
    assert_false(output_reader_matches(reader, &receipt));
    receipt.stream[0].bytes--;
    receipt.stream[1].sha256[0] ^= 1;
    assert_false(output_reader_matches(reader, &receipt));
    receipt.stream[1].sha256[0] ^= 1;
    append(1, 4, 1);
    assert_int_equal(output_reader_go_on(reader, &sink), 0);
    assert_int_equal(c.missing[1], 4);
    assert_false(output_reader_matches(reader, &receipt));
    uint64_t end = file.written.size;
    append(0, 2, 10);
    damage(end + 30);
    assert_int_equal(output_reader_go_on(reader, &sink), OUTPUT_DAMAGED);
    damage(end + 30);
    assert_int_equal(output_reader_go_on(reader, &sink), 0);
    assert_int_equal(c.length[0], 120);
    output_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(durable_only_after_sync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shorter_than_it_was_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(indices_must_ascend, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_made_unless_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_appends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_while_it_is_written, set_up, tear_down),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
