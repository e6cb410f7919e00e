#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy.h"

/* include/uapi/linux/landlock.h of Linux 6.12; the file system's rights are in policy.h. */
enum {
    NET_BIND_TCP = 1 << 0, /* ABI 4 */
    NET_CONNECT_TCP = 1 << 1,

    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* ABI 6 */
    SCOPE_SIGNAL = 1 << 1,

    CREATE_RULESET_VERSION = 1 << 0,
    RULE_PATH_BENEATH = 1,
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

/* The file system's rights that an ABI knows: bits 0 to 12 came with ABI 1, 13 (refer) with 2, 14
 * (truncate) with 3, 15 (device ioctl) with 5, none after it. */
static uint64_t fs_known(int abi)
{
    static const uint64_t known[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
    return known[abi < 5 ? abi : 5];
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
    struct path_beneath rule = {.allowed_access = rights & fs_known(abi), .parent_fd = fd};
    /* A rule without rights is refused by the kernel, and is what the ruleset says anyway. */
    int result = 0;
    if (rule.allowed_access != 0 &&
        syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        result = -errno;
    close(fd);
    return result;
}

int landlock_enter(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) != 0 ? -errno : 0;
}
