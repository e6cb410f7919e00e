#include "key_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_files.h"

#define NOW 1790000000000ULL

/* A state folder, a store on it, and what the last call told. */
struct place {
    char path[64];
    int folder;
    struct key_store *store;
    struct key_notes notes;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->path, "/tmp/key_store_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->folder = state_folder_open(place->path);
    assert_true(place->folder >= 0);
    assert_int_equal(key_store_new(&place->store), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    place->store = key_store_free(place->store);
    close(place->folder);
    umount2(place->path, MNT_DETACH);
    snprintf(command, sizeof command, "rm -r %s", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static struct hardware hardware_of(const char *disk, const char *board)
{
    struct hardware hardware;
    hardware_identify(&hardware.part[HARDWARE_DISK], disk ? HARDWARE_READABLE : HARDWARE_UNREADABLE,
                      disk, disk ? strlen(disk) : 0);
    hardware_identify(&hardware.part[HARDWARE_BOARD], board ? HARDWARE_READABLE : HARDWARE_ABSENT,
                      board, board ? strlen(board) : 0);
    return hardware;
}

/* Opens with these serial numbers (NULL: cannot be read), as a fresh process would. */
static int open_with(struct place *place, const char *disk, const char *board)
{
    struct hardware hardware = hardware_of(disk, board);
    place->store = key_store_free(place->store);
    assert_int_equal(key_store_new(&place->store), 0);
    int error = key_store_open(place->store, place->folder, &hardware, NOW, &place->notes);
    assert_true(error < 0 || key_store_state(place->store) != KEY_STORE_CLOSED);
    return error;
}

static void assert_notes(const struct place *place, size_t count, ...)
{
    va_list kinds;
    va_start(kinds, count);
    assert_int_equal(place->notes.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(place->notes.list[i].kind, va_arg(kinds, int));
    va_end(kinds);
}

/* The key that is served, after checking that it is one. */
static struct key_public served(const struct place *place)
{
    uint8_t id[MACHINE_ID_SIZE], signature[64], message[3] = "abc";
    assert_int_equal(key_store_state(place->store), KEY_STORE_READY);
    const struct key_public *public_side = key_store_public(place->store);
    assert_non_null(public_side);
    crypto_sign_detached(signature, NULL, message, 3, key_store_signing_key(place->store));
    assert_int_equal(crypto_sign_verify_detached(signature, message, 3, public_side->public_key),
                     0);
    machine_id(id, public_side->public_key);
    assert_memory_equal(public_side->id, id, sizeof id);
    return *public_side;
}

static void assert_not_served(const struct place *place, enum key_store_state state)
{
    assert_int_equal(key_store_state(place->store), state);
    assert_null(key_store_signing_key(place->store));
}

static void assert_same(const struct key_public *a, const struct key_public *b)
{
    assert_memory_equal(a->public_key, b->public_key, sizeof a->public_key);
    assert_int_equal(a->origin, b->origin);
    assert_int_equal(a->has_previous, b->has_previous);
    assert_memory_equal(a->previous_id, b->previous_id, sizeof a->previous_id);
    assert_int_equal(a->created_ms, b->created_ms);
}

static void assert_follows(const struct key_public *fresh, const struct key_public *old,
                           enum key_origin origin)
{
    assert_memory_not_equal(fresh->public_key, old->public_key, sizeof old->public_key);
    assert_int_equal(fresh->origin, origin);
    assert_int_equal(fresh->has_previous, 1);
    assert_memory_equal(fresh->previous_id, old->id, sizeof old->id);
}

static size_t get(const struct place *place, const char *name, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;
    assert_int_equal(state_file_read(place->folder, name, bytes, capacity, &length), STATE_READ);
    return length;
}

static void flip(const struct place *place, const char *name, size_t at)
{
    uint8_t bytes[1024];
    size_t length = get(place, name, bytes, sizeof bytes);
    bytes[at] ^= 0x10;
    assert_int_equal(state_file_write(place->folder, name, bytes, length), 0);
}

static void drop(const struct place *place, const char *name)
{
    assert_int_equal(unlinkat(place->folder, name, 0), 0);
}

static int there(const struct place *place, const char *name)
{
    return state_file_exists(place->folder, name);
}

/* ---------------------------------------------------------------- a healthy life */

static void first_start_makes_a_key_that_stays(void **state)
{
    struct place *place = *state;
    struct stat st;
    assert_not_served(place, KEY_STORE_CLOSED);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_CREATED);
    struct key_public key = served(place);
    assert_int_equal(key.origin, KEY_ORIGIN_FIRST_START);
    assert_int_equal(key.has_previous, 0);
    assert_int_equal(key.created_ms, NOW);
    assert_string_equal(key_store_binding(place->store), "disk board");
    assert_int_equal(fstatat(place->folder, KEY_FILES_KEY, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fstatat(place->folder, KEY_FILES_SECRET, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(open_with(place, " d1\n", "b1"), 0);
    assert_notes(place, 0);
    struct key_public again = served(place);
    assert_same(&again, &key);
}

static void what_cannot_be_read_is_no_change(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    struct key_public key = served(place);
    static const char *const today[][2] = {
        {NULL, "B1"}, {"D1", NULL}, {"D1", "To be filled by O.E.M."}, {"0000", "B1"}};
    for (size_t i = 0; i < sizeof today / sizeof today[0]; i++) {
        assert_int_equal(open_with(place, today[i][0], today[i][1]), 0);
        assert_notes(place, 1, KEY_NOTE_UNREADABLE);
        struct key_public again = served(place);
        assert_same(&again, &key);
        assert_string_equal(key_store_binding(place->store), "disk board");
    }
}

static void with_nothing_readable_the_key_stays_shut(void **state)
{
    struct place *place = *state;
    uint8_t before[1024], after[1024];
    open_with(place, "D1", "B1");
    struct key_public key = served(place);
    size_t length = get(place, KEY_FILES_KEY, before, sizeof before);
    assert_int_equal(open_with(place, NULL, NULL), 0);
    assert_notes(place, 3, KEY_NOTE_UNREADABLE, KEY_NOTE_UNREADABLE, KEY_NOTE_LOCKED);
    assert_not_served(place, KEY_STORE_LOCKED);
    assert_same(key_store_public(place->store), &key);
    assert_int_equal(get(place, KEY_FILES_KEY, after, sizeof after), length);
    assert_memory_equal(before, after, length);
    assert_int_equal(open_with(place, "D1", NULL), 0);
    struct key_public again = served(place);
    assert_same(&again, &key);
}

static void a_changed_part_makes_a_new_key(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    struct key_public first = served(place);
    assert_int_equal(open_with(place, "D2", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_ROTATED);
    struct key_public second = served(place);
    assert_follows(&second, &first, KEY_ORIGIN_DISK_CHANGED);
    assert_int_equal(open_with(place, "D2", "B2"), 0);
    struct key_public third = served(place);
    assert_follows(&third, &second, KEY_ORIGIN_BOARD_CHANGED);
    assert_int_equal(open_with(place, "D3", "B3"), 0);
    struct key_public fourth = served(place);
    assert_follows(&fourth, &third, KEY_ORIGIN_BOTH_CHANGED);
    assert_int_equal(open_with(place, "D3", "B3"), 0);
    assert_notes(place, 0);
    struct key_public again = served(place);
    assert_same(&again, &fourth);
}

static void a_change_is_seen_beside_what_cannot_be_read(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    struct key_public first = served(place);
    assert_int_equal(open_with(place, "D2", NULL), 0);
    assert_notes(place, 1, KEY_NOTE_ROTATED);
    struct key_public second = served(place);
    assert_follows(&second, &first, KEY_ORIGIN_DISK_CHANGED);
    assert_string_equal(key_store_binding(place->store), "disk");
}

static void what_is_read_for_the_first_time_is_recorded(void **state)
{
    struct place *place = *state;
    assert_int_equal(open_with(place, NULL, NULL), 0);
    assert_notes(place, 2, KEY_NOTE_CREATED, KEY_NOTE_WEAK);
    assert_string_equal(key_store_binding(place->store), "install secret alone");
    struct key_public key = served(place);
    assert_int_equal(open_with(place, NULL, NULL), 0);
    assert_notes(place, 1, KEY_NOTE_WEAK);
    assert_int_equal(open_with(place, NULL, "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_ADOPTED);
    assert_string_equal(key_store_binding(place->store), "board");
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_ADOPTED);
    assert_string_equal(key_store_binding(place->store), "disk board");
    struct key_public again = served(place);
    assert_same(&again, &key);
    /* The way that needed no identifier is gone, and each identifier now opens alone. */
    assert_int_equal(open_with(place, NULL, NULL), 0);
    assert_not_served(place, KEY_STORE_LOCKED);
    assert_int_equal(open_with(place, "D1", NULL), 0);
    again = served(place);
    assert_same(&again, &key);
    assert_int_equal(open_with(place, "D1", "B2"), 0);
    again = served(place);
    assert_follows(&again, &key, KEY_ORIGIN_BOARD_CHANGED);
}

/* ---------------------------------------------------------------- damage */

/* LOST now, LOST at the next start, and never a key that nobody asked for. */
static void assert_lost(struct place *place)
{
    assert_not_served(place, KEY_STORE_LOST);
    assert_null(key_store_public(place->store));
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_not_served(place, KEY_STORE_LOST);
    assert_notes(place, 1, KEY_NOTE_LOST);
}

static void a_corrupt_key_is_set_aside_and_not_replaced(void **state)
{
    struct place *place = *state;
    uint8_t damaged[1024], aside[1024];
    static const char aside_name[] = KEY_FILES_KEY ".bad-1790000000000";
    open_with(place, "D1", "B1");
    struct key_public old = served(place);
    flip(place, KEY_FILES_KEY, 100);
    size_t length = get(place, KEY_FILES_KEY, damaged, sizeof damaged);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 2, KEY_NOTE_SET_ASIDE, KEY_NOTE_LOST);
    assert_int_equal(there(place, KEY_FILES_KEY), 0);
    assert_int_equal(get(place, aside_name, aside, sizeof aside), length);
    assert_memory_equal(aside, damaged, length);
    assert_lost(place);
    assert_int_equal(key_store_reset(place->store, NOW + 1, &place->notes), 0);
    struct key_public fresh = served(place);
    assert_int_equal(fresh.origin, KEY_ORIGIN_RESET);
    assert_int_equal(fresh.has_previous, 0);
    assert_memory_not_equal(fresh.public_key, old.public_key, sizeof old.public_key);
    assert_int_equal(get(place, aside_name, aside, sizeof aside), length);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 0);
    struct key_public again = served(place);
    assert_same(&again, &fresh);
}

static void damage_is_damage_on_other_hardware_too(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    flip(place, KEY_FILES_KEY, 30);
    assert_int_equal(open_with(place, "D2", "B2"), 0);
    assert_not_served(place, KEY_STORE_LOST);
}

static void an_empty_or_endless_key_is_corrupt(void **state)
{
    struct place *place = *state;
    uint8_t large[4096] = {0};
    for (size_t length = 0; length <= sizeof large; length += sizeof large) {
        open_with(place, "D1", "B1");
        if (key_store_state(place->store) == KEY_STORE_LOST)
            assert_int_equal(key_store_reset(place->store, NOW, &place->notes), 0);
        assert_int_equal(state_file_write(place->folder, KEY_FILES_KEY, large, length), 0);
        assert_int_equal(open_with(place, "D1", "B1"), 0);
        assert_notes(place, 2, KEY_NOTE_SET_ASIDE, KEY_NOTE_LOST);
        assert_lost(place);
    }
}

static void a_corrupt_install_secret_is_set_aside(void **state)
{
    struct place *place = *state;
    uint8_t good[INSTALL_SECRET_FILE_LEN];
    open_with(place, "D1", "B1");
    struct key_public key = served(place);
    get(place, KEY_FILES_SECRET, good, sizeof good);
    flip(place, KEY_FILES_SECRET, 20);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 2, KEY_NOTE_SET_ASIDE, KEY_NOTE_LOST);
    assert_int_equal(there(place, KEY_FILES_SECRET), 0);
    assert_int_equal(there(place, KEY_FILES_KEY), 1);
    assert_lost(place);
    /* An administrator who has a copy of the secret gets the key back. */
    state_file_write(place->folder, KEY_FILES_SECRET, good, sizeof good);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    struct key_public again = served(place);
    assert_same(&again, &key);
}

static void missing_files_are_no_first_start(void **state)
{
    struct place *place = *state;
    static const char *const missing[][2] = {{KEY_FILES_KEY, NULL},
                                             {KEY_FILES_SECRET, NULL},
                                             {KEY_FILES_KEY, KEY_FILES_SECRET},
                                             {KEY_FILES_SECRET, KEY_FILES_MARKER}};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        open_with(place, "D1", "B1");
        if (key_store_state(place->store) == KEY_STORE_LOST)
            assert_int_equal(key_store_reset(place->store, NOW, &place->notes), 0);
        struct key_public key = served(place);
        drop(place, missing[i][0]);
        if (missing[i][1])
            drop(place, missing[i][1]);
        assert_int_equal(open_with(place, "D1", "B1"), 0);
        assert_notes(place, 1, KEY_NOTE_LOST);
        assert_lost(place);
        assert_int_equal(key_store_reset(place->store, NOW, &place->notes), 0);
        struct key_public fresh = served(place);
        assert_memory_not_equal(fresh.public_key, key.public_key, sizeof key.public_key);
    }
}

static void another_version_is_left_alone(void **state)
{
    struct place *place = *state;
    uint8_t before[1024], after[1024];
    open_with(place, "D1", "B1");
    size_t length = get(place, KEY_FILES_KEY, before, sizeof before);
    before[8] = 9;
    state_file_write(place->folder, KEY_FILES_KEY, before, length);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_LOST);
    assert_not_served(place, KEY_STORE_LOST);
    assert_int_equal(get(place, KEY_FILES_KEY, after, sizeof after), length);
    assert_memory_equal(before, after, length);
    assert_int_equal(key_store_reset(place->store, NOW, &place->notes), 0);
    assert_int_equal(there(place, KEY_FILES_KEY ".bad-1790000000000"), 1);
}

static void an_interrupted_first_start_goes_on(void **state)
{
    struct place *place = *state;
    uint8_t before[INSTALL_SECRET_FILE_LEN], after[INSTALL_SECRET_FILE_LEN];
    open_with(place, "D1", "B1");
    struct key_public first = served(place);
    get(place, KEY_FILES_SECRET, before, sizeof before);
    drop(place, KEY_FILES_MARKER);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_CREATED);
    struct key_public again = served(place);
    assert_same(&again, &first);
    drop(place, KEY_FILES_MARKER);
    drop(place, KEY_FILES_KEY);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_CREATED);
    get(place, KEY_FILES_SECRET, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(there(place, KEY_FILES_MARKER), 1);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    struct key_public key = served(place);
    assert_int_equal(fchmodat(place->folder, KEY_FILES_KEY, 0644, 0), 0);
    assert_int_equal(open_with(place, "D1", "B1"), -EPERM);
    assert_notes(place, 1, KEY_NOTE_FAILED);
    assert_not_served(place, KEY_STORE_CLOSED);
    assert_null(key_store_public(place->store));
    assert_int_equal(key_store_reset(place->store, NOW, &place->notes), -EINVAL);
    assert_int_equal(fchmodat(place->folder, KEY_FILES_KEY, 0600, 0), 0);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    struct key_public again = served(place);
    assert_same(&again, &key);
}

/* ---------------------------------------------------------------- reset */

static void an_administrator_can_reset_a_good_key(void **state)
{
    struct place *place = *state;
    open_with(place, "D1", "B1");
    struct key_public first = served(place);
    assert_int_equal(key_store_reset(place->store, NOW + 5, &place->notes), 0);
    assert_notes(place, 1, KEY_NOTE_ROTATED);
    struct key_public second = served(place);
    assert_follows(&second, &first, KEY_ORIGIN_RESET);
    assert_int_equal(second.created_ms, NOW + 5);
    assert_int_equal(open_with(place, NULL, NULL), 0);
    assert_not_served(place, KEY_STORE_LOCKED);
    assert_int_equal(key_store_reset(place->store, NOW, &place->notes), 0);
    assert_notes(place, 2, KEY_NOTE_ROTATED, KEY_NOTE_WEAK);
    struct key_public third = served(place);
    assert_follows(&third, &second, KEY_ORIGIN_RESET);
}

/* ---------------------------------------------------------------- a full disk */

/* Mounts a small tmpfs over the folder and opens it anew; skips where that is not allowed. */
static void shrink(struct place *place)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    if (mount("small", place->path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0700") < 0)
        skip();
    place->store = key_store_free(place->store);
    close(place->folder);
    place->folder = state_folder_open(place->path);
    assert_true(place->folder >= 0);
}

static void fill_up(const struct place *place)
{
    static const char block[512] = {1};
    int fd = openat(place->folder, "ballast", O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void a_full_disk_loses_nothing(void **state)
{
    struct place *place = *state;
    shrink(place);
    fill_up(place);
    assert_int_equal(open_with(place, NULL, "B1"), -ENOSPC);
    assert_notes(place, 1, KEY_NOTE_FAILED);
    assert_not_served(place, KEY_STORE_CLOSED);
    drop(place, "ballast");
    assert_int_equal(open_with(place, NULL, "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_CREATED);
    struct key_public key = served(place);

    fill_up(place);
    assert_int_equal(open_with(place, "D1", "B1"), 0);
    assert_notes(place, 1, KEY_NOTE_UNRECORDED);
    struct key_public again = served(place);
    assert_same(&again, &key);
    assert_string_equal(key_store_binding(place->store), "board");
    assert_int_equal(key_store_reset(place->store, NOW, &place->notes), -ENOSPC);
    again = served(place);
    assert_same(&again, &key);
    assert_int_equal(open_with(place, NULL, "B2"), -ENOSPC);
    assert_not_served(place, KEY_STORE_CLOSED);
    assert_int_equal(open_with(place, NULL, "B1"), 0);
    again = served(place);
    assert_same(&again, &key);
    drop(place, "ballast");
    assert_int_equal(open_with(place, NULL, "B2"), 0);
    again = served(place);
    assert_follows(&again, &key, KEY_ORIGIN_BOARD_CHANGED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(first_start_makes_a_key_that_stays),
        test(what_cannot_be_read_is_no_change),
        test(with_nothing_readable_the_key_stays_shut),
        test(a_changed_part_makes_a_new_key),
        test(a_change_is_seen_beside_what_cannot_be_read),
        test(what_is_read_for_the_first_time_is_recorded),
        test(a_corrupt_key_is_set_aside_and_not_replaced),
        test(damage_is_damage_on_other_hardware_too),
        test(an_empty_or_endless_key_is_corrupt),
        test(a_corrupt_install_secret_is_set_aside),
        test(missing_files_are_no_first_start),
        test(another_version_is_left_alone),
        test(an_interrupted_first_start_goes_on),
        test(a_file_that_others_can_read_is_refused),
        test(an_administrator_can_reset_a_good_key),
        test(a_full_disk_loses_nothing),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
