/*
 * The vault's work under its shipped seccomp program: all of it must pass, and what is not its work
 * must kill.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "behind_filter.h"
#include "key_files.h"
#include "service.h"

#define NOW 1790000000000ULL

static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/vault_filter_test.XXXXXX");
    assert_non_null(mkdtemp(path));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", path);
    return system(command);
}

/* Runs `body` in a child behind the filter; returns its wait status. */
static int behind_filter(void (*body)(struct key_store *store))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct key_store *store;
        if (key_store_new(&store) < 0)
            _exit(98);
        umask(077);
        behind_filter_enter();
        body(store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void need(int good, int line)
{
    if (!good)
        _exit(line % 90 + 1);
}
#define NEED(good) need(good, __LINE__)

static void configure(ipc_VaultConfig *config, const char *disk)
{
    *config = (ipc_VaultConfig){.has_disk = true, .has_board = true, .console_host = "c.example"};
    config->disk.state = ipc_IDENTIFIER_PRESENT;
    snprintf(config->disk.value, sizeof config->disk.value, "%s", disk);
}

/* First start, rotation, reset, damage, reset, and each kind of request. */
static void whole_life(struct key_store *store)
{
    static struct service service;
    static ipc_VaultConfig config;
    static ipc_SignChallenge challenge = {.host = "c.example"};
    static ipc_ChallengeSigned challenge_signed;
    static ipc_MachineIdentityReply identity;
    static ipc_KeyResetDone done;
    int folder = state_folder_open(path);
    NEED(folder >= 0);
    configure(&config, "D1");
    NEED(service_begin(&service, store, folder, &config, 0) == 0);
    service_open(&service, NOW);
    NEED(key_store_state(store) == KEY_STORE_READY);
    configure(&config, "D2");
    NEED(service_begin(&service, store, folder, &config, 0) == 0);
    service_open(&service, NOW);
    NEED(service_identity(&service, 0, NOW, &identity) == NULL);
    NEED(identity.key.origin == ipc_KEY_DISK_CHANGED);
    NEED(service_sign_challenge(&service, &challenge, 0, NOW, &challenge_signed) == NULL);
    NEED(service_reset(&service, 0, 0, NOW, &done) == NULL);
    NEED(state_file_write(folder, KEY_FILES_KEY, "damage", 6) == 0);
    service_open(&service, NOW);
    NEED(key_store_state(store) == KEY_STORE_LOST);
    NEED(service_sign_challenge(&service, &challenge, 0, NOW, &challenge_signed) != NULL);
    NEED(service_reset(&service, 0, 0, NOW, &done) == NULL);
    NEED(service_sign_challenge(&service, &challenge, 0, NOW, &challenge_signed) == NULL);
}

static void its_work_passes(void **state)
{
    (void)state;
    int status = behind_filter(whole_life);
    assert_false(WIFSIGNALED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_to_write(struct key_store *store)
{
    (void)store;
    open(path, O_RDWR | O_CREAT, 0600);
}
static void open_to_cut(struct key_store *store)
{
    (void)store;
    openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}
static void open_to_change(struct key_store *store)
{
    (void)store;
    openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC); /* a link would be followed */
}
static void cut_short(struct key_store *store)
{
    (void)store;
    syscall(SYS_ftruncate, 0, 0); /* the record of commands only grows */
}
static void make_socket(struct key_store *store)
{
    (void)store;
    socket(AF_INET, SOCK_STREAM, 0);
}
static void remove_folder(struct key_store *store)
{
    (void)store;
    unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
static void change_mode(struct key_store *store)
{
    (void)store;
    chmod(path, 0777);
}
static void make_link(struct key_store *store)
{
    (void)store;
    NEED(symlink("/etc/shadow", path) == 0);
}
static void make_child(struct key_store *store)
{
    (void)store;
    syscall(SYS_fork);
}

static void what_is_not_its_work_kills(void **state)
{
    (void)state;
    static void (*const deeds[])(struct key_store *) = {open_to_write, open_to_cut, open_to_change,
                                                        cut_short,     make_socket, remove_folder,
                                                        change_mode,   make_link,   make_child};
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        int status = behind_filter(deeds[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {test(its_work_passes), test(what_is_not_its_work_kills)};
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
