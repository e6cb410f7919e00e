#include "config_values.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Copies text of `length` bytes, all of them in `allowed`, and pads with NUL. */
static int copy(char *out, size_t capacity, const char *text, size_t length, const char *allowed)
{
    if (length == 0 || length >= capacity)
        return -1;
    memset(out, 0, capacity);
    memcpy(out, text, length);
    return strspn(out, allowed) == length ? 0 : -1;
}

/* Cuts the next item off a comma-separated list: its start and length without blanks around it. */
static const char *next_item(const char **list, size_t *length)
{
    if (!*list)
        return NULL;
    const char *start = *list + strspn(*list, " \t");
    const char *comma = strchr(start, ',');
    *length = comma ? (size_t)(comma - start) : strlen(start);
    *list = comma ? comma + 1 : NULL;
    while (*length > 0 && strchr(" \t", start[*length - 1]))
        (*length)--;
    return start;
}

/* Reads digits up to the first other character; -1 if there are none or 18 and more. */
static int digits(uint64_t *out, const char **text)
{
    size_t length = strspn(*text, DIGITS);
    if (length == 0 || length > 17)
        return -1;
    *out = 0;
    for (size_t i = 0; i < length; i++)
        *out = *out * 10 + (uint64_t)((*text)[i] - '0');
    *text += length;
    return 0;
}

static int scaled(uint64_t *out, const char *text, const char *units, const uint64_t *factors,
                  uint64_t low, uint64_t high)
{
    if (digits(out, &text) != 0)
        return -1;
    uint64_t factor = 1;
    if (units) {
        const char *unit = *text ? strchr(units, *text++) : NULL;
        if (!unit)
            return -1;
        factor = factors[unit - units];
    }
    if (*text || *out > UINT64_MAX / factor)
        return -1;
    *out *= factor;
    return *out < low || *out > high ? -1 : 0;
}

int value_number(uint64_t *out, const char *text, uint64_t low, uint64_t high)
{
    return scaled(out, text, NULL, NULL, low, high);
}

int value_duration_ms(uint64_t *out, const char *text, uint64_t low, uint64_t high)
{
    return scaled(out, text, "smh", (const uint64_t[]){1000, 60000, 3600000}, low, high);
}

int value_size(uint64_t *out, const char *text, uint64_t low, uint64_t high)
{
    return scaled(out, text, "KMG", (const uint64_t[]){1 << 10, 1 << 20, 1 << 30}, low, high);
}

/* The bit number of one trigger's name, at *text, which is moved behind it; -1 if it is none. */
static int trigger(const char **text)
{
    static const struct {
        const char *prefix;
        uint64_t high;
        int before;
    } names[] = {{"button", 9, -1}, {"return", 0, 9}, {"f", 24, 9}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i].prefix);
        uint64_t n = 0;
        if (strncmp(*text, names[i].prefix, length) != 0)
            continue;
        *text += length;
        if (names[i].high > 0 && (digits(&n, text) != 0 || n == 0 || n > names[i].high))
            return -1;
        return names[i].before + (int)n;
    }
    return -1;
}

int value_triggers(uint64_t *out, const char *text)
{
    const char *item;
    size_t length;
    for (*out = 0; (item = next_item(&text, &length));) {
        const char *at = item;
        int first = trigger(&at), last = first;
        if (first > 9 && *at == '-') { /* only function keys have ranges */
            at++;
            last = trigger(&at);
        }
        if (first < 0 || last < first || at != item + length)
            return -1;
        for (int bit = first; bit <= last; bit++)
            *out |= UINT64_C(1) << bit;
    }
    return 0;
}

int value_deny(struct agent_capture *out, const char *text)
{
    const char *item;
    size_t length;
    for (out->deny_count = 0; (item = next_item(&text, &length)); out->deny_count++) {
        if (out->deny_count == AGENT_DENY_MAX || length == 0 || length >= sizeof out->deny[0])
            return -1;
        memset(out->deny[out->deny_count], 0, sizeof out->deny[0]);
        memcpy(out->deny[out->deny_count], item, length);
    }
    return 0;
}

/* BIP 173: one step of the checksum over a 5-bit value. */
static uint32_t bech32_step(uint32_t sum, uint32_t value)
{
    static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                         0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (int i = 0; i < 5; i++)
        sum ^= top >> i & 1 ? generator[i] : 0;
    return sum;
}

int value_recipient(const char *text, size_t length)
{
    static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const char *prefix = "age";
    uint32_t sum = 1;
    if (length != 62 || strncmp(text, "age1", 4) != 0) /* 4 + 52 for 32 bytes + 6 */
        return -1;
    for (int i = 0; i < 3; i++)
        sum = bech32_step(sum, (uint32_t)prefix[i] >> 5);
    sum = bech32_step(sum, 0);
    for (int i = 0; i < 3; i++)
        sum = bech32_step(sum, prefix[i] & 31);
    for (size_t i = 4; i < length; i++) {
        const char *found = strchr(alphabet, text[i]);
        if (!found || !*found)
            return -1;
        sum = bech32_step(sum, (uint32_t)(found - alphabet));
    }
    return sum == 1 ? 0 : -1;
}

int value_recipients(struct agent_ticket *out, const char *text)
{
    const char *item;
    size_t length;
    for (out->recipient_count = 0; (item = next_item(&text, &length)); out->recipient_count++) {
        if (out->recipient_count == AGENT_RECIPIENTS_MAX || value_recipient(item, length) != 0)
            return -1;
        for (uint32_t i = 0; i < out->recipient_count; i++)
            if (strncmp(out->recipients[i], item, length) == 0)
                return -1;
        memset(out->recipients[out->recipient_count], 0, sizeof out->recipients[0]);
        memcpy(out->recipients[out->recipient_count], item, length);
    }
    return 0;
}

/* 64 hexadecimal digits, of either case. */
static int value_sha256(uint8_t out[32], const char *text, size_t length)
{
    static const char digits_of[] = "0123456789abcdef0123456789ABCDEF";
    if (length != 64)
        return -1;
    memset(out, 0, 32);
    for (size_t i = 0; i < length; i++) {
        const char *found = strchr(digits_of, text[i]);
        if (!found || !*found)
            return -1;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | ((found - digits_of) & 15));
    }
    return 0;
}

int value_allow(struct agent_commands *out, const char *text)
{
    const char *item;
    size_t length;
    while ((item = next_item(&text, &length))) {
        uint8_t digest[32];
        uint32_t i = 0;
        if (value_sha256(digest, item, length) != 0)
            return -1;
        while (i < out->allow_count && memcmp(out->allow[i], digest, sizeof digest) != 0)
            i++;
        if (i == AGENT_ALLOW_MAX)
            return -1;
        memcpy(out->allow[i], digest, sizeof digest);
        out->allow_count += i == out->allow_count;
    }
    return 0;
}

int value_groups(struct agent_commands *out, const char *text)
{
    const char *item;
    size_t length;
    for (out->group_count = 0; (item = next_item(&text, &length)); out->group_count++) {
        char *group = out->groups[out->group_count];
        if (out->group_count == AGENT_GROUPS_MAX ||
            copy(group, sizeof out->groups[0], item, length, LOWER DIGITS "._-") != 0)
            return -1;
        for (uint32_t i = 0; i < out->group_count; i++)
            if (strcmp(out->groups[i], group) == 0)
                return -1;
    }
    return 0;
}

int value_host(char *out, const char *text, size_t length)
{
    if (copy(out, 254, text, length, LOWER UPPER DIGITS "-.:") != 0)
        return -1;
    if (strchr(out, ':')) {
        struct in6_addr address;
        return inet_pton(AF_INET6, out, &address) == 1 ? 0 : -1;
    }
    for (const char *label = out; label;
         label = strchr(label, '.') ? strchr(label, '.') + 1 : NULL) {
        size_t size = strcspn(label, ".");
        if (size == 0 || size > 63 || label[0] == '-' || label[size - 1] == '-')
            return -1;
    }
    return 0;
}

int value_proxy(struct agent_console *out, const char *text)
{
    static const char scheme[] = "http://";
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return -1;
    text += sizeof scheme - 1;
    if (colon < text || value_number(&port, colon + 1, 1, 65535) != 0)
        return -1;
    size_t length = (size_t)(colon - text);
    int bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    }
    out->proxy_port = (uint16_t)port;
    return value_host(out->proxy_host, text, length) == 0 &&
                   (strchr(out->proxy_host, ':') != NULL) == bracketed
               ? 0
               : -1;
}

int value_pin(uint8_t out[32], const char *text)
{
    static const char alphabet[] = UPPER LOWER DIGITS "+/";
    uint32_t bits = 0, held = 0, written = 0;
    if (strncmp(text, "sha256//", 8) == 0)
        text += 8;
    if (strlen(text) != 44 || text[43] != '=')
        return -1;
    for (int i = 0; i < 43; i++) {
        const char *found = strchr(alphabet, text[i]);
        if (!found)
            return -1;
        bits = bits << 6 | (uint32_t)(found - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[written++] = (uint8_t)(bits >> held);
        }
    }
    return (bits & ((1U << held) - 1)) == 0 ? 0 : -1; /* only the canonical encoding */
}

int value_path(char *out, size_t capacity, const char *text)
{
    if (copy(out, capacity, text, strlen(text), LOWER UPPER DIGITS "/._-+@%:,~") != 0)
        return -1;
    for (const char *part = out; part; part = strchr(part, '/')) {
        size_t size = *part == '/' ? strcspn(++part, "/") : 0;
        if (size == 0 || (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.'))))
            return -1;
    }
    return 0;
}

int value_display(char out[16], const char *text)
{
    uint64_t number;
    if (copy(out, 16, text, strlen(text), DIGITS ":.") != 0 || *text++ != ':' ||
        digits(&number, &text) != 0 || number > 65535)
        return -1;
    if (*text == '.') {
        text++;
        return digits(&number, &text) == 0 && number < 100 && !*text ? 0 : -1;
    }
    return *text ? -1 : 0;
}

int value_user(char out[32], const char *text)
{
    uint64_t number;
    if (text[0] >= '0' && text[0] <= '9') {
        return value_number(&number, text, 0, UINT32_MAX - 1) != 0 ? -1
               : snprintf(out, 32, "%s", text) < 32                ? 0
                                                                   : -1;
    }
    return text[0] == '-' ? -1 : copy(out, 32, text, strlen(text), LOWER UPPER DIGITS "_-.");
}

int value_url_path(char out[128], const char *text)
{
    return text[0] != '/'
               ? -1
               : copy(out, 128, text, strlen(text), LOWER UPPER DIGITS "/._-~%!$&'()*+,;=:@?");
}
