/*
 * A bundle: files as a tar archive (POSIX ustar), in an LZ4 frame, sealed as an age v1 file, cut
 * into chunks; made as a stream, in memory only. `age -d -i KEY bundle | lz4 -d | tar x` opens it.
 *
 * Nothing of the machine or its user gets in beside what is added: owner and group are 0 without
 * names, mode 0644, times as given. Not thread safe.
 */
#ifndef CLOISTER_BUNDLE_H
#define CLOISTER_BUNDLE_H

#include "age_format.h"
#include "chunk_list.h"

struct bundle;

/*
 * Begins a bundle of at most `max_bytes`, sealed to `count` recipients (see age_write_new).
 * Returns 0, -EINVAL, -EFBIG or -ENOMEM.
 */
int bundle_new(struct bundle **out, const struct age_recipient *recipients, size_t count,
               uint64_t max_bytes);

/*
 * Adds a file. `name` is relative, printable ASCII without "..". Time is unix time in ms, kept in
 * seconds. Returns 0, -EINVAL (the name), -EFBIG or -ENOMEM; after an error only bundle_free may
 * follow.
 */
int bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t length,
               uint64_t time_ms);

/*
 * Ends the bundle and hands its chunks over. Returns 0 or as bundle_add. The bundle is to be freed
 * in either case.
 */
int bundle_finish(struct bundle *bundle, struct chunk_list **out);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct bundle *bundle_free(struct bundle *bundle);

#endif
