/* cloister identity. */
#include "identity.h"

#include <jansson.h>
#include <stdio.h>

#include "json_text.h"
#include "moment.h"
#include "words.h"

static const char help[] =
    "usage: cloister identity [--json] [--runtime DIR]\n"
    "\n"
    "Shows this machine's id and the fingerprint of its key, which an administrator types in at\n"
    "the console when approving the machine; where the key came from and what it is bound to.\n";

static int ask(struct door *door, ipc_MachineIdentityReply *reply)
{
    ipc_MachineIdentity request = {0};
    int result = command_ask(door, "identity", IPC_MACHINE_IDENTITY, &request,
                             IPC_MACHINE_IDENTITY_REPLY, reply, NULL);
    if (result != PROGRAM_EXIT_OK || reply->has_key)
        return result;
    command_complain("see docs/machine-key.md", "identity: this machine has no usable key");
    return PROGRAM_EXIT_FAILED;
}

static void print_text(const ipc_MachineIdentityReply *reply)
{
    const ipc_MachineKey *key = &reply->key;
    char id[65], created[MOMENT_MAX];
    command_hex(id, key->machine_id, sizeof(key->machine_id));
    moment_write(created, key->created_ms);
    printf("Machine id    %s\n", id);
    printf("Fingerprint   %s\n", command_safe(reply->fingerprint));
    printf("Key           %s, %s\n", words_key_origin(key->origin)->sentence, created);
    printf("Bound to      %s\n", reply->binding[0]
                                     ? command_safe(reply->binding)
                                     : "the install secret alone: no serial number could be read");
    if (key->has_previous) {
        command_hex(id, key->previous_id, sizeof(key->previous_id));
        printf("Previous id   %s\n", id);
    }
}

static int print_json(const ipc_MachineIdentityReply *reply)
{
    const ipc_MachineKey *key = &reply->key;
    char id[65], public_key[65], previous[65];
    command_hex(id, key->machine_id, sizeof(key->machine_id));
    command_hex(public_key, key->public_key, sizeof(key->public_key));
    command_hex(previous, key->previous_id, sizeof(key->previous_id));
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:s, s:I, s:o, s:o}", "machine_id", id, "public_key", public_key,
        "fingerprint", json_text(reply->fingerprint), "origin", words_key_origin(key->origin)->word,
        "created_ms", (json_int_t)key->created_ms, "binding", json_text(reply->binding),
        "previous_id", key->has_previous ? json_string(previous) : json_null());
    return json_print(root);
}

int identity_show(struct door *door)
{
    ipc_MachineIdentityReply reply;
    int result = ask(door, &reply);
    if (result == PROGRAM_EXIT_OK)
        print_text(&reply);
    return result;
}

int identity_command(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, COMMAND_OPTIONS};
    struct door door;
    ipc_MachineIdentityReply reply;
    bool json = false;
    int result = command_parse(line, argc, argv, options, help, command_take_flag, &json);
    if (result != COMMAND_GO_ON)
        return result;
    if (!command_operands(argc, argv, 0, 0))
        return PROGRAM_EXIT_USAGE;
    result = command_enter(&door, line);
    if (result != PROGRAM_EXIT_OK)
        return result;
    result = ask(&door, &reply);
    door_leave(&door);
    if (result != PROGRAM_EXIT_OK)
        return result;
    if (json)
        return print_json(&reply);
    print_text(&reply);
    return PROGRAM_EXIT_OK;
}
