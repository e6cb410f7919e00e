/* Chunk assembly on real files and a real database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "log.h"
#include "upload.h"

#define NOW    UINT64_C(1790000000000)
#define CHUNKS 3
#define SIZE   (2 * MESSAGE_CHUNK_BYTES + 100)

static char folder[64];
static int folder_fd;
static struct upload_env env;
static uint8_t secret[64], public_key[32], machine[32];
static uint8_t data[SIZE], digests[CHUNKS * 32];
static struct message_bundle_begin begin;
static struct bundle done;

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void sign(struct message_bundle_begin *b)
{
    uint8_t text[26 + 16 + 32 + 16] = "cloister/v1 bundle-origin";
    memcpy(text + 26, b->ticket, 16);
    memcpy(text + 42, b->digest, 32);
    put_u64(text + 74, b->size);
    put_u64(text + 82, b->consent_time_ms);
    crypto_sign_detached(b->signature, NULL, text, sizeof(text), secret);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-upload-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    env.max_bundle_bytes = env.quota_bytes = 4 << 20;
    randombytes_buf(data, sizeof(data));
    for (uint32_t i = 0; i < CHUNKS; i++)
        crypto_hash_sha256(digests + i * 32, data + i * MESSAGE_CHUNK_BYTES,
                           bundle_file_chunk_length(SIZE, i));
    crypto_sign_keypair(public_key, secret);
    memset(&begin, 0, sizeof(begin));
    randombytes_buf(begin.ticket, sizeof(begin.ticket));
    crypto_hash_sha256(begin.digest, digests, sizeof(digests));
    begin.size = SIZE;
    begin.chunks = CHUNKS;
    begin.recipient_count = 2;
    strcpy(begin.recipients[0], "age1a");
    strcpy(begin.recipients[1], "age1b");
    sign(&begin);
    int result = store_open(&env.store, folder, true);
    return result ? result : bundle_folders_open(&env.folders, folder_fd, true);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    env.store = store_close(env.store);
    bundle_folders_close(&env.folders);
    close(folder_fd);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int start(struct upload **u)
{
    return upload_begin(u, &env, machine, public_key, &begin, NOW, &done);
}

static int chunk(struct upload *u, uint32_t i)
{
    return upload_chunk(u, i, data + i * MESSAGE_CHUNK_BYTES, bundle_file_chunk_length(SIZE, i),
                        NOW, &done);
}

static struct upload *ready(void)
{
    struct upload *u = NULL;
    assert_int_equal(start(&u), UPLOAD_NEED_DIGESTS);
    assert_int_equal(upload_digests(u, 0, digests, sizeof(digests)), UPLOAD_NEED_CHUNKS);
    return u;
}

static bool listed_as_whole(void)
{
    struct bundle b;
    return bundles_get(env.store, machine, begin.ticket, &b) == 0 && b.number != 0;
}

static void a_whole_bundle(void **state)
{
    (void)state;
    static uint8_t stored[SIZE + 1];
    struct upload *u = ready();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        assert_false(listed_as_whole());
        assert_int_equal(upload_next(u), i);
        assert_int_equal(chunk(u, i), i + 1 < CHUNKS ? UPLOAD_NEED_CHUNKS : UPLOAD_DONE);
    }
    assert_true(listed_as_whole());
    assert_int_equal(done.number, 1);
    assert_string_equal(done.recipients, "age1a age1b");
    int fd = bundle_file_open(&env.folders, done.row);
    assert_int_equal(read(fd, stored, sizeof(stored)), SIZE);
    assert_memory_equal(stored, data, SIZE);
    close(fd);
    assert_int_equal(upload_chunk(u, CHUNKS, data, 1, NOW, &done), UPLOAD_ORDER);
    upload_free(u, NOW);
    done.number = 0;
    assert_int_equal(start(&u), UPLOAD_DONE);
    assert_null(u);
    assert_int_equal(done.number, 1);
}

static void chunks_are_checked(void **state)
{
    (void)state;
    struct upload *u = ready();
    assert_int_equal(chunk(u, 1), UPLOAD_ORDER);
    assert_int_equal(upload_chunk(u, 0, data, MESSAGE_CHUNK_BYTES - 1, NOW, &done),
                     UPLOAD_MALFORMED);
    data[5] ^= 1;
    assert_int_equal(chunk(u, 0), UPLOAD_BAD_CHUNK);
    data[5] ^= 1;
    assert_int_equal(chunk(u, 0), UPLOAD_NEED_CHUNKS);
    assert_int_equal(chunk(u, 0), UPLOAD_ORDER);
    upload_free(u, NOW);
    assert_int_equal(start(&u), UPLOAD_NEED_CHUNKS);
    assert_int_equal(upload_next(u), 1);
    upload_free(u, NOW);
}

static void digests_are_checked(void **state)
{
    (void)state;
    struct upload *u = NULL;
    assert_int_equal(start(&u), UPLOAD_NEED_DIGESTS);
    assert_int_equal(chunk(u, 0), UPLOAD_ORDER);
    assert_int_equal(upload_digests(u, 1, digests, 32), UPLOAD_ORDER);
    assert_int_equal(upload_digests(u, 0, digests, 33), UPLOAD_MALFORMED);
    assert_int_equal(upload_digests(u, 0, digests, 0), UPLOAD_MALFORMED);
    assert_int_equal(upload_digests(u, 0, data, (CHUNKS + 1) * 32), UPLOAD_MALFORMED);
    assert_int_equal(upload_digests(u, 0, digests, 64), UPLOAD_NEED_DIGESTS);
    assert_int_equal(upload_digests(u, 2, digests, 32), UPLOAD_DIGEST_MISMATCH);
    upload_free(u, NOW);
    assert_int_equal(start(&u), UPLOAD_NEED_DIGESTS);
    assert_int_equal(upload_next(u), 0);
    upload_free(u, NOW);
}

static void refusals(void **state)
{
    (void)state;
    struct upload *u = NULL;
    upload_free(ready(), NOW);
    begin.consent_time_ms++;
    assert_int_equal(start(&u), UPLOAD_BAD_ORIGIN);
    sign(&begin);
    assert_int_equal(start(&u), UPLOAD_CONFLICT);
    begin.ticket[0] ^= 1;
    sign(&begin);
    env.max_bundle_bytes = SIZE - 1;
    assert_int_equal(start(&u), UPLOAD_TOO_LARGE);
    env.max_bundle_bytes = SIZE;
    env.quota_bytes = 2 * bundles_charge(SIZE, CHUNKS) - 1;
    assert_int_equal(start(&u), UPLOAD_QUOTA);
    env.quota_bytes++;
    assert_int_equal(start(&u), UPLOAD_NEED_DIGESTS);
    upload_free(u, NOW);
}

static void forgetting_and_expiring(void **state)
{
    (void)state;
    struct upload *u = ready();
    assert_int_equal(chunk(u, 0), UPLOAD_NEED_CHUNKS);
    upload_free(u, NOW);
    assert_int_equal(upload_expire(&env, NOW, 10), 0);
    assert_int_equal(upload_expire(&env, NOW + 1, 10), 1);
    assert_int_equal(start(&u), UPLOAD_NEED_DIGESTS);
    upload_free(u, NOW);
    assert_int_equal(upload_forget(&env, machine, begin.ticket, &done), 0);
    assert_int_equal(upload_forget(&env, machine, begin.ticket, &done), 0);
    u = ready();
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunk(u, i);
    upload_free(u, NOW);
    assert_int_equal(upload_forget(&env, machine, begin.ticket, &done), UPLOAD_DONE);
    assert_int_equal(upload_expire(&env, NOW + 1, 10), 0);
    assert_true(listed_as_whole());
}

static void the_row_is_gone_while_chunks_arrive(void **state)
{
    (void)state;
    struct upload *u = ready();
    assert_int_equal(chunk(u, 0), UPLOAD_NEED_CHUNKS);
    assert_int_equal(upload_forget(&env, machine, begin.ticket, &done), 0);
    assert_int_equal(chunk(u, 1), UPLOAD_NEED_CHUNKS);
    assert_true(chunk(u, 2) < 0);
    upload_free(u, NOW);
    assert_false(listed_as_whole());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_bundle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chunks_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(digests_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgetting_and_expiring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_row_is_gone_while_chunks_arrive, set_up, tear_down),
    };
    log_setup("test", 0);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
