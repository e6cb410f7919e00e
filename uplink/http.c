#include "http.h"

#include <string.h>
#include <strings.h>

void http_head_init(struct http_head *head)
{
    memset(head, 0, sizeof *head);
    head->reason = "";
}

/* Whether `byte` may stand after the `used` bytes of `text`, looking only at the byte before. */
static bool byte_fits(const char *text, size_t used, unsigned char byte)
{
    static const char prefix[] = "HTTP/1.";
    bool after_cr = used > 0 && text[used - 1] == '\r';

    if (used < sizeof prefix - 1)
        return byte == (unsigned char)prefix[used];
    if (after_cr)
        return byte == '\n';
    if (byte == '\r' || byte == '\t')
        return true;
    return byte >= 0x20 && byte != 0x7f;
}

static bool head_ends(const char *text, size_t used)
{
    return used >= 4 && memcmp(text + used - 4, "\r\n\r\n", 4) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/*
 * "HTTP/1." is known to be there: byte_fits saw to it. A server may leave out the reason phrase
 * together with the space before it; many do, so that is accepted.
 */
static int parse_status_line(struct http_head *head, const char *line)
{
    const char *at = line + strlen("HTTP/1.");

    if ((at[0] != '0' && at[0] != '1') || at[1] != ' ')
        return HTTP_MALFORMED;
    head->minor_version = at[0] - '0';
    at += 2;
    if (!is_digit(at[0]) || at[0] == '0' || !is_digit(at[1]) || !is_digit(at[2]))
        return HTTP_MALFORMED;
    head->status = (at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0');
    at += 3;
    if (*at == '\0')
        return 0;
    if (*at != ' ')
        return HTTP_MALFORMED;
    head->reason = at + 1;
    return 0;
}

static int parse_field(struct http_head *head, char *line)
{
    struct http_field *field;
    char *at = line;
    char *end;

    if (head->field_count == HTTP_FIELDS_MAX)
        return HTTP_TOO_LARGE;
    while (is_token_char(*at))
        at++;
    if (at == line || *at != ':')
        return HTTP_MALFORMED;
    *at++ = '\0';
    at += strspn(at, " \t");
    end = at + strlen(at);
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    field = &head->fields[head->field_count++];
    field->name = line;
    field->value = at;
    return 0;
}

/* The head is whole and no byte of it is 0: cut it into lines and those into their parts. */
static int parse(struct http_head *head)
{
    char *line = head->text;
    char *end = strstr(line, "\r\n");
    int rc;

    *end = '\0';
    rc = parse_status_line(head, line);
    while (rc == 0) {
        line = end + 2;
        end = strstr(line, "\r\n");
        if (end == line)
            return 0;
        *end = '\0';
        rc = parse_field(head, line);
    }
    return rc;
}

int http_head_feed(struct http_head *head, const void *bytes, size_t length, size_t *consumed)
{
    const unsigned char *in = bytes;

    for (size_t i = 0; i < length; i++) {
        *consumed = i;
        if (head->used == HTTP_HEAD_MAX)
            return HTTP_TOO_LARGE;
        if (!byte_fits(head->text, head->used, in[i]))
            return HTTP_MALFORMED;
        head->text[head->used++] = (char)in[i];
        if (head_ends(head->text, head->used)) {
            *consumed = i + 1;
            head->text[head->used] = '\0';
            return parse(head);
        }
    }
    *consumed = length;
    return HTTP_MORE;
}

const char *http_head_field(const struct http_head *head, const char *name, size_t *count)
{
    const char *first = NULL;
    size_t found = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, name) != 0)
            continue;
        if (found++ == 0)
            first = head->fields[i].value;
    }
    if (count)
        *count = found;
    return first;
}

static bool list_holds(const char *list, const char *token)
{
    size_t want = strlen(token);

    while (*list) {
        size_t length;

        list += strspn(list, " \t,");
        length = strcspn(list, ",");
        while (length > 0 && (list[length - 1] == ' ' || list[length - 1] == '\t'))
            length--;
        if (length == want && strncasecmp(list, token, want) == 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

bool http_head_lists(const struct http_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0 && list_holds(head->fields[i].value, token))
            return true;
    return false;
}
