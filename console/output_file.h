/*
 * What commands wrote: one file for each, `commands/<row>.out` below the state folder, mode 0600,
 * of records in the order of their arrival:
 *
 *   offset  bytes
 *        0      4  magic "OUT1"
 *        4      4  stream   0 standard output, 1 standard error
 *        8      4  index    of the chunk
 *       12      4  length   1 to OUTPUT_CHUNK_MAX
 *       16      8  checksum SipHash-2-4 of the content, keyed with the 16 bytes before it
 *       24         content
 *
 * Integers are little-endian. The indices of a stream ascend; where one is left out, chunks are
 * missing. The checksum tells a torn write from a whole one; it authenticates nothing.
 *
 * A file has one writer, the server; other processes may read it meanwhile.
 */
#ifndef CONSOLE_OUTPUT_FILE_H
#define CONSOLE_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_CHUNK_MAX   262144
#define OUTPUT_RECORD_HEAD 24

enum output_file_outcome {
    OUTPUT_END = 1, /* of the file */
    OUTPUT_DAMAGED, /* a record that is not whole: being written, or torn */
};

/* A place between two records. */
struct output_place {
    uint64_t size;      /* bytes of the file before it */
    uint32_t chunks[2]; /* of each stream: the last index before it, plus 1 */
};

struct output_file {
    int fd;
    struct output_place written; /* the end of what was appended */
    struct output_place durable; /* the end of what would survive a loss of power */
};

struct output_record {
    unsigned stream;
    uint32_t index;
    size_t length;
};

/* Opens, and with `create` makes, the folder below `state` (a directory descriptor that stays the
 * caller's). A descriptor, the caller's, or -errno. */
int output_folder_open(int state, bool create);

/*
 * Tells those who watch the folder with inotify (IN_ATTRIB) that a command's state has changed in
 * the database. They could watch the database's file, but it is written before a commit can be
 * seen.
 */
void output_folder_announce(int folder);

/*
 * Opens row's file for appending, made when it is missing and `create` is set. `noted` is a place
 * that was durable once: what lies beyond it is looked through, and cut after the last whole
 * record. If the file is shorter than that, all of it is. 0 with both places of `f` there, -ENOENT,
 * or -errno. To be ended by output_file_close, which is safe after a failure.
 */
int output_file_open(struct output_file *f, int folder, int64_t row, bool create,
                     const struct output_place *noted);
void output_file_close(struct output_file *f);

/*
 * Appends one chunk of 1 to OUTPUT_CHUNK_MAX bytes, whose index is at least chunks[stream]. It is
 * durable after the next output_file_sync. 0 or -errno; then nothing was appended.
 */
int output_file_append(struct output_file *f, unsigned stream, uint32_t index, const uint8_t *data,
                       size_t length);

/* Makes what was appended durable (fdatasync). 0 or -errno. */
int output_file_sync(struct output_file *f);

/* Opens row's file for reading: a descriptor, the caller's, -ENOENT, or -errno. */
int output_file_read(int folder, int64_t row);

/*
 * Reads the record at `*offset` and moves that past it. `content` holds OUTPUT_CHUNK_MAX bytes.
 * 0, OUTPUT_END, OUTPUT_DAMAGED, or -errno.
 */
int output_file_next(int fd, uint64_t *offset, struct output_record *record, uint8_t *content);

/* Removes row's file, if there is one. 0 or -errno. */
int output_file_remove(int folder, int64_t row);

#endif
