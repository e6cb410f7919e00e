/* The console's own CA; the stock openssl program is the judge of its certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "log.h"

static char folder[64], server_pem[128];
static const char *const hosts[] = {"console.example.org", "192.0.2.7", "2001:db8::7"};

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-ca-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(server_pem, sizeof(server_pem), "%s/server.pem", folder);
    return certificate_ensure(folder, hosts, 3);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.key", "ca.pem", "server.key", "server.pem"};
    char path[128];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static int openssl(const char *options)
{
    char command[512];
    snprintf(
        command, sizeof(command),
        "openssl verify -x509_strict -purpose sslserver -CAfile %s/ca.pem %s %s >/dev/null 2>&1",
        folder, options, server_pem);
    return system(command);
}

static void read_file(const char *name, char *out, size_t capacity)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, capacity - 1);
    assert_true(n > 0);
    out[n] = '\0';
    close(fd);
}

static void openssl_takes_it_for_these_names_only(void **state)
{
    (void)state;
    assert_int_equal(openssl("-verify_hostname console.example.org"), 0);
    assert_int_equal(openssl("-verify_ip 192.0.2.7"), 0);
    assert_int_equal(openssl("-verify_ip 2001:db8::7"), 0);
    assert_int_not_equal(openssl("-verify_hostname example.org"), 0);
    assert_int_not_equal(openssl("-verify_ip 192.0.2.8"), 0);
}

static void files_are_private(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.key", "ca.pem", "server.key", "server.pem"};
    struct stat status;
    char path[128];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void a_second_start_changes_nothing(void **state)
{
    (void)state;
    char before[8192], after[8192];
    read_file("server.pem", before, sizeof(before));
    assert_int_equal(certificate_ensure(folder, hosts, 3), 0);
    read_file("server.pem", after, sizeof(after));
    assert_string_equal(before, after);
}

static void new_names_make_a_new_certificate_for_the_same_key(void **state)
{
    (void)state;
    static const char *const more[] = {"console.example.org", "new.example.org"};
    char before[CERTIFICATE_PIN_TEXT], after[CERTIFICATE_PIN_TEXT];
    int days = 0;
    assert_int_equal(certificate_pin(server_pem, before), 0);
    assert_int_equal(certificate_ensure(folder, more, 2), 0);
    assert_int_equal(openssl("-verify_hostname new.example.org"), 0);
    assert_int_equal(certificate_pin(server_pem, after), 0);
    assert_string_equal(before, after);
    assert_int_equal(certificate_days_left(server_pem, &days), 0);
    assert_in_range(days, 395, 397);
}

static void the_pin_is_what_openssl_says(void **state)
{
    (void)state;
    char command[512], pin[CERTIFICATE_PIN_TEXT], found[64] = "";
    snprintf(command, sizeof(command),
             "openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der | "
             "openssl dgst -sha256 -binary | base64",
             server_pem);
    FILE *f = popen(command, "r");
    assert_non_null(fgets(found, sizeof(found), f));
    pclose(f);
    assert_int_equal(certificate_pin(server_pem, pin), 0);
    assert_memory_equal(found, pin, CERTIFICATE_PIN_TEXT - 1);
}

static void a_damaged_file_is_not_replaced(void **state)
{
    (void)state;
    char path[128], after[64];
    snprintf(path, sizeof(path), "%s/ca.key", folder);
    FILE *f = fopen(path, "w");
    fputs("damaged\n", f);
    fclose(f);
    assert_int_equal(certificate_ensure(folder, hosts, 3), -EINVAL);
    read_file("ca.key", after, sizeof(after));
    assert_string_equal(after, "damaged\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(openssl_takes_it_for_these_names_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_start_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_names_make_a_new_certificate_for_the_same_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_pin_is_what_openssl_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_not_replaced, set_up, tear_down),
    };
    log_setup("test", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
