#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct controller {
    uint32_t bit;
    const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_PIDS, "pids"}, {CGROUP_CPU, "cpu"}};
#define CONTROLLERS (sizeof controllers / sizeof controllers[0])

/* Writes `text` to the file "<folder>/<name>". Returns 0 or -errno. */
static int put(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static int put_number(const char *folder, const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return put(folder, name, text);
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

/* Which controllers a list names, separated by any of `separators`. */
static uint32_t parse_controllers(const char *list, size_t length, const char *separators)
{
    uint32_t found = 0;
    for (const char *at = list; at < list + length;) {
        size_t size = strcspn(at, separators);
        for (size_t i = 0; i < CONTROLLERS; i++)
            if (strlen(controllers[i].name) == size && !strncmp(at, controllers[i].name, size))
                found |= controllers[i].bit;
        at += size + 1;
    }
    return found;
}

/* Finds the monitor's own group: a line "id:controllers:path" of /proc/self/cgroup. */
static void find_own(struct cgroup_tree *tree, const char *self, const char *mount_root)
{
    for (const char *line = self; line && *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n'), *list = strchr(line, ':');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        if (!end || !path || path > end)
            return;
        list++;
        uint32_t found = parse_controllers(list, (size_t)(path - list), ",:\n");
        if (tree->version == 2 ? path != list || strncmp(line, "0:", 2) != 0
                               : (found & tree->controllers) == 0)
            continue;
        size_t skip = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
        path++;
        size_t length = (size_t)(end - path);
        if (length > 1 && length < sizeof tree->own && strncmp(path, "/..", 3) != 0 &&
            strncmp(path, mount_root, skip) == 0)
            memcpy(tree->own, path + skip, length - skip);
        return;
    }
}

void cgroup_find(struct cgroup *out, const char *mountinfo, const char *self)
{
    uint32_t have = 0;
    memset(out, 0, sizeof *out);
    /* proc_pid_mountinfo(5): id, parent, device, root, mount point, options, [tags] - type,
     * source, options of the file system */
    for (const char *line = mountinfo; line && *line; line = strchr(line, '\n') + 1) {
        struct cgroup_tree *tree = &out->trees[out->count];
        char root[256], type[16], options[256], list[256];
        const char *end = strchr(line, '\n'), *dash = strstr(line, " - ");
        if (!end || out->count == CGROUP_TREES_MAX)
            return;
        memset(tree, 0, sizeof *tree);
        if (!dash || dash > end ||
            sscanf(line, "%*s %*s %*s %255s %127s", root, tree->mount) != 2 ||
            sscanf(dash + 3, "%15s %*s %255s", type, options) != 2 ||
            strncmp(type, "cgroup", 6) != 0)
            continue;
        tree->version = strcmp(type, "cgroup2") == 0 ? 2 : 1;
        if (tree->version == 2) {
            get(list, sizeof list, tree->mount, "cgroup.controllers");
            tree->controllers = parse_controllers(list, strlen(list), " \n");
        } else {
            tree->controllers = parse_controllers(options, strlen(options), ",");
        }
        tree->controllers &= ~have;
        find_own(tree, self, root);
        have |= tree->controllers;
        out->count += tree->controllers != 0;
    }
}

/* Kills the processes in a group. */
static void empty_group(const char *folder)
{
    char list[4096];
    char *at = list, *end;
    (void)put(folder, "cgroup.kill", "1");
    get(list, sizeof list, folder, "cgroup.procs");
    for (long pid; (pid = strtol(at, &end, 10)) > 0 && end != at; at = end)
        if (pid != getpid())
            kill((pid_t)pid, SIGKILL);
}

/* Removes a group and the groups in it. Returns 0 or -EBUSY. */
static int remove_group(const char *folder)
{
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char path[768];
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            empty_group(path);
            (void)rmdir(path);
        }
    }
    if (listing)
        closedir(listing);
    return rmdir(folder) == 0 || errno == ENOENT ? 0 : -EBUSY;
}

/* Removes the "cloister-<pid>" groups in `folder` whose monitor is gone. */
static void sweep(const char *folder)
{
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char path[768];
        int pid, length = 0;
        if (sscanf(entry->d_name, "cloister-%d%n", &pid, &length) == 1 && pid > 0 &&
            entry->d_name[length] == 0 && kill(pid, 0) != 0 && errno == ESRCH) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            (void)remove_group(path);
        }
    }
    if (listing)
        closedir(listing);
}

/* Lets the groups below `folder` have the tree's controllers (v2). */
static void enable(const struct cgroup_tree *tree, const char *folder)
{
    for (size_t i = 0; i < CONTROLLERS; i++) {
        char word[16];
        snprintf(word, sizeof word, "+%s", controllers[i].name);
        if (tree->controllers & controllers[i].bit)
            (void)put(folder, "cgroup.subtree_control", word);
    }
}

/* v2: uses the monitor's own group if nobody else is in it. Returns whether it does. */
static int use_own(struct cgroup_tree *tree, pid_t pid)
{
    char folder[384], procs[64], alone[32], leaf[448];
    snprintf(folder, sizeof folder, "%s%s", tree->mount, tree->own);
    snprintf(alone, sizeof alone, "%d\n", pid);
    get(procs, sizeof procs, folder, "cgroup.procs");
    if (!tree->own[0] || strcmp(procs, alone) != 0)
        return 0;
    /* a v2 group with processes cannot pass controllers on, so the monitor goes into a leaf too */
    snprintf(leaf, sizeof leaf, "%s/monitor", folder);
    if ((mkdir(leaf, 0755) != 0 && errno != EEXIST) ||
        put_number(leaf, "cgroup.procs", (uint64_t)pid))
        return 0;
    memcpy(tree->base, folder, sizeof tree->base);
    return 1;
}

static int open_tree(struct cgroup_tree *tree, pid_t pid)
{
    char parent[384], list[256];
    if (tree->version == 1 || !use_own(tree, pid)) {
        snprintf(parent, sizeof parent, "%s%s", tree->mount, tree->version == 1 ? tree->own : "");
        sweep(parent);
        int length = snprintf(tree->base, sizeof tree->base, "%s/cloister-%d", parent, pid);
        if (length >= (int)sizeof tree->base || (mkdir(tree->base, 0755) != 0 && errno != EEXIST))
            return -1;
        enable(tree, parent);
    }
    if (tree->version == 2) {
        enable(tree, tree->base);
        get(list, sizeof list, tree->base, "cgroup.subtree_control");
        tree->controllers &= parse_controllers(list, strlen(list), " \n");
    }
    return tree->controllers ? 0 : -1;
}

void cgroup_open(struct cgroup *group, pid_t pid)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->count; i++)
        if (open_tree(&group->trees[i], pid) == 0)
            group->trees[kept++] = group->trees[i];
        else
            (void)rmdir(group->trees[i].base);
    group->count = kept;
}

/* Sets in one tree's leaf the limits that this tree is to set. */
static int limit(const struct cgroup_tree *tree, const char *leaf,
                 const struct cgroup_limits *limits)
{
    int v2 = tree->version == 2, result = 0;
    if (limits->memory_bytes && tree->controllers & CGROUP_MEMORY) {
        result =
            put_number(leaf, v2 ? "memory.max" : "memory.limit_in_bytes", limits->memory_bytes);
        if (v2) { /* no swap, and never only one thread's process: where the kernel has them */
            (void)put(leaf, "memory.swap.max", "0");
            (void)put(leaf, "memory.oom.group", "1");
        } else {
            (void)put(leaf, "memory.swappiness", "0");
        }
    }
    if (result == 0 && limits->pids && tree->controllers & CGROUP_PIDS)
        result = put_number(leaf, "pids.max", limits->pids);
    if (result == 0 && limits->cpu_percent && tree->controllers & CGROUP_CPU) {
        char quota[48]; /* microseconds in a period of 100 ms, both versions' default */
        snprintf(quota, sizeof quota, v2 ? "%u 100000" : "%u", limits->cpu_percent * 1000);
        result = put(leaf, v2 ? "cpu.max" : "cpu.cfs_quota_us", quota);
    }
    return result;
}

int cgroup_leaf(const struct cgroup *group, const char *name, const struct cgroup_limits *limits,
                char procs[CGROUP_TREES_MAX][448])
{
    uint32_t wanted = (limits->memory_bytes ? CGROUP_MEMORY : 0) |
                      (limits->pids ? CGROUP_PIDS : 0) | (limits->cpu_percent ? CGROUP_CPU : 0);
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++)
        wanted &= ~group->trees[i].controllers;
    if (wanted)
        return -ENOTSUP;
    for (uint32_t i = 0; i < group->count && result == 0; i++) {
        char leaf[416];
        snprintf(leaf, sizeof leaf, "%s/%s", group->trees[i].base, name);
        snprintf(procs[i], sizeof procs[i], "%s/cgroup.procs", leaf);
        result = mkdir(leaf, 0755) != 0 && errno != EEXIST ? -errno
                                                           : limit(&group->trees[i], leaf, limits);
    }
    if (result != 0)
        (void)cgroup_remove(group, name);
    return result != 0 ? result : (int)group->count;
}

int cgroup_remove(const struct cgroup *group, const char *name)
{
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        char leaf[448];
        snprintf(leaf, sizeof leaf, "%s/%s", group->trees[i].base, name);
        if (rmdir(leaf) != 0 && errno != ENOENT) {
            empty_group(leaf);
            result = rmdir(leaf) != 0 ? -EBUSY : result;
        }
    }
    return result;
}

int cgroup_close(const struct cgroup *group)
{
    int result = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const char *base = group->trees[i].base;
        int own = !strstr(base, "/cloister-"); /* the service manager's, which removes it */
        if (remove_group(base) != 0 && !own)
            result = -EBUSY;
    }
    return result;
}
