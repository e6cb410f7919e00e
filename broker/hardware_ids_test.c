#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "hardware_ids.h"

static char root[64];
static struct agent_hardware ids;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (chdir(root) != 0 || system(command) != 0) {
        fail_msg("%s", command);
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/cloister-sysfs.XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    run("mkdir -p class/dmi/id dev/block devices/block");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run("rm -rf %s", root);
    return 0;
}

/* A disk of that name and device number. */
static void disk(const char *name, const char *number)
{
    run("mkdir -p devices/block/%s/slaves devices/block/%s/device && "
        "ln -s ../../devices/block/%s dev/block/%s",
        name, name, name, number);
}

static void read_ids(unsigned high, unsigned low)
{
    int sysfs = open(root, O_RDONLY | O_DIRECTORY);
    int board = openat(sysfs, "class/dmi/id/board_serial", O_RDONLY);
    hardware_ids_read(&ids, sysfs, board < 0 ? -errno : board, makedev(high, low));
    close(board);
    close(sysfs);
}

static void test_virtio_disk_and_board(void **state)
{
    (void)state;
    disk("vda", "254:0");
    run("printf 'VOL123\\n' > devices/block/vda/serial");
    run("printf '  BRD 7 \\n' > class/dmi/id/board_serial");
    read_ids(254, 0);
    assert_int_equal(ids.disk.state, AGENT_ID_PRESENT);
    assert_string_equal(ids.disk.value, "VOL123");
    assert_int_equal(ids.disk.length, 6);
    assert_string_equal(ids.board.value, "BRD 7");
    assert_int_equal(ids.board.length, 5);
}

static void test_partition_of_nvme(void **state)
{
    (void)state;
    disk("nvme0n1", "259:0");
    run("mkdir devices/block/nvme0n1/nvme0n1p2 && echo 2 > "
        "devices/block/nvme0n1/nvme0n1p2/partition"
        " && ln -s ../../devices/block/nvme0n1/nvme0n1p2 dev/block/259:2"
        " && echo S4EV > devices/block/nvme0n1/device/serial && echo eui.1 > "
        "devices/block/nvme0n1/wwid");
    read_ids(259, 2);
    assert_string_equal(ids.disk.value, "S4EV");
}

static void test_wwid_of_sata(void **state)
{
    (void)state;
    disk("sda", "8:0");
    run("printf 't10.ATA     Disk      WD-77  \\n' > devices/block/sda/device/wwid");
    read_ids(8, 0);
    assert_string_equal(ids.disk.value, "t10.ATA     Disk      WD-77");
}

static void test_mapper_over_raid_over_partitions(void **state)
{
    (void)state;
    disk("sda", "8:0");
    disk("sdb", "8:16");
    disk("md0", "9:0");
    disk("dm-0", "253:0");
    run("for d in sda sdb; do mkdir devices/block/$d/${d}1; echo 1 > "
        "devices/block/$d/${d}1/partition;"
        "ln -s ../../$d/${d}1 devices/block/md0/slaves/${d}1; done;"
        "ln -s ../../md0 devices/block/dm-0/slaves/md0;"
        "echo ZZ > devices/block/sda/serial; echo AA > devices/block/sdb/serial");
    read_ids(253, 0);
    assert_string_equal(ids.disk.value, "AA");
    run("rm devices/block/sdb/serial; mkdir devices/block/sdb/serial"); /* read fails: EISDIR */
    read_ids(253, 0);
    assert_int_equal(ids.disk.state, AGENT_ID_UNREADABLE);
    assert_string_equal(ids.disk.value, "");
}

static void test_a_loop_ends(void **state)
{
    (void)state;
    disk("dm-0", "253:0");
    run("ln -s ../../dm-0 devices/block/dm-0/slaves/dm-0");
    read_ids(253, 0);
    assert_int_equal(ids.disk.state, AGENT_ID_UNREADABLE);
}

static void test_absent(void **state)
{
    (void)state;
    disk("vda", "254:0");
    run("printf ' \\n' > devices/block/vda/serial");
    read_ids(254, 0);
    assert_int_equal(ids.disk.state, AGENT_ID_ABSENT);
    assert_int_equal(ids.board.state, AGENT_ID_ABSENT);
    read_ids(254, 9);
    assert_int_equal(ids.disk.state, AGENT_ID_ABSENT);
    read_ids(0, 0);
    assert_int_equal(ids.disk.state, AGENT_ID_ABSENT);
}

static void test_no_sysfs(void **state)
{
    (void)state;
    hardware_ids_read(&ids, -1, -ENOENT, makedev(8, 0));
    assert_int_equal(ids.disk.state, AGENT_ID_UNREADABLE);
    assert_int_equal(ids.board.state, AGENT_ID_UNREADABLE);
}

static void test_board_that_may_not_be_read(void **state)
{
    (void)state;
    int sysfs = open(root, O_RDONLY | O_DIRECTORY);
    hardware_ids_read(&ids, sysfs, -EACCES, 0);
    assert_int_equal(ids.board.state, AGENT_ID_UNREADABLE);
    close(sysfs);
}

static void test_firmware_writes_nonsense(void **state)
{
    (void)state;
    run("head -c 500 /dev/zero | tr '\\0' x > class/dmi/id/board_serial");
    read_ids(8, 0);
    assert_int_equal(ids.board.length, sizeof ids.board.value - 1);
    run("printf 'ab\\0cd' > class/dmi/id/board_serial");
    read_ids(8, 0);
    assert_string_equal(ids.board.value, "ab");
    assert_int_equal(ids.board.length, 2);
}

static void test_root_device(void **state)
{
    struct stat st;
    (void)state;
    dev_t device = hardware_ids_root_device("1 0 0:30 / / rw - btrfs /dev/null rw\n");
    assert_int_equal(stat("/", &st), 0);
    assert_true(device == (major(st.st_dev) ? st.st_dev : 0));
    (void)hardware_ids_root_device("garbage without end");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_virtio_disk_and_board),
        T(test_partition_of_nvme),
        T(test_wwid_of_sata),
        T(test_mapper_over_raid_over_partitions),
        T(test_a_loop_ends),
        T(test_absent),
        T(test_no_sysfs),
        T(test_board_that_may_not_be_read),
        T(test_firmware_writes_nonsense),
        T(test_root_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
