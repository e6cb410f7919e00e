/*
 * What "cloister status" prints of an agent whose workers report anything: an administrator reads
 * it in a terminal, programs read the JSON. The first bytes are the kernel's view, the rest the
 * body of a StatusReply.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "envelope.h"
#include "program_exit.h"
#include "status.h"

#define NOW_MS UINT64_C(1790000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

/* Runs one form with stdout in memory; the caller frees the text. */
static char *print(const struct status *status, int json)
{
    char *text = NULL;
    size_t length = 0;
    FILE *terminal = stdout;
    stdout = open_memstream(&text, &length);
    must(stdout != NULL);
    if (json)
        must(status_print_json(status) == PROGRAM_EXIT_OK);
    else
        status_print_text(status, NOW_MS);
    fclose(stdout);
    stdout = terminal;
    must(strlen(text) == length && length > 0);
    return text;
}

static void check_text(const struct status *status)
{
    char *text = print(status, 0);
    for (const char *c = text; *c; c++)
        must(*c == '\n' || (*c >= ' ' && *c <= '~'));
    free(text);
}

static void check_json(const struct status *status)
{
    char *text = print(status, 1);
    json_t *read = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    must(json_is_object(read));
    json_decref(read);
    free(text);
}

static void see(struct status_proof *proof, uint8_t how)
{
    *proof = (struct status_proof){.looked = how & 1, .missing = how & 2};
    proof->view.pid = how;
    proof->view.uids_differ = how & 4;
    proof->view.own = (uint64_t)how << 24;
    proof->findings = how >> 6;
    for (unsigned i = 0; i < proof->findings; i++)
        snprintf(proof->finding[i], STATUS_FINDING_BYTES, "finding %u", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct status status; /* large */
    struct envelope e = {.type = ipc_type_find(IPC_STATUS_REPLY)};
    if (size < 2 + STATUS_WORKERS_MAX)
        return 0;
    memset(&status, 0, sizeof status);
    status.proved = data[0] & 1;
    status.unproved = status.proved ? NULL : "only root sees other users' processes";
    see(&status.broker, data[1]);
    for (size_t i = 0; i < STATUS_WORKERS_MAX; i++)
        see(&status.workers[i], data[2 + i]);
    e.body = data + 2 + STATUS_WORKERS_MAX;
    e.body_length = (uint32_t)(size - 2 - STATUS_WORKERS_MAX);
    if (envelope_decode(&e, &status.reply) != ENVELOPE_OK)
        return 0;
    check_text(&status);
    check_json(&status);
    return 0;
}
