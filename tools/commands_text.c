#include "commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "moment.h"
#include "words.h"

static void print_key(const ipc_CommandKey *key)
{
    printf("  %-10s  %s %s%s%s%s\n", command_safe(key->kid), command_safe(key->fingerprint),
           words_command_profile(key->profile)->word, key->countersigns ? ", countersigns" : "",
           key->revokes ? ", revokes" : "", key->revoked ? ", REVOKED" : "");
}

static void print_store(const ipc_CommandStatusReply *reply)
{
    if (commands_are_down(reply))
        printf("              every command is REFUSED: %s\n"
               "              see docs/commands.md, then 'cloister commands reset'\n",
               command_safe(reply->store));
}

/* "3 keys; 2 refused since the vault started; 1 receipt is not delivered yet" */
static void print_counts(const ipc_CommandStatusReply *reply)
{
    if (reply->keys_count == 0)
        printf("none are taken: this build has no keys");
    else
        printf("%u key%s", (unsigned)reply->keys_count, reply->keys_count == 1 ? "" : "s");
    if (reply->refused)
        printf("; %" PRIu64 " refused since the vault started", reply->refused);
    if (reply->receipts_waiting)
        printf("; %u receipt%s not delivered yet", reply->receipts_waiting,
               reply->receipts_waiting == 1 ? "" : "s");
    putchar('\n');
}

void commands_print_summary(const ipc_CommandStatusReply *reply)
{
    char at[MOMENT_MAX];
    printf("Commands      ");
    if (!reply) {
        puts("unknown: the vault does not answer");
        return;
    }
    print_counts(reply);
    print_store(reply);
    if (reply->recent_count) {
        const ipc_CommandEntry *last = &reply->recent[0];
        moment_write(at, last->accepted_ms);
        printf("              last: %s, %s, signed by %s: %s\n", at,
               words_command_profile(last->profile)->word, command_safe(last->kid),
               commands_result(last));
    }
    for (size_t i = 0; i < reply->keys_count; i++)
        print_key(&reply->keys[i]);
}

const char *commands_result(const ipc_CommandEntry *entry)
{
    if (entry->phase == ipc_COMMAND_ENDED && entry->result[0])
        return command_safe(entry->result);
    return words_command_phase(entry->phase)->sentence;
}

void commands_print_entry(const ipc_CommandEntry *entry)
{
    char at[MOMENT_MAX], id[33];
    moment_write(at, entry->accepted_ms);
    command_hex(id, entry->id, sizeof(entry->id));
    printf("%s  %-10s  %-12s  %s\n", at, words_command_profile(entry->profile)->word,
           command_safe(entry->kid), commands_result(entry));
    printf("    %s  %s\n", id, command_safe(entry->summary));
}

void commands_print_text(const ipc_CommandStatusReply *reply)
{
    commands_print_summary(reply);
    puts(reply->recent_count ? "Accepted last" : "No command was accepted yet.");
    for (size_t i = reply->recent_count; i > 0; i--)
        commands_print_entry(&reply->recent[i - 1]);
}
