/*
 * Which input makes a frame. The X server cannot filter raw events by key, so capture sees every
 * key press and looks here first; what is no trigger is forgotten at once.
 *
 * A set is the configuration's 64 bits: bit n-1 is mouse button n (1 to 9), bit 9 is Return and
 * keypad Enter, bit 9+n is function key n (1 to 24).
 *
 * A key is what its first keysym says, without modifiers and in the first group: a letter that
 * gives F13 together with some modifier is a letter, and never a trigger.
 *
 * All functions are pure; any thread may call them.
 */
#ifndef CLOISTER_CAPTURE_TRIGGER_H
#define CLOISTER_CAPTURE_TRIGGER_H

#include <stdint.h>

#include "record.h"

/* One trigger: what a frame's record says of it. */
struct trigger {
    enum frame_trigger kind; /* 0: none */
    uint16_t detail;
};

/* The triggers among the keycodes of a keyboard, which X11 numbers from 8 to 255. */
struct trigger_keys {
    struct trigger of[256];
};

/*
 * Fills `keys` for the trigger set `set`. `keysyms` is the body of a GetKeyboardMapping reply (X11
 * protocol, chapter 9): `per_code` keysyms for each of `count` keycodes from `first` on.
 */
void trigger_keys_read(struct trigger_keys *keys, uint64_t set, unsigned first, unsigned count,
                       const uint32_t *keysyms, unsigned per_code);

/* The trigger that a mouse button is. */
struct trigger trigger_button(uint64_t set, uint32_t button);

/* The trigger that a keycode is. */
struct trigger trigger_key(const struct trigger_keys *keys, uint32_t keycode);

#endif
