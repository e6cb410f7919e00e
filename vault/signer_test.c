#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#define HOST "console.example.org"

static uint8_t public_key[32], secret_key[SIGNER_SECRET_KEY_SIZE];
static uint8_t challenge[SIGNER_CHALLENGE_SIZE], exporter[SIGNER_EXPORTER_SIZE];

static void count_up(uint8_t *out, size_t length, int from)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(from + (int)i);
}

/* The seed, challenge and exporter of the vectors in docs/wire.md. */
static int set_up(void **state)
{
    (void)state;
    uint8_t seed[32];
    count_up(seed, sizeof seed, 0);
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    count_up(challenge, sizeof challenge, 0x40);
    count_up(exporter, sizeof exporter, 0x80);
    return 0;
}

static size_t unhex(uint8_t *out, size_t capacity, const char *hex)
{
    size_t length = 0;
    assert_int_equal(sodium_hex2bin(out, capacity, hex, strlen(hex), " ", &length, NULL), 0);
    return length;
}

static enum signer_outcome ask(struct signer *signer, const char *host, uint64_t now_ms,
                               uint8_t signature[SIGNER_SIGNATURE_SIZE])
{
    struct signer_challenge fields = {host, strlen(host), challenge, exporter};
    return signer_sign_challenge(signer, secret_key, now_ms, &fields, signature);
}

static void write_file(const char *folder, const char *name, const uint8_t *bytes, size_t length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* openssl(1), an independent Ed25519: 1 when it accepts the signature of message. */
static int openssl_accepts(const uint8_t *message, size_t length, const uint8_t *signature)
{
    char folder[] = "/tmp/signer_test.XXXXXX", command[1024];
    assert_non_null(mkdtemp(folder));
    /* SubjectPublicKeyInfo of an Ed25519 key (RFC 8410). */
    uint8_t der[12 + 32];
    assert_int_equal(unhex(der, sizeof der, "302a300506032b6570032100"), 12);
    memcpy(der + 12, public_key, 32);
    write_file(folder, "key.der", der, sizeof der);
    write_file(folder, "message", message, length);
    write_file(folder, "signature", signature, SIGNER_SIGNATURE_SIZE);
    snprintf(command, sizeof command,
             "cd %s && openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der "
             "-in message -sigfile signature >/dev/null 2>&1",
             folder);
    int status = system(command);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 127);
    return WEXITSTATUS(status) == 0;
}

static void challenge_agrees_with_the_wire(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t signature[SIGNER_SIGNATURE_SIZE], expected[SIGNER_SIGNATURE_SIZE], message[128];
    assert_int_equal(signer_begin(&signer, HOST, 0), 0);
    assert_int_equal(ask(&signer, HOST, 0, signature), SIGNER_SIGNED);
    unhex(expected, sizeof expected,
          "66afcfef5896cde0b9c5d8e584f57f69b93dda1da72ef567a76cb5f65024b218"
          "8452a3176edef478b1a43044a9ea831841ef4f6c17e3fb7ab3eef6bf01060e03");
    assert_memory_equal(signature, expected, sizeof expected);
    size_t length = unhex(message, sizeof message,
                          "636c6f69737465722f763120636f6e736f6c652d61757468001300636f6e736f"
                          "6c652e6578616d706c652e6f7267404142434445464748494a4b4c4d4e4f5051"
                          "52535455565758595a5b5c5d5e5f808182838485868788898a8b8c8d8e8f9091"
                          "92939495969798999a9b9c9d9e9f");
    assert_int_equal(length, 110);
    assert_true(openssl_accepts(message, length, signature));
    message[109] ^= 1;
    assert_false(openssl_accepts(message, length, signature));
}

static void origin_agrees_with_the_wire(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t ticket[16], digest[32], message[128];
    uint8_t signature[SIGNER_SIGNATURE_SIZE], expected[SIGNER_SIGNATURE_SIZE];
    unhex(ticket, sizeof ticket, "00112233445566778899aabbccddeeff");
    unhex(digest, sizeof digest,
          "4a8c560a2f3cccf2c7d29f31a0a8c84e7ae8f22a96efc0baa90be64de16bd6a5");
    struct signer_origin fields = {ticket, digest, 262149, 1790000000000};
    assert_int_equal(signer_begin(&signer, HOST, 0), 0);
    assert_int_equal(signer_sign_origin(&signer, secret_key, 0, &fields, signature), SIGNER_SIGNED);
    unhex(expected, sizeof expected,
          "87439e33fb7f115517f67515edd3e2b4585ce5f3dda2b6db1892cc437730e6c4"
          "3e224eae81a293df3693c2a850be21124ba8977b1bf2a331eab7b072e64ea406");
    assert_memory_equal(signature, expected, sizeof expected);
    size_t length = unhex(message, sizeof message,
                          "636c6f69737465722f76312062756e646c652d6f726967696e00001122334455"
                          "66778899aabbccddeeff4a8c560a2f3cccf2c7d29f31a0a8c84e7ae8f22a96ef"
                          "c0baa90be64de16bd6a50500040000000000006c50c4a0010000");
    assert_true(openssl_accepts(message, length, signature));
}

static void only_the_configured_console(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t signature[SIGNER_SIGNATURE_SIZE], untouched[SIGNER_SIGNATURE_SIZE];
    memset(signature, 0xa5, sizeof signature);
    memcpy(untouched, signature, sizeof untouched);
    assert_int_equal(signer_begin(&signer, "Console.Example.Org.", 0), 0);
    static const char *const others[] = {"evil.example.org",      "console.example.or",
                                         "console.example.orgx",  "",
                                         "console.example.org.x", "console.example.orG"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(ask(&signer, others[i], 0, signature), SIGNER_WRONG_HOST);
    struct signer_challenge cut = {HOST "\0", sizeof HOST, challenge, exporter};
    assert_int_equal(signer_sign_challenge(&signer, secret_key, 0, &cut, signature),
                     SIGNER_WRONG_HOST);
    assert_memory_equal(signature, untouched, sizeof untouched);
    assert_int_equal(ask(&signer, HOST, 0, signature), SIGNER_SIGNED);
}

static void no_console_no_signature(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t signature[SIGNER_SIGNATURE_SIZE];
    assert_int_equal(signer_begin(&signer, "", 0), 0);
    assert_int_equal(ask(&signer, "", 0, signature), SIGNER_WRONG_HOST);
    char name[SIGNER_HOST_MAX + 3];
    memset(name, 'a', sizeof name - 1);
    name[SIGNER_HOST_MAX + 1] = '\0';
    assert_int_equal(signer_begin(&signer, name, 0), -EINVAL);
    name[SIGNER_HOST_MAX] = '\0';
    assert_int_equal(signer_begin(&signer, name, 0), 0);
    assert_int_equal(ask(&signer, name, 0, signature), SIGNER_SIGNED);
}

static void rations_are_per_purpose(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t signature[SIGNER_SIGNATURE_SIZE], zero[32] = {0};
    struct signer_origin origin = {zero, zero, 1, 1};
    assert_int_equal(signer_begin(&signer, HOST, 1000), 0);
    int signed_challenges = 0;
    while (signed_challenges < 1000 && ask(&signer, HOST, 1000, signature) == SIGNER_SIGNED)
        signed_challenges++;
    assert_in_range(signed_challenges, 5, 20);
    assert_int_equal(ask(&signer, HOST, 1000, signature), SIGNER_RATIONED);
    assert_int_equal(signer_sign_origin(&signer, secret_key, 1000, &origin, signature),
                     SIGNER_SIGNED);
    assert_int_equal(ask(&signer, HOST, 11000, signature), SIGNER_SIGNED);
    for (int i = 0; i < 1000; i++)
        ask(&signer, "evil.example.org", 11000, signature);
    assert_int_equal(ask(&signer, HOST, 11000, signature), SIGNER_RATIONED);
}

static void without_a_key_nothing_is_signed(void **state)
{
    (void)state;
    struct signer signer;
    uint8_t signature[SIGNER_SIGNATURE_SIZE], zero[32] = {0};
    struct signer_challenge fields = {HOST, strlen(HOST), challenge, exporter};
    struct signer_origin origin = {zero, zero, 1, 1};
    assert_int_equal(signer_begin(&signer, HOST, 0), 0);
    assert_int_equal(signer_sign_challenge(&signer, NULL, 0, &fields, signature), SIGNER_NO_KEY);
    assert_int_equal(signer_sign_origin(&signer, NULL, 0, &origin, signature), SIGNER_NO_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_agrees_with_the_wire),
        cmocka_unit_test(origin_agrees_with_the_wire),
        cmocka_unit_test(only_the_configured_console),
        cmocka_unit_test(no_console_no_signature),
        cmocka_unit_test(rations_are_per_purpose),
        cmocka_unit_test(without_a_key_nothing_is_signed),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, set_up, NULL);
}
