#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encode.h"
#include "secret_memory.h"

/* More than frame_encode_bound of any picture: LZ4 adds less than a 255th. */
#define RECORD_RESERVED (FRAME_PICTURE_MAX + FRAME_PICTURE_MAX / 128U)

/* Maps the memfd; locked as it is touched. */
static int map_shared(struct picture *picture)
{
    void *shared = mmap(NULL, FRAME_PICTURE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                        picture->shared_fd, 0);
    if (shared == MAP_FAILED)
        return -errno;
    picture->shared = shared;
    if (madvise(shared, FRAME_PICTURE_MAX, MADV_DONTDUMP) != 0 ||
        madvise(shared, FRAME_PICTURE_MAX, MADV_DONTFORK) != 0 ||
        mlock2(shared, FRAME_PICTURE_MAX, MLOCK_ONFAULT) != 0)
        return -errno;
    return 0;
}

static int make_shared(struct picture *picture)
{
    picture->shared_fd = memfd_create("cloister-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (picture->shared_fd < 0)
        return -errno;
    if (ftruncate(picture->shared_fd, FRAME_PICTURE_MAX) != 0 ||
        fcntl(picture->shared_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return -errno;
    picture->handed_fd = fcntl(picture->shared_fd, F_DUPFD_CLOEXEC, 0);
    return picture->handed_fd < 0 ? -errno : map_shared(picture);
}

int picture_new(struct picture **out)
{
    struct picture *picture = calloc(1, sizeof(*picture));
    if (picture == NULL)
        return -ENOMEM;
    picture->shared_fd = picture->handed_fd = -1;
    picture->record_capacity = RECORD_RESERVED;
    int error = make_shared(picture);
    if (error == 0 && ((picture->previous = locked_alloc(FRAME_PICTURE_MAX)) == NULL ||
                       (picture->record = locked_alloc(RECORD_RESERVED)) == NULL))
        error = -errno;
    if (error != 0) {
        picture_free(picture);
        return error;
    }
    *out = picture;
    return 0;
}

int picture_take_fd(struct picture *picture)
{
    int fd = picture->handed_fd;
    picture->handed_fd = -1;
    return fd;
}

/* The wipe is what counts; that the pages are given back only saves memory. */
void picture_forget(struct picture *picture)
{
    if (picture->bytes > 0) {
        explicit_bzero(picture->shared, picture->bytes);
        explicit_bzero(picture->previous, picture->bytes);
        (void)!fallocate(picture->shared_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                         (off_t)picture->bytes);
        (void)!madvise(picture->previous, picture->bytes, MADV_DONTNEED_LOCKED);
        (void)!madvise(picture->record, frame_encode_bound(picture->width, picture->height),
                       MADV_DONTNEED_LOCKED);
    }
    picture->width = 0;
    picture->height = 0;
    picture->bytes = 0;
}

struct picture *picture_free(struct picture *picture)
{
    if (picture == NULL)
        return NULL;
    picture_forget(picture);
    if (picture->shared != NULL)
        munmap(picture->shared, FRAME_PICTURE_MAX);
    locked_free(picture->previous, FRAME_PICTURE_MAX);
    locked_free(picture->record, RECORD_RESERVED);
    if (picture->shared_fd >= 0)
        close(picture->shared_fd);
    if (picture->handed_fd >= 0)
        close(picture->handed_fd);
    free(picture);
    return NULL;
}

int picture_resize(struct picture *picture, uint16_t width, uint16_t height)
{
    picture_forget(picture);
    if ((size_t)width * height > FRAME_PICTURE_MAX / FRAME_PIXEL_BYTES || width > FRAME_SIDE_MAX ||
        height > FRAME_SIDE_MAX || width == 0 || height == 0)
        return PICTURE_TOO_LARGE;
    picture->width = width;
    picture->height = height;
    picture->bytes = (size_t)width * height * FRAME_PIXEL_BYTES;
    /* Touched, and so locked, before the X server writes pixels into it. */
    memset(picture->shared, 0, picture->bytes);
    return PICTURE_OK;
}
