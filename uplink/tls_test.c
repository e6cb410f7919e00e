/*
 * What cannot be asked of the programs in tests/trust: a peer that holds the other end of the same
 * OpenSSL, to compare the channel binding and to break the connection in particular ways.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pin.h"
#include "tls.h"

static SSL_CTX *server_context;
static X509 *certificate;
static char *pem;
static size_t pem_length;

static int fds[2];
static SSL *server;
static struct tls_context *context;
static struct tls *tls;
static struct fault fault;

static int make_certificate(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_EXTENSION *names;
    BIO *memory = BIO_new(BIO_s_mem());
    char *text;

    (void)state;
    certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:console.test");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    if (!X509_sign(certificate, key, EVP_sha256()) || !PEM_write_bio_X509(memory, certificate))
        return -1;
    pem_length = (size_t)BIO_get_mem_data(memory, &text);
    pem = malloc(pem_length);
    memcpy(pem, text, pem_length);
    BIO_free(memory);
    server_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server_context, certificate);
    SSL_CTX_use_PrivateKey(server_context, key);
    EVP_PKEY_free(key);
    return 0;
}

static int forget_certificate(void **state)
{
    (void)state;
    SSL_CTX_free(server_context);
    X509_free(certificate);
    free(pem);
    return 0;
}

/* Both ends by turns until they agree; returns tls_handshake's last word. */
static int shake(const char *host, const uint8_t *pin, bool allow_tls12, int server_version)
{
    struct tls_config config = {pem, pem_length, pin, allow_tls12};
    int rc = TLS_WANT_READ;

    fault_clear(&fault);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    server = SSL_new(server_context);
    SSL_set_max_proto_version(server, server_version);
    SSL_set_fd(server, fds[1]);
    SSL_set_accept_state(server);
    assert_int_equal(tls_context_new(&context, &config, &fault), 0);
    assert_int_equal(tls_new(&tls, context, fds[0], host, &fault), 0);
    for (int i = 0; i < 20 && (rc == TLS_WANT_READ || rc == TLS_WANT_WRITE); i++) {
        rc = tls_handshake(tls, &fault);
        SSL_do_handshake(server);
    }
    return rc;
}

static int end(void **state)
{
    (void)state;
    tls = tls_free(tls);
    context = tls_context_free(context);
    SSL_free(server);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

/* tls_read gives -EAGAIN for each record without data; the server sends two tickets first. */
static ssize_t read_on(void *out, size_t length)
{
    ssize_t rc = -EAGAIN;

    for (int i = 0; i < 10 && rc == -EAGAIN; i++)
        rc = tls_read(tls, out, length);
    return rc;
}

static void binds_both_ends_alike(void **state)
{
    static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    uint8_t ours[TLS_BINDING_SIZE], theirs[TLS_BINDING_SIZE];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shake("console.test", NULL, true, versions[i]), 0);
        assert_int_equal(tls_binding(tls, ours), 0);
        assert_int_equal(SSL_export_keying_material(server, theirs, sizeof theirs,
                                                    "EXPORTER-Channel-Binding", 24,
                                                    (const unsigned char *)"", 0, 1),
                         1);
        assert_memory_equal(ours, theirs, sizeof ours);
        if (i == 0)
            end(NULL);
    }
}

static void pins_keys(void **state)
{
    uint8_t pin[PIN_SIZE];

    (void)state;
    assert_int_equal(pin_of(pin, certificate), 0);
    assert_int_equal(shake("console.test", pin, false, TLS1_3_VERSION), 0);
    end(NULL);
    pin[31] ^= 1;
    assert_int_equal(shake("console.test", pin, false, TLS1_3_VERSION), TLS_FAILED);
    assert_int_equal(fault.reason, FAULT_TLS_PIN);
}

static void wants_the_host(void **state)
{
    (void)state;
    assert_int_equal(shake("other.test", NULL, false, TLS1_3_VERSION), TLS_FAILED);
    assert_int_equal(fault.reason, FAULT_TLS_WRONG_HOST);
}

static void carries_data(void **state)
{
    char text[16];

    (void)state;
    assert_int_equal(shake("console.test", NULL, false, TLS1_3_VERSION), 0);
    assert_string_equal(tls_describe(tls), "TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_int_equal(read_on(text, sizeof text), -EAGAIN);
    assert_int_equal(SSL_write(server, "hello", 5), 5);
    assert_int_equal(read_on(text, 2), 2);
    assert_true(tls_pending(tls));
    assert_int_equal(read_on(text, sizeof text), 3);
    assert_false(tls_pending(tls));
    assert_int_equal(tls_write(tls, "answer", 6), 6);
    assert_int_equal(SSL_read(server, text, sizeof text), 6);
    SSL_shutdown(server);
    assert_int_equal(read_on(text, sizeof text), 0);
}

static void tells_a_cut_from_an_end(void **state)
{
    char text[16];

    (void)state;
    assert_int_equal(shake("console.test", NULL, false, TLS1_3_VERSION), 0);
    assert_int_equal(read_on(text, sizeof text), -EAGAIN);
    shutdown(fds[1], SHUT_RDWR);
    assert_int_equal(read_on(text, sizeof text), -ECONNRESET);
}

static void sees_what_was_changed_on_the_way(void **state)
{
    char text[16];

    (void)state;
    assert_int_equal(shake("console.test", NULL, false, TLS1_3_VERSION), 0);
    assert_int_equal(read_on(text, sizeof text), -EAGAIN);
    assert_int_equal(write(fds[1],
                           "\x17\x03\x03\x00\x20"
                           "0123456789abcdef0123456789abcdef",
                           37),
                     37);
    assert_int_equal(read_on(text, sizeof text), -EPROTO);
}

/* Key updates cost the receiver more than the sender: only so many may come without data. */
static void ends_a_flood_of_key_updates(void **state)
{
    ssize_t rc = -EAGAIN;
    char text[16];
    int updates = 0;

    (void)state;
    assert_int_equal(shake("console.test", NULL, false, TLS1_3_VERSION), 0);
    while (rc == -EAGAIN && updates < 10000) {
        assert_int_equal(SSL_key_update(server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(server), 1);
        updates++;
        rc = tls_read(tls, text, sizeof text);
    }
    assert_int_equal(rc, -EPROTO);
    assert_true(updates > 100);
}

#define unit(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(binds_both_ends_alike),
        unit(pins_keys),
        unit(wants_the_host),
        unit(carries_data),
        unit(tells_a_cut_from_an_end),
        unit(sees_what_was_changed_on_the_way),
        unit(ends_a_flood_of_key_updates),
    };

    signal(SIGPIPE, SIG_IGN);
    return tls_setup(&fault) != 0
               ? 1
               : cmocka_run_group_tests(tests, make_certificate, forget_certificate);
}
