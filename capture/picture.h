/*
 * The three buffers that hold pixels: what the X server writes the screen into, the picture before,
 * and the record that is being made. All are locked against swap, not dumped, not inherited.
 *
 * They are reserved once, sparse, for the largest desktop, and locked as they are touched: locking
 * needs a limit or a capability that a locked worker may not have any more, touching needs neither.
 * Pages that are not needed any more are wiped and given back to the kernel.
 *
 * The X server's one is a sealed memfd that it maps too (MIT-SHM 1.2, AttachFd): nobody can shrink
 * it under the other.
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
    size_t record_capacity; /* enough for the record of any picture */
    int shared_fd;          /* to punch holes into */
    int handed_fd;          /* for picture_take_fd; -1 after that */
};

enum picture_outcome {
    PICTURE_OK = 0,
    PICTURE_TOO_LARGE = 1, /* a desktop beyond FRAME_PICTURE_MAX */
};

/* Reserves the buffers: before the worker's lock. Returns 0 or -errno (-ENOMEM, -EPERM: so much
 * memory may not be locked). */
int picture_new(struct picture **out);

/* Wipes and frees everything; accepts NULL, returns NULL. */
struct picture *picture_free(struct picture *picture);

/* Hands over a descriptor of the memfd, once; the caller closes it. -1 if it has been taken. */
int picture_take_fd(struct picture *picture);

/*
 * Makes room for a desktop of this size; whatever the buffers held is gone. Returns PICTURE_OK or
 * PICTURE_TOO_LARGE; then the size is 0.
 */
int picture_resize(struct picture *picture, uint16_t width, uint16_t height);

/* Wipes all pixels, and gives the pages back to the kernel. The size is 0 after that. */
void picture_forget(struct picture *picture);

#endif
