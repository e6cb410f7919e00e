/*
 * Bundles in the database: what is known of each, complete or not. The bytes themselves are files
 * (bundle_file.h). A bundle has a ticket number if and only if it is complete.
 *
 * Functions take the store of their thread; -errno means that nothing changed.
 */
#ifndef CONSOLE_BUNDLES_H
#define CONSOLE_BUNDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "store.h"

/* The longest ticket number with its terminator: "T-" and up to 20 digits. */
#define BUNDLES_NUMBER_TEXT 24
/* All recipients, joined by blanks. */
#define BUNDLES_RECIPIENTS_TEXT (MESSAGE_RECIPIENTS_MAX * 129)

enum bundles_outcome {
    BUNDLES_UNKNOWN = 1,
    BUNDLES_AMBIGUOUS, /* two machines chose the same ticket id */
};

struct bundle {
    int64_t row; /* names the files */
    uint8_t machine[32];
    uint8_t ticket[16];
    uint8_t digest[32];
    uint64_t size;
    uint32_t chunks;
    char recipients[BUNDLES_RECIPIENTS_TEXT]; /* the agent's word */
    uint64_t consent_time_ms;                 /* signed by the machine */
    uint8_t signature[64];
    bool has_digests;
    uint32_t have;   /* chunks that are certainly stored; the file may hold more */
    uint64_t number; /* 0 while incomplete */
    uint64_t begun_time_ms, touched_time_ms, received_time_ms;
    char machine_name[65]; /* hostile until escaped */
};

/* What a bundle of this size counts against its machine's quota: its bytes, its digests and one
 * page for its records, so that many tiny bundles are not free. */
uint64_t bundles_charge(uint64_t size, uint32_t chunks);

/* Writes "T-000123". */
void bundles_number_text(char out[BUNDLES_NUMBER_TEXT], uint64_t number);

/* Reads a bundle by machine and ticket id. 0, BUNDLES_UNKNOWN, or -errno. */
int bundles_get(struct store *store, const uint8_t machine[32], const uint8_t ticket[16],
                struct bundle *out);

/* Reads a bundle by ticket number ("T-000123" or "123") or, complete or not, by its ticket id (32
 * hexadecimal digits). 0, BUNDLES_UNKNOWN, BUNDLES_AMBIGUOUS, or -errno. */
int bundles_find(struct store *store, const char *text, struct bundle *out);

/* Calls `row` for every bundle, oldest first, until it returns non-zero. 0 or -errno. */
int bundles_each(struct store *store, int (*row)(void *context, const struct bundle *b),
                 void *context);

/* Sum of bundles_charge over all bundles of `machine`, and how many are incomplete. 0 or -errno. */
int bundles_usage(struct store *store, const uint8_t machine[32], uint64_t *charged,
                  uint64_t *incomplete);

/* Inserts an incomplete bundle and writes its row to `row`. 0 or -errno. */
int bundles_insert(struct store *store, const uint8_t machine[32],
                   const struct message_bundle_begin *begin, uint64_t now_ms, int64_t *row);

/* Stores the list of chunk digests (`chunks` * 32 bytes). 0 or -errno. */
int bundles_put_digests(struct store *store, int64_t row, const uint8_t *digests, uint32_t chunks);

/* Reads the list of `chunks` digests into `digests`. 0, BUNDLES_UNKNOWN (there is none of that
 * length), or -errno. */
int bundles_get_digests(struct store *store, int64_t row, uint8_t *digests, uint32_t chunks);

/* Notes that `have` chunks are stored durably. 0 or -errno. */
int bundles_progress(struct store *store, int64_t row, uint32_t have, uint64_t now_ms);

/*
 * Marks a bundle as complete and gives it the next ticket number, in one transaction; a bundle
 * that has one keeps it. Writes number and time to `b`. 0 or -errno.
 */
int bundles_complete(struct store *store, struct bundle *b, uint64_t now_ms);

/* Deletes an incomplete bundle's row. 0, BUNDLES_UNKNOWN, or -errno. */
int bundles_delete(struct store *store, int64_t row);

/* The row of one incomplete bundle untouched since `before_ms`. 0, BUNDLES_UNKNOWN, or -errno. */
int bundles_expired(struct store *store, uint64_t before_ms, int64_t *row);

#endif
