/*
 * What identifies the hardware: the serial numbers of the disk and of the board, brought into one
 * form so that the same part always reads the same.
 *
 * The monitor reads them; the vault gets what it found and never looks itself. The rule that this
 * module serves: a serial number that merely cannot be read is not a change. So a value is either
 * HARDWARE_READABLE, and then it is the part's own, or it takes part in no comparison at all.
 *
 * Pure functions, callable from any thread.
 */
#ifndef CLOISTER_VAULT_HARDWARE_H
#define CLOISTER_VAULT_HARDWARE_H

#include <stddef.h>

/* The longest serial number kept, without terminator. ATA has 20 characters, NVMe 20 (NVM Express
 * base specification, Identify Controller, SN), SCSI VPD page 0x80 and SMBIOS (DSP0134, type 2)
 * have no fixed limit. */
#define HARDWARE_TEXT_MAX 127

enum hardware_part {
    HARDWARE_DISK,
    HARDWARE_BOARD,
    HARDWARE_PARTS,
};

enum hardware_state {
    HARDWARE_ABSENT,      /* there is no such thing to read here */
    HARDWARE_UNREADABLE,  /* it is there and gave an error, or bytes that are no serial number */
    HARDWARE_PLACEHOLDER, /* the maker filled in nothing of use ("To be filled by O.E.M.") */
    HARDWARE_READABLE,    /* a serial number */
};

/* `text` is terminated and, unless the state is HARDWARE_READABLE, empty. */
struct hardware_identifier {
    enum hardware_state state;
    size_t length;
    char text[HARDWARE_TEXT_MAX + 1];
};

struct hardware {
    struct hardware_identifier part[HARDWARE_PARTS];
};

/*
 * Fills `out` from what was found: `found` as reported (HARDWARE_READABLE when there are bytes to
 * judge) and `length` bytes of `text`, which need no terminator. The text is trimmed, inner white
 * space becomes one space each, and ASCII letters become capitals. It counts as
 * HARDWARE_UNREADABLE when it holds anything but printable ASCII and white space or is longer than
 * HARDWARE_TEXT_MAX, and as HARDWARE_PLACEHOLDER when it is empty, one character repeated, or one
 * of the known fillers. A list of fillers that grows later can turn a recorded serial number into
 * an unreadable one, never into a changed one.
 */
void hardware_identify(struct hardware_identifier *out, enum hardware_state found, const char *text,
                       size_t length);

/* "disk" or "board". */
const char *hardware_part_name(enum hardware_part part);

/* Why the identifier takes no part: "absent", "cannot be read", "is a placeholder"; or "readable".
 */
const char *hardware_state_name(enum hardware_state state);

#endif
