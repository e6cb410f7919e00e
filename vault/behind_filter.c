#include "behind_filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vault_filter.h"

void behind_filter_enter(void)
{
    struct sock_fprog program = {
        .len = vault_filter.instructions,
        .filter = (struct sock_filter *)(uintptr_t)vault_filter.program,
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        _exit(99);
}
