/* The part of cgroup.h that reads tables. It runs in the reader, which is not root. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

/* Which controllers a list of `length` bytes names, separated by any of `separators`. */
static uint32_t parse_controllers(const char *list, size_t length, const char *separators)
{
    uint32_t found = 0;
    for (const char *at = list; at < list + length;) {
        size_t size = strcspn(at, separators);
        for (uint32_t i = 0; i < CGROUP_CONTROLLERS; i++)
            if (strlen(cgroup_controllers[i]) == size && !strncmp(at, cgroup_controllers[i], size))
                found |= 1U << i;
        at += size + 1;
    }
    return found;
}

/* The controllers that the top of a v2 hierarchy has to give. */
static uint32_t read_controllers(const char *mount)
{
    char path[192], list[256];
    snprintf(path, sizeof path, "%s/cgroup.controllers", mount);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
    if (fd >= 0)
        close(fd);
    list[got > 0 ? got : 0] = 0;
    return parse_controllers(list, strlen(list), " \n");
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
        if ((size_t)(end - path) < skip || strncmp(path, mount_root, skip) != 0)
            return; /* the hierarchy's top it is: this mount does not show our group */
        path += skip;
        size_t length = (size_t)(end - path);
        if (length > 1 && length < sizeof tree->own && path[0] == '/' &&
            !memmem(path, length, "/..", 3)) /* outside of our cgroup namespace */
            memcpy(tree->own, path, length);
        return;
    }
}

/*
 * Reads a line of proc_pid_mountinfo(5): id, parent, device, root, mount point, options, [tags] -
 * type, source, options of the file system. Returns whether it is a cgroup hierarchy of use.
 */
static int read_mount(struct cgroup_tree *tree, const char *line, const char *end, const char *self)
{
    char root[256], type[16], options[256];
    const char *dash = strstr(line, " - ");
    memset(tree, 0, sizeof *tree);
    if (!dash || dash > end || sscanf(line, "%*s %*s %*s %255s %127s", root, tree->mount) != 2 ||
        sscanf(dash + 3, "%15s %*s %255s", type, options) != 2 || strncmp(type, "cgroup", 6) != 0)
        return 0;
    tree->version = strcmp(type, "cgroup2") == 0 ? 2 : 1;
    tree->controllers = tree->version == 2 ? read_controllers(tree->mount)
                                           : parse_controllers(options, strlen(options), ",");
    find_own(tree, self, root);
    return 1;
}

void cgroup_find(struct cgroup *out, const char *mountinfo, const char *self)
{
    uint32_t have = 0;
    memset(out, 0, sizeof *out);
    for (const char *line = mountinfo; *line; line = strchr(line, '\n') + 1) {
        struct cgroup_tree tree;
        const char *end = strchr(line, '\n');
        if (!end || out->count == CGROUP_TREES_MAX)
            return;
        if (read_mount(&tree, line, end, self) && tree.controllers & ~have) {
            tree.controllers &= ~have;
            have |= tree.controllers;
            out->trees[out->count++] = tree;
        }
    }
}
