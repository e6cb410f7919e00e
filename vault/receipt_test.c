/*
 * Receipts as their readers see them: decoded by coreutils, verified by openssl(1).
 */
#include "receipt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "signer.h"

static uint8_t public_key[32], secret_key[64];

static int set_up(void **state)
{
    (void)state;
    uint8_t seed[32];
    for (int i = 0; i < 32; i++)
        seed[i] = (uint8_t)i;
    return crypto_sign_seed_keypair(public_key, secret_key, seed);
}

static struct receipt whole(void)
{
    struct receipt receipt = {
        .kid = "ops-1",
        .has_claims = true,
        .seq = 9007199254740991,
        .profile = ipc_PROFILE_USER,
        .decision = RECEIPT_RUN,
        .end = ipc_END_SIGNALLED,
        .code = 9,
        .limit = ipc_LIMIT_TIME,
        .out = {.bytes = 1048576, .dropped = 17},
        .accepted_ms = 1790000000000,
        .started_ms = 1790000000010,
        .ended_ms = 1790000060010,
    };
    memset(receipt.token, 0xa1, sizeof receipt.token);
    memset(receipt.jti, 0xb2, sizeof receipt.jti);
    memset(receipt.out.sha256, 0xc3, sizeof receipt.out.sha256);
    memset(receipt.err.sha256, 0xd4, sizeof receipt.err.sha256);
    return receipt;
}

static void make(char text[RECEIPT_MAX], size_t *length, const struct receipt *receipt)
{
    struct signer signer;
    assert_int_equal(signer_begin(&signer, "", 0), 0);
    assert_int_equal(signer_sign_receipt(&signer, secret_key, 0, receipt, text, length),
                     SIGNER_SIGNED);
    assert_true(*length < RECEIPT_MAX);
    text[*length] = '\0';
}

/* Part number `part` of a JWS, decoded by basenc(1). */
static void decode(char *out, size_t capacity, const char *jws, int part)
{
    char command[RECEIPT_MAX + 256];
    snprintf(command, sizeof command,
             "p=$(echo '%s' | cut -d. -f%d); while [ $((${#p} %% 4)) != 0 ]; do p=$p=; done;"
             "printf %%s \"$p\" | basenc -d --base64url",
             jws, part);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(out, 1, capacity - 1, pipe);
    out[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

/* openssl(1) knows an Ed25519 key by its SubjectPublicKeyInfo (RFC 8410). */
static bool openssl_accepts(const char *jws)
{
    char folder[] = "/tmp/receipt_test.XXXXXX", key[2 * 44 + 1] = "302a300506032b6570032100";
    char command[RECEIPT_MAX + 1024];
    assert_non_null(mkdtemp(folder));
    sodium_bin2hex(key + 24, sizeof key - 24, public_key, sizeof public_key);
    snprintf(command, sizeof command,
             "cd %s && echo %s | tr a-f A-F | basenc -d --base16 >key.der && jws='%s' && "
             "printf %%s \"${jws%%.*}\" >message && "
             "printf %%s== \"${jws##*.}\" | basenc -d --base64url >signature && "
             "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -in message "
             "-sigfile signature >/dev/null 2>&1",
             folder, key, jws);
    int status = system(command);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 127);
    return WEXITSTATUS(status) == 0;
}

static void it_says_what_the_page_says(void **state)
{
    (void)state;
    char text[RECEIPT_MAX], part[RECEIPT_MAX];
    size_t length;
    struct receipt receipt = whole();
    make(text, &length, &receipt);
    decode(part, sizeof part, text, 1);
    assert_string_equal(part, "{\"alg\":\"EdDSA\",\"kid\":\"56475aa75463474c0285df5dbf2bcab73da651"
                              "358839e9b77481b2eab107708c\"}");
    decode(part, sizeof part, text, 2);
    assert_string_equal(
        part, "{\"typ\":\"cloister-receipt\",\"ver\":1,"
              "\"machine\":\"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\","
              "\"token\":\"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\","
              "\"jti\":\"b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\",\"kid\":\"ops-1\","
              "\"seq\":9007199254740991,\"profile\":\"user\",\"decision\":\"run\",\"reason\":\"\","
              "\"signal\":9,\"limit\":\"time\",\"stdout_bytes\":1048576,\"stdout_sha256\":"
              "\"c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3\","
              "\"stdout_dropped\":17,\"stderr_bytes\":0,\"stderr_sha256\":"
              "\"d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4\","
              "\"stderr_dropped\":0,\"accepted_ms\":1790000000000,\"started_ms\":1790000000010,"
              "\"ended_ms\":1790000060010}");
}

static void others_verify_it(void **state)
{
    (void)state;
    char text[RECEIPT_MAX], again[RECEIPT_MAX];
    size_t length;
    struct receipt receipt = whole();
    make(text, &length, &receipt);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-_."),
                     length);
    assert_true(openssl_accepts(text));
    make(again, &length, &receipt);
    assert_string_equal(text, again);
    char *seen = strchr(text, '.') + 20;
    *seen = *seen == 'A' ? 'B' : 'A';
    assert_false(openssl_accepts(text));
}

static void refusals_tell_what_is_known(void **state)
{
    (void)state;
    char text[RECEIPT_MAX], part[RECEIPT_MAX];
    size_t length;
    struct receipt receipt = {.kid = "ops-1",
                              .decision = RECEIPT_REFUSED,
                              .reason = "countersignature",
                              .ended_ms = 1790000000000};
    make(text, &length, &receipt);
    assert_true(openssl_accepts(text));
    decode(part, sizeof part, text, 2);
    assert_string_equal(
        part, "{\"typ\":\"cloister-receipt\",\"ver\":1,\"machine\":\"56475aa75463474c0285df5dbf2bca"
              "b73da651358839e9b77481b2eab107708c\",\"token\":\"00000000000000000000000000000000\","
              "\"kid\":\"ops-1\",\"decision\":\"refused\",\"reason\":\"countersignature\","
              "\"ended_ms\":1790000000000}");
}

/* No two purposes of the key sign strings that begin alike: signer.h, docs/wire.md. */
static void it_begins_like_nothing_else(void **state)
{
    (void)state;
    char text[RECEIPT_MAX];
    size_t length;
    struct receipt receipt = whole();
    make(text, &length, &receipt);
    assert_memory_equal(text, "eyJhbGciOiJFZERTQSIs", 20);
    assert_memory_not_equal(text, "cloister/v1 ", 12);
}

static void the_longest_fits(void **state)
{
    (void)state;
    char text[RECEIPT_MAX];
    size_t length;
    struct receipt receipt = whole();
    memset(receipt.kid, 'k', sizeof receipt.kid - 1);
    receipt.profile = ipc_PROFILE_DIAGNOSTIC;
    receipt.end = ipc_END_SIGNALLED;
    receipt.limit = ipc_LIMIT_OUTPUT;
    receipt.out.bytes = receipt.err.bytes = ORDER_OUTPUT_BYTES_MAX;
    receipt.out.dropped = receipt.err.dropped = 9007199254740991;
    receipt.accepted_ms = receipt.started_ms = receipt.ended_ms = 9007199254740991;
    make(text, &length, &receipt);
    assert_true(length < 2048);
    assert_true(openssl_accepts(text));
}

static void refuse(struct receipt receipt)
{
    struct signer signer;
    char text[RECEIPT_MAX];
    size_t length;
    assert_int_equal(signer_begin(&signer, "", 0), 0);
    assert_int_equal(signer_sign_receipt(&signer, secret_key, 0, &receipt, text, &length),
                     SIGNER_IMPOSSIBLE);
}

#define refuse_with(change)                                                                        \
    do {                                                                                           \
        struct receipt r = whole();                                                                \
        change;                                                                                    \
        refuse(r);                                                                                 \
    } while (0)

static void what_cannot_be_is_not_signed(void **state)
{
    (void)state;
    refuse_with(r.decision = 0);
    refuse_with(r.decision = 5);
    refuse_with(r.kid[0] = '\0');
    refuse_with(strcpy(r.kid, "a\",\"x\":\""));
    refuse_with(memset(r.kid, 'a', sizeof r.kid));
    refuse_with(strcpy(r.reason, "\""); r.decision = RECEIPT_NOT_RUN);
    refuse_with(r.decision = RECEIPT_UNKNOWN); /* without a reason */
    refuse_with(r.has_claims = false);
    refuse_with(r.seq = 0);
    refuse_with(r.seq = UINT64_C(1) << 53);
    refuse_with(r.profile = ipc_PROFILE_NONE);
    refuse_with(r.profile = 4);
    refuse_with(r.end = ipc_END_LOST);
    refuse_with(r.end = ipc_END_UNSPECIFIED);
    refuse_with(r.end = ipc_END_EXITED; r.code = 256);
    refuse_with(r.code = 0);
    refuse_with(r.code = 65);
    refuse_with(r.end = ipc_END_NOT_EXECUTED; r.code = 0);
    refuse_with(r.limit = 3);
    refuse_with(r.out.bytes = ORDER_OUTPUT_BYTES_MAX + 1);
    refuse_with(r.err.dropped = UINT64_C(1) << 53);
    refuse_with(r.ended_ms = UINT64_C(1) << 53);
}

static void rations_of_receipts_and_refusals_differ(void **state)
{
    (void)state;
    struct signer signer;
    char text[RECEIPT_MAX];
    size_t length;
    struct receipt run = whole(), refused = whole();
    refused.decision = RECEIPT_REFUSED;
    strcpy(refused.reason, "expired");
    assert_int_equal(signer_begin(&signer, "", 0), 0);
    int count = 0;
    while (count < 10000 &&
           signer_sign_receipt(&signer, secret_key, 0, &refused, text, &length) == SIGNER_SIGNED)
        count++;
    assert_in_range(count, 100, 1000);
    assert_int_equal(signer_sign_receipt(&signer, secret_key, 0, &run, text, &length),
                     SIGNER_SIGNED);
    assert_int_equal(signer_sign_receipt(&signer, NULL, 0, &run, text, &length), SIGNER_NO_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_page_says),
        cmocka_unit_test(others_verify_it),
        cmocka_unit_test(refusals_tell_what_is_known),
        cmocka_unit_test(it_begins_like_nothing_else),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(what_cannot_be_is_not_signed),
        cmocka_unit_test(rations_of_receipts_and_refusals_differ),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, set_up, NULL);
}
