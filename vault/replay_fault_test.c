/*
 * Kills the replay store before, and in the middle of, each of its file operations; cuts the power
 * at the same places, which loses what was not synced, all of it or a part; and lets each operation
 * fail. Whatever happens, no command that the store has let run is let run again, what was told to
 * be durable is there, and after a crash the store is usable.
 *
 * The linker puts the functions below between the store and the C library (--wrap), so the product
 * has no hook. What each file durably holds is kept in shared memory for the parent, which puts it
 * back as a power cut would.
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
#include "replay_place.h"

#define CONTENT_MAX (24 * 1024)
#define FILES_MAX   12
#define RENAMES_MAX 6
#define COMMANDS    4 /* that the work accepts, with numbers from 11 */

enum fault { FAULT_KILL, FAULT_FAIL };

/* What a power cut leaves of what was not synced. */
enum power { POWER_STAYS, POWER_LOSES_ALL, POWER_LOSES_HALF };

/* A file that was written, by inode, and what it is sure to hold. */
struct written {
    ino_t inode;
    size_t durable_length;
    uint8_t durable[CONTENT_MAX];
};

/* A rename that the folder's sync has not covered yet; `hid` is what it replaced. */
struct renamed {
    char from[STATE_NAME_MAX], to[STATE_NAME_MAX];
    bool hid;
    size_t length;
    uint8_t content[CONTENT_MAX];
};

/* What the work was told, which holds from then on. */
struct told {
    bool usable;
    bool accepted[COMMANDS], started[COMMANDS], finished[COMMANDS];
    bool revoked;
};

/* Shared between parent and child. */
struct record {
    bool armed;
    int countdown; /* the operation that reaches 0 is hit */
    enum fault fault;
    int folder;
    size_t written_count, renamed_count;
    struct written written[FILES_MAX];
    struct renamed renamed[RENAMES_MAX];
    bool finished; /* the child came to its end */
    struct told told;
};

static struct record *record;

int __real_openat(int folder, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __real_pwrite(int fd, const void *bytes, size_t length, off_t at);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_openat(int folder, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t at);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __wrap_unlinkat(int folder, const char *name, int flags);

/* ---------------------------------------------------------------- between store and kernel */

/* Whether this operation is to fail with EIO. Does not return if it is to die. */
static bool is_hit(void)
{
    if (!record || !record->armed || --record->countdown != 0)
        return false;
    if (record->fault == FAULT_KILL)
        kill(getpid(), SIGKILL);
    errno = EIO;
    return true;
}

static size_t read_whole(int fd, uint8_t *out)
{
    ssize_t n = pread(fd, out, CONTENT_MAX, 0);
    if (n < 0 || n == CONTENT_MAX)
        abort();
    return (size_t)n;
}

/* The file's row; made with what it holds now, which was synced before anybody wrote. */
static struct written *row_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        abort();
    for (size_t i = 0; i < record->written_count; i++)
        if (record->written[i].inode == st.st_ino)
            return &record->written[i];
    if (record->written_count == FILES_MAX)
        abort();
    struct written *row = &record->written[record->written_count++];
    row->inode = st.st_ino;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int readable = open(path, O_RDONLY);
    row->durable_length = read_whole(readable, row->durable);
    close(readable);
    return row;
}

static bool is_watched(void)
{
    return record && record->armed;
}

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    if (!(flags & (O_CREAT | O_RDWR)))
        return __real_openat(folder, name, flags);
    if (is_hit())
        return -1;
    int fd = __real_openat(folder, name, flags, 0600);
    if (fd >= 0 && is_watched())
        row_of(fd);
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

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    if (is_hit())
        return -1;
    size_t half = length / 2;
    if (__real_pwrite(fd, bytes, half, at) < 0 || is_hit())
        return -1;
    ssize_t rest =
        __real_pwrite(fd, (const uint8_t *)bytes + half, length - half, at + (off_t)half);
    return rest < 0 ? (ssize_t)half : (ssize_t)half + rest;
}

static int sync_file(int fd, int (*real)(int fd))
{
    if (is_hit())
        return -1;
    int result = real(fd);
    if (!is_watched() || result < 0)
        return result;
    if (fd == record->folder) {
        record->renamed_count = 0;
        return result;
    }
    struct written *row = row_of(fd);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int readable = open(path, O_RDONLY);
    row->durable_length = read_whole(readable, row->durable);
    close(readable);
    return result;
}

int __wrap_fsync(int fd)
{
    return sync_file(fd, __real_fsync);
}

int __wrap_fdatasync(int fd)
{
    return sync_file(fd, __real_fdatasync);
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
    rename->length = read_whole(fd, rename->content);
    close(fd);
}

int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
    if (is_hit())
        return -1;
    if (!is_watched())
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

/* Goes back to what was synced; or to half of the way from there to what was written. */
static void lose_content(const struct place *place, const struct written *row, enum power power)
{
    char command[160], path[256] = "";
    static uint8_t now[CONTENT_MAX];
    snprintf(command, sizeof command, "find %s -inum %lu", place->path, (unsigned long)row->inode);
    FILE *pipe = popen(command, "r");
    bool there = fgets(path, sizeof path, pipe) != NULL;
    pclose(pipe);
    if (!there)
        return;
    path[strcspn(path, "\n")] = '\0';
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    size_t length = read_whole(fd, now);
    size_t kept = power == POWER_LOSES_HALF && length > row->durable_length
                      ? (length - row->durable_length) / 2
                      : 0;
    size_t from = 0; /* of the bytes that differ the first half may have come to the disk */
    if (power == POWER_LOSES_HALF && length == row->durable_length)
        while (from < length && now[from] == row->durable[from])
            from++;
    from = from ? from + 40 : 0;
    assert_int_equal(__real_pwrite(fd, row->durable + from,
                                   from < row->durable_length ? row->durable_length - from : 0,
                                   (off_t)from),
                     from < row->durable_length ? row->durable_length - from : 0);
    assert_int_equal(ftruncate(fd, (off_t)(row->durable_length + kept)), 0);
    close(fd);
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

static void cut_power(const struct place *place, enum power power)
{
    if (power == POWER_STAYS)
        return;
    for (size_t i = 0; i < record->written_count; i++)
        lose_content(place, &record->written[i], power);
    while (record->renamed_count > 0)
        take_back(place->folder, &record->renamed[--record->renamed_count]);
    place_seal(place);
}

/* ---------------------------------------------------------------- the work */

static struct replay_command number(int i)
{
    return place_command("ops-1", (uint64_t)(11 + i));
}

/* Commands that come all the way, one that is only accepted, a revocation, and time. */
static void work_life(struct place *place)
{
    struct told *told = &record->told;
    for (int i = 0; i < COMMANDS; i++) {
        struct replay_command command = number(i);
        if (place_admit(place, &command) != REPLAY_NEW)
            continue;
        told->accepted[i] = replay_store_accept(&place->store, &command, PLACE_NOW) == 0;
        if (!told->accepted[i] || i == COMMANDS - 1)
            continue;
        told->started[i] = replay_store_start(&place->store, command.receipt.token, PLACE_NOW) == 0;
        told->finished[i] = told->started[i] && place_finish(place, &command, 7) == 0;
        if (i == 0)
            replay_store_deliver(&place->store, command.receipt.token, PLACE_NOW);
    }
    told->revoked = replay_store_revoke(&place->store, "stolen", PLACE_NOW) == 0;
    replay_store_clock(&place->store, PLACE_NOW + 100000, 0);
}

static void work_rewrite(struct place *place)
{
    place->store.rewrite_at = 0; /* with the next record */
    work_life(place);
}

static void work_reset(struct place *place)
{
    record->told.usable = replay_store_reset(&place->store, PLACE_NOW) == 0;
}

static void work_nothing(struct place *place)
{
    record->told.usable = replay_store_usable(&place->store);
}

/* ---------------------------------------------------------------- what each run must leave */

static void assert_kept(struct place *place)
{
    const struct replay_state *known = replay_store_known(&place->store);
    const struct told *told = &record->told;
    for (int i = 0; i < COMMANDS; i++) {
        struct replay_command command = number(i);
        const struct replay_command *kept = replay_state_find(known, command.receipt.token);
        if (!told->accepted[i])
            continue;
        assert_int_not_equal(place_admit(place, &command), REPLAY_NEW);
        if (i == 0 && told->finished[i])
            continue; /* it may have been delivered */
        assert_non_null(kept);
        if (told->started[i])
            assert_in_range(kept->phase, ipc_COMMAND_STARTED, ipc_COMMAND_ENDED);
        if (told->finished[i]) {
            assert_int_equal(kept->phase, ipc_COMMAND_ENDED);
            assert_int_equal(kept->receipt.code, 7);
        }
    }
    if (told->revoked)
        assert_true(replay_state_key(known, "stolen")->revoked);
}

static void usable_and_kept(struct place *place)
{
    assert_string_equal(replay_store_trouble(&place->store), "");
    assert_kept(place);
}

/* A failing disk may leave the store unusable, but never forgetful. */
static void kept_or_refused(struct place *place)
{
    if (replay_store_usable(&place->store))
        assert_kept(place);
    else
        assert_true(strlen(replay_store_trouble(&place->store)) > 0);
}

static void reset_or_still_refused(struct place *place)
{
    if (!replay_store_usable(&place->store))
        assert_false(record->told.usable);
    assert_int_equal(replay_store_reset(&place->store, PLACE_NOW), 0);
    place_open(place, PLACE_NOW);
    assert_string_equal(replay_store_trouble(&place->store), "");
}

static void prepare_fresh(struct place *place)
{
    place_run(place, "rm -rf %s/*");
}

static void prepare_store(struct place *place)
{
    prepare_fresh(place);
    place_open(place, PLACE_NOW);
    assert_int_equal(state_file_write(place->folder, KEY_FILES_MARKER, "", 0), 0);
    struct replay_command before = place_command("ops-1", 10);
    assert_int_equal(place_accept(place, &before), 0);
    replay_store_end(&place->store);
}

static void prepare_damage(struct place *place)
{
    prepare_store(place);
    place_run(place, "printf X | dd of=%s/commands bs=1 seek=100 conv=notrunc status=none");
}

/* A crash between the log's record and the anchor's: opening it has something to finish. */
static void prepare_ahead(struct place *place)
{
    static struct place_copy copy;
    prepare_store(place);
    place_copy(place, &copy);
    place_open(place, PLACE_NOW);
    struct replay_command command = number(0);
    assert_int_equal(place_accept(place, &command), 0);
    replay_store_end(&place->store);
    place_put_anchor(place, copy.anchor, sizeof copy.anchor);
}

struct scenario {
    const char *name;
    void (*prepare)(struct place *place);
    void (*work)(struct place *place);
    void (*after_crash)(struct place *place);
    void (*after_failure)(struct place *place);
};

static const struct scenario scenarios[] = {
    {"life", prepare_store, work_life, usable_and_kept, kept_or_refused},
    {"rewriting", prepare_store, work_rewrite, usable_and_kept, kept_or_refused},
    {"first start", prepare_fresh, work_nothing, usable_and_kept, kept_or_refused},
    {"finishing what a crash left", prepare_ahead, work_nothing, usable_and_kept, kept_or_refused},
    {"reset", prepare_damage, work_reset, reset_or_still_refused, reset_or_still_refused},
    {"reset of a whole store", prepare_store, work_reset, reset_or_still_refused,
     reset_or_still_refused},
};

/* Whether the process that goes on would let a command run again. */
static bool forgets(const struct place *place)
{
    for (int i = 0; i < COMMANDS && replay_store_usable(&place->store); i++) {
        struct replay_command command = number(i);
        if (record->told.accepted[i] && place_admit(place, &command) == REPLAY_NEW)
            return true;
    }
    return false;
}

/* Runs it in a child that operation number `at` hits. */
static void run(struct place *place, const struct scenario *scenario, enum fault fault, int at)
{
    memset(record, 0, sizeof *record);
    scenario->prepare(place);
    replay_store_end(&place->store);
    record->fault = fault;
    record->countdown = at;
    record->folder = place->folder;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        record->armed = true;
        place_open(place, PLACE_NOW);
        scenario->work(place);
        record->armed = false;
        record->finished = !forgets(place);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    record->armed = false;
    assert_true(record->finished ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                                 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void hit_each(struct place *place, enum fault fault, enum power power)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const struct scenario *scenario = &scenarios[i];
        int at = 0;
        do {
            run(place, scenario, fault, ++at);
            cut_power(place, power);
            place_open(place, PLACE_NOW);
            (fault == FAULT_KILL ? scenario->after_crash : scenario->after_failure)(place);
        } while (record->countdown <= 0);
        print_message("%s: %d operations\n", scenario->name, at - 1);
        assert_in_range(at, 3, 200);
    }
}

static void killed_anywhere(void **state)
{
    hit_each(*state, FAULT_KILL, POWER_STAYS);
}

static void power_cut_anywhere(void **state)
{
    hit_each(*state, FAULT_KILL, POWER_LOSES_ALL);
}

static void power_cut_that_leaves_half(void **state)
{
    hit_each(*state, FAULT_KILL, POWER_LOSES_HALF);
}

static void failing_anywhere(void **state)
{
    hit_each(*state, FAULT_FAIL, POWER_STAYS);
}

/* After it failed, the power goes too. */
static void failing_and_then_cut(void **state)
{
    hit_each(*state, FAULT_FAIL, POWER_LOSES_ALL);
}

static int set_up(void **state)
{
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return record == MAP_FAILED || place_set_up(state);
}

static int tear_down(void **state)
{
    munmap(record, sizeof *record);
    record = NULL;
    return place_tear_down(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(killed_anywhere),  test(power_cut_anywhere),   test(power_cut_that_leaves_half),
        test(failing_anywhere), test(failing_and_then_cut),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
