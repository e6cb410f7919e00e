#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy.h"

/* include/uapi/linux/landlock.h of Linux 6.12. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_ALL_ABI_1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,     /* ABI 2 */
    FS_TRUNCATE = 1 << 14,  /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */

    NET_BIND_TCP = 1 << 0, /* ABI 4 */
    NET_CONNECT_TCP = 1 << 1,

    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* ABI 6 */
    SCOPE_SIGNAL = 1 << 1,

    CREATE_RULESET_VERSION = 1 << 0,
    RULE_PATH_BENEATH = 1,

    FS_OF_A_FILE = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
};

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

static uint64_t fs_known(int abi)
{
    uint64_t known = FS_ALL_ABI_1;
    if (abi >= 2)
        known |= FS_REFER;
    if (abi >= 3)
        known |= FS_TRUNCATE;
    if (abi >= 5)
        known |= FS_IOCTL_DEV;
    return known;
}

static uint64_t fs_rights(uint32_t rights)
{
    uint64_t out = 0;
    if (rights & POLICY_READ)
        out |= FS_READ_FILE | FS_READ_DIR;
    if (rights & POLICY_WRITE)
        out |= FS_WRITE_FILE | FS_TRUNCATE;
    if (rights & POLICY_CREATE)
        out |= FS_MAKE_REG;
    if (rights & POLICY_REMOVE)
        out |= FS_REMOVE_FILE;
    if (rights & POLICY_SOCKETS)
        out |= FS_MAKE_SOCK;
    if (rights & POLICY_DIRECTORIES)
        out |= FS_MAKE_DIR | FS_REMOVE_DIR;
    if (rights & POLICY_EXECUTE)
        out |= FS_EXECUTE;
    return out;
}

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return abi < 0 ? -errno : (int)abi;
}

int landlock_deny_all(int abi, bool tcp)
{
    struct ruleset_attr attr = {.handled_access_fs = fs_known(abi)};
    size_t size = sizeof(attr.handled_access_fs);
    if (abi >= 4) {
        attr.handled_access_net = NET_BIND_TCP | (tcp ? 0 : NET_CONNECT_TCP);
        size += sizeof(attr.handled_access_net);
    }
    if (abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size += sizeof(attr.scoped);
    }
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    return fd < 0 ? -errno : (int)fd;
}

int landlock_leave(int ruleset, int abi, const char *path, uint32_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    struct stat status;
    int result = 0;
    struct path_beneath rule = {
        .allowed_access = fs_rights(rights) & fs_known(abi),
        .parent_fd = fd,
    };
    if (fstat(fd, &status) != 0)
        result = -errno;
    else if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= FS_OF_A_FILE;
    /* A rule without rights is refused by the kernel, and is what the ruleset says anyway. */
    if (result == 0 && rule.allowed_access != 0 &&
        syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        result = -errno;
    close(fd);
    return result;
}

int landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) != 0 ? -errno : 0;
}
