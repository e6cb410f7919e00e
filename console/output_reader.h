/*
 * Reads the stored output of one command, while it arrives or after: in the order of arrival,
 * counting and hashing, so that it can be compared with the receipt. For the administrator's
 * commands; one thread.
 */
#ifndef CONSOLE_OUTPUT_READER_H
#define CONSOLE_OUTPUT_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "output_file.h"
#include "receipt.h"

struct output_reader;

/*
 * Where output goes: `chunk` bytes of a stream (0 standard output, 1 standard error), and before
 * them, if chunks are missing, `gap` (their number). Non-zero stops reading.
 */
struct output_sink {
    int (*chunk)(void *context, unsigned stream, const uint8_t *data, size_t length);
    void (*gap)(void *context, unsigned stream, uint32_t missing);
    void *context;
};

/* Begins at the start of row's file in `folder` (a descriptor that outlives the reader). 0 or
 * -errno; a file that is not there yet is no error. */
int output_reader_new(struct output_reader **out, int folder, int64_t row);
struct output_reader *output_reader_free(struct output_reader *r);

/*
 * Reads on to the end of what is stored now. 0; OUTPUT_DAMAGED, when a record is not whole (while
 * the command goes on: it is being written, call again); -errno, or what the sink returned.
 */
int output_reader_go_on(struct output_reader *r, const struct output_sink *sink);

/* Whether what was read is all that the receipt of a command that ran says, to the byte. */
bool output_reader_matches(struct output_reader *r, const struct receipt *receipt);

#endif
