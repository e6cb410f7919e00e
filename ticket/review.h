/*
 * What the user decides about a ticket: which frames go, what is blackened, what is said.
 *
 * The model alone: it shows nothing and talks to nobody. Frames are numbered from 0 in the order of
 * the listing (oldest first); faces add one. Every change of what would be sent raises the
 * revision, and a consent holds only for the revision that was sealed: whatever changes afterwards
 * voids it. Not thread safe.
 */
#ifndef CLOISTER_REVIEW_H
#define CLOISTER_REVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "locked_bytes.h"
#include "picture.h"
#include "record.h"

#define REVIEW_FRAMES_MAX      4096
#define REVIEW_REDACTIONS_MAX  64
#define REVIEW_DESCRIPTION_MAX 65536

enum review_outcome {
    REVIEW_NO_FRAME = 1, /* no such number */
    REVIEW_FULL,         /* more frames, redactions or text than the limits */
    REVIEW_OUTSIDE,      /* a rectangle without area inside the frame */
    REVIEW_LOST_FRAME,   /* its pixels were forgotten before they came */
    REVIEW_STALE,        /* an image of an older state of the redactions; dropped */
};

enum review_state {
    REVIEW_LISTED, /* known by its listing; no pixels encoded yet */
    REVIEW_READY,  /* encoded as it would be sent */
    REVIEW_REDO,   /* encoded, but redactions have changed since */
    REVIEW_LOST,   /* capture no longer has it, or it could not be read; will not be sent */
};

struct review_frame {
    struct frame_info info;
    uint32_t record_bytes; /* as capture keeps it */
    enum review_state state;
    bool dropped;
    bool title_withheld; /* by the user; capture's own withholding is in info.flags */
    size_t redaction_count;
    struct rectangle redactions[REVIEW_REDACTIONS_MAX];
    uint32_t generation;          /* raised when redactions change */
    struct locked_bytes original; /* the image without redactions */
    struct locked_bytes redacted; /* with them; empty without any */
};

/* Sums over the frames. */
struct review_totals {
    size_t frames, kept, dropped, lost, waiting; /* waiting: kept but not yet as it would be sent */
    uint64_t image_bytes;                        /* of the kept and encoded ones */
    uint32_t merged;                             /* triggers without a frame of their own */
};

struct review;

/* Returns 0 or -ENOMEM. */
int review_new(struct review **out);
/* Wipes and frees; NULL is allowed. Returns NULL. */
struct review *review_free(struct review *review);

/*
 * Adds the next frame of the listing. Returns 0; REVIEW_FULL; -EINVAL for an id that does not rise;
 * -ENOMEM.
 */
int review_add(struct review *review, const struct frame_info *info, uint32_t record_bytes);

size_t review_count(const struct review *review);
/* The frame, or NULL. Belongs to the review; stays in place while the review lives. */
const struct review_frame *review_frame(const struct review *review, size_t index);
struct review_totals review_totals(const struct review *review);

/* Drops a frame or takes it back. Returns 0, REVIEW_NO_FRAME or REVIEW_LOST_FRAME. */
int review_drop(struct review *review, size_t index, bool dropped);

/*
 * Adds a rectangle to blacken. Returns 0 and lets the frame be encoded anew (REVIEW_REDO);
 * REVIEW_NO_FRAME, REVIEW_OUTSIDE, REVIEW_FULL, REVIEW_LOST_FRAME.
 */
int review_redact(struct review *review, size_t index, const struct rectangle *area);

/* Takes the latest rectangle of a frame back. Returns 0; REVIEW_OUTSIDE if there is none; as above.
 */
int review_unredact(struct review *review, size_t index);

/* Withholds a frame's window title, or not. Returns 0 or REVIEW_NO_FRAME. */
int review_withhold_title(struct review *review, size_t index, bool withheld);

/* Whether the title may be sent, and shown as going to be sent. */
bool review_title_goes(const struct review_frame *frame);

/* Sets the description, a copy of `length` bytes. Returns 0, REVIEW_FULL or -ENOMEM. */
int review_describe(struct review *review, const char *text, size_t length);
/* The description (not terminated) and its length; belongs to the review. */
const char *review_description(const struct review *review, size_t *length);

/*
 * Takes the encoded image of a frame over: for generation 0 the original, else the redacted one of
 * that state. Returns 0, REVIEW_NO_FRAME or REVIEW_STALE (then it was cleared).
 */
int review_set_image(struct review *review, size_t index, uint32_t generation,
                     struct locked_bytes *image);

/* Its pixels will not come. A frame that is encoded already is left alone. */
void review_lose(struct review *review, size_t index);

/* The image that would be sent; NULL unless the frame is kept and ready. */
const struct locked_bytes *review_image(const struct review_frame *frame);

/* Whether nothing is being waited for. */
bool review_complete(const struct review *review);

/* Notes that the present revision was sealed for the user to consent to. */
void review_mark_sealed(struct review *review);

/* Whether what was sealed last is still what the user sees. False before anything was sealed. */
bool review_sealed_is_current(const struct review *review);

#endif
