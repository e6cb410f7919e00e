#include "namespaces.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    uint64_t flag;
} kinds[NAMESPACES_COUNT] = {
    {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
    {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
};

int namespaces_read(struct namespaces *out)
{
    for (int i = 0; i < NAMESPACES_COUNT; i++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
        if (stat(path, &status) != 0)
            return -errno;
        out->inodes[i] = status.st_ino;
    }
    return 0;
}

uint64_t namespaces_differing(const struct namespaces *a, const struct namespaces *b)
{
    uint64_t flags = 0;
    for (int i = 0; i < NAMESPACES_COUNT; i++)
        if (a->inodes[i] != b->inodes[i])
            flags |= kinds[i].flag;
    return flags;
}
