#include "words.h"

#include <stddef.h>
#include <string.h>

static const char *const decisions[] = {
    [ipc_DECISION_UNSPECIFIED] = "unspecified",
    [ipc_DECISION_ACCEPTED] = "accepted",
    [ipc_DECISION_REVOCATION] = "revocation",
    [ipc_DECISION_TOO_LONG] = "too_long",
    [ipc_DECISION_MALFORMED] = "malformed",
    [ipc_DECISION_HEADER] = "header",
    [ipc_DECISION_SIGNATURE] = "signature",
    [ipc_DECISION_REVOKED] = "revoked",
    [ipc_DECISION_NO_KEYS] = "no_keys",
    [ipc_DECISION_RATIONED] = "rationed",
    [ipc_DECISION_BUSY] = "busy",
    [ipc_DECISION_PAYLOAD] = "payload",
    [ipc_DECISION_AUDIENCE] = "audience",
    [ipc_DECISION_NOT_YET_VALID] = "not_yet_valid",
    [ipc_DECISION_EXPIRED] = "expired",
    [ipc_DECISION_VALIDITY] = "validity",
    [ipc_DECISION_CLOCK] = "clock",
    [ipc_DECISION_STORE] = "store",
    [ipc_DECISION_EPOCH] = "epoch",
    [ipc_DECISION_SEQUENCE] = "sequence",
    [ipc_DECISION_REPLAYED] = "replayed",
    [ipc_DECISION_PROFILE] = "profile",
    [ipc_DECISION_COUNTERSIGNATURE] = "countersignature",
};

_Static_assert(sizeof decisions / sizeof decisions[0] == _ipc_Decision_ARRAYSIZE,
               "every decision has its word");

static const char *const profiles[] = {
    [ipc_PROFILE_NONE] = "none",
    [ipc_PROFILE_DIAGNOSTIC] = "diagnostic",
    [ipc_PROFILE_USER] = "user",
    [ipc_PROFILE_ADMIN] = "admin",
};

static const char *const not_run[] = {
    "commands_off", "policy_profile", "policy_digest", "no_session",    "no_account",
    "no_program",   "no_cgroup",      "not_started",   "agent_stopped", "revoked",
};

static const char *const unknown[] = {"agent_stopped", "runner_died"};

static const char *word_at(const char *const *table, size_t count, unsigned number)
{
    return number < count ? table[number] : table[0];
}

static bool is_among(const char *const *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i], word) == 0)
            return true;
    return false;
}

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

const char *decision_word(ipc_Decision decision)
{
    return word_at(decisions, COUNT(decisions), (unsigned)decision);
}

bool decision_is_authentic(ipc_Decision decision)
{
    return decision == ipc_DECISION_ACCEPTED || decision == ipc_DECISION_REVOCATION ||
           (decision >= ipc_DECISION_PAYLOAD && decision <= _ipc_Decision_MAX);
}

const char *profile_word(ipc_CommandProfile profile)
{
    return word_at(profiles, COUNT(profiles), (unsigned)profile);
}

bool not_run_word(const char *word)
{
    return is_among(not_run, COUNT(not_run), word);
}

bool unknown_word(const char *word)
{
    return is_among(unknown, COUNT(unknown), word);
}
