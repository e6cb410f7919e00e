/*
 * The three buffers that hold pixels: what the X server writes the screen into, the picture before,
 * and the record that is being made. All are locked against swap, not dumped, not inherited.
 *
 * The X server's one is a sealed memfd that it maps too (MIT-SHM 1.2, AttachFd): its size is fixed
 * once, sparse, for the largest desktop, so nobody can shrink it under the other; only as much as
 * the present desktop takes is locked and populated, and given back to the kernel when that
 * changes.
 *
 * Belongs to one thread at a time.
 */
#ifndef CLOISTER_CAPTURE_PICTURE_H
#define CLOISTER_CAPTURE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

struct picture {
    uint16_t width, height; /* 0 before the first picture_resize */
    size_t bytes;           /* of one picture: rows of width * 4 bytes without gaps */
    uint8_t *shared;        /* written by the X server */
    uint8_t *previous;
    uint8_t *record;
    size_t record_capacity;
    int shared_fd; /* for picture_take_fd; -1 after that */
};

enum picture_outcome {
    PICTURE_OK = 0,
    PICTURE_TOO_LARGE = 1, /* a desktop beyond FRAME_PICTURE_MAX */
};

/* Makes the memfd and maps it: before the worker's lock. Returns 0 or -errno. */
int picture_new(struct picture **out);

/* Wipes and frees everything; accepts NULL, returns NULL. */
struct picture *picture_free(struct picture *picture);

/* Hands over the memfd, once; the caller closes it. -1 if it has been taken. */
int picture_take_fd(struct picture *picture);

/*
 * Makes room for a desktop of this size; whatever the buffers held is gone. Returns PICTURE_OK,
 * PICTURE_TOO_LARGE or -errno; in the latter cases the size is 0.
 */
int picture_resize(struct picture *picture, uint16_t width, uint16_t height);

/* Wipes all pixels, and gives the pages back to the kernel. The size is 0 after that. */
void picture_forget(struct picture *picture);

#endif
