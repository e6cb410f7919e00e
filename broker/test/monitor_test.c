/*
 * cloisterd as it is shipped, as a process, with a broker that tries what it may not. The accounts
 * come from a private copy of /etc/passwd, the programs from a folder made for the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_MS 20000
#define PIDS_MAX    16

static char root[64];
static pid_t daemon_pid;
static int daemon_log = -1;
static char output[262144];
static size_t output_size;
static const char *notify_path;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static void must(int condition, const char *what)
{
    if (!condition) {
        fail_msg("%s; cloisterd said:\n%s", what, output);
    }
}

/* Reads what the daemon writes for up to `ms`; false when it has closed its end. */
static int listen_to(int ms)
{
    struct pollfd ready = {.fd = daemon_log, .events = POLLIN};
    if (poll(&ready, 1, ms) <= 0) {
        return 1;
    }
    ssize_t got = read(daemon_log, output + output_size, sizeof output - 1 - output_size);
    output_size += got > 0 ? (size_t)got : 0;
    output[output_size] = 0;
    return got > 0;
}

/* Waits until `text` stands in what the daemon said at or after `from`; returns where it ends. */
static size_t await(const char *text, size_t from)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    const char *found;
    while (!(found = strstr(output + from, text))) {
        if (!listen_to(100) || now_ms() > deadline) {
            fail_msg("\"%s\" was not said; cloisterd said:\n%s", text, output);
        }
    }
    return (size_t)(found - output) + strlen(text);
}

static void write_config(const char *scenario)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cloister.conf", root);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[agent]\nruntime = %s/run\nstate = %s/state\n[session]\nxauthority = %s/cookie\n"
            "[console]\nhost = localhost\nca = %s/ca.pem\npath = %s\n[log]\nsyslog = no\n",
            root, root, root, root, scenario);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
}

static pid_t spawn(const char *folder, int log)
{
    char program[128], config[128], sysfs[128];
    snprintf(sysfs, sizeof sysfs, "%s/sys", root);
    snprintf(program, sizeof program, "%s/%s/cloisterd", root, folder);
    snprintf(config, sizeof config, "%s/cloister.conf", root);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(log, STDERR_FILENO);
        if (notify_path) {
            setenv("NOTIFY_SOCKET", notify_path, 1);
        }
        execl(program, program, "--config", config, "--sysfs", sysfs, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void start(const char *scenario)
{
    int pair[2];
    write_config(scenario);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    output_size = 0;
    output[0] = 0;
    daemon_log = pair[0];
    daemon_pid = spawn("bin", pair[1]);
    close(pair[1]);
}

/* Waits for the daemon's end. Returns its wait status. */
static int join(void)
{
    int status;
    int64_t deadline = now_ms() + DEADLINE_MS;
    while (waitpid(daemon_pid, &status, WNOHANG) == 0) {
        (void)listen_to(20);
        must(now_ms() < deadline, "it does not end");
    }
    while (listen_to(0) && now_ms() < deadline) {
        struct pollfd ready = {.fd = daemon_log, .events = POLLIN};
        if (poll(&ready, 1, 0) <= 0) {
            break;
        }
    }
    close(daemon_log);
    daemon_pid = 0;
    return status;
}

static unsigned children(pid_t *out)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", daemon_pid, daemon_pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (count < PIDS_MAX && fscanf(file, "%d", &out[count]) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

/* A zombie whose new parent does not reap counts as gone. */
static int is_gone(pid_t pid)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file) {
        (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
    }
    return state == 'Z' || state == 'X';
}

static void await_gone(const pid_t *pids, unsigned count)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    for (unsigned i = 0; i < count; i++) {
        while (!is_gone(pids[i])) {
            (void)listen_to(10);
            must(now_ms() < deadline, "a process is left");
        }
    }
}

/* How many control groups the monitor with that pid has left. */
static int groups_left(pid_t pid)
{
    return shell("find /sys/fs/cgroup -type d -name 'cloister-%d-*' 2>/dev/null | grep -q .",
                 pid) == 0;
}

static void stop_cleanly(void)
{
    pid_t pid = daemon_pid, pids[PIDS_MAX];
    unsigned count = children(pids);
    char path[128];
    assert_int_equal(kill(daemon_pid, SIGTERM), 0);
    int status = join();
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "not stopped cleanly");
    await_gone(pids, count);
    must(!groups_left(pid), "a control group is left");
    snprintf(path, sizeof path, "%s/run", root);
    must(access(path, F_OK) != 0, "the runtime folder is left");
}

static void test_life(void **state)
{
    (void)state;
    start("/good");
    size_t at = await("descriptors 1f, scenario /good", 0);
    at = await("board 2 BRD-7, disk ", at); /* which only root can read */
    at = await("kind idle: 2 instances, first 61602", at);
    (void)await("terminal ?[2J ", at); /* a broker does not draw on root's terminal */
    at = await("idle worker runs as 61602, given CERT", at);
    at = await("idle worker runs as 61603, given CERT", at); /* the second instance's own account */
    at = await("killed: slot 0, code 2, status 9", at);
    at = await("serving", at);
    must(strstr(output, "uid 61601, sid 1,") != NULL, "the broker's identity");
    must(shell("test $(stat -c %%a:%%u %s/run/chan) = 700:61601 && "
               "test $(stat -c %%a:%%u %s/run/door) = 711:61601 && "
               "test $(stat -c %%a:%%u %s/run) = 755:0 && : > %s/run/chan/0-1",
               root, root, root, root) == 0,
         "the runtime folder's modes");
    stop_cleanly();
    must(strstr(output, "told to stop in 3000 ms") != NULL, "no STOP");
    must(strstr(output, "FAILED") == NULL, "the broker is not content");
}

/* What the monitor hands to a runner and its command, and that the one ends with the other. */
static void test_a_signed_command(void **state)
{
    (void)state;
    start("/command");
    size_t at = await("command carries out its order", 0);
    at = await("runner 3-2 of profile 1, command abab, key ", at);
    at = await("hears \"done\"", at);
    at = await("the same key", at);
    at = await("a second command: refused", at);
    at = await("both ended", at);
    at = await("another runner's command: refused", at);
    at =
        await("runner of profile 2 for the command "
              "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd not started: above "
              "the highest profile of the configuration",
              0);
    (void)await("serving", at);
    stop_cleanly();
    must(strstr(output, "FAILED") == NULL, "the broker is not content");
}

static void test_starts_are_rationed(void **state)
{
    (void)state;
    start("/starts");
    (void)await("serving", await("rationed", 0));
    stop_cleanly();
}

static void test_misbehaviour_ends_the_broker_and_its_workers(void **state)
{
    static const struct {
        const char *scenario, *said;
    } cases[] = {
        {"/short", "broker killed with all workers: message of a wrong size"},
        {"/long", "broker killed with all workers: message of a wrong size"},
        {"/huge", "broker killed with all workers: message of a wrong size"},
        {"/empty", "broker (pid "},
        {"/op", "broker killed with all workers: unknown op"},
        {"/slot", "broker killed with all workers: malformed message"},
        {"/others", "broker killed with all workers: RELEASE or KILL of what was never started"},
        {"/pid", "broker killed with all workers: malformed message"},
        {"/taken", "broker killed with all workers: START into a slot in use"},
        {"/again", "broker killed with all workers: RELEASE of what was released"},
        {"/flood", "broker killed with all workers: "},
        {"/deaf", "broker killed with all workers: "},
        {"/close", "broker (pid "},
        {"/exit", "broker (pid "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pid_t worker;
        start(cases[i].scenario);
        size_t at = await("idle worker runs", 0);
        must(sscanf(strstr(output, "worker ") + 7, "%d", &worker) == 1, "the worker's pid");
        at = await(cases[i].said, at);
        at = await("the broker is started again in 250 ms", at);
        must(is_gone(worker), "its worker is left");
        at = await("idle worker runs", at); /* the monitor goes on */
        (void)await("the broker is started again in 500 ms", at);
        stop_cleanly();
        must(strstr(output, "FAILED") == NULL, "the broker is not content");
    }
}

static void test_stubborn_broker_is_killed_at_the_deadline(void **state)
{
    (void)state;
    start("/stubborn");
    (void)await("serving", 0);
    int64_t begun = now_ms();
    stop_cleanly();
    must(now_ms() - begun >= 3000, "it did not get its time");
    must(strstr(output, "the broker did not stop in 3000 ms") != NULL, "not said");
}

static void test_second_signal_ends_at_once(void **state)
{
    (void)state;
    start("/stubborn");
    (void)await("serving", 0);
    assert_int_equal(kill(daemon_pid, SIGHUP), 0);
    (void)await("SIGHUP ignored", 0);
    assert_int_equal(kill(daemon_pid, SIGTERM), 0);
    (void)await("told to stop", 0);
    assert_int_equal(kill(daemon_pid, SIGTERM), 0);
    int status = join();
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "not stopped");
    must(strstr(output, "did not stop") == NULL, "it waited");
}

static void test_killed_monitor_leaves_no_process(void **state)
{
    pid_t pids[PIDS_MAX];
    (void)state;
    start("/good");
    (void)await("serving", 0);
    unsigned count = children(pids);
    pid_t killed = daemon_pid;
    assert_int_equal(count, 2); /* the broker and the worker that was not killed */
    assert_int_equal(kill(daemon_pid, SIGKILL), 0);
    await_gone(pids, count);
    (void)join();
    must(groups_left(killed), "this test does not see the groups");
    start("/good"); /* finds the folder and the groups of the one before */
    (void)await("serving", 0);
    must(!groups_left(killed), "control groups are left");
    stop_cleanly();
}

static void test_only_one(void **state)
{
    int status, null = open("/dev/null", O_WRONLY);
    (void)state;
    start("/good");
    (void)await("serving", 0);
    pid_t second = spawn("bin", null);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    close(null);
    stop_cleanly();
}

static void test_tells_the_service_manager(void **state)
{
    char path[128], text[64] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    snprintf(path, sizeof path, "%s/notify", root);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    notify_path = path;
    start("/good");
    notify_path = NULL;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    must(poll(&ready, 1, DEADLINE_MS) == 1, "no READY");
    assert_int_equal(recv(fd, text, sizeof text - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    stop_cleanly();
}

/* Runs the daemon to its end and returns its exit status. */
static int exits(void)
{
    start("/good");
    int status = join();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_programs_must_be_roots(void **state)
{
    (void)state;
    assert_int_equal(shell("chmod 775 %s/bin", root), 0);
    assert_int_equal(exits(), 4);
    must(strstr(output, "must belong to root and be writable by nobody else") != NULL, "not said");
    assert_int_equal(shell("chmod 755 %s/bin; chown 61602 %s/bin/cloister-launch", root, root), 0);
    assert_int_equal(exits(), 4);
    assert_int_equal(
        shell("chown 0 %s/bin/cloister-launch; mv %s/bin/cloister-broker %s/b", root, root, root),
        0);
    assert_int_equal(exits(), 4);
    must(strstr(output, "cloister-broker, or its folder: No such file") != NULL, "not said");
    assert_int_equal(shell("mv %s/b %s/bin/cloister-broker", root, root), 0);
}

static void test_runtime_must_be_roots(void **state)
{
    (void)state;
    assert_int_equal(shell("mkdir %s/run; chown 61602 %s/run", root, root), 0);
    assert_int_equal(exits(), 4);
    must(strstr(output, "/run: must belong to root") != NULL, "not said");
    assert_int_equal(shell("rmdir %s/run; ln -s /tmp %s/run", root, root), 0);
    assert_int_equal(exits(), 4);
    assert_int_equal(shell("rm %s/run", root), 0);
}

static void test_refuses_without_control_groups(void **state)
{
    (void)state;
    pid_t tester = fork();
    if (tester == 0) { /* in a mount namespace without them */
        if (unshare(CLONE_NEWNS) != 0 || shell("umount -l -R /sys/fs/cgroup") != 0) {
            _exit(2);
        }
        start("/good");
        (void)await("mount cgroup2 on /sys/fs/cgroup", 0);
        assert_int_equal(kill(daemon_pid, SIGTERM), 0);
        (void)join();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(tester, &status, 0), tester);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_command_line(void **state)
{
    (void)state;
    write_config("/good");
    assert_int_equal(shell("%s/bin/cloisterd --check-config --config %s/cloister.conf | "
                           "grep -q 'cloister.conf: right'",
                           root, root),
                     0);
    assert_int_equal(shell("echo '[x]' > %s/bad.conf; %s/bin/cloisterd --check-config --config "
                           "%s/bad.conf 2>&1 | grep -q 'bad.conf:1: '",
                           root, root, root),
                     0);
    assert_int_equal(
        WEXITSTATUS(shell("%s/bin/cloisterd --config %s/bad.conf 2>/dev/null", root, root)), 2);
    assert_int_equal(WEXITSTATUS(shell("%s/bin/cloisterd --bogus 2>/dev/null", root)), 1);
    assert_int_equal(WEXITSTATUS(shell("%s/bin/cloisterd bogus 2>/dev/null", root)), 1);
    assert_int_equal(shell("%s/bin/cloisterd --help | grep -q 'exit status'", root), 0);
    assert_int_equal(shell("%s/bin/cloisterd --version | grep -q '^cloisterd '", root), 0);
    assert_int_equal(WEXITSTATUS(shell("setpriv --reuid 65534 --regid 65534 --clear-groups "
                                       "%s/bin/cloisterd --config %s/cloister.conf 2>/dev/null",
                                       root, root)),
                     4);
}

static void put_session(const char *seat, const char *session)
{
    assert_int_equal(shell("cd %s/logind && printf '%s' > t && mv t sessions/c1 && "
                           "printf '%s' > t && mv t seats/seat0",
                           root, session, seat),
                     0);
}

static void test_follows_the_session(void **state)
{
    (void)state;
    put_session("ACTIVE=\\n", "");
    assert_int_equal(shell("cd %s && printf C00KIE > cookie && chmod 600 cookie && "
                           "chown 61603 cookie",
                           root),
                     0);
    start("/session");
    size_t at = await("no session", 0);
    put_session("ACTIVE=c1\\n", "UID=61603\\nTYPE=x11\\nCLASS=user\\nSTATE=active\\nDISPLAY=:7\\n");
    at = await("session 1 of 61603 on :7, active 1", at);
    at = await("idle worker runs as 61604, given C00KIE", at);
    put_session("ACTIVE=c1\\n", "UID=61603\\nTYPE=x11\\nCLASS=user\\nSTATE=online\\nDISPLAY=:7\\n");
    at = await("session 1 of 61603, active 0", at); /* the broker's to handle */
    put_session("ACTIVE=c1\\n", "UID=61601\\nTYPE=wayland\\nCLASS=user\\nSTATE=active\\n");
    at = await("session 2 of 61601, active 1", at);
    at = await("ended by signal 9", at);
    (void)await("serving", at);
    stop_cleanly();
    must(strstr(output, "FAILED") == NULL, "the broker is not content");
}

static void test_accounts_are_not_shared(void **state)
{
    (void)state;
    put_session("ACTIVE=\\n", "");
    assert_int_equal(shell("sed s/:61604:/:61602:/ %s/passwd > %s/p && cp %s/passwd %s/q && "
                           "cat %s/p > /etc/passwd",
                           root, root, root, root, root),
                     0);
    start("/accounts");
    (void)await("two of the agent's accounts have the number 61602", 0);
    (void)await("serving", 0);
    stop_cleanly();
    assert_int_equal(shell("cat %s/q > /etc/passwd", root), 0);
    must(strstr(output, "FAILED") == NULL, "the broker is not content");
}

/* logind's files and sysfs, for this process and its children alone. */
static int private_host(void)
{
    struct stat st;
    return stat("/", &st) != 0 ||
           shell("mkdir -p %s/logind/seats %s/logind/sessions /run/systemd && "
                 "chmod -R 755 %s/logind && mount --bind %s/logind /run/systemd",
                 root, root, root, root) != 0 ||
           shell("d=%s/sys/dev/block/%u:%u; mkdir -p $d %s/sys/class/dmi/id && echo DSK-1 > "
                 "$d/serial "
                 "&& echo BRD-7 > %s/sys/class/dmi/id/board_serial && "
                 "chmod 400 %s/sys/class/dmi/id/board_serial && printf CERT > %s/ca.pem",
                 root, major(st.st_dev), minor(st.st_dev), root, root, root, root) != 0;
}

/* The agent's accounts, for this process and its children alone. */
static int private_accounts(void)
{
    return unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
           shell("{ grep -v '^cloister-' /etc/passwd; "
                 "for a in broker:61601 idle:61602 idle-1:61603 xidle:61604 runner:61605 "
                 "cmd:61606; do "
                 "echo cloister-${a%%:*}:x:${a#*:}:${a#*:}::/:/usr/sbin/nologin; done; } "
                 "> %s/passwd && chmod 644 %s/passwd && mount --bind %s/passwd /etc/passwd",
                 root, root, root) != 0;
}

static int set_up(void **state)
{
    char self[PATH_MAX];
    (void)state;
    strcpy(root, "/tmp/cloister-monitor.XXXXXX");
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0 || !mkdtemp(root)) {
        return -1;
    }
    self[length] = 0;
    *strrchr(self, '/') = 0;
    return chmod(root, 0755) != 0 || private_accounts() != 0 || private_host() != 0 ||
           shell("mkdir -m 755 %s/bin && cp %s/../bin/* %s/bin/ && chmod 755 %s/bin/*", root, self,
                 root, root) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (daemon_pid > 0) {
        kill(daemon_pid, SIGTERM);
        (void)waitpid(daemon_pid, NULL, 0);
        daemon_pid = 0;
    }
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    return shell("umount /etc/passwd /run/systemd; rm -rf %s", root);
}

#define T(name) cmocka_unit_test_teardown(name, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_command_line),
        T(test_life),
        T(test_a_signed_command),
        T(test_starts_are_rationed),
        T(test_misbehaviour_ends_the_broker_and_its_workers),
        T(test_stubborn_broker_is_killed_at_the_deadline),
        T(test_second_signal_ends_at_once),
        T(test_killed_monitor_leaves_no_process),
        T(test_only_one),
        T(test_follows_the_session),
        T(test_tells_the_service_manager),
        T(test_programs_must_be_roots),
        T(test_accounts_are_not_shared),
        T(test_runtime_must_be_roots),
        T(test_refuses_without_control_groups),
    };
    if (geteuid() != 0) {
        puts("needs root: cloisterd is a privileged program");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
