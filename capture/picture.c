#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encode.h"
#include "secret_memory.h"

static int make_shared(struct picture *picture)
{
    int fd = memfd_create("cloister-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    void *shared = MAP_FAILED;
    if (ftruncate(fd, FRAME_PICTURE_MAX) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        shared = mmap(NULL, FRAME_PICTURE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      fd, 0);
    if (shared == MAP_FAILED || madvise(shared, FRAME_PICTURE_MAX, MADV_DONTDUMP) != 0 ||
        madvise(shared, FRAME_PICTURE_MAX, MADV_DONTFORK) != 0) {
        int error = -errno;
        if (shared != MAP_FAILED)
            munmap(shared, FRAME_PICTURE_MAX);
        close(fd);
        return error;
    }
    picture->shared = shared;
    picture->shared_fd = fd;
    return 0;
}

int picture_new(struct picture **out)
{
    struct picture *picture = calloc(1, sizeof(*picture));
    if (picture == NULL)
        return -ENOMEM;
    int error = make_shared(picture);
    if (error != 0) {
        free(picture);
        return error;
    }
    *out = picture;
    return 0;
}

int picture_take_fd(struct picture *picture)
{
    int fd = picture->shared_fd;
    picture->shared_fd = -1;
    return fd;
}

void picture_forget(struct picture *picture)
{
    if (picture->bytes > 0) {
        /* The pages leave the file, for the X server's mapping too. Locked pages must be unlocked
         * first. */
        munlock(picture->shared, picture->bytes);
        if (madvise(picture->shared, picture->bytes, MADV_REMOVE) != 0)
            explicit_bzero(picture->shared, picture->bytes);
    }
    locked_free(picture->previous, picture->bytes);
    locked_free(picture->record, picture->record_capacity);
    picture->previous = NULL;
    picture->record = NULL;
    picture->record_capacity = 0;
    picture->width = 0;
    picture->height = 0;
    picture->bytes = 0;
}

struct picture *picture_free(struct picture *picture)
{
    if (picture == NULL)
        return NULL;
    picture_forget(picture);
    munmap(picture->shared, FRAME_PICTURE_MAX);
    if (picture->shared_fd >= 0)
        close(picture->shared_fd);
    free(picture);
    return NULL;
}

int picture_resize(struct picture *picture, uint16_t width, uint16_t height)
{
    picture_forget(picture);
    if ((size_t)width * height > FRAME_PICTURE_MAX / FRAME_PIXEL_BYTES || width > FRAME_SIDE_MAX ||
        height > FRAME_SIDE_MAX || width == 0 || height == 0)
        return PICTURE_TOO_LARGE;
    picture->bytes = (size_t)width * height * FRAME_PIXEL_BYTES;
    picture->record_capacity = frame_encode_bound(width, height);
    picture->previous = locked_alloc(picture->bytes);
    picture->record = picture->previous == NULL ? NULL : locked_alloc(picture->record_capacity);
    /* Populated at once, not when it is first read: the X server writes before that. mlock2, since
     * AddressSanitizer turns mlock into nothing. */
    if (picture->record == NULL || mlock2(picture->shared, picture->bytes, 0) != 0) {
        int error = -errno;
        picture_forget(picture);
        return error;
    }
    picture->width = width;
    picture->height = height;
    return PICTURE_OK;
}
