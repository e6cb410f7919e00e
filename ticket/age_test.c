/* Writer and reader against each other and against the stock age. */
#include "age_read.h"
#include "age_write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <cmocka.h>

#include "bech32.h"
#include "peer.h"

#define C AGE_CHUNK_BYTES

static const size_t sizes[] = {0,     1,      16,     C - 17,    C - 16, C - 1,     C,
                               C + 1, C + 15, C + 16, 2 * C - 1, 2 * C,  2 * C + 1, 5 * C + 777};

/* Takes the keys from what age-keygen wrote. */
static struct age_identity keygen(const char *name, struct age_recipient *recipient)
{
    peer_run("age-keygen -o %s 2>%s.pub", name, name);
    struct peer_bytes text = peer_read(name);
    char *secret = memmem(text.data, text.length, "AGE-SECRET-KEY-", 15);
    char *public = memmem(text.data, text.length, "age1", 4);
    assert_non_null(secret);
    assert_non_null(public);
    *strchr(public, '\n') = '\0';
    *(char *)memchr(secret, '\n', 100) = '\0';
    struct age_identity identity;
    assert_int_equal(age_identity_parse(&identity, secret), 0);
    assert_int_equal(age_recipient_parse(recipient, public), 0);
    struct age_recipient computed;
    age_identity_recipient(&computed, &identity);
    assert_memory_equal(computed.key, recipient->key, 32);
    char again[AGE_RECIPIENT_TEXT];
    age_recipient_format(again, recipient);
    assert_string_equal(again, public);
    peer_bytes_free(&text);
    return identity;
}

static struct peer_bytes seal(const void *plain, size_t length, size_t step,
                              const struct age_recipient *recipients, size_t count)
{
    struct peer_bytes sealed = {NULL, 0};
    struct age_write *writer;
    assert_int_equal(age_write_new(&writer, recipients, count, peer_append, &sealed), 0);
    for (size_t at = 0; at < length; at += step)
        assert_int_equal(age_write_data(writer, (const uint8_t *)plain + at,
                                        step < length - at ? step : length - at),
                         0);
    assert_int_equal(age_write_finish(writer), 0);
    assert_int_equal(age_write_finish(writer), -EINVAL);
    assert_int_equal(age_write_data(writer, "x", 1), -EINVAL);
    assert_null(age_write_free(writer));
    return sealed;
}

static int open_with(const struct age_identity *identities, size_t count, const uint8_t *sealed,
                     size_t length, size_t step, struct peer_bytes *plain)
{
    struct age_read *reader;
    *plain = (struct peer_bytes){NULL, 0};
    assert_int_equal(age_read_new(&reader, identities, count, peer_append, plain), 0);
    for (size_t at = 0; at < length; at += step) {
        /* A copy of exact size lets the sanitizer see a read past the end. */
        size_t part = step < length - at ? step : length - at;
        uint8_t *exact = malloc(part);
        memcpy(exact, sealed + at, part);
        age_read_data(reader, exact, part);
        free(exact);
    }
    int result = age_read_finish(reader);
    assert_null(age_read_free(reader));
    return result;
}

static void stock_age_opens_ours(void **state)
{
    (void)state;
    struct age_recipient recipients[3];
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof(name), "w%d", i);
        keygen(name, &recipients[i]);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint8_t *plain = malloc(sizes[i] + 1);
        peer_pattern(plain, sizes[i], (uint32_t)i);
        struct peer_bytes sealed = seal(plain, sizes[i], i % 2 ? 1000 : 1 << 20, recipients, 3);
        peer_write("sealed", sealed.data, sealed.length);
        for (int r = 0; r < 3; r++) {
            peer_run("age -d -i w%d sealed >plain", r);
            struct peer_bytes got = peer_read("plain");
            assert_int_equal(got.length, sizes[i]);
            if (got.length)
                assert_memory_equal(got.data, plain, sizes[i]);
            peer_bytes_free(&got);
        }
        peer_bytes_free(&sealed);
        free(plain);
    }
}

static void opens_what_stock_age_sealed(void **state)
{
    (void)state;
    struct age_recipient recipients[2];
    struct age_identity identities[2];
    identities[0] = keygen("r0", &recipients[0]);
    identities[1] = keygen("r1", &recipients[1]);
    char text[2][AGE_RECIPIENT_TEXT];
    age_recipient_format(text[0], &recipients[0]);
    age_recipient_format(text[1], &recipients[1]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint8_t *plain = malloc(sizes[i] + 1);
        peer_pattern(plain, sizes[i], (uint32_t)i);
        peer_write("plain", plain, sizes[i]);
        peer_run("age -r %s -r %s -o sealed plain", text[0], text[1]);
        struct peer_bytes sealed = peer_read("sealed"), got;
        for (int r = 0; r < 2; r++) {
            assert_int_equal(
                open_with(&identities[r], 1, sealed.data, sealed.length, r ? 1 : 1 << 20, &got), 0);
            assert_int_equal(got.length, sizes[i]);
            if (got.length)
                assert_memory_equal(got.data, plain, sizes[i]);
            peer_bytes_free(&got);
        }
        peer_bytes_free(&sealed);
        free(plain);
    }
}

static void another_key_does_not_open(void **state)
{
    (void)state;
    struct age_recipient recipients[2];
    struct age_identity identities[2];
    identities[0] = keygen("n0", &recipients[0]);
    identities[1] = keygen("n1", &recipients[1]);
    struct peer_bytes sealed = seal("secret", 6, 6, &recipients[0], 1), got;
    assert_int_equal(open_with(&identities[1], 1, sealed.data, sealed.length, 100, &got),
                     AGE_READ_NO_MATCH);
    assert_int_equal(got.length, 0);
    /* Among several identities the fitting one is found. */
    assert_int_equal(open_with(identities, 2, sealed.data, sealed.length, 100, &got), 0);
    assert_int_equal(got.length, 6);
    peer_bytes_free(&got);
    peer_bytes_free(&sealed);
}

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct age_recipient recipient;
    struct age_identity identity = keygen("t0", &recipient);
    struct peer_bytes sealed = seal("a small secret", 14, 14, &recipient, 1), got;
    for (size_t i = 0; i < sealed.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            sealed.data[i] ^= (uint8_t)(1 << bit);
            int result = open_with(&identity, 1, sealed.data, sealed.length, 1 << 20, &got);
            if (result <= 0 || got.length)
                fail_msg("byte %zu, bit %d: %d", i, bit, result);
            sealed.data[i] ^= (uint8_t)(1 << bit);
        }
    /* Cut anywhere, or longer by one. */
    for (size_t i = 0; i < sealed.length; i++) {
        assert_true(open_with(&identity, 1, sealed.data, i, 7, &got) > 0);
        assert_int_equal(got.length, 0);
    }
    peer_append(&sealed, "", 1);
    assert_int_equal(open_with(&identity, 1, sealed.data, sealed.length, 7, &got),
                     AGE_READ_PAYLOAD);
    peer_bytes_free(&sealed);
}

/* Whole chunks cut off, swapped or repeated: the STREAM construction's job. */
static void moved_chunks_are_refused(void **state)
{
    (void)state;
    struct age_recipient recipient;
    struct age_identity identity = keygen("m0", &recipient);
    size_t length = 3 * C, sealed_chunk = C + AGE_TAG_BYTES;
    uint8_t *plain = calloc(1, length);
    struct peer_bytes sealed = seal(plain, length, length, &recipient, 1), got;
    size_t payload = sealed.length - 3 * sealed_chunk;
    uint8_t *changed = malloc(sealed.length + sealed_chunk);

    assert_int_equal(open_with(&identity, 1, sealed.data, sealed.length - sealed_chunk, 9999, &got),
                     AGE_READ_PAYLOAD);
    peer_bytes_free(&got);

    memcpy(changed, sealed.data, sealed.length);
    memcpy(changed + payload, sealed.data + payload + sealed_chunk, sealed_chunk);
    memcpy(changed + payload + sealed_chunk, sealed.data + payload, sealed_chunk);
    assert_int_equal(open_with(&identity, 1, changed, sealed.length, 1 << 20, &got),
                     AGE_READ_PAYLOAD);
    assert_int_equal(got.length, 0);

    memcpy(changed, sealed.data, sealed.length);
    memcpy(changed + sealed.length, sealed.data + sealed.length - sealed_chunk, sealed_chunk);
    assert_int_equal(open_with(&identity, 1, changed, sealed.length + sealed_chunk, 1 << 20, &got),
                     AGE_READ_PAYLOAD);
    peer_bytes_free(&got);
    free(changed);
    free(plain);
    peer_bytes_free(&sealed);
}

struct bad_header {
    const char *text;
    int outcome;
};

/* Headers that a lenient reader would take. */
static void the_grammar_is_insisted_on(void **state)
{
    (void)state;
#define V     "age-encryption.org/v1\n"
#define SHARE "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc"
#define BODY  "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
#define MAC   "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
    static const struct bad_header cases[] = {
        {V "-> X25519 " SHARE "\n" BODY MAC, AGE_READ_NO_MATCH},
        {V "-> grease\n\n" MAC, AGE_READ_NO_MATCH},
        {V "-> grease\n\n" MAC "\n", AGE_READ_NO_MATCH},
        {V MAC, AGE_READ_HEADER},
        {"age-encryption.org/v2\n-> grease\n\n" MAC, AGE_READ_HEADER},
        {"age-encryption.org/v1\r\n-> grease\n\n" MAC, AGE_READ_HEADER},
        {V "-> X25519 " SHARE "\r\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519 " SHARE " x\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519  " SHARE "\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519 " SHARE " \n" BODY MAC, AGE_READ_HEADER},
        {V "->  X25519 " SHARE "\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCd\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519 " SHARE "=\n" BODY MAC, AGE_READ_HEADER},
        {V "-> X25519 " SHARE "\nhjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLF\n" MAC,
         AGE_READ_HEADER},
        {V "-> X25519 " SHARE "\nhjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FL\n" MAC,
         AGE_READ_HEADER},
        {V "-> X25519 " SHARE "\n" MAC, AGE_READ_HEADER},
        {V "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" BODY MAC, AGE_READ_HEADER},
        {V "-> grease\nAAA\n" MAC, AGE_READ_NO_MATCH},
        {V "-> grease\nAAB\n" MAC, AGE_READ_HEADER},
        {V "-> grease\nAAA=\n" MAC, AGE_READ_HEADER},
        {V "-> grease\n++++\n" MAC, AGE_READ_NO_MATCH},
        {V "-> grease\n+\xab++\n" MAC, AGE_READ_HEADER},
        {V "-> grease\n+\xaf++\n" MAC, AGE_READ_HEADER},
        {V "-> grease\n \n" MAC, AGE_READ_HEADER},
        {V "-> gr\x7f"
           "ease\n\n" MAC,
         AGE_READ_HEADER},
        {V "-> scrypt a 18\n\n-> grease\n\n" MAC, AGE_READ_HEADER},
        {V "-> grease\n\n--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNh\n", AGE_READ_HEADER},
        {V "-> grease\n\n---  WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n", AGE_READ_HEADER},
        {V "-> grease\n\n--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg \n", AGE_READ_HEADER},
        {V "-> grease\n\n--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcA\n", AGE_READ_HEADER},
        {V "-> grease\n\n---\n", AGE_READ_HEADER},
        {V "-> grease\n\n--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg", AGE_READ_HEADER},
        {"", AGE_READ_HEADER},
    };
    struct age_recipient recipient;
    struct age_identity identity = keygen("g0", &recipient);
    struct peer_bytes got;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const uint8_t *text = (const uint8_t *)cases[i].text;
        int result = open_with(&identity, 1, text, strlen(cases[i].text), 1 + i % 5, &got);
        if (result != cases[i].outcome)
            fail_msg("case %zu: %d instead of %d", i, result, cases[i].outcome);
    }
}

static void endless_header_is_refused(void **state)
{
    (void)state;
    struct age_identity identity = {{1}};
    struct peer_bytes got = {NULL, 0};
    struct age_read *reader;
    assert_int_equal(age_read_new(&reader, &identity, 1, peer_append, &got), 0);
    assert_int_equal(age_read_data(reader, V "-> grease\n", sizeof(V) + 9), 0);
    char line[AGE_COLUMNS + 1];
    memset(line, 'A', AGE_COLUMNS);
    line[AGE_COLUMNS] = '\n';
    int result = 0;
    for (int i = 0; i < 2000 && !result; i++)
        result = age_read_data(reader, line, sizeof(line));
    assert_int_equal(result, AGE_READ_HEADER);
    assert_int_equal(age_read_finish(reader), AGE_READ_HEADER);
    age_read_free(reader);
}

static int refusing_sink(void *context, const void *bytes, size_t length)
{
    (void)bytes;
    size_t *room = context;
    if (length > *room)
        return -ENOSPC;
    *room -= length;
    return 0;
}

static void errors_of_the_sink_come_back(void **state)
{
    (void)state;
    struct age_recipient recipient;
    struct age_identity identity = keygen("s0", &recipient);
    (void)identity;
    struct age_write *writer;
    size_t room = 0;
    assert_int_equal(age_write_new(&writer, &recipient, 1, refusing_sink, &room), -ENOSPC);
    room = 1000;
    assert_int_equal(age_write_new(&writer, &recipient, 1, refusing_sink, &room), 0);
    uint8_t *plain = calloc(1, C + 1);
    assert_int_equal(age_write_data(writer, plain, C + 1), -ENOSPC);
    free(plain);
    age_write_free(writer);
}

static void refuses_bad_recipients(void **state)
{
    (void)state;
    struct age_recipient low = {{0}};
    struct age_write *writer;
    size_t room = 1000;
    assert_int_equal(age_write_new(&writer, &low, 1, refusing_sink, &room), -EINVAL);
    assert_int_equal(age_write_new(&writer, &low, 0, refusing_sink, &room), -EINVAL);
    assert_int_equal(
        age_write_new(&writer, &low, AGE_WRITE_RECIPIENTS_MAX + 1, refusing_sink, &room), -EINVAL);
    char text[AGE_RECIPIENT_TEXT];
    age_recipient_format(text, &low);
    assert_int_not_equal(age_recipient_parse(&low, text), 0);
}

static void as_many_recipients_as_allowed(void **state)
{
    (void)state;
    struct age_recipient recipients[AGE_WRITE_RECIPIENTS_MAX];
    for (int i = 0; i < AGE_WRITE_RECIPIENTS_MAX - 1; i++) {
        struct age_identity some;
        randombytes_buf(some.key, 32);
        age_identity_recipient(&recipients[i], &some);
    }
    keygen("many", &recipients[AGE_WRITE_RECIPIENTS_MAX - 1]);
    struct peer_bytes sealed = seal("x", 1, 1, recipients, AGE_WRITE_RECIPIENTS_MAX);
    peer_write("sealed", sealed.data, sealed.length);
    peer_run("age -d -i many sealed | grep -qx x");
    peer_bytes_free(&sealed);
}

static int enter(void **state)
{
    assert_true(sodium_init() >= 0);
    peer_enter(state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stock_age_opens_ours),
        cmocka_unit_test(opens_what_stock_age_sealed),
        cmocka_unit_test(another_key_does_not_open),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(moved_chunks_are_refused),
        cmocka_unit_test(the_grammar_is_insisted_on),
        cmocka_unit_test(endless_header_is_refused),
        cmocka_unit_test(errors_of_the_sink_come_back),
        cmocka_unit_test(refuses_bad_recipients),
        cmocka_unit_test(as_many_recipients_as_allowed),
    };
    return cmocka_run_group_tests(tests, enter, peer_leave);
}
