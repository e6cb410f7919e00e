#include "bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "age_write.h"
#include "lz4_frame.h"

/* Each stage is the next one's sink: archive -> lz4 -> age -> chunks. */
struct bundle {
    struct archive *archive;
    struct lz4_frame *lz4;
    struct age_write *age;
    struct chunk_list *chunks;
    int error; /* of a stage behind libarchive, which can only say that it failed */
};

static int into_age(void *context, const void *bytes, size_t length)
{
    return age_write_data(context, bytes, length);
}

static la_ssize_t into_lz4(struct archive *archive, void *context, const void *bytes, size_t length)
{
    struct bundle *bundle = context;
    if (!bundle->error)
        bundle->error = lz4_frame_data(bundle->lz4, bytes, length);
    if (bundle->error) {
        archive_set_error(archive, -bundle->error, "cannot be written");
        return -1;
    }
    return (la_ssize_t)length;
}

/* libarchive's own failures are of memory, once the names have been checked. */
static int failure(const struct bundle *bundle)
{
    return bundle->error ? bundle->error : -ENOMEM;
}

static int begin_archive(struct bundle *bundle)
{
    bundle->archive = archive_write_new();
    if (!bundle->archive)
        return -ENOMEM;
    if (archive_write_set_format_ustar(bundle->archive) != ARCHIVE_OK ||
        archive_write_add_filter_none(bundle->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(bundle->archive, 1) != ARCHIVE_OK ||
        archive_write_open(bundle->archive, bundle, NULL, into_lz4, NULL) != ARCHIVE_OK)
        return failure(bundle);
    return 0;
}

int bundle_new(struct bundle **out, const struct age_recipient *recipients, size_t count,
               uint64_t max_bytes)
{
    struct bundle *bundle = calloc(1, sizeof(*bundle));
    if (!bundle)
        return -ENOMEM;
    int result = chunk_list_new(&bundle->chunks, max_bytes);
    if (!result)
        result = age_write_new(&bundle->age, recipients, count, chunk_list_append, bundle->chunks);
    if (!result)
        result = lz4_frame_new(&bundle->lz4, into_age, bundle->age);
    if (!result)
        result = begin_archive(bundle);
    if (result) {
        bundle_free(bundle);
        return result;
    }
    *out = bundle;
    return 0;
}

/* What ustar takes as it is, and what unpacks below the present folder. */
static int name_is_good(const char *name)
{
    size_t length = strlen(name);
    if (length < 1 || length > 99 || name[0] == '/' || strstr(name, ".."))
        return 0;
    for (size_t i = 0; i < length; i++)
        if (name[i] < 0x20 || name[i] > 0x7e || name[i] == '\\')
            return 0;
    return 1;
}

static int write_entry(struct bundle *bundle, struct archive_entry *entry, const void *bytes,
                       size_t length)
{
    if (archive_write_header(bundle->archive, entry) != ARCHIVE_OK)
        return failure(bundle);
    if (length && archive_write_data(bundle->archive, bytes, length) != (la_ssize_t)length)
        return failure(bundle);
    return archive_write_finish_entry(bundle->archive) == ARCHIVE_OK ? 0 : failure(bundle);
}

int bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t length,
               uint64_t time_ms)
{
    if (!name_is_good(name))
        return -EINVAL;
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return -ENOMEM;
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_size(entry, (la_int64_t)length);
    archive_entry_set_mtime(entry, (time_t)(time_ms / 1000), 0);
    int result = write_entry(bundle, entry, bytes, length);
    archive_entry_free(entry);
    return result;
}

int bundle_finish(struct bundle *bundle, struct chunk_list **out)
{
    if (archive_write_close(bundle->archive) != ARCHIVE_OK)
        return failure(bundle);
    int result = lz4_frame_finish(bundle->lz4);
    if (!result)
        result = age_write_finish(bundle->age);
    if (!result)
        result = chunk_list_finish(bundle->chunks);
    if (result)
        return result;
    *out = bundle->chunks;
    bundle->chunks = NULL;
    return 0;
}

struct bundle *bundle_free(struct bundle *bundle)
{
    if (!bundle)
        return NULL;
    if (bundle->archive) {
        /* Freeing would write what is left into the stages: they are no longer there to take it. */
        if (!bundle->error)
            bundle->error = -ECANCELED;
        archive_write_free(bundle->archive);
    }
    lz4_frame_free(bundle->lz4);
    age_write_free(bundle->age);
    chunk_list_free(bundle->chunks);
    free(bundle);
    return NULL;
}
