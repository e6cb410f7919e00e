#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *name; /* in /proc/PID/ns */
    uint64_t flag;
} namespaces[] = {
    {"mnt", CLONE_NEWNS},    {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
    {"user", CLONE_NEWUSER},
};

/* The members of /proc/PID/status that are looked at. */
struct status {
    uint64_t uids[4];
    uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
    uint64_t seccomp, seccomp_filters, no_new_privs, ppid;
};

static const struct {
    const char *key;
    size_t offset;
    int base, values;
    bool optional;
} members[] = {
    {"Uid:", offsetof(struct status, uids), 10, 4, false},
    {"PPid:", offsetof(struct status, ppid), 10, 1, false},
    {"CapInh:", offsetof(struct status, cap_inh), 16, 1, false},
    {"CapPrm:", offsetof(struct status, cap_prm), 16, 1, false},
    {"CapEff:", offsetof(struct status, cap_eff), 16, 1, false},
    {"CapBnd:", offsetof(struct status, cap_bnd), 16, 1, false},
    {"CapAmb:", offsetof(struct status, cap_amb), 16, 1, false},
    {"NoNewPrivs:", offsetof(struct status, no_new_privs), 10, 1, false},
    {"Seccomp:", offsetof(struct status, seccomp), 10, 1, false},
    {"Seccomp_filters:", offsetof(struct status, seccomp_filters), 10, 1, true}, /* Linux 5.9 */
};

static bool take_line(struct status *out, const char *line, size_t member)
{
    char *at = (char *)(uintptr_t)line + strlen(members[member].key);
    uint64_t *to = (uint64_t *)(void *)((char *)out + members[member].offset);
    for (int i = 0; i < members[member].values; i++) {
        char *end;
        errno = 0;
        to[i] = strtoull(at, &end, members[member].base);
        if (end == at || errno)
            return false;
        at = end;
    }
    return true;
}

/* Reads a status file. 0, or -errno: -EPROTO if a member is missing. */
static int read_status(struct status *out, const char *path)
{
    char line[512];
    unsigned seen = 0;
    *out = (struct status){0};
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    while (fgets(line, sizeof(line), file)) {
        for (size_t i = 0; i < COUNT(members); i++)
            if (strncmp(line, members[i].key, strlen(members[i].key)) == 0 &&
                take_line(out, line, i))
                seen |= 1u << i;
    }
    int error = ferror(file) ? -(errno ? errno : EIO) : 0;
    fclose(file);
    for (size_t i = 0; i < COUNT(members) && !error; i++)
        if (!members[i].optional && !(seen & 1u << i))
            error = -EPROTO;
    return error == -ESRCH ? -ENOENT : error; /* it ended while it was read */
}

static int count_tasks(struct proc_view *out, const char *root)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%d/task", root, (int)out->pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    int error = 0;
    for (struct dirent *entry; !error && (entry = readdir(folder));) {
        struct status task;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "%s/%d/task/%.16s/status", root, (int)out->pid, entry->d_name);
        error = read_status(&task, path);
        if (error == -ENOENT) {
            error = 0; /* a thread that has ended */
            continue;
        }
        out->tasks++;
        out->tasks_unlike += task.seccomp != out->seccomp || task.cap_eff != out->cap_eff ||
                             (task.no_new_privs != 0) != out->no_new_privs;
    }
    closedir(folder);
    return error;
}

/* The target of <root>/<process>/ns/<name>, or "". */
static void namespace_of(char out[64], const char *root, const char *process, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s/ns/%s", root, process, name);
    ssize_t length = readlink(path, out, 63);
    out[length > 0 ? length : 0] = '\0';
}

/*
 * Compares with pid 1. In a container its namespaces may be out of even root's sight (ptrace(2),
 * "ptrace access mode checking"); the monitor, which is every worker's parent, is in the host's
 * too.
 */
static void compare_namespaces(struct proc_view *out, const char *root, uint64_t parent)
{
    char process[16], reference[24] = "1", own[64], other[64];
    snprintf(process, sizeof(process), "%d", (int)out->pid);
    namespace_of(other, root, reference, namespaces[0].name);
    out->reference = other[0] ? 1 : (pid_t)parent;
    snprintf(reference, sizeof(reference), "%d", (int)out->reference);
    for (size_t i = 0; i < COUNT(namespaces); i++) {
        namespace_of(own, root, process, namespaces[i].name);
        namespace_of(other, root, reference, namespaces[i].name);
        if (!own[0] || !other[0])
            out->unreadable |= namespaces[i].flag;
        else if (strcmp(own, other) != 0)
            out->own |= namespaces[i].flag;
    }
}

int proc_read(struct proc_view *out, const char *root, pid_t pid)
{
    char path[512];
    struct status status;
    *out = (struct proc_view){.pid = pid};
    snprintf(path, sizeof(path), "%s/%d/status", root, (int)pid);
    int error = read_status(&status, path);
    if (error)
        return error;
    out->uid = (uint32_t)status.uids[1];
    for (int i = 0; i < 4; i++)
        out->uids_differ |= status.uids[i] != status.uids[1];
    out->cap_inh = status.cap_inh;
    out->cap_prm = status.cap_prm;
    out->cap_eff = status.cap_eff;
    out->cap_bnd = status.cap_bnd;
    out->cap_amb = status.cap_amb;
    out->seccomp = (uint32_t)status.seccomp;
    out->seccomp_filters = (uint32_t)status.seccomp_filters;
    out->no_new_privs = status.no_new_privs != 0;
    compare_namespaces(out, root, status.ppid);
    return count_tasks(out, root);
}

struct saying {
    void (*say)(void *context, const char *sentence);
    void *context;
    unsigned count;
};

static void __attribute__((format(printf, 3, 4)))
differ(struct saying *s, bool when, const char *format, ...)
{
    char sentence[160];
    va_list arguments;
    if (!when)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    s->say(s->context, sentence);
    s->count++;
}

unsigned proc_compare(const struct proc_view *view, const struct proc_expectation *expected,
                      void (*say)(void *context, const char *sentence), void *context)
{
    struct saying s = {.say = say, .context = context};
    char names[64];
    differ(&s, view->uid != expected->uid, "runs as uid %u, not %u", view->uid, expected->uid);
    differ(&s, view->uids_differ, "its real, effective, saved and file system uids differ");
    differ(&s, view->cap_eff != expected->cap_eff, "CapEff is %" PRIx64 ", reported %" PRIx64,
           view->cap_eff, expected->cap_eff);
    differ(&s, (view->cap_prm | view->cap_inh | view->cap_amb) & ~expected->cap_eff,
           "it could raise capabilities: CapPrm %" PRIx64 ", CapInh %" PRIx64 ", CapAmb %" PRIx64,
           view->cap_prm, view->cap_inh, view->cap_amb);
    differ(&s, view->seccomp != expected->seccomp, "Seccomp is %u, reported %u", view->seccomp,
           expected->seccomp);
    differ(&s, view->no_new_privs != expected->no_new_privs, "NoNewPrivs is %d, reported %d",
           view->no_new_privs, expected->no_new_privs);
    differ(&s, view->tasks_unlike, "%u of its %u threads differ in Seccomp, NoNewPrivs or CapEff",
           view->tasks_unlike, view->tasks);
    uint64_t shared = expected->own & ~view->own & ~view->unreadable;
    proc_namespace_names(names, shared);
    differ(&s, shared, "shares with pid %d the namespaces that its policy keeps apart: %s",
           (int)view->reference, names);
    proc_namespace_names(names, expected->own & view->unreadable);
    differ(&s, expected->own & view->unreadable, "namespaces that cannot be compared: %s", names);
    return s.count;
}

bool proc_parent_shares_pids(const char *root, pid_t child)
{
    char path[512], parent[16], theirs[64], ours[64];
    struct status status;
    snprintf(path, sizeof(path), "%s/%d/status", root, (int)child);
    if (child <= 0 || read_status(&status, path))
        return false;
    snprintf(parent, sizeof(parent), "%u", (unsigned)status.ppid);
    namespace_of(theirs, root, parent, "pid");
    namespace_of(ours, root, "self", "pid");
    return ours[0] && strcmp(ours, theirs) == 0;
}

void proc_namespace_names(char out[64], uint64_t mask)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < COUNT(namespaces); i++)
        if (mask & namespaces[i].flag)
            used += (size_t)snprintf(out + used, 64 - used, "%s%s", used ? " " : "",
                                     namespaces[i].name);
    if (!used)
        strcpy(out, "none");
}
