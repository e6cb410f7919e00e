#include "trigger.h"

#include <string.h>

/* X11/keysymdef.h, which is not needed for three numbers. */
#define KEYSYM_RETURN   0xff0dU
#define KEYSYM_KP_ENTER 0xff8dU
#define KEYSYM_F1       0xffbeU
#define FUNCTION_KEYS   24U
#define BUTTONS         9U
#define BIT_RETURN      9U

static int has(uint64_t set, uint32_t bit)
{
    return (int)(set >> bit & 1);
}

static struct trigger of_keysym(uint64_t set, uint32_t keysym)
{
    struct trigger none = {0};
    if (keysym == KEYSYM_RETURN && has(set, BIT_RETURN))
        return (struct trigger){FRAME_TRIGGER_RETURN, 0};
    if (keysym == KEYSYM_KP_ENTER && has(set, BIT_RETURN))
        return (struct trigger){FRAME_TRIGGER_KEYPAD_ENTER, 0};
    if (keysym < KEYSYM_F1 || keysym >= KEYSYM_F1 + FUNCTION_KEYS)
        return none;
    uint32_t number = keysym - KEYSYM_F1 + 1;
    if (!has(set, BIT_RETURN + number))
        return none;
    return (struct trigger){FRAME_TRIGGER_FUNCTION, (uint16_t)number};
}

void trigger_keys_read(struct trigger_keys *keys, uint64_t set, unsigned first, unsigned count,
                       const uint32_t *keysyms, unsigned per_code)
{
    memset(keys, 0, sizeof(*keys));
    for (unsigned i = 0; per_code > 0 && i < count && first + i < 256; i++)
        keys->of[first + i] = of_keysym(set, keysyms[(size_t)i * per_code]);
}

struct trigger trigger_button(uint64_t set, uint32_t button)
{
    struct trigger none = {0};
    if (button == 0 || button > BUTTONS || !has(set, button - 1))
        return none;
    return (struct trigger){FRAME_TRIGGER_BUTTON, (uint16_t)button};
}

struct trigger trigger_key(const struct trigger_keys *keys, uint32_t keycode)
{
    struct trigger none = {0};
    return keycode < 256 ? keys->of[keycode] : none;
}
