/*
 * The shipped cloister-vault in its sandbox, over a real channel.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_slot.h"
#include "launched.h"

static struct launched vault;

static int set_up(void **state)
{
    (void)state;
    launched_prepare(&vault);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    launched_remove(&vault);
    return 0;
}

static ipc_MachineKey identity(void)
{
    ipc_MachineIdentity request = {0};
    ipc_MachineIdentityReply reply;
    ipc_Refused refused;
    assert_int_equal(launched_ask(&vault, IPC_MACHINE_IDENTITY, 1000, &request, &reply, &refused),
                     IPC_MACHINE_IDENTITY_REPLY);
    assert_true(reply.has_key);
    return reply.key;
}

static uint16_t sign_for(const char *host, ipc_ChallengeSigned *reply, ipc_Refused *refused)
{
    ipc_SignChallenge request = {0};
    snprintf(request.host, sizeof request.host, "%s", host);
    memset(request.challenge, 0x11, sizeof request.challenge);
    memset(request.exporter, 0x22, sizeof request.exporter);
    return launched_ask(&vault, IPC_SIGN_CHALLENGE, 0, &request, reply, refused);
}

static void assert_signs(const ipc_MachineKey *key)
{
    static const char head[] = "cloister/v1 console-auth";
    ipc_ChallengeSigned reply;
    ipc_Refused refused;
    uint8_t message[256];
    size_t length = sizeof head;
    assert_int_equal(sign_for(LAUNCHED_CONSOLE, &reply, &refused), IPC_CHALLENGE_SIGNED);
    memcpy(message, head, length);
    message[length++] = (uint8_t)strlen(LAUNCHED_CONSOLE);
    message[length++] = 0;
    memcpy(message + length, LAUNCHED_CONSOLE, strlen(LAUNCHED_CONSOLE));
    length += strlen(LAUNCHED_CONSOLE);
    memset(message + length, 0x11, 32);
    memset(message + length + 32, 0x22, 32);
    assert_int_equal(
        crypto_sign_verify_detached(reply.signature, message, length + 64, key->public_key), 0);
    assert_memory_equal(reply.key.public_key, key->public_key, 32);
}

static void it_keeps_one_key_behind_its_lock(void **state)
{
    (void)state;
    struct stat st;
    char path[128];
    launched_start(&vault, "D1");
    assert_int_equal(vault.lock.seccomp_mode, 2);
    assert_int_equal(vault.lock.cap_eff, 0);
    assert_true(vault.lock.no_new_privs);
    ipc_MachineKey first = identity();
    assert_int_equal(vault.event_count, 1);
    assert_int_equal(vault.events[0].kind, ipc_KEY_CREATED);
    assert_signs(&first);
    snprintf(path, sizeof path, "%s/state/machine.key", vault.home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, LAUNCHED_UID);
    assert_int_equal(st.st_mode & 07777, 0600);
    launched_stop(&vault);
    launched_start(&vault, "D1");
    ipc_MachineKey again = identity();
    assert_memory_equal(again.public_key, first.public_key, 32);
    launched_kill(&vault);
    launched_start(&vault, "D2");
    ipc_MachineKey next = identity();
    assert_int_equal(next.origin, ipc_KEY_DISK_CHANGED);
    assert_memory_equal(next.previous_id, first.machine_id, 32);
    assert_int_equal(vault.events[0].kind, ipc_KEY_ROTATED);
    assert_signs(&next);
    launched_stop(&vault);
}

static void it_refuses_and_goes_on(void **state)
{
    (void)state;
    ipc_ChallengeSigned reply;
    ipc_KeyReset reset = {0};
    ipc_KeyResetDone done;
    ipc_Refused refused;
    launched_start(&vault, "D1");
    ipc_MachineKey key = identity();
    assert_int_equal(sign_for("evil.example.org", &reply, &refused), IPC_REFUSED);
    assert_int_equal(refused.reason, ipc_NOT_ALLOWED);
    assert_int_equal(launched_ask(&vault, IPC_KEY_RESET, 1000, &reset, &done, &refused),
                     IPC_REFUSED);
    assert_int_equal(refused.reason, ipc_NOT_ALLOWED);
    ipc_MachineKey same = identity();
    assert_memory_equal(same.public_key, key.public_key, 32);
    assert_int_equal(launched_ask(&vault, IPC_KEY_RESET, 0, &reset, &done, &refused),
                     IPC_KEY_RESET_DONE);
    assert_int_equal(done.key.origin, ipc_KEY_RESET);
    assert_memory_equal(done.key.previous_id, key.machine_id, 32);
    assert_signs(&done.key);
    launched_stop(&vault);
}

static void damage_is_set_aside(void **state)
{
    (void)state;
    char command[256];
    ipc_ChallengeSigned reply;
    ipc_Refused refused;
    launched_start(&vault, "D1");
    identity();
    launched_stop(&vault);
    snprintf(command, sizeof command,
             "printf X | dd of=%s/state/machine.key bs=1 seek=40 conv=notrunc status=none",
             vault.home);
    assert_int_equal(system(command), 0);
    launched_start(&vault, "D1");
    assert_int_equal(sign_for(LAUNCHED_CONSOLE, &reply, &refused), IPC_REFUSED);
    assert_int_equal(refused.reason, ipc_FAILED);
    assert_int_equal(vault.event_count, 2);
    assert_int_equal(vault.events[0].kind, ipc_KEY_SET_ASIDE);
    assert_int_equal(vault.events[1].kind, ipc_KEY_NOT_AVAILABLE);
    snprintf(command, sizeof command, "test -f %s/state/machine.key.bad-*", vault.home);
    assert_int_equal(system(command), 0);
    launched_stop(&vault);
}

/* ---------------------------------------------------------------- where secrets are */

static size_t read_state(const char *name, uint8_t *out, size_t capacity)
{
    char path[128];
    snprintf(path, sizeof path, "%s/state/%s", vault.home, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, capacity);
    assert_true(n > 0);
    close(fd);
    return (size_t)n;
}

/* What root can know: the secrets of the files, for the hardware that the test chose. */
static void read_secrets(uint8_t seed[32], uint8_t install[32])
{
    uint8_t file[KEY_FILE_MAX];
    struct key_record record;
    struct hardware hardware;
    memset(&hardware, 0, sizeof hardware);
    hardware_identify(&hardware.part[HARDWARE_DISK], HARDWARE_READABLE, "D1", 2);
    size_t length = read_state("install.secret", file, sizeof file);
    assert_int_equal(install_secret_decode(install, file, length), KEY_FILE_GOOD);
    length = read_state("machine.key", file, sizeof file);
    assert_int_equal(key_file_decode(&record, file, length, install), KEY_FILE_GOOD);
    assert_true(key_slot_open(&record.slots[0], &hardware, install, record.public_key, seed));
}

/* How often `what` is found in a mapping of the vault; pages that cannot be read hold nothing. */
static int count_in(int memory, unsigned long from, unsigned long to, const uint8_t what[32])
{
    int found = 0;
    size_t size = to - from;
    uint8_t *copy = calloc(1, size);
    assert_non_null(copy);
    for (size_t at = 0; at < size; at += 4096)
        if (pread(memory, copy + at, 4096, (off_t)(from + at)) < 0)
            memset(copy + at, 0, 4096);
    for (uint8_t *hit = copy; (hit = memmem(hit, size - (size_t)(hit - copy), what, 32)); hit++)
        found++;
    free(copy);
    return found;
}

/* Counts over all mappings, apart from those that are both locked and kept out of core dumps. */
static int count_outside_secret_memory(const uint8_t what[32])
{
    char path[64], line[512];
    unsigned long from = 0, to = 0, a, b;
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", vault.pid);
    int memory = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/smaps", vault.pid);
    FILE *maps = fopen(path, "r");
    assert_true(memory >= 0 && maps);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
            from = a;
            to = b;
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            int secret = strstr(line, " lo") && strstr(line, " dd");
            if (!secret && to - from < 1UL << 28)
                found += count_in(memory, from, to, what);
        }
    }
    fclose(maps);
    close(memory);
    return found;
}

static void secrets_stay_in_secret_memory(void **state)
{
    (void)state;
    uint8_t seed[32], install[32];
    launched_start(&vault, "D1");
    ipc_MachineKey key = identity();
    assert_signs(&key);
    read_secrets(seed, install);
    assert_true(count_outside_secret_memory(key.public_key) > 0); /* the search does find */
    assert_int_equal(count_outside_secret_memory(seed), 0);
    assert_int_equal(count_outside_secret_memory(install), 0);
    print_message("secret memory: %s\n", vault.lock.secret_memory);
    launched_stop(&vault);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(it_keeps_one_key_behind_its_lock),
        test(it_refuses_and_goes_on),
        test(damage_is_set_aside),
        test(secrets_stay_in_secret_memory),
    };
    if (geteuid() != 0) {
        print_message("needs root to start the launcher\n");
        return 77;
    }
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
