#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const cgroup_controllers[CGROUP_CONTROLLERS] = {"memory", "pids", "cpu"};

/* Writes to "<folder>/<name>". Returns 0 or -errno. */
static int __attribute__((format(printf, 3, 4)))
put(const char *folder, const char *name, const char *format, ...)
{
    char path[512], text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int result = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return result;
}

/* Reads the start of "<folder>/<name>"; empty if it cannot be read. */
static void get(char *out, size_t capacity, const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, out, capacity - 1);
    out[got > 0 ? got : 0] = 0;
    if (fd >= 0)
        close(fd);
}

/* Kills what is in a group and removes it. Returns 0 or -EBUSY. */
static int remove_leaf(const char *folder)
{
    char list[4096], *at = list, *end;
    if (rmdir(folder) == 0 || errno == ENOENT)
        return 0;
    (void)put(folder, "cgroup.kill", "1"); /* v2, Linux 5.14 */
    get(list, sizeof list, folder, "cgroup.procs");
    for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end)
        if (pid != getpid())
            kill((pid_t)pid, SIGKILL);
    return rmdir(folder) == 0 ? 0 : -EBUSY;
}

/* Calls `visit` for each group in `folder` whose name begins with `prefix`. */
static void each_group(const char *folder, const char *prefix, int (*visit)(const char *path))
{
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char path[768];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            (void)visit(path);
    }
    if (listing)
        closedir(listing);
}

/*
 * A "cloister-<pid>-..." beside ours. If its monitor is gone so are its processes, and its groups
 * are removed. Nothing is killed: it might live where its pid is another one, in a container. Then
 * it holds the lock of its base, and an empty group of it may be one that a child is about to join.
 */
static int sweep_base(const char *path)
{
    int pid = atoi(strrchr(path, '/') + sizeof "cloister-");
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            each_group(path, "", rmdir);
            (void)rmdir(path);
        }
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

/* Makes our base, and keeps its lock until this process ends. Returns whether it is there. */
static int make_base(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH) == 0;
}

/* Lets the groups below `folder` have the tree's controllers (v2). Returns those that it could. */
static uint32_t enable(const struct cgroup_tree *tree, const char *folder)
{
    uint32_t enabled = 0;
    for (uint32_t i = 0; i < CGROUP_CONTROLLERS; i++)
        if (tree->controllers >> i & 1 &&
            put(folder, "cgroup.subtree_control", "+%s", cgroup_controllers[i]) == 0)
            enabled |= 1U << i;
    return enabled;
}

/* v2: uses the monitor's own group if nobody else is in it. Returns whether it does. */
static int use_own(struct cgroup_tree *tree, const char *folder, pid_t pid)
{
    char procs[64], alone[32], leaf[448];
    snprintf(alone, sizeof alone, "%d\n", pid);
    snprintf(leaf, sizeof leaf, "%s/monitor", folder);
    get(procs, sizeof procs, folder, "cgroup.procs");
    /* a v2 group with processes cannot pass controllers on, so the monitor goes into a leaf too */
    if (tree->version == 1 || !tree->own[0] || strcmp(procs, alone) != 0 ||
        (mkdir(leaf, 0755) != 0 && errno != EEXIST) || put(leaf, "cgroup.procs", "%d", pid) != 0)
        return 0;
    snprintf(tree->base, sizeof tree->base, "%s", folder);
    return 1;
}

/* Makes the tree's base. Returns whether it can be used. */
static int open_tree(struct cgroup_tree *tree, pid_t pid, uint64_t tag)
{
    char parent[384];
    snprintf(parent, sizeof parent, "%s%s", tree->mount, tree->own);
    if (!use_own(tree, parent, pid)) {
        if (tree->version == 2)
            snprintf(parent, sizeof parent, "%s", tree->mount);
        each_group(parent, "cloister-", sweep_base);
        snprintf(tree->base, sizeof tree->base, "%.*s/cloister-%d-%llx", 340, parent, pid,
                 (unsigned long long)tag);
        if (!make_base(tree->base))
            return 0;
        if (tree->version == 2)
            (void)enable(tree, parent);
    }
    if (tree->version == 2)
        tree->controllers = enable(tree, tree->base);
    return tree->controllers != 0;
}

void cgroup_open(struct cgroup *group, pid_t pid, uint64_t tag)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        if (open_tree(&group->trees[i], pid, tag))
            group->trees[kept++] = group->trees[i];
        else
            (void)rmdir(group->trees[i].base);
    }
    group->count = kept;
}

static void leaf_path(char out[448], const struct cgroup_tree *tree, const char *name)
{
    snprintf(out, 448, "%s/%s", tree->base, name);
}

/* Sets in one tree's leaf the limits that this tree is to set. */
static int limit(const struct cgroup_tree *tree, const char *leaf,
                 const struct cgroup_limits *limits)
{
    int v2 = tree->version == 2, result = 0;
    if (limits->memory_bytes && tree->controllers & CGROUP_MEMORY) {
        result = put(leaf, v2 ? "memory.max" : "memory.limit_in_bytes", "%llu",
                     (unsigned long long)limits->memory_bytes);
        /* nothing of a worker's goes to swap, where the kernel can be told so */
        (void)put(leaf, v2 ? "memory.swap.max" : "memory.swappiness", "0");
    }
    if (result == 0 && limits->pids && tree->controllers & CGROUP_PIDS)
        result = put(leaf, "pids.max", "%u", limits->pids);
    if (result == 0 && limits->cpu_percent && tree->controllers & CGROUP_CPU)
        /* microseconds in a period of 100 ms, the default of both versions */
        result = put(leaf, v2 ? "cpu.max" : "cpu.cfs_quota_us", v2 ? "%u 100000" : "%u",
                     limits->cpu_percent * 1000);
    return result;
}

int cgroup_leaf(const struct cgroup *group, const char *name, const struct cgroup_limits *limits)
{
    uint32_t wanted = (limits->memory_bytes ? CGROUP_MEMORY : 0) |
                      (limits->pids ? CGROUP_PIDS : 0) | (limits->cpu_percent ? CGROUP_CPU : 0);
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++)
        wanted &= ~group->trees[i].controllers;
    if (wanted)
        return -ENOTSUP;
    for (uint32_t i = 0; i < group->count && result == 0; i++) {
        char leaf[448];
        /* While it was empty, a monitor that does not see our pid may have swept it away. */
        (void)mkdir(group->trees[i].base, 0755);
        leaf_path(leaf, &group->trees[i], name);
        result = mkdir(leaf, 0755) != 0 && errno != EEXIST ? -errno
                                                           : limit(&group->trees[i], leaf, limits);
    }
    if (result != 0)
        (void)cgroup_remove(group, name);
    return result;
}

int cgroup_birthplace(int *fd, const struct cgroup *group, const char *name)
{
    *fd = -1;
    for (uint32_t i = 0; i < group->count; i++) {
        char leaf[448];
        leaf_path(leaf, &group->trees[i], name);
        if (group->trees[i].version == 2)
            return (*fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ? -errno : 0;
    }
    return 0;
}

int cgroup_join(const struct cgroup *group, const char *name)
{
    int result = 0;
    for (uint32_t i = 0; i < group->count && result == 0; i++) {
        char leaf[448];
        leaf_path(leaf, &group->trees[i], name);
        if (group->trees[i].version == 1)
            result = put(leaf, "tasks", "0"); /* who writes */
    }
    return result;
}

int cgroup_remove(const struct cgroup *group, const char *name)
{
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        char leaf[448];
        leaf_path(leaf, &group->trees[i], name);
        if (remove_leaf(leaf) != 0)
            result = -EBUSY;
    }
    return result;
}

int cgroup_close(const struct cgroup *group)
{
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const char *base = group->trees[i].base;
        each_group(base, "", remove_leaf);
        /* a base that is the service manager's own is removed by it */
        if (rmdir(base) != 0 && errno != ENOENT && strstr(base, "/cloister-"))
            result = -EBUSY;
    }
    return result;
}
