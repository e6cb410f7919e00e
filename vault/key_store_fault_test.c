/*
 * Kills the key store before, and in the middle of, each of its file operations; cuts the power at
 * the same places, which loses whatever was not synced; and lets each operation fail. Whatever
 * happens, the store opens afterwards with the old key or the new one, and what was lost stays lost
 * until an administrator resets it.
 *
 * The linker puts the functions below between the store and the C library (--wrap), so the product
 * has no hook. What the doomed child does is kept in shared memory for the parent, which then takes
 * away what a power cut would take: the content of files that were not synced, and renames that the
 * folder's sync had not covered, newest first.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_files.h"
#include "key_store.h"

#define NOW         1790000000000ULL
#define CONTENT_MAX 1024
#define FILES_MAX   16
#define RENAMES_MAX 8

enum fault { FAULT_KILL, FAULT_FAIL };

/* A file that was opened to write. */
struct written {
    int fd;
    ino_t inode;
    int synced;
};

/* A rename that the folder's sync has not covered yet, with what it hid. */
struct renamed {
    char from[STATE_NAME_MAX], to[STATE_NAME_MAX];
    int hid;
    size_t length;
    uint8_t content[CONTENT_MAX];
};

/* Shared between parent and child. */
struct record {
    int armed;
    int countdown; /* the operation that reaches 0 is hit */
    enum fault fault;
    int folder;
    size_t written_count, renamed_count;
    struct written written[FILES_MAX];
    struct renamed renamed[RENAMES_MAX];
    int finished; /* the child came to its end ... */
    int error;    /* ... with this from the store */
    struct key_public served;
};

static struct record *record;
static char path[64];

int __real_openat(int folder, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t length);
int __real_fsync(int fd);
int __real_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_openat(int folder, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
int __wrap_fsync(int fd);
int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __wrap_unlinkat(int folder, const char *name, int flags);

/* ---------------------------------------------------------------- between store and kernel */

/* 1 if this operation is to fail with EIO. Does not return if it is to die. */
static int is_hit(void)
{
    if (!record || !record->armed || --record->countdown != 0)
        return 0;
    if (record->fault == FAULT_KILL)
        kill(getpid(), SIGKILL);
    errno = EIO;
    return 1;
}

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    if (!(flags & O_CREAT))
        return __real_openat(folder, name, flags);
    if (is_hit())
        return -1;
    int fd = __real_openat(folder, name, flags, 0600);
    struct stat st;
    if (fd < 0 || !record || !record->armed || fstat(fd, &st) < 0)
        return fd;
    if (record->written_count == FILES_MAX)
        abort();
    record->written[record->written_count++] = (struct written){.fd = fd, .inode = st.st_ino};
    return fd;
}

/* Two operations: before it, and after half of the bytes. */
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (is_hit())
        return -1;
    ssize_t first = __real_write(fd, bytes, length / 2);
    if (first < 0 || is_hit())
        return -1;
    ssize_t rest = __real_write(fd, (const uint8_t *)bytes + first, length - (size_t)first);
    return rest < 0 ? first : first + rest;
}

int __wrap_fsync(int fd)
{
    if (is_hit())
        return -1;
    int result = __real_fsync(fd);
    if (!record || !record->armed)
        return result;
    if (fd == record->folder)
        record->renamed_count = 0;
    for (size_t i = 0; i < record->written_count; i++)
        if (record->written[i].fd == fd)
            record->written[i].synced = 1;
    return result;
}

/* What `name` holds, so that the rename over it can be taken back. */
static void remember(struct renamed *rename, int folder, const char *old, const char *name)
{
    snprintf(rename->from, sizeof rename->from, "%s", old);
    snprintf(rename->to, sizeof rename->to, "%s", name);
    int fd = __real_openat(folder, name, O_RDONLY);
    rename->hid = fd >= 0;
    if (fd < 0)
        return;
    ssize_t n = read(fd, rename->content, sizeof rename->content);
    rename->length = n > 0 ? (size_t)n : 0;
    close(fd);
}

int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
    if (is_hit())
        return -1;
    if (!record || !record->armed)
        return __real_renameat2(from, old, to, name, flags);
    if (record->renamed_count == RENAMES_MAX)
        abort();
    struct renamed *rename = &record->renamed[record->renamed_count];
    remember(rename, from, old, name);
    int result = __real_renameat2(from, old, to, name, flags);
    record->renamed_count += result == 0;
    return result;
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    return is_hit() ? -1 : __real_unlinkat(folder, name, flags);
}

/* ---------------------------------------------------------------- the power cut */

/* A file whose content never reached the disk is empty when the machine is back. */
static void lose_content(void)
{
    for (size_t i = 0; i < record->written_count; i++) {
        if (record->written[i].synced)
            continue;
        char command[160];
        snprintf(command, sizeof command, "find %s -inum %lu -exec truncate -s 0 {} +", path,
                 (unsigned long)record->written[i].inode);
        assert_int_equal(system(command), 0);
    }
}

/* A rename that never reached the disk has not happened. */
static void take_back(int folder, const struct renamed *rename)
{
    assert_int_equal(__real_renameat2(folder, rename->to, folder, rename->from, 0), 0);
    if (!rename->hid)
        return;
    int fd = __real_openat(folder, rename->to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(__real_write(fd, rename->content, rename->length), rename->length);
    close(fd);
}

static void cut_power(int folder)
{
    lose_content();
    while (record->renamed_count > 0)
        take_back(folder, &record->renamed[--record->renamed_count]);
}

/* ---------------------------------------------------------------- one doomed run */

static struct hardware hardware_of(const char *disk)
{
    struct hardware hardware;
    memset(&hardware, 0, sizeof hardware);
    hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, disk, strlen(disk));
    return hardware;
}

/* Opens the store with this disk; resets it if asked. Keeps what it came to in the record. */
static void work(const char *disk, int reset)
{
    struct key_store *store;
    struct key_notes notes;
    struct hardware hardware = hardware_of(disk);
    int folder = state_folder_open(path);
    if (folder < 0 || key_store_new(&store) < 0)
        abort();
    record->folder = folder;
    record->error = key_store_open(store, folder, &hardware, NOW, &notes);
    if (!record->error && reset)
        record->error = key_store_reset(store, NOW, &notes);
    record->armed = 0;
    if (!record->error && key_store_state(store) == KEY_STORE_READY)
        record->served = *key_store_public(store);
    record->finished = 1;
    key_store_free(store);
    close(folder);
}

/* Runs it in a child that operation number `at` kills (0: none); 1 if it came to its end. */
static int run(enum fault fault, int at, const char *disk, int reset)
{
    memset(record, 0, sizeof *record);
    record->fault = fault;
    record->countdown = at;
    record->armed = at > 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(disk, reset);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    record->armed = 0;
    assert_true(record->finished ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                                 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return record->finished;
}

/* What an undisturbed process finds. */
static enum key_store_state look(const char *disk, struct key_public *served)
{
    struct key_store *store;
    struct key_notes notes;
    struct hardware hardware = hardware_of(disk);
    int folder = state_folder_open(path);
    assert_true(folder >= 0);
    assert_int_equal(key_store_new(&store), 0);
    assert_int_equal(key_store_open(store, folder, &hardware, NOW, &notes), 0);
    enum key_store_state state = key_store_state(store);
    const struct key_public *public_side = key_store_public(store);
    if (public_side)
        *served = *public_side;
    key_store_free(store);
    close(folder);
    return state;
}

/* ---------------------------------------------------------------- what each run must leave */

struct scenario {
    const char *name;
    void (*prepare)(void);
    const char *disk;
    int reset;
    /* Checks what is there after operation `at` was hit; `old` is the key of prepare. */
    void (*check)(const struct key_public *old);
};

static struct key_public old_key;

static void is(const struct key_public *a, const struct key_public *b)
{
    assert_memory_equal(a->public_key, b->public_key, sizeof a->public_key);
    assert_int_equal(a->origin, b->origin);
}

/* If the run came to its end, what it served is what is there now. */
static void is_what_was_served(const struct key_public *now)
{
    if (record->finished && !record->error)
        is(now, &record->served);
}

static void make_nothing(void)
{
}

static void make_key(void)
{
    assert_int_equal(look("D1", &old_key), KEY_STORE_READY);
}

static void make_unbound_key(void)
{
    assert_int_equal(look("", &old_key), KEY_STORE_READY);
}

static void make_damage(void)
{
    make_key();
    char command[128];
    snprintf(command, sizeof command, "printf damage > %s/" KEY_FILES_KEY, path);
    assert_int_equal(system(command), 0);
}

static void make_lost(void)
{
    struct key_public none;
    make_damage();
    assert_int_equal(look("D1", &none), KEY_STORE_LOST);
}

static void there_is_a_first_key(const struct key_public *old)
{
    struct key_public now;
    (void)old;
    assert_int_equal(look("D1", &now), KEY_STORE_READY);
    assert_int_equal(now.origin, KEY_ORIGIN_FIRST_START);
    assert_int_equal(now.has_previous, 0);
    is_what_was_served(&now);
}

static void it_follows_the_old_key(const struct key_public *old)
{
    struct key_public now;
    assert_int_equal(look("D2", &now), KEY_STORE_READY);
    assert_int_equal(now.origin, KEY_ORIGIN_DISK_CHANGED);
    assert_int_equal(now.has_previous, 1);
    assert_memory_equal(now.previous_id, old->id, sizeof old->id);
    is_what_was_served(&now);
}

static void it_is_the_same_key(const struct key_public *old)
{
    struct key_public now;
    assert_int_equal(look("D1", &now), KEY_STORE_READY);
    is(&now, old);
}

static void it_is_the_old_or_the_next_key(const struct key_public *old)
{
    struct key_public now;
    assert_int_equal(look("D1", &now), KEY_STORE_READY);
    if (now.origin == KEY_ORIGIN_RESET)
        assert_memory_equal(now.previous_id, old->id, sizeof old->id);
    else
        is(&now, old);
    is_what_was_served(&now);
}

static int count_files(const char *command_tail)
{
    char command[256];
    snprintf(command, sizeof command, "exit $(grep -lx damage %s/%s 2>/dev/null | wc -l)", path,
             command_tail);
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_is_lost_and_kept(const struct key_public *old)
{
    struct key_public none;
    (void)old;
    assert_int_equal(look("D1", &none), KEY_STORE_LOST);
    assert_int_equal(count_files("*"), 1);
}

static void it_is_lost_or_reset(const struct key_public *old)
{
    struct key_public now;
    (void)old;
    assert_int_equal(count_files("*"), 1);
    if (look("D1", &now) == KEY_STORE_LOST) {
        assert_false(record->finished && !record->error);
        return;
    }
    assert_int_equal(now.origin, KEY_ORIGIN_RESET);
    assert_int_equal(now.has_previous, 0);
    is_what_was_served(&now);
}

static const struct scenario scenarios[] = {
    {"first start", make_nothing, "D1", 0, there_is_a_first_key},
    {"rotation", make_key, "D2", 0, it_follows_the_old_key},
    {"adoption", make_unbound_key, "D1", 0, it_is_the_same_key},
    {"reset", make_key, "D1", 1, it_is_the_old_or_the_next_key},
    {"damage", make_damage, "D1", 0, it_is_lost_and_kept},
    {"reset after damage", make_lost, "D1", 1, it_is_lost_or_reset},
};

static void empty_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/*", path);
    assert_int_equal(system(command), 0);
}

/* Hits operation 1, 2, 3 ... until there is none left to hit. */
static void hit_each(enum fault fault, int power)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const struct scenario *scenario = &scenarios[i];
        int at = 0, left = 1;
        while (left) {
            empty_folder();
            scenario->prepare();
            run(fault, ++at, scenario->disk, scenario->reset);
            left = record->countdown <= 0;
            if (power) {
                int folder = state_folder_open(path);
                cut_power(folder);
                close(folder);
            }
            scenario->check(&old_key);
        }
        print_message("%s: %d operations\n", scenario->name, at - 1);
        assert_in_range(at, 3, 60);
        assert_true(record->finished && !record->error);
    }
}

static void killed_anywhere(void **state)
{
    (void)state;
    hit_each(FAULT_KILL, 0);
}

static void power_cut_anywhere(void **state)
{
    (void)state;
    hit_each(FAULT_KILL, 1);
}

static void failing_anywhere(void **state)
{
    (void)state;
    hit_each(FAULT_FAIL, 0);
}

static int set_up(void **state)
{
    (void)state;
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(path, "/tmp/key_store_fault_test.XXXXXX");
    return record == MAP_FAILED || !mkdtemp(path);
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", path);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_anywhere),
        cmocka_unit_test(power_cut_anywhere),
        cmocka_unit_test(failing_anywhere),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, set_up, tear_down);
}
