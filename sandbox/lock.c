#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "lock_check.h"

/* include/uapi/linux/prctl.h of Linux 6.3; Debian 12's header has neither. */
#define LOCK_PR_SET_MDWE           65
#define LOCK_PR_GET_MDWE           66
#define LOCK_MDWE_REFUSE_EXEC_GAIN 1UL

#define LOCK_VARIABLES_MAX 4

static bool files_closed;
static struct {
    const char *name;
    const char *value;
} variables[LOCK_VARIABLES_MAX];
static size_t variable_count;

void sandbox_variable(const char *name, const char *value)
{
    if (variable_count == LOCK_VARIABLES_MAX)
        return;
    variables[variable_count].name = name;
    variables[variable_count++].value = value;
}

const char *sandbox_overlay(void)
{
#ifdef CLOISTER_SANITIZE
    return "sanitizer";
#else
    return NULL;
#endif
}

int sandbox_early(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return -errno;
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return -errno;
    /* AddressSanitizer's allocator has no arenas, and its mallopt refuses. */
    if (sandbox_overlay() == NULL && mallopt(M_ARENA_MAX, 1) != 1)
        return -ENOMEM;
    int signal_number = 0;
    if (prctl(PR_GET_PDEATHSIG, &signal_number) != 0)
        return -errno;
    return signal_number == SIGKILL ? 0 : -EPERM;
}

static int fail(struct sandbox_report *report, const char *stage, int error)
{
    report->stage = stage;
    return error;
}

/* Gives up what the launcher left for locking memory; lock_tasks_check sees that it is gone. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &head, none) != 0 ? -errno : 0;
}

static int forbid_new_code(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    if (filter->mdwe == POLICY_UNUSED)
        return 0;
    if (prctl(LOCK_PR_SET_MDWE, LOCK_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0) {
        /* EINVAL is a kernel without it; anything else is a kernel that has it and refused. */
        if (errno != EINVAL || filter->mdwe == POLICY_REQUIRED)
            return -errno;
        report->below |= SANDBOX_BELOW_MDWE;
        return 0;
    }
    if (prctl(LOCK_PR_GET_MDWE, 0, 0, 0, 0) != LOCK_MDWE_REFUSE_EXEC_GAIN)
        return -EPERM;
    report->mdwe = 1;
    return 0;
}

static int decide_secret_memory(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    if (filter->secret == POLICY_UNUSED)
        return 0;
    enum secret_kind kind = secret_kind();
    report->secret = (uint8_t)kind;
    if (kind == SECRET_NONE || (filter->secret == POLICY_REQUIRED && kind != SECRET_MEMFD))
        return -ENOMEM;
    if (kind != SECRET_MEMFD)
        report->below |= SANDBOX_BELOW_SECRET;
    return 0;
}

/* Replaces the ${variable} at the start of `path`. */
static int expand(char *out, size_t capacity, const char *path)
{
    const char *value = "";
    const char *rest = path;
    if (strncmp(path, "${", 2) == 0) {
        const char *end = strchr(path, '}');
        size_t length = end == NULL ? 0 : (size_t)(end - path) - 2;
        value = NULL;
        for (size_t i = 0; i < variable_count; i++)
            if (strlen(variables[i].name) == length &&
                strncmp(variables[i].name, path + 2, length) == 0)
                value = variables[i].value;
        if (value == NULL)
            return -ENOKEY;
        rest = end + 1;
    }
    int n = snprintf(out, capacity, "%s%s", value, rest);
    return n < 0 || (size_t)n >= capacity ? -ENAMETOOLONG : 0;
}

static int leave_keeps(const struct sandbox_filter *filter, int ruleset, int abi)
{
    int result = landlock_leave(ruleset, abi, "/proc", POLICY_READ);
    for (size_t i = 0; result == 0 && i < filter->keep_count; i++) {
        const struct sandbox_keep *keep = &filter->keeps[i];
        char path[PATH_MAX];
        result = expand(path, sizeof(path), keep->path);
        if (result == 0)
            result = landlock_leave(ruleset, abi, path, keep->rights);
        if (result == -ENOENT && keep->optional)
            result = 0;
    }
    return result;
}

static int close_file_system(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    int abi = landlock_abi();
    if (abi < 0)
        return abi;
    report->landlock_abi = (uint8_t)abi;
    if (abi < filter->landlock_minimum)
        return -EOPNOTSUPP;
    if (abi < filter->landlock_preferred)
        report->below |= SANDBOX_BELOW_LANDLOCK;
    int ruleset = landlock_deny_all(abi, filter->shares_network);
    if (ruleset < 0)
        return ruleset;
    int result = leave_keeps(filter, ruleset, abi);
    if (result == 0)
        result = landlock_enter(ruleset);
    close(ruleset);
    return result;
}

/* 0 if `path` can be read, else a negative errno. */
static int try_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int files_steps(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    int tasks = lock_task_count();
    if (tasks != 1)
        return fail(report, "single thread", tasks < 0 ? tasks : -EBUSY);
    int result = decide_secret_memory(filter, report);
    if (result != 0)
        return fail(report, "secret memory", result);
    result = drop_capabilities();
    if (result != 0)
        return fail(report, "drop capabilities", result);
    result = forbid_new_code(filter, report);
    if (result != 0)
        return fail(report, "mdwe", result);
    result = try_read(filter->probe);
    if (result != 0)
        return fail(report, "probe before landlock", result);
    result = close_file_system(filter, report);
    if (result != 0)
        return fail(report, "landlock", result);
    result = try_read(filter->probe);
    if (result != -EACCES)
        return fail(report, "probe after landlock", result == 0 ? -EPERM : result);
    return 0;
}

int sandbox_files(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    *report = (struct sandbox_report){
        .overlay = sandbox_overlay(),
        .instructions = filter->instructions,
        .syscalls = filter->syscalls,
    };
    memcpy(report->filter_sha256, filter->sha256, sizeof(report->filter_sha256));
    if ((filter->overlay == NULL) != (report->overlay == NULL))
        return fail(report, "overlay", -EINVAL);
    int result = files_steps(filter, report);
    files_closed = result == 0;
    return result;
}

/* TSYNC fails open: with a thread that cannot be synchronised it returns that thread's id and
 * installs nothing. */
static int install_filter(const struct sandbox_filter *filter)
{
    struct sock_fprog program = {
        .len = filter->instructions,
        /* The kernel copies the program and does not write to it. */
        .filter = (struct sock_filter *)(uintptr_t)filter->program,
    };
    long result =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result < 0)
        return -errno;
    return result == 0 ? 0 : -ESRCH;
}

static int lock_steps(const struct sandbox_filter *filter, struct sandbox_report *report,
                      struct lock_tasks *tasks)
{
    int result = lock_check_process();
    if (result != 0)
        return fail(report, "process", result);
    result = lock_check_descriptors(filter);
    if (result != 0)
        return fail(report, "descriptors", result);
    result = lock_tasks_open(tasks);
    if (result != 0)
        return fail(report, "tasks", result);
    result = lock_tasks_check(tasks, false);
    if (result != 0)
        return fail(report, "credentials", result);
    result = install_filter(filter);
    if (result != 0)
        return fail(report, "seccomp", result);
    result = lock_tasks_check(tasks, true);
    if (result != 0)
        return fail(report, "seccomp read back", result);
    report->tasks = (uint16_t)tasks->count;
    return 0;
}

int sandbox_lock(const struct sandbox_filter *filter, struct sandbox_report *report)
{
    if (!files_closed) {
        int result = sandbox_files(filter, report);
        if (result != 0)
            return result;
    }
    struct lock_tasks tasks = {.folder = -1};
    int result = lock_steps(filter, report, &tasks);
    lock_tasks_close(&tasks);
    return result;
}
