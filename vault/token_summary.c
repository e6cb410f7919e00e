#include "token_summary.h"

#include <sodium.h>
#include <string.h>

#define CUT       "..."
#define REST_BOTH " +env +stdin"

#define SCRIPT_BYTES 6 /* of a script's digest */

struct line {
    char *text;
    size_t used, capacity; /* without the cut and its NUL */
    bool cut;
};

static void put(struct line *line, const char *piece, size_t length)
{
    if (line->cut || length > line->capacity - line->used) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->used, piece, length);
    line->used += length;
}

static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '\\' && c != '\'' && c != '"';
}

static void put_character(struct line *line, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    const char escaped[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
    if (is_plain(c) || c == ' ')
        put(line, (const char *)&c, 1);
    else
        put(line, escaped, sizeof escaped);
}

static bool needs_quotes(const char *text)
{
    const char *at = text;
    while (*at && is_plain((unsigned char)*at))
        at++;
    return *text == 0 || *at;
}

/* A text with anything but plain characters stands in quotes, so that its blanks separate nothing.
 */
static void put_text(struct line *line, const char *text)
{
    const bool quotes = needs_quotes(text);
    if (line->used)
        put(line, " ", 1);
    if (quotes)
        put(line, "'", 1);
    for (; *text && !line->cut; text++)
        put_character(line, (unsigned char)*text);
    if (quotes)
        put(line, "'", 1);
}

static void put_script(struct line *line, const struct token *token)
{
    char hex[2 * SCRIPT_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, token->script_digest, SCRIPT_BYTES);
    put_text(line, "script");
    put_text(line, hex);
}

/* What else decides what it does; the room for these words is always kept. */
static void put_rest(struct line *line, const struct token *token)
{
    const char *rest = token->envc && token->input_length ? REST_BOTH
                       : token->envc                      ? " +env"
                       : token->input_length              ? " +stdin"
                                                          : "";
    if (line->cut) {
        memcpy(line->text + line->used, CUT, sizeof CUT - 1);
        line->used += sizeof CUT - 1;
    }
    memcpy(line->text + line->used, rest, strlen(rest) + 1);
}

void token_summarise(struct token *token)
{
    struct line line = {.text = token->summary,
                        .capacity = sizeof token->summary - sizeof CUT - sizeof REST_BOTH};
    if (token->script)
        put_script(&line, token);
    for (uint32_t i = 0; i < token->argc && !line.cut; i++)
        put_text(&line, token->argv[i]);
    put_rest(&line, token);
}
