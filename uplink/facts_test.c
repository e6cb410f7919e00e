#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "facts.h"
#include "report.h"

#define BOOT_ID "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11\n"

static char folder[] = "/tmp/facts-XXXXXX";
static struct facts facts;
static struct fault fault;

static void put(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    if (!text)
        return;
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int ca(const char *text)
{
    int fd = memfd_create("ca", MFD_CLOEXEC);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int read_facts(int fd)
{
    facts_clear(&facts);
    fault_clear(&fault);
    return facts_read(&facts, fd, folder, &fault);
}

static void reads_all(void **state)
{
    (void)state;
    put("boot_id", BOOT_ID);
    put("hostname", "desk-17\n");
    put("os-release",
        "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
    assert_int_equal(read_facts(ca("certificates")), 0);
    assert_string_equal(facts.boot_id, "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11");
    assert_string_equal(facts.name, "desk-17");
    assert_string_equal(facts.os, "Debian GNU/Linux 12 (bookworm)");
    assert_int_equal(facts.ca_length, 12);
    assert_memory_equal(facts.ca, "certificates", 12);
}

static void does_without(void **state)
{
    char path[128];

    (void)state;
    put("hostname", NULL);
    put("os-release", "PRETTY_NAME=plain\n");
    assert_int_equal(read_facts(ca("x")), 0);
    assert_string_equal(facts.name, "unnamed");
    assert_string_equal(facts.os, "plain");
    put("hostname", "desk\x1b[2J\n");
    put("os-release", "NO_PRETTY_NAME=x\nPRETTY_NAME=\"\xc3\xa4\"\n");
    assert_int_equal(read_facts(ca("x")), 0);
    assert_string_equal(facts.name, "unnamed");
    assert_string_equal(facts.os, "");
    put("os-release", NULL);
    put("hostname", "a-name-of-more-than-sixty-four-characters-is-longer-than-the-kernel-takes\n");
    assert_int_equal(read_facts(ca("x")), 0);
    assert_string_equal(facts.name, "unnamed");
    snprintf(path, sizeof path, "%s/hostname", folder);
    unlink(path);
}

static void insists_on_the_rest(void **state)
{
    (void)state;
    assert_int_equal(read_facts(ca("")), FAULT_CONFIGURATION);
    assert_non_null(strstr(fault.detail, "empty"));
    assert_int_equal(read_facts(-1), FAULT_CONFIGURATION);
    assert_non_null(strstr(fault.detail, "cannot be opened"));
    assert_null(facts.ca);
    put("boot_id", "short\n");
    assert_int_equal(read_facts(ca("x")), FAULT_LOCAL);
    put("boot_id", NULL);
    assert_int_equal(read_facts(ca("x")), FAULT_LOCAL);
}

static void reports_every_reason(void **state)
{
    ipc_UplinkState report;

    (void)state;
    for (int reason = FAULT_NONE; reason < FAULT_COUNT; reason++)
        assert_int_not_equal(report_reason((enum fault_reason)reason), ipc_UplinkReason_UPLINK_OK);
    fault_clear(&fault);
    fault_set(&fault, FAULT_TLS_PIN, "the key is another");
    report_fault(&report, &fault);
    assert_int_equal(report.status.phase, ipc_UplinkPhase_UPLINK_WAITING);
    assert_int_equal(report.status.reason, ipc_UplinkReason_UPLINK_TLS_PIN);
    assert_string_equal(report.status.detail, "tls-pin: the key is another");
    report_connected(&report, WIRE_APPROVED);
    assert_int_equal(report.status.phase, ipc_UplinkPhase_UPLINK_APPROVED);
    assert_int_equal(report.status.reason, ipc_UplinkReason_UPLINK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all),
        cmocka_unit_test(does_without),
        cmocka_unit_test(insists_on_the_rest),
        cmocka_unit_test(reports_every_reason),
    };
    int failed;

    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    facts_clear(&facts);
    rmdir(folder);
    return failed;
}
