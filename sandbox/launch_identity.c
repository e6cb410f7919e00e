#include "launch_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COOKIE_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* setfsuid tells no errors: a second call returns what stands. */
static int take_files_identity(uid_t uid, gid_t gid)
{
    setfsgid(gid);
    setfsuid(uid);
    return (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid ? 0 : -EPERM;
}

/* Opens the first that exists, as its user would; not blocking, since it may be a FIFO. */
static int open_cookie(const struct launch_order *order)
{
    int result = setgroups(0, NULL) != 0
                     ? -errno
                     : take_files_identity(order->cookie_uid, order->cookie_gid);
    if (result != 0)
        return result;
    result = -ENOENT;
    for (int i = 0; i < 2 && order->cookies[i][0] != 0; i++) {
        result = open(order->cookies[i], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (result < 0)
            result = -errno;
        if (result != -ENOENT && result != -ENOTDIR)
            break;
    }
    return take_files_identity(0, 0) == 0 ? result : -EPERM;
}

/* Nothing is copied if there is no cookie: the X server may want none. */
static int copy_cookie(const struct launch_order *order, int to)
{
    struct stat status;
    int from = open_cookie(order);
    if (from < 0)
        return from == -ENOENT || from == -ENOTDIR ? 0 : from;
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

/* Makes the policy's descriptor `place` in its place. */
static int make_xauthority(const struct launch_order *order, int place)
{
    int fd = memfd_create("xauthority", MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = copy_cookie(order, fd);
    if (result != 0)
        return result;
    if (fcntl(fd, F_ADD_SEALS, COOKIE_SEALS) != 0 ||
        (fd != place && (dup2(fd, place) < 0 || close(fd) != 0)))
        return -errno;
    return 0;
}

int xauthority_open(struct launch *launch)
{
    int result = 0;
    for (int i = 0; result == 0 && i < (int)launch->policy->descriptor_count; i++)
        if (strcmp(launch->policy->descriptors[i].name, "xauthority") == 0)
            result = make_xauthority(&launch->order, LAUNCH_FD_FIRST + i);
    return result;
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
    launch->keeps_memlock = !policy->host_root && setrlimit(RLIMIT_MEMLOCK, &memlock) != 0;
    int result = launch->keeps_memlock ? limit_apply(RLIMIT_MEMLOCK, policy->memlock) : 0;
    for (size_t i = 0; result == 0 && i < policy->limit_count; i++)
        result = limit_apply(policy->limits[i].resource, policy->limits[i].value);
    return result;
}

/*
 * Ids, groups, the bounding set, securebits and no_new_privs are not read back here: the worker
 * itself reads them from the kernel before its lock, for every thread, and exits if one is not what
 * it should be (lock_check.h).
 */
int identity_apply(struct launch *launch)
{
    uid_t uid = launch->order.uid;
    gid_t gid = launch->order.gid;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return -errno;
    return 0;
}

static int capabilities_call(long number, struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(number, &head, data) != 0 ? -errno : 0;
}

static int bounding_drop(void)
{
    unsigned long c = 0;
    while (prctl(PR_CAPBSET_READ, c) >= 0)
        if (prctl(PR_CAPBSET_DROP, c++) != 0)
            return -errno;
    return errno == EINVAL && c > CAP_AUDIT_READ ? 0 : -errno;
}

static int ambient_prepare(bool keeps_memlock)
{
    struct __user_cap_data_struct data[2];
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    if (!keeps_memlock)
        return 0;
    int result = capabilities_call(SYS_capget, data);
    data[0].inheritable = 1U << CAP_IPC_LOCK;
    data[1].inheritable = 0;
    if (result == 0)
        result = capabilities_call(SYS_capset, data);
    if (result == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0) != 0)
        result = -errno;
    return result;
}

/* With NO_SETUID_FIXUP the uid change itself clears nothing; capabilities_drop does. */
int capabilities_prepare(struct launch *launch)
{
    if (launch->policy->identity == POLICY_ROOT)
        return 0;
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

/* Read back here: the exec will clear what is left of a non-root user's sets, so that the worker
 * could not tell whether this has failed. */
int capabilities_drop(struct launch *launch)
{
    if (launch->policy->identity == POLICY_ROOT)
        return 0;
    uint32_t left = launch->keeps_memlock ? 1U << CAP_IPC_LOCK : 0;
    const struct __user_cap_data_struct wanted[2] = {{left, left, left}, {0, 0, 0}};
    struct __user_cap_data_struct data[2] = {wanted[0], wanted[1]};
    int result = capabilities_call(SYS_capset, data);
    if (result == 0)
        result = capabilities_call(SYS_capget, data);
    if (result == 0 && memcmp(data, wanted, sizeof(wanted)) != 0)
        result = -EPERM;
    return result;
}
