/* cloisterd: options, preparations, exit status. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hardware_ids.h"
#include "log.h"
#include "monitor.h"

enum { EXIT_USAGE = 1, EXIT_CONFIG = 2, EXIT_RUNNING = 3, EXIT_SETUP = 4 };

static const char help[] =
    "usage: cloisterd [--config FILE] [--sysfs DIR] [--foreground]\n"
    "       cloisterd --check-config [--config FILE]\n"
    "\n"
    "The privileged half of the Cloister agent: starts the broker and the sandboxed workers.\n"
    "\n"
    "  --config FILE    configuration, owned by root (default " CONFIG_FILE ")\n"
    "  --check-config   report every error of the configuration and exit\n"
    "  --sysfs DIR      read the hardware's serial numbers below DIR (default /sys)\n"
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

/* Returns -1 to go on, or the exit status. */
static int parse(struct options *out, int argc, char **argv)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"check-config", no_argument, NULL, 'k'},
                                          {"sysfs", required_argument, NULL, 's'},
                                          {"foreground", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    *out = (struct options){.config = CONFIG_FILE, .sysfs = "/sys"};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            out->config = optarg;
            break;
        case 's':
            out->sysfs = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'f':
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'v':
#ifdef CLOISTER_SANITIZE
            puts("cloisterd " CLOISTER_VERSION " (sanitizer build, not for use)");
#else
            puts("cloisterd " CLOISTER_VERSION);
#endif
            return 0;
        default:
            fputs("try cloisterd --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "cloisterd: what is \"%s\"? try --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
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
        setrlimit(RLIMIT_CORE, &cores) != 0 || getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_max < 1024)
        return -1;
    files.rlim_cur = 1024;
    return setrlimit(RLIMIT_NOFILE, &files);
}

/* Reads a file of /proc into `out`, as much as fits. */
static void read_proc(char *out, size_t capacity, const char *path)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got;
         fd >= 0 && used < capacity - 1 && (got = read(fd, out + used, capacity - 1 - used)) > 0;)
        used += (size_t)got;
    out[used] = 0;
    if (fd >= 0)
        close(fd);
}

static int find_programs(struct monitor_host *host)
{
    ssize_t length = readlink("/proc/self/exe", host->programs, sizeof host->programs - 1);
    if (length <= 0 || (size_t)length >= sizeof host->programs - 64)
        return -1;
    host->programs[length] = 0;
    *strrchr(host->programs, '/') = 0;
    return 0;
}

/* The accounts of all kinds, for the broker's eyes. */
static void list_kinds(struct agent_config *agent, const struct policy *const *policies,
                       const char *etc)
{
    for (uint32_t i = 0; policies[i] && i < AGENT_KINDS_MAX; i++) {
        struct agent_kind *kind = &agent->kinds[agent->kind_count++];
        struct session_account account;
        memcpy(kind->name, policies[i]->kind, strnlen(policies[i]->kind, sizeof kind->name - 1));
        kind->instances = policies[i]->instances;
        kind->uid = kind->gid = AGENT_UID_NONE;
        if (session_account_find(&account, etc, policies[i]->user) == 0) {
            kind->uid = account.uid;
            kind->gid = account.gid;
        }
    }
}

static void learn(struct monitor *monitor, const char *sysfs)
{
    static char mountinfo[262144], groups[8192];
    struct monitor_host *host = &monitor->host;
    read_proc(mountinfo, sizeof mountinfo, "/proc/self/mountinfo");
    read_proc(groups, sizeof groups, "/proc/self/cgroup");
    hardware_ids_read(&host->config.agent.hardware, sysfs, hardware_ids_root_device(mountinfo));
    session_find(&host->session, &host->config, &host->roots);
    list_kinds(&host->config.agent, monitor->policies, host->roots.etc);
    (void)session_group_find(&host->config.agent.ticket.gid, host->roots.etc, "cloister-ticket");
    cgroup_find(&host->cgroup, mountinfo, groups);
    cgroup_open(&host->cgroup, getpid());
}

static int run(struct monitor *monitor, const char *sysfs)
{
    struct monitor_host *host = &monitor->host;
    const struct policy *broker = monitor_table_policy(monitor->policies, MONITOR_BROKER_KIND);
    if (geteuid() != 0 || shed() != 0 || find_programs(host) != 0 || !broker) {
        log_error(geteuid() != 0
                      ? "has to be started by root"
                      : "cannot prepare the process (at least 1024 open files allowed?)");
        return EXIT_SETUP;
    }
    if (monitor_program_check(host, "cloister-launch") != 0 ||
        monitor_program_check(host, broker->program) != 0)
        return EXIT_SETUP;
    int result = monitor_make_runtime(host, broker);
    if (result != 0)
        return result == -EWOULDBLOCK ? EXIT_RUNNING : EXIT_SETUP;
    learn(monitor, sysfs);
    result = monitor_run(monitor);
    for (int i = 0; i < 100 && cgroup_close(&host->cgroup) != 0; i++)
        usleep(10000); /* v1 lets go of a group a moment after its last process */
    return result == 0 ? 0 : EXIT_SETUP;
}

int main(int argc, char **argv)
{
    static struct monitor monitor = {.host.roots = {.run = "/run", .etc = "/etc"},
                                     .policies = cloister_policies};
    static char notify[128];
    struct options options;
    const char *socket = getenv("NOTIFY_SOCKET");
    int status = parse(&options, argc, argv);
    if (status >= 0)
        return status;
    log_setup("cloisterd", !isatty(STDERR_FILENO));
    unsigned errors = config_load(&monitor.host.config, options.config, stderr);
    if (errors > 0) {
        fprintf(stderr, "%s: %u error%s\n", options.config, errors, errors == 1 ? "" : "s");
        return EXIT_CONFIG;
    }
    if (options.check) {
        printf("%s: right\n", options.config);
        return 0;
    }
    if (socket && strlen(socket) < sizeof notify) { /* the environment is cleared */
        strcpy(notify, socket);
        monitor.notify = notify;
    }
    return run(&monitor, options.sysfs);
}
