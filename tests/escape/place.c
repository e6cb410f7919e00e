#include "place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "hostile.h"
#include "staged.h"

static struct escape_target target;
static char where[1024];
static char secret[80], exposed[80], door[96], abstract[80], port[8], root[300];

/* Another user's process, with something to find in its environment. */
static pid_t start_victim(void)
{
    int ready[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* The end of `ready` tells that it runs what it is to run. */
        char *none[] = {(char[]){"victim=SECRET"}, NULL};
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            CHECK(dup2(null, fd) == fd);
        CHECK(setgid(PLACE_PERSON - 1) == 0 && setuid(PLACE_PERSON - 1) == 0 &&
              prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        execle("/bin/sleep", "sleep", "1000", (char *)NULL, none);
        abort();
    }
    char byte;
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 0);
    close(ready[0]);
    return pid;
}

static void write_file(char *path, size_t capacity, const char *name, uid_t owner, mode_t mode)
{
    snprintf(path, capacity, "%s/%s", starter_home(), name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "SECRET\n", 7) == 7 && fchown(fd, owner, owner) == 0 &&
          fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void listen_internet(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(tcp >= 0 && bind(tcp, (struct sockaddr *)&address, size) == 0 && listen(tcp, 64) == 0);
    CHECK(getsockname(tcp, (struct sockaddr *)&address, &size) == 0);
    CHECK(udp >= 0 && bind(udp, (struct sockaddr *)&address, size) == 0);
    snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
}

/* The host's root directory, for whoever may open by handle. */
static void find_root(void)
{
    struct {
        struct file_handle head;
        unsigned char room[128];
    } handle = {.head = {.handle_bytes = 128}};
    int mount;
    snprintf(root, sizeof(root), "0:00");
    if (name_to_handle_at(AT_FDCWD, "/", &handle.head, &mount, 0) != 0)
        return;
    int used = snprintf(root, sizeof(root), "%d:", handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++)
        used += snprintf(root + used, sizeof(root) - (size_t)used, "%02x", handle.room[i]);
}

void place_make(void)
{
    starter_setup();
    write_file(secret, sizeof(secret), "secret", PLACE_PERSON, 0600);
    write_file(exposed, sizeof(exposed), "exposed", 0, 0644);
    snprintf(door, sizeof(door), "%s/door/sock", starter_runtime());
    snprintf(abstract, sizeof(abstract), "%s/X0", starter_home());
    starter_listen(door, false);
    starter_listen(abstract, true);
    listen_internet();
    find_root();
    target = (struct escape_target){
        start_victim(), secret, exposed, starter_other_channel(), door, starter_x11(),
        abstract,       port,   root};
    CHECK(escape_target_write(where, sizeof(where), &target) == 0);
}

void place_free(void)
{
    kill(target.victim, SIGKILL);
    waitpid(target.victim, NULL, 0);
    starter_teardown();
}

int place_setup(void **state)
{
    (void)state;
    place_make();
    return 0;
}

int place_teardown(void **state)
{
    (void)state;
    place_free();
    return 0;
}

const char *place_word(void)
{
    return where;
}

const struct escape_target *place_target(void)
{
    return &target;
}

static void become_person(struct launch_order *order)
{
    order->uid = order->gid = PLACE_PERSON;
}

static void become_root(struct launch_order *order)
{
    order->uid = order->gid = 0;
}

/* In the host's root the process's own account has to reach the program. */
static const char *stage_program(const char *folder, const struct policy *policy)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, policy->program);
    return staged(path);
}

struct start place_start(const char *kind, const char *const *words)
{
    static char folder[256];
    struct start start = {.folder = folder};
    snprintf(folder, sizeof(folder), "%s/%s", ESCAPE_FOLDER, kind);
    for (size_t i = 0; cloister_policies[i] != NULL; i++)
        if (strcmp(cloister_policies[i]->kind, kind) == 0)
            start.policy = cloister_policies[i];
    CHECK(start.policy != NULL);
    if (start.policy->host_root)
        start.program = stage_program(folder, start.policy);
    for (size_t i = 0; i < 4 && words[i] != NULL; i++)
        start.words[i] = words[i];
    if (start.policy->identity == POLICY_SESSION)
        start.change = become_person;
    else if (start.policy->identity == POLICY_ROOT)
        start.change = become_root;
    return start;
}

int place_run(const char *kind, const char *const *words, char *log)
{
    struct outcome outcome;
    struct start start = place_start(kind, words);
    starter_run(&outcome, &start);
    int status = outcome.wait_status;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 300 + WTERMSIG(status);
    if (outcome.failure.stage[0] != 0 || code == HOSTILE_NOT_LOCKED || code == HOSTILE_BROKEN ||
        strstr(outcome.log, PLACE_BEGUN) == NULL)
        fail_msg("%s, %s: not started: %s %s %s (%d)", kind, words[2], outcome.failure.stage,
                 strerror(outcome.failure.error), outcome.log, code);
    if (log != NULL)
        memcpy(log, outcome.log, sizeof(outcome.log));
    return code;
}
