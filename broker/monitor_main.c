/* cloisterd: options, preparations, exit status. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "monitor.h"
#include "session.h"
#include "trusted.h"

enum { EXIT_USAGE = 1, EXIT_CONFIG = 2, EXIT_RUNNING = 3, EXIT_SETUP = 4, GO_ON = -1 };

static const char help[] =
    "usage: cloisterd [--config FILE] [--sysfs DIR] [--foreground]\n"
    "       cloisterd --check-config [--config FILE]\n"
    "\n"
    "The privileged half of the Cloister agent: starts the broker and the sandboxed workers.\n"
    "\n"
    "  --config FILE    configuration, owned by root (default " CONFIG_FILE ")\n"
    "  --check-config   report every error of the configuration and exit\n"
    "  --sysfs DIR      read the hardware's serial numbers below DIR (default /sys); what lies\n"
    "                   in it must be readable by everybody\n"
    "  --foreground     stay in the foreground; it always does\n"
    "  --help, --version\n"
    "\n"
    "exit status:\n"
    "  0  stopped cleanly on SIGTERM or SIGINT; the configuration is right\n"
    "  1  wrong usage\n"
    "  2  the configuration has errors\n"
    "  3  another cloisterd uses the same runtime folder\n"
    "  4  cannot start: not root, a folder, an account or a program is missing\n";

struct options {
    const char *config, *sysfs;
    bool check;
};

/* Returns GO_ON or the exit status. */
static int parse(struct options *out, char **argv)
{
    *out = (struct options){.config = CONFIG_FILE, .sysfs = "/sys"};
    for (char **at = argv + 1; *at; at++) {
        if (strcmp(*at, "--config") == 0 && at[1])
            out->config = *++at;
        else if (strcmp(*at, "--sysfs") == 0 && at[1])
            out->sysfs = *++at;
        else if (strcmp(*at, "--check-config") == 0)
            out->check = true;
        else if (strcmp(*at, "--help") == 0)
            return fputs(help, stdout) < 0;
        else if (strcmp(*at, "--version") == 0)
            return puts("cloisterd " CLOISTER_VERSION CLOISTER_BUILD) < 0;
        else if (strcmp(*at, "--foreground") != 0) {
            fprintf(stderr, "cloisterd: what is \"%s\"? try --help\n", *at);
            return EXIT_USAGE;
        }
    }
    return GO_ON;
}

/* Has the reader read everything. Returns GO_ON or the exit status. */
static int read_all(struct monitor *monitor, const struct options *options)
{
    struct reader_task task = {.config_name = options->config};
    task.config = trusted_open(AT_FDCWD, options->config, O_RDONLY, S_IFREG);
    if (task.config < 0) {
        fprintf(stderr, "%s:0: %s\n", options->config, trusted_error(task.config));
        return EXIT_CONFIG;
    }
    task.sysfs = open(options->sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    task.board = openat(task.sysfs, "class/dmi/id/board_serial", O_RDONLY | O_CLOEXEC);
    if (task.board < 0)
        task.board = -errno;
    int result = reader_run(&monitor->host.reading, &task, monitor->policies);
    monitor_close(&task.config);
    monitor_close(&task.sysfs);
    monitor_close(&task.board);
    if (result != 0) {
        log_error("reading the configuration: %s", strerror(-result));
        return EXIT_SETUP;
    }
    return monitor->host.reading.errors > 0 ? EXIT_CONFIG : GO_ON;
}

/* Nothing of whoever called: descriptors, environment, limits, dumps. 0 or -1. */
static int shed(void)
{
    struct rlimit cores = {0, 0}, files;
    int null = open("/dev/null", O_RDWR);
    umask(077);
    clearenv();
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        (fcntl(STDERR_FILENO, F_GETFD) < 0 && dup2(null, STDERR_FILENO) < 0) ||
        close_range(3, ~0U, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &cores) != 0 || getrlimit(RLIMIT_NOFILE, &files) != 0)
        return -1;
    files.rlim_cur = 1024; /* monitor_spawn.c reckons with it */
    return setrlimit(RLIMIT_NOFILE, &files);
}

/* What the monitor has to know of itself: where its programs lie, and its namespaces. */
static int find_self(struct monitor_host *host)
{
    ssize_t length = readlink("/proc/self/exe", host->programs, sizeof host->programs - 64);
    if (length <= 0 || length == sizeof host->programs - 64)
        return -1;
    host->programs[length] = 0;
    *strrchr(host->programs, '/') = 0;
    return namespaces_read(&host->namespaces);
}

static int run(struct monitor *monitor)
{
    struct monitor_host *host = &monitor->host;
    uint32_t row = monitor_table_row(monitor->policies, MONITOR_BROKER_KIND);
    if (row == MONITOR_POLICIES_MAX || find_self(host) != 0 ||
        monitor_program_check(host, "cloister-launch") != 0 ||
        monitor_program_check(host, monitor->policies[row]->program) != 0)
        return EXIT_SETUP;
    struct reader_account account;
    if (monitor_account(&account, host, row, 0, monitor->policies[row]) != 0)
        return EXIT_SETUP;
    int result = monitor_make_runtime(host, &account);
    if (result != 0)
        return result == -EWOULDBLOCK ? EXIT_RUNNING : EXIT_SETUP;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cgroup_open(&host->reading.cgroup, getpid(),
                (uint64_t)now.tv_sec << 30 | (uint64_t)now.tv_nsec);
    monitor->session_watch = session_is_logind(&host->reading.config) ? session_watch("/run") : -1;
    result = monitor_run(monitor);
    for (int i = 0; i < 100 && cgroup_close(&host->reading.cgroup) != 0; i++)
        usleep(10000); /* v1 lets go of a group a moment after its last process */
    return result == 0 ? 0 : EXIT_SETUP;
}

int main(int argc, char **argv)
{
    static struct monitor monitor;
    struct options options;
    int status = argc < 1 ? EXIT_USAGE : parse(&options, argv);
    if (status != GO_ON)
        return status;
    log_setup("cloisterd", !isatty(STDERR_FILENO));
    monitor.policies = cloister_policies;
    monitor.notify = getenv("NOTIFY_SOCKET"); /* the text stays when the environment is cleared */
    if (!options.check && (geteuid() != 0 || shed() != 0)) {
        log_error("%s", geteuid() != 0 ? "has to be started by root" : "cannot clean the process");
        return EXIT_SETUP;
    }
    status = read_all(&monitor, &options);
    if (status != GO_ON)
        return status;
    if (options.check)
        return printf("%s: right\n", options.config) < 0;
    return run(&monitor);
}
