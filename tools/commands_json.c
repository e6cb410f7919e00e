#include "commands.h"

#include "json_text.h"
#include "words.h"

static json_t *key_object(const ipc_CommandKey *key)
{
    return json_pack("{s:o, s:o, s:s, s:b, s:b, s:b}", "kid", json_text(key->kid), "fingerprint",
                     json_text(key->fingerprint), "profile",
                     words_command_profile(key->profile)->word, "countersigns", key->countersigns,
                     "revokes", key->revokes, "revoked", key->revoked);
}

json_t *commands_entry_object(const ipc_CommandEntry *entry)
{
    char id[33], token[33];
    command_hex(id, entry->id, sizeof(entry->id));
    command_hex(token, entry->token, sizeof(entry->token));
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:I, s:I}", "id", id, "token", token,
                     "kid", json_text(entry->kid), "profile",
                     words_command_profile(entry->profile)->word, "phase",
                     words_command_phase(entry->phase)->word, "result", json_text(entry->result),
                     "summary", json_text(entry->summary), "accepted_ms",
                     (json_int_t)entry->accepted_ms, "ended_ms", (json_int_t)entry->ended_ms);
}

json_t *commands_object(const ipc_CommandStatusReply *reply)
{
    json_t *keys = json_array(), *recent = json_array();
    for (size_t i = 0; keys && i < reply->keys_count; i++)
        json_array_append_new(keys, key_object(&reply->keys[i]));
    for (size_t i = 0; recent && i < reply->recent_count; i++)
        json_array_append_new(recent, commands_entry_object(&reply->recent[i]));
    return json_pack("{s:o, s:o, s:b, s:I, s:I, s:o}", "keys", keys, "store",
                     json_text(reply->store), "down", commands_are_down(reply), "receipts_waiting",
                     (json_int_t)reply->receipts_waiting, "refused", (json_int_t)reply->refused,
                     "recent", recent);
}
