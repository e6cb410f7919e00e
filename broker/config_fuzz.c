/* libFuzzer: any bytes as a configuration file. What is accepted must be well-formed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static void must(int condition)
{
    if (!condition) {
        abort();
    }
}

static int terminated(const char *text, size_t capacity)
{
    return memchr(text, 0, capacity) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    static FILE *errors;
    if (size == 0) {
        return 0;
    }
    if (!errors) {
        errors = fopen("/dev/null", "w");
    }
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    must(in && errors);
    unsigned count = config_read(&config, in, "fuzz", errors);
    fclose(in);
    const struct agent_config *agent = &config.agent;
    must(terminated(agent->console.host, sizeof agent->console.host));
    must(terminated(agent->console.path, sizeof agent->console.path));
    must(terminated(agent->runtime_dir, sizeof agent->runtime_dir));
    must(agent->magic == AGENT_CONFIG_MAGIC);
    if (count == 0) {
        must(agent->state_dir[0] == '/' && agent->runtime_dir[0] == '/');
        must(agent->ticket.recipient_count <= AGENT_RECIPIENTS_MAX);
        must(agent->capture.deny_count <= AGENT_DENY_MAX);
        must(agent->capture.triggers != 0 && agent->console.port != 0);
    }
    return 0;
}
