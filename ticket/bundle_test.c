#include "bundle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <cmocka.h>

#include "peer.h"

static struct age_recipient recipient;

struct file {
    const char *name;
    size_t length;
    uint64_t time_ms;
};

static const struct file files[] = {
    {"ticket.json", 300, 1790000000999},         {"description.txt", 0, 1790000000000},
    {"frames/0001.webp", 511, 1789999999000},    {"frames/0002.webp", 512, 1789999998000},
    {"frames/0003.webp", 65536, 1789999997000},  {"frames/0004.webp", 700001, 1789999996000},
    {"frames/0005.webp", 262144, 1789999995000},
};
enum { FILES = sizeof(files) / sizeof(*files) };

static struct chunk_list *make(void)
{
    struct bundle *bundle;
    struct chunk_list *chunks;
    assert_int_equal(bundle_new(&bundle, &recipient, 1, 1 << 30), 0);
    for (uint32_t i = 0; i < FILES; i++) {
        uint8_t *bytes = malloc(files[i].length + 1);
        peer_pattern(bytes, files[i].length, i);
        assert_int_equal(
            bundle_add(bundle, files[i].name, bytes, files[i].length, files[i].time_ms), 0);
        free(bytes);
    }
    assert_int_equal(bundle_finish(bundle, &chunks), 0);
    assert_null(bundle_free(bundle));
    return chunks;
}

static void save(const char *name, const struct chunk_list *chunks)
{
    struct peer_bytes all = {NULL, 0};
    for (uint32_t i = 0; i < chunk_list_count(chunks); i++) {
        size_t length;
        const uint8_t *chunk = chunk_list_chunk(chunks, i, &length);
        peer_append(&all, chunk, length);
    }
    assert_int_equal(all.length, chunk_list_size(chunks));
    peer_write(name, all.data, all.length);
    peer_bytes_free(&all);
}

static void stock_programs_open_it(void **state)
{
    (void)state;
    struct chunk_list *chunks = make();
    save("bundle", chunks);
    peer_run("mkdir out && age -d -i key bundle | lz4 -dc >tar && tar -C out -xf tar");
    for (uint32_t i = 0; i < FILES; i++) {
        char path[100];
        uint8_t *want = malloc(files[i].length + 1);
        peer_pattern(want, files[i].length, i);
        snprintf(path, sizeof(path), "out/%s", files[i].name);
        struct peer_bytes got = peer_read(path);
        assert_int_equal(got.length, files[i].length);
        if (got.length)
            assert_memory_equal(got.data, want, got.length);
        peer_bytes_free(&got);
        free(want);
        peer_run("test $(stat -c %%Y out/%s) = %llu", files[i].name,
                 (unsigned long long)files[i].time_ms / 1000);
    }
    chunk_list_free(chunks);
}

/* What tar lists: order as given, nobody's name, nothing besides. */
static void nobody_is_named(void **state)
{
    (void)state;
    struct chunk_list *chunks = make();
    save("listed", chunks);
    peer_run("age -d -i key listed | lz4 -dc | tar tv --numeric-owner >list");
    peer_run("test $(wc -l <list) = %d", FILES);
    peer_run("! grep -v '^-rw-r--r-- 0/0 ' list");
    peer_run(
        "age -d -i key listed | lz4 -dc | tar tv >names && ! grep -v '^-rw-r--r-- 0/0 ' names");
    for (int i = 0; i < FILES; i++)
        peer_run("sed -n %dp list | grep -q ' %s$'", i + 1, files[i].name);
    chunk_list_free(chunks);
}

/* The same content twice: equal inside, different and equally long outside. */
static void the_inside_is_deterministic(void **state)
{
    (void)state;
    struct chunk_list *one = make(), *two = make();
    save("one", one);
    save("two", two);
    peer_run("age -d -i key one >one.lz4 && age -d -i key two >two.lz4 && cmp one.lz4 two.lz4");
    assert_int_equal(chunk_list_size(one), chunk_list_size(two));
    assert_memory_not_equal(chunk_list_digest(one), chunk_list_digest(two), 32);
    chunk_list_free(one);
    chunk_list_free(two);
}

/* sha256sum over the pieces that split cuts. */
static void digests_agree_with_coreutils(void **state)
{
    (void)state;
    struct chunk_list *chunks = make();
    save("digested", chunks);
    peer_run("split -a 4 -b 262144 digested part. && for f in part.*; do sha256sum <$f; done "
             "| cut -c1-64 | tr -d '\\n' >digests.hex");
    struct peer_bytes hex = peer_read("digests.hex");
    uint8_t all[64 * 32], digest[32];
    size_t length;
    assert_int_equal(
        sodium_hex2bin(all, sizeof(all), (char *)hex.data, hex.length, NULL, &length, NULL), 0);
    assert_int_equal(length, chunk_list_count(chunks) * 32);
    assert_memory_equal(all, chunk_list_digests(chunks), length);
    crypto_hash_sha256(digest, all, length);
    assert_memory_equal(digest, chunk_list_digest(chunks), 32);
    peer_bytes_free(&hex);
    chunk_list_free(chunks);
}

/* The vector of docs/wire.md. */
static void digest_of_the_wires_vector(void **state)
{
    (void)state;
    struct chunk_list *chunks;
    uint8_t want[32];
    assert_int_equal(chunk_list_new(&chunks, 1 << 20), 0);
    assert_int_equal(chunk_list_finish(chunks), -EINVAL);
    for (int i = 0; i < CHUNK_BYTES; i++)
        assert_int_equal(chunk_list_append(chunks, "a", 1), 0);
    assert_int_equal(chunk_list_append(chunks, "hello", 5), 0);
    assert_int_equal(chunk_list_finish(chunks), 0);
    assert_int_equal(chunk_list_append(chunks, "x", 1), -EINVAL);
    assert_int_equal(chunk_list_count(chunks), 2);
    assert_int_equal(chunk_list_size(chunks), 262149);
    sodium_hex2bin(want, 32, "4a8c560a2f3cccf2c7d29f31a0a8c84e7ae8f22a96efc0baa90be64de16bd6a5", 64,
                   NULL, NULL, NULL);
    assert_memory_equal(chunk_list_digest(chunks), want, 32);
    assert_null(chunk_list_free(chunks));
}

static void the_limit_holds(void **state)
{
    (void)state;
    struct bundle *bundle;
    struct chunk_list *chunks;
    uint8_t *bytes = malloc(300000);
    peer_pattern(bytes, 300000, 1);
    assert_int_equal(bundle_new(&bundle, &recipient, 1, 250000), 0);
    int result = bundle_add(bundle, "big", bytes, 300000, 0);
    if (!result)
        result = bundle_finish(bundle, &chunks);
    assert_int_equal(result, -EFBIG);
    assert_null(bundle_free(bundle));
    assert_int_equal(bundle_new(&bundle, &recipient, 1, 10), -EFBIG);
    free(bytes);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",     "/etc/passwd", "../up", "a/../b",
                                        "a\nb", "caf\xc3\xa9", "a\\b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct bundle *bundle;
        assert_int_equal(bundle_new(&bundle, &recipient, 1, 1 << 20), 0);
        assert_int_equal(bundle_add(bundle, names[i], "x", 1, 0), -EINVAL);
        assert_null(bundle_free(bundle));
    }
    char name[101];
    memset(name, 'n', sizeof(name));
    name[100] = '\0';
    struct bundle *bundle;
    assert_int_equal(bundle_new(&bundle, &recipient, 1, 1 << 20), 0);
    assert_int_equal(bundle_add(bundle, name, "x", 1, 0), -EINVAL);
    bundle_free(bundle);
}

static int enter(void **state)
{
    assert_true(sodium_init() >= 0);
    peer_enter(state);
    peer_run("age-keygen -o key 2>/dev/null");
    struct peer_bytes key = peer_read("key");
    char *text = memmem(key.data, key.length, "age1", 4);
    *strchr(text, '\n') = '\0';
    assert_int_equal(age_recipient_parse(&recipient, text), 0);
    peer_bytes_free(&key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stock_programs_open_it),
        cmocka_unit_test(nobody_is_named),
        cmocka_unit_test(the_inside_is_deterministic),
        cmocka_unit_test(digests_agree_with_coreutils),
        cmocka_unit_test(digest_of_the_wires_vector),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, enter, peer_leave);
}
