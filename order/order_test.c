#include "order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

static uint8_t bytes[ORDER_MAX + 64], tag[ORDER_TAG_SIZE];
static struct grant grant;
static struct order sample, got;

static const char script[] = "#!/bin/sh -e\necho \"$1\"\n";
static uint8_t input[1000];

/* `echo hello` with an environment and standard input. */
static void sample_argv(void)
{
    sample = (struct order){.slot = 3, .generation = 9, .profile = 1};
    memset(sample.token, 0x5a, sizeof sample.token);
    sample.time_ms = 60000;
    sample.output_bytes = 1048576;
    sample.argv[sample.argc++] = "/bin/echo";
    sample.argv[sample.argc++] = "hello";
    sample.argv[sample.argc++] = "";
    sample.env[sample.envc++] = "LC_ALL=C";
    sample.env[sample.envc++] = "_x9=";
    sample.input = input;
    sample.input_length = sizeof input;
}

static void sample_script(void)
{
    sample_argv();
    sample.argc = 0;
    sample.argv[sample.argc++] = "first";
    sample.script = (const uint8_t *)script;
    sample.script_length = strlen(script);
}

/* Writes the sample, and a tag and grant that are right for it. */
static size_t write_sample(void)
{
    size_t length = order_write(bytes, sizeof bytes, &sample);
    assert_true(length > ORDER_HEAD_SIZE);
    grant = (struct grant){GRANT_MAGIC, sample.slot, sample.generation, sample.profile, {0}, {0}, {{0}}};
    randombytes_buf(grant.key, sizeof grant.key);
    order_digest(grant.digest, &sample);
    order_tag(tag, bytes, length, grant.key);
    return length;
}

static void set32(size_t at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)i;
    return sodium_init() < 0;
}

/* ---------------------------------------------------------------- reads back */

static void assert_same(void)
{
    assert_int_equal(got.slot, sample.slot);
    assert_int_equal(got.generation, sample.generation);
    assert_int_equal(got.profile, sample.profile);
    assert_memory_equal(got.token, sample.token, sizeof got.token);
    assert_int_equal(got.time_ms, sample.time_ms);
    assert_int_equal(got.output_bytes, sample.output_bytes);
    assert_int_equal(got.argc, sample.argc);
    assert_int_equal(got.envc, sample.envc);
    for (uint32_t i = 0; i < got.argc; i++)
        assert_string_equal(got.argv[i], sample.argv[i]);
    for (uint32_t i = 0; i < got.envc; i++)
        assert_string_equal(got.env[i], sample.env[i]);
    assert_null(got.argv[got.argc]);
    assert_null(got.env[got.envc]);
    assert_int_equal(got.script_length, sample.script_length);
    if (got.script_length)
        assert_memory_equal(got.script, sample.script, got.script_length);
    assert_int_equal(got.input_length, sample.input_length);
    assert_memory_equal(got.input, sample.input, got.input_length);
}

static void test_argv_reads_back(void **state)
{
    (void)state;
    sample_argv();
    size_t length = write_sample();
    assert_int_equal(order_read(&got, bytes, length), ORDER_OK);
    assert_same();
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_OK);
    assert_same();
}

static void test_script_reads_back(void **state)
{
    (void)state;
    sample_script();
    size_t length = write_sample();
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_OK);
    assert_same();
    sample.argc = 0; /* without arguments too */
    sample.argv[0] = NULL;
    length = write_sample();
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_OK);
    assert_same();
}

static void assert_digest(const void *wanted)
{
    uint8_t digest[ORDER_DIGEST_SIZE];
    order_digest(digest, &sample);
    assert_memory_equal(digest, wanted, sizeof digest);
    write_sample();
    assert_memory_equal(bytes + 32, wanted, sizeof digest);
}

/* Leaves the sample with nothing but what is run. */
static void bare(uint32_t argc)
{
    sample.argc = argc;
    sample.argv[argc] = NULL;
    sample.envc = 0;
    sample.env[0] = NULL;
    sample.input_length = 0;
}

/* sha256sum's of the same bytes, so that the list of a local policy can be made with it. */
static void test_digest_is_of_script_or_argv(void **state)
{
    (void)state;
    uint8_t wanted[ORDER_DIGEST_SIZE];
    sample_script();
    bare(0);
    crypto_hash_sha256(wanted, (const uint8_t *)script, strlen(script));
    assert_digest(wanted);
    sample_argv();
    bare(sample.argc);
    crypto_hash_sha256(wanted, (const uint8_t *)"/bin/echo\0hello\0", 17);
    assert_digest(wanted);
}

/* Otherwise BASH_ENV would make a listed script run another one. The values are Python's. */
static void test_digest_covers_what_changes_a_command(void **state)
{
    (void)state;
    sample_script();
    assert_digest("\xd0\x9c\x35\x89\xb0\x29\x6f\x54\xcf\x60\xd7\xea\x2f\x73\x23\x53"
                  "\x20\xe1\x1f\x83\x34\x20\x7b\x21\x5d\xa5\x38\x24\x5f\xe6\x16\xb9");
    bare(1);
    assert_digest("\xd2\xcc\x92\xae\x9f\x77\x25\x61\x1e\xb0\x0b\x9e\xf4\xd5\x0e\x9c"
                  "\xa8\x33\xaa\xcc\x28\x4e\xc9\xb5\x34\x6b\xd7\x3f\x91\x45\xb5\xe1");
    sample_argv();
    sample.input_length = 0;
    assert_digest("\xa5\x9b\x87\x5f\x6a\xb5\x80\xf1\xa5\xd6\x00\x4a\xa2\x0a\x60\x52"
                  "\xa1\x94\x93\x24\x4e\x5f\xf6\xc9\x3f\x34\xab\xe7\x39\xb2\x65\x29");
    sample_argv();
    sample.envc = 0;
    sample.env[0] = NULL;
    assert_digest("\xbf\x5e\x50\x67\x96\x39\xa1\x5c\x1e\x20\x6d\x3e\xeb\x2f\x1f\xde"
                  "\x72\x3a\xbf\x4d\x47\x72\x8e\x3c\xe7\xc4\x50\x2d\x6c\x42\x7b\x7f");
}

/* What is an argument in one is none in the other, the texts being the same. */
static void test_digest_tells_arguments_from_the_environment(void **state)
{
    (void)state;
    uint8_t one[ORDER_DIGEST_SIZE], other[ORDER_DIGEST_SIZE];
    sample_script();
    bare(0);
    sample.argv[sample.argc++] = "A=b";
    order_digest(one, &sample);
    bare(0);
    sample.env[sample.envc++] = "A=b";
    order_digest(other, &sample);
    assert_memory_not_equal(one, other, sizeof one);
    bare(0);
    sample.input_length = 4;
    sample.input = (const uint8_t *)"A=b";
    order_digest(one, &sample);
    assert_memory_not_equal(one, other, sizeof one);
}

/* The layout that the header gives, at each offset. */
static void test_layout(void **state)
{
    (void)state;
    sample_argv();
    sample.slot = 0x01020304;
    sample.time_ms = 0x036e80;
    sample.output_bytes = 0x3fffffff;
    size_t length = write_sample();
    assert_memory_equal(bytes, "ORD1\x04\x03\x02\x01\x09\0\0\0\x01\0\0\0", 16);
    assert_memory_equal(bytes + 16, sample.token, 16);
    assert_memory_equal(bytes + 64, "\x80\x6e\x03\0\0\0\0\0\xff\xff\xff\x3f\0\0\0\0", 16);
    assert_memory_equal(bytes + 80, "\x03\0\0\0\x02\0\0\0\0\0\0\0\xe8\x03\0\0", 16);
    static const char texts[] = "/bin/echo\0hello\0\0LC_ALL=C\0_x9=";
    assert_memory_equal(bytes + 96, texts, sizeof texts);
    assert_memory_equal(bytes + 96 + sizeof texts, input, sizeof input);
    assert_int_equal(length, 96 + sizeof texts + sizeof input);
}

/* ---------------------------------------------------------------- forged */

static void refuse_every_flip(size_t length)
{
    for (size_t i = 0; i < length * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < sizeof tag * 8; i++) {
        tag[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
        tag[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < sizeof grant.key * 8; i++) {
        grant.key[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
        grant.key[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_OK);
}

static void test_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    sample_argv();
    sample.input_length = 5;
    refuse_every_flip(write_sample());
    sample_script();
    sample.input_length = 0;
    refuse_every_flip(write_sample());
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    sample_script();
    size_t length = write_sample();
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(order_read(&got, bytes, i), ORDER_MALFORMED);
        assert_int_equal(order_accept(&got, bytes, i, tag, &grant), ORDER_FORGED);
        order_tag(tag, bytes, i, grant.key);
        assert_int_equal(order_accept(&got, bytes, i, tag, &grant), ORDER_MALFORMED);
        order_tag(tag, bytes, length, grant.key);
    }
    assert_int_equal(order_read(&got, bytes, length + 1), ORDER_MALFORMED);
    assert_int_equal(order_read(&got, bytes, sizeof bytes), ORDER_MALFORMED);
}

/* The tag is not a bare HMAC of the bytes: one made for another purpose does not serve. */
static void test_context_is_in_the_tag(void **state)
{
    (void)state;
    sample_argv();
    size_t length = write_sample();
    crypto_auth(tag, bytes, length, grant.key);
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
}

static void test_other_runners_grant_is_refused(void **state)
{
    (void)state;
    sample_argv();
    size_t length = write_sample();
    struct grant right = grant;
    grant.slot++;
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_MISPLACED);
    grant = right;
    grant.generation--;
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_MISPLACED);
    grant = right;
    grant.profile = 2;
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_MISPLACED);
    grant = right;
    grant.digest[31] ^= 1;
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_MISPLACED);
    grant = right;
    grant.magic = 0;
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
}

/* ---------------------------------------------------------------- lengths and bounds */

/* Every length and count, at values that a sum of 32 or 64 bits would wrap around with. */
static void test_wrapping_lengths_are_refused(void **state)
{
    (void)state;
    static const uint32_t values[] = {0xffffffff, 0xfffffff0, 0x80000000, 0x7fffffff,
                                      0x00040000, 0x00040001, 0xffffff00, 257};
    static const size_t fields[] = {80, 84, 88, 92};
    for (size_t f = 0; f < 4; f++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            sample_script();
            size_t length = write_sample();
            set32(fields[f], values[v]);
            assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
        }
    sample_script();
    size_t length = write_sample();
    set32(88, 0x80000000u + (uint32_t)strlen(script)); /* together 2^32 and what it was */
    set32(92, 0x80000000u + (uint32_t)sizeof input);
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
}

/* A byte taken from one part and given to its neighbour. */
static void test_shifted_borders_are_refused(void **state)
{
    (void)state;
    sample_script();
    size_t length = write_sample();
    set32(88, (uint32_t)strlen(script) - 1);
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    set32(92, (uint32_t)sizeof input + 1); /* adds up again; but the digest does not */
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    write_sample();
    set32(80, sample.argc + 1); /* an argument out of the environment */
    set32(84, sample.envc - 1);
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED); /* told apart by number */
    assert_int_equal(order_accept(&got, bytes, length, tag, &grant), ORDER_FORGED);
}

static void refuse_to_write(void)
{
    assert_int_equal(order_write(bytes, sizeof bytes, &sample), 0);
}

static void test_bounds(void **state)
{
    (void)state;
    size_t length;
    sample_argv();
    sample.time_ms = ORDER_TIME_MS_MAX;
    sample.output_bytes = ORDER_OUTPUT_BYTES_MAX;
    length = write_sample();
    assert_int_equal(order_read(&got, bytes, length), ORDER_OK);
    bytes[64]++; /* a millisecond more */
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    bytes[64]--;
    bytes[72]++;
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    bytes[72]--;
    bytes[79] = 0x80;
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    sample.time_ms++;
    refuse_to_write();
    sample.time_ms = 0;
    refuse_to_write();
    sample.time_ms = 1;
    sample.output_bytes++;
    refuse_to_write();
}

static void test_profiles(void **state)
{
    (void)state;
    for (uint32_t profile = 0; profile < 6; profile++) {
        bool good = profile >= 1 && profile <= 3;
        sample_argv();
        size_t length = write_sample();
        set32(12, profile);
        assert_int_equal(order_read(&got, bytes, length), good ? ORDER_OK : ORDER_MALFORMED);
        sample.profile = profile;
        assert_int_equal(order_write(bytes, sizeof bytes, &sample) > 0, good);
    }
}

static void test_most_texts(void **state)
{
    (void)state;
    sample_argv();
    while (sample.argc < ORDER_TEXTS_MAX)
        sample.argv[sample.argc++] = "x";
    while (sample.envc < ORDER_TEXTS_MAX)
        sample.env[sample.envc++] = "A=";
    size_t length = write_sample();
    assert_int_equal(order_read(&got, bytes, length), ORDER_OK);
    assert_same();
    sample.argc++;
    refuse_to_write();
    sample.argc--;
    sample.envc++;
    refuse_to_write();
}

static void test_longest(void **state)
{
    (void)state;
    static uint8_t large[ORDER_MAX];
    sample_argv();
    sample.input = large;
    sample.input_length = 0;
    size_t rest = write_sample();
    sample.input_length = ORDER_MAX - rest;
    assert_int_equal(write_sample(), ORDER_MAX);
    assert_int_equal(order_read(&got, bytes, ORDER_MAX), ORDER_OK);
    assert_int_equal(order_write(bytes, ORDER_MAX - 1, &sample), 0);
    sample.input_length++;
    refuse_to_write();
    sample.input_length = SIZE_MAX; /* of which the sum wraps */
    refuse_to_write();
    assert_int_equal(order_write(bytes, ORDER_HEAD_SIZE - 1, &sample), 0);
}

/* ---------------------------------------------------------------- what is to be run */

static void program_is(const char *path, bool good)
{
    sample_argv();
    sample.argv[0] = path;
    assert_int_equal(order_write(bytes, sizeof bytes, &sample) > 0, good);
}

static void script_is(const char *text, bool good)
{
    sample_script();
    sample.script = (const uint8_t *)text;
    sample.script_length = strlen(text);
    assert_int_equal(order_write(bytes, sizeof bytes, &sample) > 0, good);
}

static void variable_is(const char *text, bool good)
{
    sample_argv();
    sample.env[0] = text;
    assert_int_equal(order_write(bytes, sizeof bytes, &sample) > 0, good);
}

static void test_what_may_be_named(void **state)
{
    (void)state;
    program_is("/bin/true", true);
    program_is("true", false);
    program_is("", false);
    program_is("./true", false);
    script_is("#!/bin/sh", true);
    script_is("#! \t/bin/sh", true);
    script_is("#!/", true);
    script_is("#!sh\n", false);
    script_is("#!", false);
    script_is("#! ", false);
    script_is("#!\n/bin/sh", false);
    script_is("echo hello", false);
    script_is("#", false);
    variable_is("A=", true);
    variable_is("a_9=b=c", true);
    variable_is("=x", false);
    variable_is("9A=x", false);
    variable_is("A", false);
    variable_is("A-B=x", false);
    variable_is("", false);
    sample_argv();
    sample.argc = 0; /* neither a program nor a script */
    refuse_to_write();
}

/* The reader insists on the same, whatever wrote the bytes. */
static void test_reader_insists_too(void **state)
{
    (void)state;
    sample_argv();
    size_t length = write_sample();
    bytes[96] = 'x'; /* no absolute path; with the digest made right for it */
    order_read(&got, bytes, length);
    order_digest(bytes + 32, &got);
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    write_sample();
    bytes[96 + 17] = '9'; /* 9C_ALL=C */
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    write_sample();
    bytes[96 + 9] = 'x'; /* two texts made one */
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
    write_sample();
    bytes[0] = 'X';
    assert_int_equal(order_read(&got, bytes, length), ORDER_MALFORMED);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = ORDER_OK; i <= ORDER_MISPLACED; i++)
        assert_string_not_equal(order_outcome_name((enum order_outcome)i), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argv_reads_back),
        cmocka_unit_test(test_script_reads_back),
        cmocka_unit_test(test_digest_is_of_script_or_argv),
        cmocka_unit_test(test_digest_covers_what_changes_a_command),
        cmocka_unit_test(test_digest_tells_arguments_from_the_environment),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_context_is_in_the_tag),
        cmocka_unit_test(test_other_runners_grant_is_refused),
        cmocka_unit_test(test_wrapping_lengths_are_refused),
        cmocka_unit_test(test_shifted_borders_are_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_most_texts),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_what_may_be_named),
        cmocka_unit_test(test_reader_insists_too),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
