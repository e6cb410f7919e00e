/*
 * Memory for secrets (keys, seeds, frames): locked, never in a core dump, never seen by a child.
 *
 * secret_alloc is for keys. It uses memfd_secret(2), whose pages leave the kernel's own map and are
 * unreachable by ptrace, /proc/PID/mem and process_vm_readv(2); where the kernel has none (before
 * 6.5 it is off by default) it uses locked anonymous memory. Both stand between guard pages.
 * locked_alloc is for large buffers of ciphertext or of short-lived plain text.
 *
 * Both count against RLIMIT_MEMLOCK unless the process holds CAP_IPC_LOCK; pages that were locked
 * under the capability stay locked when it is dropped. Neither ever returns memory that is not
 * locked. After the worker's lock both still work: they need mmap, mlock2, mincore, madvise and
 * munmap as `sandbox/worker.policy` grants them, but the first secret_alloc (or secret_kind) must
 * come before the lock, since it creates the descriptor.
 *
 * An open memfd_secret blocks hibernation (PM refuses with EBUSY), which is wanted while keys live.
 *
 * All functions may be called from any thread.
 */
#ifndef CLOISTER_SECRET_MEMORY_H
#define CLOISTER_SECRET_MEMORY_H

#include <stddef.h>

enum secret_kind {
    SECRET_NONE,   /* no memory can be locked: secret_alloc fails */
    SECRET_LOCKED, /* locked anonymous memory, not dumped, not inherited */
    SECRET_MEMFD,  /* memfd_secret(2) */
};

/*
 * Returns `size` zeroed bytes (at least 1), aligned to 16, that end at most 15 bytes before an
 * unmapped page, so that an overrun faults. Each call takes whole pages: gather small keys into one
 * structure. Returns NULL with errno (ENOMEM or EAGAIN: over RLIMIT_MEMLOCK; EINVAL: size 0). The
 * caller owns the memory and gives it back with secret_free.
 */
void *secret_alloc(size_t size) __attribute__((malloc));

/*
 * Overwrites and unmaps what secret_alloc returned. Accepts NULL. Returns NULL always, so that one
 * writes `key = secret_free(key)`. Any other pointer aborts the process.
 */
void *secret_free(void *memory);

/*
 * Tells which form secret_alloc uses in this process; decided once, at the first call of this
 * function or of secret_alloc.
 */
enum secret_kind secret_kind(void);

/* The kind as a word for reports: "none", "locked" or "memfd_secret". */
const char *secret_kind_name(enum secret_kind kind);

/*
 * The descriptor behind SECRET_MEMFD, or -1. For sandbox_lock, which accounts for every open
 * descriptor; it stays owned by this module.
 */
int secret_descriptor(void);

/*
 * Maps `size` zeroed bytes (rounded up to pages), locked against swap as they are touched
 * (MLOCK_ONFAULT: a sparse buffer stays sparse), not dumped and not inherited by a fork. Returns
 * NULL with errno (ENOMEM, EAGAIN or EPERM: over RLIMIT_MEMLOCK; EINVAL: size 0). The caller gives
 * it back with locked_free and the same size.
 */
void *locked_alloc(size_t size) __attribute__((malloc));

/* Overwrites and unmaps what locked_alloc returned; accepts NULL. */
void locked_free(void *memory, size_t size);

#endif
