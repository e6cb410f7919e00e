/*
 * libFuzzer: two answers of a vault about commands, one after the other, as `cloister commands`
 * prints and compares them. The first two bytes are the length of the first.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

static int decode(ipc_CommandStatusReply *out, const uint8_t *bytes, size_t length)
{
    struct envelope e = {.type = ipc_type_find(IPC_COMMAND_STATUS_REPLY),
                         .body = bytes,
                         .body_length = (uint32_t)length};
    return envelope_decode(&e, out) == ENVELOPE_OK;
}

struct seen {
    const ipc_CommandStatusReply *before;
    size_t count;
};

static void show(void *context, const ipc_CommandEntry *entry, bool fresh)
{
    struct seen *seen = context;
    int old = 0;
    for (size_t i = 0; i < seen->before->recent_count; i++)
        old |= memcmp(seen->before->recent[i].token, entry->token, sizeof(entry->token)) == 0;
    must(fresh == !old);
    seen->count++;
}

static void check_text(const ipc_CommandStatusReply *reply)
{
    char *text = NULL;
    size_t length = 0;
    FILE *terminal = stdout;
    stdout = open_memstream(&text, &length);
    must(stdout != NULL);
    commands_print_text(reply);
    fclose(stdout);
    stdout = terminal;
    must(strlen(text) == length && length > 0);
    for (const char *c = text; *c; c++)
        must(*c == '\n' || (*c >= ' ' && *c <= '~'));
    free(text);
}

static void check_json(const ipc_CommandStatusReply *reply)
{
    json_t *object = commands_object(reply);
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    must(text != NULL);
    json_t *read = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    must(json_equal(read, object));
    json_decref(read);
    json_decref(object);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ipc_CommandStatusReply before, now; /* large */
    if (size < 2)
        return 0;
    size_t first = (size_t)(data[0] | data[1] << 8);
    if (first > size - 2 || !decode(&before, data + 2, first) ||
        !decode(&now, data + 2 + first, size - 2 - first))
        return 0;
    struct seen seen = {.before = &before};
    commands_compare(&before, &now, 0, show, &seen);
    must(seen.count <= now.recent_count);
    check_text(&now);
    check_json(&now);
    return 0;
}
