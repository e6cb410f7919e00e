#include "key_files.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

static const char marker_text[] = "A machine key has been made here. See docs/machine-key.md.\n";

static enum key_found judge(struct key_files *files, const char *name,
                            enum key_file_outcome outcome)
{
    if (outcome == KEY_FILE_GOOD)
        return KEY_FOUND_GOOD;
    if (!files->trouble[0])
        snprintf(files->trouble, sizeof files->trouble, "%s: %s", name,
                 key_file_outcome_text(outcome));
    return outcome == KEY_FILE_VERSION ? KEY_FOUND_FOREIGN : KEY_FOUND_BAD;
}

static int find_secret(struct key_files *files)
{
    struct key_files_secrets *secrets = files->secrets;
    size_t length = 0;
    int result = state_file_read(files->folder, KEY_FILES_SECRET, secrets->file,
                                 sizeof secrets->file, &length);
    files->secret = KEY_FOUND_MISSING;
    if (result == STATE_READ)
        files->secret = judge(files, KEY_FILES_SECRET,
                              install_secret_decode(secrets->install, secrets->file, length));
    else if (result == STATE_TOO_LONG)
        files->secret = judge(files, KEY_FILES_SECRET, KEY_FILE_MALFORMED);
    sodium_memzero(secrets->file, sizeof secrets->file);
    return result < 0 ? result : 0;
}

static int find_key(struct key_files *files)
{
    uint8_t bytes[KEY_FILE_MAX];
    size_t length = 0;
    int result = state_file_read(files->folder, KEY_FILES_KEY, bytes, sizeof bytes, &length);
    files->key = result == STATE_READ ? KEY_FOUND_GOOD : KEY_FOUND_MISSING;
    if (result == STATE_TOO_LONG)
        files->key = judge(files, KEY_FILES_KEY, KEY_FILE_MALFORMED);
    else if (result == STATE_READ && files->secret == KEY_FOUND_GOOD)
        files->key = judge(files, KEY_FILES_KEY,
                           key_file_decode(&files->record, bytes, length, files->secrets->install));
    return result < 0 ? result : 0;
}

int key_files_look(struct key_files *files, struct key_notes *notes)
{
    files->trouble[0] = '\0';
    int result = state_folder_check(files->folder);
    if (result < 0)
        return key_notes_add_error(notes, "the state folder", result);
    result = state_file_exists(files->folder, KEY_FILES_MARKER);
    if (result < 0)
        return key_notes_add_error(notes, KEY_FILES_MARKER, result);
    files->marker = result;
    result = find_secret(files);
    if (result < 0)
        return key_notes_add_error(notes, KEY_FILES_SECRET, result);
    result = find_key(files);
    return result < 0 ? key_notes_add_error(notes, KEY_FILES_KEY, result) : 0;
}

void key_files_condemn(struct key_files *files)
{
    files->key = judge(files, KEY_FILES_KEY, KEY_FILE_NOT_GENUINE);
}

static int set_aside(const struct key_files *files, const char *name, uint64_t now_ms,
                     struct key_notes *notes)
{
    char aside[STATE_NAME_MAX];
    int error = state_file_set_aside(files->folder, name, now_ms, aside);
    if (error == -ENOENT)
        return 0;
    if (error)
        return key_notes_add_error(notes, name, error);
    key_notes_add(notes, KEY_NOTE_SET_ASIDE, "%s was set aside as %s", name, aside);
    return 0;
}

static void describe_missing(struct key_files *files)
{
    if (files->trouble[0])
        return;
    const char *name = files->secret == KEY_FOUND_MISSING ? KEY_FILES_SECRET : KEY_FILES_KEY;
    snprintf(files->trouble, sizeof files->trouble, "%s is missing", name);
}

int key_files_put_away_bad(struct key_files *files, uint64_t now_ms, struct key_notes *notes)
{
    describe_missing(files);
    int error = key_files_mark(files, notes);
    if (!error && files->secret == KEY_FOUND_BAD)
        error = set_aside(files, KEY_FILES_SECRET, now_ms, notes);
    if (!error && files->key == KEY_FOUND_BAD)
        error = set_aside(files, KEY_FILES_KEY, now_ms, notes);
    return error;
}

int key_files_put_away_all(struct key_files *files, uint64_t now_ms, struct key_notes *notes)
{
    int error = key_files_mark(files, notes);
    if (!error)
        error = set_aside(files, KEY_FILES_KEY, now_ms, notes);
    if (!error)
        error = set_aside(files, KEY_FILES_SECRET, now_ms, notes);
    return error;
}

int key_files_make_secret(struct key_files *files, struct key_notes *notes)
{
    struct key_files_secrets *secrets = files->secrets;
    randombytes_buf(secrets->install, sizeof secrets->install);
    install_secret_encode(secrets->file, secrets->install);
    int error =
        state_file_write(files->folder, KEY_FILES_SECRET, secrets->file, sizeof secrets->file);
    sodium_memzero(secrets->file, sizeof secrets->file);
    return error ? key_notes_add_error(notes, KEY_FILES_SECRET, error) : 0;
}

int key_files_write_record(struct key_files *files, const struct key_record *record)
{
    uint8_t bytes[KEY_FILE_MAX];
    size_t length = key_file_encode(bytes, record, files->secrets->install);
    int error = state_file_write(files->folder, KEY_FILES_KEY, bytes, length);
    if (!error)
        files->record = *record;
    return error;
}

int key_files_mark(struct key_files *files, struct key_notes *notes)
{
    if (files->marker)
        return 0;
    int error =
        state_file_write(files->folder, KEY_FILES_MARKER, marker_text, sizeof marker_text - 1);
    files->marker = !error;
    return error ? key_notes_add_error(notes, KEY_FILES_MARKER, error) : 0;
}
