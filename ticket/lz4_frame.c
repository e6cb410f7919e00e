#include "lz4_frame.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>

#include "secret_memory.h"

/* What is compressed at once; blocks of the same size. */
enum { PIECE = 65536 };

static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .contentChecksumFlag = LZ4F_contentChecksumEnabled},
};

struct lz4_frame {
    lz4_frame_sink *sink;
    void *context;
    LZ4F_cctx *lz4;
    size_t capacity;
    void *out;
};

static int emit(struct lz4_frame *frame, size_t produced)
{
    if (LZ4F_isError(produced))
        return -EIO;
    return produced ? frame->sink(frame->context, frame->out, produced) : 0;
}

static int begin(struct lz4_frame *frame)
{
    if (LZ4F_isError(LZ4F_createCompressionContext(&frame->lz4, LZ4F_VERSION)))
        return -ENOMEM;
    frame->capacity = LZ4F_compressBound(PIECE, &preferences);
    frame->out = locked_alloc(frame->capacity);
    if (!frame->out)
        return -ENOMEM;
    return emit(frame, LZ4F_compressBegin(frame->lz4, frame->out, frame->capacity, &preferences));
}

int lz4_frame_new(struct lz4_frame **out, lz4_frame_sink *sink, void *context)
{
    struct lz4_frame *frame = calloc(1, sizeof(*frame));
    if (!frame)
        return -ENOMEM;
    frame->sink = sink;
    frame->context = context;
    int result = begin(frame);
    if (result) {
        lz4_frame_free(frame);
        return result;
    }
    *out = frame;
    return 0;
}

int lz4_frame_data(struct lz4_frame *frame, const void *bytes, size_t length)
{
    const char *from = bytes;
    while (length > 0) {
        size_t part = length < PIECE ? length : PIECE;
        int result = emit(
            frame, LZ4F_compressUpdate(frame->lz4, frame->out, frame->capacity, from, part, NULL));
        if (result)
            return result;
        from += part;
        length -= part;
    }
    return 0;
}

int lz4_frame_finish(struct lz4_frame *frame)
{
    return emit(frame, LZ4F_compressEnd(frame->lz4, frame->out, frame->capacity, NULL));
}

struct lz4_frame *lz4_frame_free(struct lz4_frame *frame)
{
    if (!frame)
        return NULL;
    LZ4F_freeCompressionContext(frame->lz4);
    locked_free(frame->out, frame->capacity);
    free(frame);
    return NULL;
}
