#include "secret_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define SECRET_ALIGN 16U
/* Address space of the one secret file. It costs nothing until mapped, and RLIMIT_MEMLOCK bounds
 * what is mapped long before. */
#define SECRET_FILE_BYTES (1UL << 30)

/* One live allocation; the list is sorted by `offset`, so that a gap can be found in the file. */
struct secret {
    struct secret *next;
    unsigned char *base; /* the first guard page */
    unsigned char *user;
    size_t pages; /* bytes between the guards */
    size_t offset;
};

static pthread_mutex_t secret_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct secret *secret_list;
static enum secret_kind secret_form;
static int secret_decided;
static int secret_fd = -1;

static size_t page_size(void)
{
    static size_t size;
    if (size == 0)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

static size_t round_to_pages(size_t size)
{
    size_t page = page_size();
    if (size > SIZE_MAX / 2)
        return 0;
    return (size + page - 1) / page * page;
}

static int hide(void *memory, size_t size)
{
    if (madvise(memory, size, MADV_DONTDUMP) != 0)
        return -1;
    return madvise(memory, size, MADV_DONTFORK);
}

/* A page is mapped and touched: with secretmem disabled, or no memory to be locked, it fails. */
static int secret_file_open(void)
{
    long fd = syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (ftruncate((int)fd, SECRET_FILE_BYTES) == 0) {
        void *probe = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
        if (probe != MAP_FAILED) {
            munmap(probe, page_size());
            return (int)fd;
        }
    }
    close((int)fd);
    return -1;
}

static int locking_works(void)
{
    void *probe = locked_alloc(page_size());
    if (probe == NULL)
        return 0;
    locked_free(probe, page_size());
    return 1;
}

static void decide(void)
{
    if (secret_decided)
        return;
    secret_decided = 1;
    secret_fd = secret_file_open();
    if (secret_fd >= 0)
        secret_form = SECRET_MEMFD;
    else
        secret_form = locking_works() ? SECRET_LOCKED : SECRET_NONE;
}

enum secret_kind secret_kind(void)
{
    pthread_mutex_lock(&secret_mutex);
    decide();
    enum secret_kind kind = secret_form;
    pthread_mutex_unlock(&secret_mutex);
    return kind;
}

const char *secret_kind_name(enum secret_kind kind)
{
    switch (kind) {
    case SECRET_MEMFD:
        return "memfd_secret";
    case SECRET_LOCKED:
        return "locked";
    case SECRET_NONE:
        break;
    }
    return "none";
}

int secret_descriptor(void)
{
    pthread_mutex_lock(&secret_mutex);
    int fd = secret_fd;
    pthread_mutex_unlock(&secret_mutex);
    return fd;
}

/* Finds room for `pages` bytes in the file: the place in the list after which it belongs. */
static struct secret **find_gap(size_t pages, size_t *offset)
{
    struct secret **link = &secret_list;
    size_t at = 0;
    while (*link != NULL && (*link)->offset - at < pages) {
        at = (*link)->offset + (*link)->pages;
        link = &(*link)->next;
    }
    if (*link == NULL && pages > SECRET_FILE_BYTES - at)
        return NULL;
    *offset = at;
    return link;
}

/* Lays locked pages into the middle of an inaccessible reservation. mlock2, since AddressSanitizer
 * turns mlock into nothing. */
static int map_between_guards(struct secret *secret)
{
    size_t page = page_size();
    unsigned char *base = mmap(NULL, secret->pages + 2 * page, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -1;
    int flags = secret_form == SECRET_MEMFD ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *middle = mmap(base + page, secret->pages, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
                        secret_fd, secret_form == SECRET_MEMFD ? (off_t)secret->offset : 0);
    if (middle == MAP_FAILED || hide(middle, secret->pages) != 0 ||
        (secret_form == SECRET_LOCKED && mlock2(middle, secret->pages, 0) != 0)) {
        int saved = errno;
        munmap(base, secret->pages + 2 * page);
        errno = saved;
        return -1;
    }
    secret->base = base;
    return 0;
}

static void *secret_insert(struct secret *secret, size_t size)
{
    if (secret_form == SECRET_NONE) {
        errno = EPERM;
        return NULL;
    }
    struct secret **link = find_gap(secret->pages, &secret->offset);
    if (link == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (map_between_guards(secret) != 0)
        return NULL;
    size_t used = (size + SECRET_ALIGN - 1) / SECRET_ALIGN * SECRET_ALIGN;
    secret->user = secret->base + page_size() + secret->pages - used;
    memset(secret->base + page_size(), 0, secret->pages);
    secret->next = *link;
    *link = secret;
    return secret->user;
}

void *secret_alloc(size_t size)
{
    size_t pages = round_to_pages(size);
    if (pages == 0) {
        errno = size == 0 ? EINVAL : ENOMEM;
        return NULL;
    }
    struct secret *secret = calloc(1, sizeof(*secret));
    if (secret == NULL)
        return NULL;
    secret->pages = pages;
    pthread_mutex_lock(&secret_mutex);
    decide();
    void *user = secret_insert(secret, size);
    pthread_mutex_unlock(&secret_mutex);
    if (user == NULL) {
        int saved = errno;
        free(secret);
        errno = saved;
    }
    return user;
}

void *secret_free(void *memory)
{
    if (memory == NULL)
        return NULL;
    pthread_mutex_lock(&secret_mutex);
    struct secret **link = &secret_list;
    while (*link != NULL && (*link)->user != memory)
        link = &(*link)->next;
    struct secret *secret = *link;
    if (secret == NULL)
        abort();
    *link = secret->next;
    /* The file keeps the pages of SECRET_MEMFD: they are wiped before they can be found again. */
    explicit_bzero(secret->base + page_size(), secret->pages);
    munmap(secret->base, secret->pages + 2 * page_size());
    pthread_mutex_unlock(&secret_mutex);
    free(secret);
    return NULL;
}

void *locked_alloc(size_t size)
{
    size_t pages = round_to_pages(size);
    if (pages == 0) {
        errno = size == 0 ? EINVAL : ENOMEM;
        return NULL;
    }
    void *memory = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (hide(memory, pages) != 0 || mlock2(memory, pages, MLOCK_ONFAULT) != 0) {
        int saved = errno;
        munmap(memory, pages);
        errno = saved;
        return NULL;
    }
    return memory;
}

/* Untouched pages of a sparse buffer are not brought in only to be wiped. */
void locked_free(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    size_t page = page_size();
    size_t pages = round_to_pages(size);
    unsigned char present[256];
    for (size_t at = 0; at < pages; at += sizeof(present) * page) {
        size_t span = pages - at < sizeof(present) * page ? pages - at : sizeof(present) * page;
        unsigned char *start = (unsigned char *)memory + at;
        if (mincore(start, span, present) != 0)
            memset(present, 1, sizeof(present));
        for (size_t i = 0; i < span / page; i++)
            if (present[i] & 1)
                explicit_bzero(start + i * page, page);
    }
    munmap(memory, pages);
}
