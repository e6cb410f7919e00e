#include "launch_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

#define COOKIE_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* /etc/passwd alone: a name service would load code and open sockets as root. */
int account_find(struct launch *launch)
{
    char name[64];
    snprintf(name, sizeof(name), launch->instance == 0 ? "%s" : "%s-%u", launch->policy->user,
             launch->instance);
    FILE *file = fopen("/etc/passwd", "re");
    if (file == NULL)
        return -errno;
    const struct passwd *entry;
    while ((entry = fgetpwent(file)) != NULL && strcmp(entry->pw_name, name) != 0)
        continue;
    if (entry != NULL) {
        launch->uid = entry->pw_uid;
        launch->gid = entry->pw_gid;
    }
    fclose(file);
    if (entry == NULL)
        return -ENOENT;
    return launch->uid != 0 && launch->gid != 0 ? 0 : -EPERM;
}

/* setfsuid tells no errors: a second call returns what stands. */
static int take_files_identity(uid_t uid, gid_t gid)
{
    setfsgid(gid);
    setfsuid(uid);
    return (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid ? 0 : -EPERM;
}

/* Opens the file of "UID.GID:PATH" as that user would; not blocking, since it may be a FIFO. */
static int open_cookie(const char *argument)
{
    unsigned uid;
    unsigned gid;
    int at = 0;
    if (sscanf(argument, "%u.%u:%n", &uid, &gid, &at) != 2 || at == 0 || argument[at] != '/')
        return -EINVAL;
    if (setgroups(0, NULL) != 0)
        return -errno;
    int result = take_files_identity(uid, gid);
    if (result == 0) {
        result = open(argument + at, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (result < 0)
            result = -errno;
    }
    return take_files_identity(0, 0) == 0 ? result : -EPERM;
}

static int copy_cookie(const char *argument, int to)
{
    struct stat status;
    int from = open_cookie(argument);
    if (from < 0)
        return from;
    if (fstat(from, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size > LAUNCH_XAUTHORITY_MAX)
        return -EFBIG;
    /* It may shrink meanwhile, and then is shorter; it cannot become longer. */
    if (status.st_size > 0 && sendfile(to, from, NULL, (size_t)status.st_size) < 0)
        return -errno;
    return close(from) != 0 || lseek(to, 0, SEEK_SET) != 0 ? -errno : 0;
}

int xauthority_open(struct launch *launch)
{
    bool wanted = false;
    for (size_t i = 0; i < launch->policy->descriptor_count; i++)
        wanted |= strcmp(launch->policy->descriptors[i].name, "xauthority") == 0;
    if (!wanted)
        return launch->xauthority == NULL ? 0 : -EINVAL;
    int fd = memfd_create("xauthority", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = launch->xauthority == NULL ? 0 : copy_cookie(launch->xauthority, fd);
    if (result != 0)
        return result;
    /* Out of the way of the numbers that the worker's descriptors get. */
    launch->xauthority_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    return launch->xauthority_fd < 0 || fcntl(fd, F_ADD_SEALS, COOKIE_SEALS) != 0 ? -errno : 0;
}

/* A limit of the host that is lower than the policy's stays: that is the stricter one. */
static int limit_apply(int resource, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return -errno;
    if (value < limit.rlim_max)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) != 0 ? -errno : 0;
}

/* mlock needs the limit, which only CAP_SYS_RESOURCE can raise, or CAP_IPC_LOCK. */
int limits_apply(struct launch *launch)
{
    const struct policy *policy = launch->policy;
    struct rlimit memlock = {policy->memlock, policy->memlock};
    int result = setrlimit(RLIMIT_MEMLOCK, &memlock) == 0 ? 0 : -errno;
    if (result == -EPERM) {
        launch->keeps_memlock = true;
        result = limit_apply(RLIMIT_MEMLOCK, policy->memlock);
    }
    for (size_t i = 0; result == 0 && i < policy->limit_count; i++)
        result = limit_apply(policy->limits[i].resource, policy->limits[i].value);
    return result;
}

int identity_apply(struct launch *launch)
{
    uid_t u[3];
    gid_t g[3];
    if (setgroups(0, NULL) != 0 || setresgid(launch->gid, launch->gid, launch->gid) != 0 ||
        setresuid(launch->uid, launch->uid, launch->uid) != 0 ||
        getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        if (u[i] != launch->uid || g[i] != launch->gid)
            return -EPERM;
    return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

static int capabilities_call(long number, struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(number, &head, data) != 0 ? -errno : 0;
}

static int bounding_drop(void)
{
    for (unsigned long c = 0; c < 64; c++) {
        if (prctl(PR_CAPBSET_READ, c) < 0)
            return errno == EINVAL && c > CAP_AUDIT_READ ? 0 : -errno;
        if (prctl(PR_CAPBSET_DROP, c) != 0)
            return -errno;
        if (prctl(PR_CAPBSET_READ, c) != 0)
            return -EPERM;
    }
    return 0;
}

static int ambient_prepare(bool keeps_memlock)
{
    struct __user_cap_data_struct data[2];
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    int result = keeps_memlock ? capabilities_call(SYS_capget, data) : 0;
    if (!keeps_memlock || result != 0)
        return result;
    data[0].inheritable = 1U << CAP_IPC_LOCK;
    data[1].inheritable = 0;
    result = capabilities_call(SYS_capset, data);
    if (result == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0) != 0)
        result = -errno;
    return result;
}

/* With NO_SETUID_FIXUP the uid change itself clears nothing; capabilities_drop does. */
int capabilities_prepare(struct launch *launch)
{
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    int result = ambient_prepare(launch->keeps_memlock);
    if (result == 0)
        result = bounding_drop();
    if (result == 0 && prctl(PR_SET_SECUREBITS, bits) != 0)
        result = -errno;
    return result;
}

int capabilities_drop(struct launch *launch)
{
    uint32_t left = launch->keeps_memlock ? 1U << CAP_IPC_LOCK : 0;
    const struct __user_cap_data_struct wanted[2] = {{left, left, left}, {0, 0, 0}};
    struct __user_cap_data_struct data[2] = {wanted[0], wanted[1]};
    int result = capabilities_call(SYS_capset, data);
    if (result == 0)
        result = capabilities_call(SYS_capget, data);
    if (result != 0)
        return result;
    return memcmp(data, wanted, sizeof(wanted)) == 0 ? 0 : -EPERM;
}
