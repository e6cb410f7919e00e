/*
 * The files of the state folder that the machine's key lives in: found, judged, written, set aside.
 *
 * `install.secret` and `machine.key` are described in key_file.h. `initialised` says that there has
 * been a key, so that a lost one is never taken for a first start. One thread at a time.
 */
#ifndef CLOISTER_VAULT_KEY_FILES_H
#define CLOISTER_VAULT_KEY_FILES_H

#include "key_file.h"
#include "key_notes.h"
#include "state_folder.h"

#define KEY_FILES_SECRET "install.secret"
#define KEY_FILES_KEY    "machine.key"
#define KEY_FILES_MARKER "initialised"

/* How a file was found. */
enum key_found {
    KEY_FOUND_MISSING,
    KEY_FOUND_GOOD,
    KEY_FOUND_BAD,
    KEY_FOUND_FOREIGN, /* of another version of the agent, which can read it: left where it is */
};

/* In secret memory that the caller provides and frees. */
struct key_files_secrets {
    uint8_t install[INSTALL_SECRET_SIZE];
    uint8_t file[INSTALL_SECRET_FILE_LEN]; /* install.secret while it is read or written */
};

struct key_files {
    int folder;
    struct key_files_secrets *secrets;
    enum key_found secret;
    enum key_found key;
    int marker;
    struct key_record record; /* of machine.key, when both are KEY_FOUND_GOOD */
    char trouble[96];         /* the first thing that was found wrong, or "" */
};

/*
 * Looks at everything anew. Without a good install secret machine.key cannot be judged and counts
 * as good if it is there. Returns 0, or -errno with a note when something could not be read:
 * nothing may be concluded then.
 */
int key_files_look(struct key_files *files, struct key_notes *notes);

/* Remembers in `trouble` that machine.key is damaged although its code is right. */
void key_files_condemn(struct key_files *files);

/*
 * Sets aside what was found bad, with a note for each, after making sure that the marker is there:
 * a crash in between must not look like a first start. Completes `trouble`. Returns 0 or -errno.
 */
int key_files_put_away_bad(struct key_files *files, uint64_t now_ms, struct key_notes *notes);

/* Sets aside whatever is there of the two files, for a new beginning. Returns 0 or -errno. */
int key_files_put_away_all(struct key_files *files, uint64_t now_ms, struct key_notes *notes);

/* Makes and writes a new install secret. Returns 0 or -errno, with a note. */
int key_files_make_secret(struct key_files *files, struct key_notes *notes);

/* Writes machine.key under the install secret; keeps the record if that worked. 0 or -errno. */
int key_files_write_record(struct key_files *files, const struct key_record *record);

/* Writes the marker if it is not there. Returns 0 or -errno, with a note. */
int key_files_mark(struct key_files *files, struct key_notes *notes);

#endif
