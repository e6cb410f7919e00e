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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

#define CAPABILITY_BIT(c) (1U << ((c)&31))
#define CAPABILITIES_MAX  64

/* /etc/passwd alone: a name service would load code and open sockets as root. */
static int passwd_find(struct account *account, const char *name)
{
    FILE *file = fopen("/etc/passwd", "re");
    if (file == NULL)
        return -errno;
    int result = -ENOENT;
    const struct passwd *entry;
    while (result != 0 && (entry = fgetpwent(file)) != NULL) {
        if (strcmp(entry->pw_name, name) != 0)
            continue;
        *account = (struct account){entry->pw_uid, entry->pw_gid};
        result = 0;
    }
    fclose(file);
    return result;
}

int account_find(struct account *account, const char *user, unsigned instance)
{
    char name[64];
    int n = instance == 0 ? snprintf(name, sizeof(name), "%s", user)
                          : snprintf(name, sizeof(name), "%s-%u", user, instance);
    if (n < 0 || (size_t)n >= sizeof(name))
        return -EINVAL;
    int result = passwd_find(account, name);
    if (result == 0 && (account->uid == 0 || account->gid == 0))
        result = -EPERM;
    return result;
}

/* "1000.1000", for accounts that are not in /etc/passwd. */
static int parse_ids(struct account *account, const char *text)
{
    char *end;
    unsigned long uid = strtoul(text, &end, 10);
    if (end == text || *end != '.')
        return -EINVAL;
    const char *second = end + 1;
    unsigned long gid = strtoul(second, &end, 10);
    if (end == second || *end != '\0' || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return -EINVAL;
    *account = (struct account){(uid_t)uid, (gid_t)gid};
    return 0;
}

/* setfsuid tells no errors: a second call returns what stands. */
static int take_files_identity(uid_t uid, gid_t gid)
{
    setfsgid(gid);
    setfsuid(uid);
    return (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid ? 0 : -EPERM;
}

/* Opens `path` as `owner` would. Not blocking, since it may be a FIFO. */
static int open_as(const struct account *owner, const char *path)
{
    if (setgroups(0, NULL) != 0)
        return -errno;
    int result = take_files_identity(owner->uid, owner->gid);
    if (result == 0) {
        result = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (result < 0)
            result = -errno;
    }
    int back = take_files_identity(0, 0);
    if (back != 0 && result >= 0)
        close(result);
    return back != 0 ? back : result;
}

static int copy_cookie(int from, int to)
{
    struct stat status;
    if (fstat(from, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    char buffer[4096];
    size_t total = 0;
    ssize_t n;
    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        total += (size_t)n;
        if (total > LAUNCH_XAUTHORITY_MAX)
            return -EFBIG;
        if (write(to, buffer, (size_t)n) != n)
            return -EIO;
    }
    explicit_bzero(buffer, sizeof(buffer));
    return n < 0 ? -errno : 0;
}

static int copy_as(char *argument, int to)
{
    char *colon = strchr(argument, ':');
    if (colon == NULL || colon[1] != '/')
        return -EINVAL;
    *colon = '\0';
    struct account owner;
    if (parse_ids(&owner, argument) != 0) {
        int found = passwd_find(&owner, argument);
        if (found != 0)
            return found;
    }
    int from = open_as(&owner, colon + 1);
    if (from < 0)
        return from;
    int result = copy_cookie(from, to);
    close(from);
    return result;
}

int xauthority_open(struct launch *launch)
{
    int fd = memfd_create("xauthority", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (launch->xauthority != NULL) {
        char argument[PATH_MAX];
        int n = snprintf(argument, sizeof(argument), "%s", launch->xauthority);
        result = n < 0 || (size_t)n >= sizeof(argument) ? -ENAMETOOLONG : copy_as(argument, fd);
    }
    if (result == 0 &&
        (lseek(fd, 0, SEEK_SET) != 0 ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0))
        result = -errno;
    /* Out of the way of the numbers that the worker's descriptors get. */
    if (result == 0 && (launch->xauthority_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100)) < 0)
        result = -errno;
    close(fd);
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

/* mlock needs the limit or the capability. The limit can be raised only with CAP_SYS_RESOURCE. */
static int memlock_apply(struct launch *launch)
{
    rlim_t value = launch->policy->memlock;
    struct rlimit limit = {value, value};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    launch->keeps_memlock = true;
    return limit_apply(RLIMIT_MEMLOCK, value);
}

int limits_apply(struct launch *launch)
{
    const struct policy *policy = launch->policy;
    int result = memlock_apply(launch);
    for (size_t i = 0; result == 0 && i < policy->limit_count; i++)
        result = limit_apply(policy->limits[i].resource, policy->limits[i].value);
    return result;
}

int identity_apply(const struct launch *launch)
{
    const struct account *a = &launch->account;
    if (setgroups(0, NULL) != 0 || setresgid(a->gid, a->gid, a->gid) != 0 ||
        setresuid(a->uid, a->uid, a->uid) != 0)
        return -errno;
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) != 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        if (uids[i] != a->uid || gids[i] != a->gid)
            return -EPERM;
    return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

static int capabilities_set(uint32_t permitted, uint32_t permitted_high, uint32_t inheritable)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {permitted, permitted, inheritable},
        {permitted_high, permitted_high, 0},
    };
    return syscall(SYS_capset, &head, data) != 0 ? -errno : 0;
}

static int bounding_drop(void)
{
    for (unsigned long c = 0; c < CAPABILITIES_MAX; c++) {
        int held = prctl(PR_CAPBSET_READ, c);
        if (held < 0)
            return errno == EINVAL && c > CAP_AUDIT_READ ? 0 : -errno;
        if (held == 1 && prctl(PR_CAPBSET_DROP, c) != 0)
            return -errno;
        if (prctl(PR_CAPBSET_READ, c) != 0)
            return -EPERM;
    }
    return 0;
}

static int ambient_prepare(bool keeps_memlock)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    if (!keeps_memlock)
        return 0;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return -errno;
    int result =
        capabilities_set(data[0].permitted, data[1].permitted, CAPABILITY_BIT(CAP_IPC_LOCK));
    if (result != 0)
        return result;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0) != 0 ? -errno : 0;
}

/* With NO_SETUID_FIXUP the uid change itself clears nothing; capabilities_drop does. */
int capabilities_prepare(const struct launch *launch)
{
    int result = ambient_prepare(launch->keeps_memlock);
    if (result == 0)
        result = bounding_drop();
    if (result != 0)
        return result;
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    return prctl(PR_SET_SECUREBITS, bits) != 0 ? -errno : 0;
}

int capabilities_drop(const struct launch *launch)
{
    uint32_t left = launch->keeps_memlock ? CAPABILITY_BIT(CAP_IPC_LOCK) : 0;
    int result = capabilities_set(left, 0, left);
    if (result != 0)
        return result;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return -errno;
    if (data[0].permitted != left || data[0].effective != left || data[0].inheritable != left ||
        data[1].permitted != 0 || data[1].effective != 0 || data[1].inheritable != 0)
        return -EPERM;
    return 0;
}
