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

static bool root_alone_writes(const struct stat *status)
{
    return status->st_uid == 0 && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Every folder above a program must be such that nobody but root could put another there. */
static int check_folders(const char *path)
{
    char prefix[PATH_MAX];
    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
        struct stat status;
        if (lstat(prefix, &status) != 0)
            return -errno;
        bool sticky = status.st_uid == 0 && (status.st_mode & S_ISVTX) != 0;
        if (!S_ISDIR(status.st_mode) || (!root_alone_writes(&status) && !sticky))
            return -EPERM;
        if (path[i] == '\0')
            return 0;
    }
}

int program_folder(struct launch *launch)
{
    ssize_t n = readlink("/proc/self/exe", launch->folder, sizeof(launch->folder) - 1);
    if (n < 0)
        return -errno;
    launch->folder[n] = '\0';
    char *slash = strrchr(launch->folder, '/');
    if (slash == NULL || slash == launch->folder)
        return -EINVAL;
    *slash = '\0';
    return check_folders(launch->folder);
}

int expand(char *out, const struct launch *launch, const char *path)
{
    static const char *const names[LAUNCH_VARIABLES] = {"channel", "state", "x11", "runtime"};
    const char *value = "";
    if (path[0] == '$') {
        const char *end = strchr(path, '}');
        if (end == NULL)
            return -EINVAL;
        size_t length = (size_t)(end - path) - 2;
        for (size_t i = 0; i < LAUNCH_VARIABLES; i++)
            if (strlen(names[i]) == length && strncmp(names[i], path + 2, length) == 0)
                value = launch->variables[i];
        if (value == NULL || value[0] != '/')
            return -EINVAL;
        path = end + 1;
    }
    int n = snprintf(out, PATH_MAX, "%s%s", value, path);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* In a chroot whose / is no mount point it cannot be made private: it becomes one by being bound on
 * itself, and "/.." leads onto that mount. */
static int make_private(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    if (mount("/", "/", NULL, MS_BIND | MS_REC, NULL) != 0 || chroot("/..") != 0 ||
        chdir("/") != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -errno;
    return 0;
}

int root_begin(const struct launch *launch)
{
    int result = make_private();
    if (result != 0)
        return result;
    umask(022);
    if (mount("tmpfs", launch->root_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=1M,nr_inodes=1k,mode=0755") != 0 ||
        chdir(launch->root_dir) != 0)
        return -errno;
    return 0;
}

/* Makes the place that `target` names below the current folder: folders above it, then a folder or
 * an empty file. policyc has seen to it that no target lies within another mount. */
static int make_target(char *path, const char *target, bool folder)
{
    int n = snprintf(path, PATH_MAX, ".%s", target);
    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    for (char *c = path + 2; *c != '\0'; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return -errno;
        *c = '/';
    }
    if (folder)
        return mkdir(path, 0755) != 0 && errno != EEXIST ? -errno : 0;
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static bool kind_fits(enum policy_mount_kind kind, const struct stat *status)
{
    switch (kind) {
    case POLICY_MOUNT_FILE:
        return S_ISREG(status->st_mode);
    case POLICY_MOUNT_DIR:
    case POLICY_MOUNT_WRITE:
        return S_ISDIR(status->st_mode);
    case POLICY_MOUNT_SOCKET:
        return S_ISSOCK(status->st_mode);
    case POLICY_MOUNT_DEVICE:
        return S_ISCHR(status->st_mode);
    case POLICY_MOUNT_LIBRARY: /* and the program: what may be executed */
        return S_ISREG(status->st_mode) && root_alone_writes(status);
    case POLICY_MOUNT_TMPFS:
    case POLICY_MOUNT_PROC:
        break;
    }
    return false;
}

static uint64_t attributes(enum policy_mount_kind kind)
{
    uint64_t out = MOUNT_ATTR_NOSUID;
    if (kind != POLICY_MOUNT_DEVICE)
        out |= MOUNT_ATTR_NODEV;
    if (kind != POLICY_MOUNT_LIBRARY)
        out |= MOUNT_ATTR_NOEXEC;
    if (kind != POLICY_MOUNT_WRITE)
        out |= MOUNT_ATTR_RDONLY;
    return out;
}

/* Reads back what mount_setattr said that it did. */
static int check_attributes(const char *path, uint64_t wanted)
{
    static const struct {
        uint64_t attribute;
        unsigned long flag;
    } pairs[] = {
        {MOUNT_ATTR_RDONLY, ST_RDONLY},
        {MOUNT_ATTR_NOSUID, ST_NOSUID},
        {MOUNT_ATTR_NODEV, ST_NODEV},
        {MOUNT_ATTR_NOEXEC, ST_NOEXEC},
    };
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return -errno;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if ((wanted & pairs[i].attribute) != 0 && (status.f_flag & pairs[i].flag) == 0)
            return -EPERM;
    return 0;
}

/* Takes a private copy of the mount at `source`, checks what it is, and only then gives it a place:
 * what was checked is what the worker sees. */
static int bind_at(enum policy_mount_kind kind, const char *source, const char *target)
{
    int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return -errno;
    struct stat status;
    struct mount_attr attr = {.attr_set = attributes(kind)};
    char path[PATH_MAX];
    int result = 0;
    if (fstat(tree, &status) != 0)
        result = -errno;
    else if (!kind_fits(kind, &status))
        result = -EPERM;
    if (result == 0)
        result = make_target(path, target, S_ISDIR(status.st_mode));
    if (result == 0 && (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0 ||
                        move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0))
        result = -errno;
    if (result == 0)
        result = check_attributes(path, attr.attr_set);
    close(tree);
    return result;
}

int root_mount_program(const struct launch *launch)
{
    char source[2 * PATH_MAX];
    char target[PATH_MAX];
    snprintf(source, sizeof(source), "%s/%s", launch->folder, launch->policy->program);
    snprintf(target, sizeof(target), "/bin/%s", launch->policy->program);
    return bind_at(POLICY_MOUNT_LIBRARY, source, target);
}

static int mount_library(const struct policy_mount *mount)
{
    static const char *const folders[] = {
        "/lib/" CLOISTER_MULTIARCH,
        "/usr/lib/" CLOISTER_MULTIARCH,
        CLOISTER_LOADER_DIR,
    };
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char source[PATH_MAX];
        char real[PATH_MAX];
        snprintf(source, sizeof(source), "%s/%s", folders[i], mount->source);
        if (realpath(source, real) == NULL)
            continue;
        *strrchr(real, '/') = '\0';
        int result = check_folders(real);
        return result != 0 ? result : bind_at(POLICY_MOUNT_LIBRARY, source, mount->target);
    }
    return -ENOENT;
}

static int mount_new(const struct launch *launch, const struct policy_mount *mounted,
                     const char *target)
{
    char path[PATH_MAX];
    char options[128] = "subset=pid,hidepid=invisible";
    int result = make_target(path, target, true);
    if (result != 0)
        return result;
    const char *type = "proc";
    if (mounted->kind == POLICY_MOUNT_TMPFS) {
        type = "tmpfs";
        snprintf(options, sizeof(options), "size=%llu,mode=0700,uid=%u,gid=%u",
                 (unsigned long long)mounted->size, launch->account.uid, launch->account.gid);
    }
    return mount(type, path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 ? -errno : 0;
}

int root_mount(const struct launch *launch, const struct policy_mount *mount)
{
    char source[PATH_MAX];
    char target[PATH_MAX];
    if (mount->kind == POLICY_MOUNT_LIBRARY)
        return mount_library(mount);
    int result = expand(target, launch, mount->target);
    if (result != 0)
        return result;
    if (mount->source == NULL)
        return mount_new(launch, mount, target);
    result = expand(source, launch, mount->source);
    if (result == 0)
        result = bind_at(mount->kind, source, target);
    return result == -ENOENT && mount->optional ? 0 : result;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int root_enter(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                          MOUNT_ATTR_NOEXEC};
    struct stat before;
    struct stat root;
    struct stat above;
    if (mount_setattr(AT_FDCWD, ".", 0, &attr, sizeof(attr)) != 0 || stat(".", &before) != 0)
        return -errno;
    /* The old root is stacked upon the new one, and detached from there (pivot_root(2)). */
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return -errno;
    /* An old root that is still there would be found above the new one. */
    if (stat("/", &root) != 0 || stat("/..", &above) != 0)
        return -errno;
    if (!is_same(&before, &root) || !is_same(&root, &above))
        return -EPERM;
    return check_attributes("/", attr.attr_set);
}
