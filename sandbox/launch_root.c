#include "launch_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSED (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static bool root_alone_writes(const struct stat *status)
{
    return status->st_uid == 0 && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Every folder above a program must be such that nobody but root could put another file there: its
 * own, or sticky as /tmp. */
static int check_folders(const char *file)
{
    char prefix[PATH_MAX];
    struct stat status;
    for (const char *slash = strchr(file + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - file), file);
        if (lstat(prefix, &status) != 0)
            return -errno;
        bool sticky = status.st_uid == 0 && (status.st_mode & S_ISVTX) != 0;
        if (!S_ISDIR(status.st_mode) || (!root_alone_writes(&status) && !sticky))
            return -EPERM;
    }
    return 0;
}

int expand(char *out, const struct launch *launch, enum policy_base base, const char *path)
{
    int n = snprintf(out, PATH_MAX, "%s%s", launch->order.paths[base], path);
    return n < 0 || n >= PATH_MAX || out[0] != '/' ? -EINVAL : 0;
}

/* In a chroot whose / is no mount point it cannot be made private: it becomes one by being bound on
 * itself, and "/.." leads onto that mount. */
static int make_private(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    if (errno != EINVAL || mount("/", "/", NULL, MS_BIND | MS_REC, NULL) != 0 ||
        chroot("/..") != 0 || chdir("/") != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -errno;
    return 0;
}

int root_begin(struct launch *launch)
{
    const char *root = launch->policy->host_root ? "/" : launch->order.root;
    int result = make_private();
    umask(022);
    if (result == 0 && !launch->policy->host_root &&
        mount("tmpfs", root, "tmpfs", CLOSED & ~MS_RDONLY, "size=1M,nr_inodes=1k,mode=0755") != 0)
        result = -errno;
    return result == 0 && chdir(root) != 0 ? -errno : result;
}

/* Makes the place that `target` names below the current folder: folders above it, then a folder, a
 * link or an empty file. policyc has seen to it that no target lies within another mount. */
static int make_target(char path[static PATH_MAX], const char *target, mode_t type,
                       const char *link)
{
    int n = snprintf(path, PATH_MAX, ".%s", target);
    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    for (char *slash = strchr(path + 2, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    int made = type == S_IFDIR   ? mkdir(path, 0755)
               : type == S_IFLNK ? symlink(link, path)
                                 : mknod(path, S_IFREG | 0444, 0);
    return made != 0 && errno != EEXIST ? -errno : 0; /* the host's root has the program */
}

/* Reads back what mount_setattr said that it did. The bits are the same as statvfs's but one. */
static int check_attributes(const char *path, uint64_t wanted)
{
    struct statvfs status;
    _Static_assert(CLOSED == (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC), "the same bits");
    if (statvfs(path, &status) != 0)
        return -errno;
    return (status.f_flag & wanted) == wanted ? 0 : -EPERM;
}

/* Takes a private copy of the mount at `source`, checks what it is, and only then gives it a place:
 * what was checked is what the worker sees. What may be executed must be root's alone. */
static int bind_at(const struct policy_mount *mount, const char *source, const char *target)
{
    struct mount_attr attr = {.attr_set = mount->flags};
    struct stat status;
    char path[PATH_MAX];
    int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || fstat(tree, &status) != 0)
        return -errno;
    if ((status.st_mode & S_IFMT) != mount->type ||
        (mount->kind == POLICY_MOUNT_PROGRAM && !root_alone_writes(&status)))
        return -EPERM;
    int result = make_target(path, target, mount->type, NULL);
    if (result == 0 && (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0 ||
                        move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0))
        result = -errno;
    close(tree);
    return result == 0 ? check_attributes(path, attr.attr_set) : result;
}

static int bind_program(const struct policy_mount *mount, const char *source, const char *target)
{
    char real[PATH_MAX];
    if (realpath(source, real) == NULL)
        return -errno;
    int result = check_folders(real);
    return result == 0 ? bind_at(mount, real, target) : result;
}

static int mount_new(const struct launch *launch, const struct policy_mount *mounted,
                     const char *target)
{
    char path[PATH_MAX];
    char options[128] = "hidepid=invisible,subset=pid";
    const char *type = mounted->kind == POLICY_MOUNT_TMPFS ? "tmpfs" : "proc";
    if (mounted->kind == POLICY_MOUNT_PROCFS)
        *strchr(options, ',') = '\0';
    else if (mounted->kind == POLICY_MOUNT_TMPFS)
        snprintf(options, sizeof(options), "size=%llu,mode=0700,uid=%u,gid=%u",
                 (unsigned long long)mounted->size, launch->order.uid, launch->order.gid);
    int result = make_target(path, target, S_IFDIR, NULL);
    if (result == 0 && mount(type, path, type, mounted->flags, options) != 0)
        result = -errno;
    return result;
}

static int mount_one(const struct launch *launch, const struct policy_mount *mount)
{
    char source[PATH_MAX];
    char target[PATH_MAX];
    int result = expand(target, launch, mount->target_base, mount->target);
    if (result != 0)
        return result;
    if (mount->source == NULL)
        return mount_new(launch, mount, target);
    if (mount->kind == POLICY_MOUNT_LINK)
        return make_target(source, target, S_IFLNK, mount->source);
    result = expand(source, launch, mount->source_base, mount->source);
    if (result != 0)
        return result;
    result = mount->kind == POLICY_MOUNT_PROGRAM ? bind_program(mount, source, target)
                                                 : bind_at(mount, source, target);
    return result == -ENOENT && mount->optional ? 0 : result;
}

static int mount_all(const struct launch *launch, bool programs)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < launch->policy->mount_count; i++)
        if ((launch->policy->mounts[i].kind == POLICY_MOUNT_PROGRAM) == programs)
            result = mount_one(launch, &launch->policy->mounts[i]);
    return result;
}

int root_mount_programs(struct launch *launch)
{
    return mount_all(launch, true);
}

int root_mount_others(struct launch *launch)
{
    return mount_all(launch, false);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int root_enter(struct launch *launch)
{
    struct mount_attr attr = {.attr_set = CLOSED};
    struct stat before;
    struct stat root;
    struct stat above;
    if (launch->policy->host_root)
        return 0;
    if (mount_setattr(AT_FDCWD, ".", 0, &attr, sizeof(attr)) != 0 || stat(".", &before) != 0)
        return -errno;
    /* The old root is stacked upon the new one, and detached from there (pivot_root(2)). An old
     * root that is still there would be found above the new one. */
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        chdir("/") != 0 || stat("/", &root) != 0 || stat("/..", &above) != 0)
        return -errno;
    if (!is_same(&before, &root) || !is_same(&root, &above))
        return -EPERM;
    return check_attributes("/", attr.attr_set);
}
