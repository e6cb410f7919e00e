#include "show.h"

#include <inttypes.h>
#include <string.h>

#include "moment.h"
#include "quantity.h"

static void show_byte(FILE *out, uint8_t c)
{
    static const char special[] = "\n\t\r\\", names[] = "ntr\\";
    const char *at = c ? strchr(special, c) : NULL;
    if (at)
        fprintf(out, "\\%c", names[at - special]);
    else if (c >= ' ' && c <= '~')
        fputc(c, out);
    else if (c == 0)
        fputs("\\0", out);
    else
        fprintf(out, "\\x%02x", c);
}

void show_escaped(FILE *out, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        show_byte(out, at[i]);
}

void show_lines(FILE *out, const uint8_t *bytes, size_t length)
{
    while (length) {
        const uint8_t *end = memchr(bytes, '\n', length);
        size_t line = end ? (size_t)(end - bytes) : length;
        fputs("  | ", out);
        show_escaped(out, bytes, line);
        fputs(end ? "\n" : "\n  (no line end)\n", out);
        line += end != NULL;
        bytes += line;
        length -= line;
    }
}

static void show_text(FILE *out, const json_t *text)
{
    show_escaped(out, json_string_value(text), json_string_length(text));
}

/* Texts, each in quotes, which within one are escaped. */
static void show_quoted(FILE *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *text = json_array_get(list, i);
        const char *at = json_string_value(text);
        fputs(i ? " '" : "'", out);
        for (size_t k = 0; k < json_string_length(text); k++) {
            if (at[k] == '\'')
                fputs("\\'", out);
            else
                show_escaped(out, at + k, 1);
        }
        fputc('\'', out);
    }
    fputc('\n', out);
}

static void show_bytes(FILE *out, const char *label, const uint8_t *bytes, size_t length)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    digest_of(digest, bytes, length);
    digest_hex(hex, digest, sizeof(digest));
    fprintf(out, SHOW_LABEL "%zu bytes, SHA-256 %s\n", label, length, hex);
    show_lines(out, bytes, length);
}

static void show_audience(FILE *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        bool group = strncmp(json_string_value(one), "group:", 6) == 0;
        fprintf(out, SHOW_LABEL "%s", i ? "" : "For", group ? "" : "machine ");
        show_text(out, one);
        fputc('\n', out);
    }
}

static void show_window(FILE *out, const struct payload_command *command, uint64_t now)
{
    char moment[96], span[MOMENT_MAX];
    uint64_t seconds = command->exp > command->nbf ? command->exp - command->nbf : 0;
    quantity_write_moment(moment, command->nbf);
    fprintf(out, SHOW_LABEL "from  %s\n", "Valid", moment);
    quantity_write_moment(moment, command->exp);
    moment_write_span(span, seconds * 1000);
    fprintf(out, SHOW_LABEL "until %s, %s\n", "", moment, span);
    fprintf(out, SHOW_LABEL "%s\n", "",
            !seconds                           ? "NEVER: it ends before it begins"
            : seconds > PAYLOAD_VALIDITY_MAX_S ? "NEVER: more than 7 days are refused"
            : now < command->nbf               ? "not yet, by this machine's clock"
            : now > command->exp               ? "no longer, by this machine's clock"
                                               : "now, by this machine's clock");
}

static void show_env(FILE *out, const json_t *env)
{
    const char *name;
    json_t *value;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        fprintf(out, SHOW_LABEL "%s=", first ? "Environment" : "", name);
        show_text(out, value);
        fputc('\n', out);
        first = false;
    }
}

static const char *rights(uint32_t profile)
{
    return profile == 3   ? "root: everything"
           : profile == 2 ? "the user of the desktop"
                          : "an account of its own: reads what every user may";
}

static void show_what(FILE *out, const struct payload_command *command)
{
    char hex[DIGEST_HEX_SIZE];
    if (command->argv) {
        fprintf(out, SHOW_LABEL, "Runs");
        show_quoted(out, command->argv);
    } else {
        show_bytes(out, "Runs a script", command->script, command->script_length);
        if (command->args && json_array_size(command->args)) {
            fprintf(out, SHOW_LABEL, "with");
            show_quoted(out, command->args);
        }
    }
    digest_hex(hex, command->digest, sizeof(command->digest));
    fprintf(out, SHOW_LABEL "%s\n", "Command hash", hex);
}

void show_payload_command(FILE *out, const struct payload_command *command, uint64_t now)
{
    char size[MOMENT_MAX];
    fprintf(out, SHOW_LABEL "%s\n", "Command", command->jti);
    show_audience(out, command->aud);
    fprintf(out, SHOW_LABEL "%s (%s)\n", "Profile", jwk_profile_name(command->profile),
            rights(command->profile));
    fprintf(out, SHOW_LABEL "%" PRIu64 "\n", "Sequence", command->seq);
    show_window(out, command, now);
    show_what(out, command);
    show_env(out, command->env);
    if (command->input)
        show_bytes(out, "Standard input", command->input, command->input_length);
    fprintf(out, SHOW_LABEL "%" PRIu64 ".%03" PRIu64 " s\n", "Time limit", command->time_ms / 1000,
            command->time_ms % 1000);
    moment_write_bytes(size, command->output_bytes);
    fprintf(out, SHOW_LABEL "%s\n", "Output limit", size);
}

void show_revocation(FILE *out, const json_t *list)
{
    fprintf(out, SHOW_LABEL "retires these keys for good:\n", "Revocation");
    for (size_t i = 0; i < json_array_size(list); i++)
        fprintf(out, SHOW_LABEL "%s\n", "", json_string_value(json_array_get(list, i)));
}
