/* The enumerations of signed commands. */
#include "words.h"

#include "words_find.h"

const struct words *words_command_profile(ipc_CommandProfile profile)
{
    static const struct words table[] = {
        [ipc_PROFILE_NONE] = {"none", "for no command", NULL},
        [ipc_PROFILE_DIAGNOSTIC] = {"diagnostic", "with an account of its own", NULL},
        [ipc_PROFILE_USER] = {"user", "as the user of the desktop", NULL},
        [ipc_PROFILE_ADMIN] = {"admin", "as root", NULL},
    };
    return words_find(table, WORDS_COUNT(table), profile);
}

const struct words *words_command_phase(ipc_CommandPhase phase)
{
    static const struct words table[] = {
        [ipc_COMMAND_UNKNOWN] = {"unknown", "not known any more", NULL},
        [ipc_COMMAND_ACCEPTED] = {"accepted", "accepted, not yet started", NULL},
        [ipc_COMMAND_STARTED] = {"started", "running", NULL},
        [ipc_COMMAND_ENDED] = {"ended", "ended", NULL},
    };
    return words_find(table, WORDS_COUNT(table), phase);
}

static const struct words decisions[] = {
    [ipc_DECISION_UNSPECIFIED] = {"unspecified", "the vault did not decide", NULL},
    [ipc_DECISION_ACCEPTED] = {"accepted", "it is a command, not a list of revoked keys", NULL},
    [ipc_DECISION_REVOCATION] = {"revocation", "taken", NULL},
    [ipc_DECISION_TOO_LONG] = {"too_long", "it is longer than 262144 bytes", NULL},
    [ipc_DECISION_MALFORMED] = {"malformed", "it is no compact JWS", NULL},
    [ipc_DECISION_HEADER] = {"header", "it is not signed by a key of this build",
                             "'cloister commands' lists the keys"},
    [ipc_DECISION_SIGNATURE] = {"signature", "its signature is wrong", NULL},
    [ipc_DECISION_REVOKED] = {"revoked", "the key that signed it is revoked itself", NULL},
    [ipc_DECISION_NO_KEYS] = {"no_keys", "this build has no keys", NULL},
    [ipc_DECISION_RATIONED] = {"rationed", "there were too many tokens", "try again in a moment"},
    [ipc_DECISION_BUSY] = {"busy", "a command is under way", "try again when it has ended"},
    [ipc_DECISION_PAYLOAD] = {"payload", "what is signed is no list of revoked keys",
                              "'cloister-sign show' tells what it is"},
    [ipc_DECISION_AUDIENCE] = {"audience", "it is for other machines", NULL},
    [ipc_DECISION_NOT_YET_VALID] = {"not_yet_valid", "it is not valid yet", NULL},
    [ipc_DECISION_EXPIRED] = {"expired", "it is not valid any more", NULL},
    [ipc_DECISION_VALIDITY] = {"validity", "it is valid for longer than 7 days, or never", NULL},
    [ipc_DECISION_CLOCK] = {"clock", "this machine's clock was set back", "set the clock"},
    [ipc_DECISION_STORE] = {"store", "the replay store is missing, damaged or older than it was",
                            "see docs/commands.md, then 'cloister commands reset'"},
    [ipc_DECISION_EPOCH] = {"epoch", "it is valid from before the replay store was made", NULL},
    [ipc_DECISION_SEQUENCE] = {"sequence", "its sequence number is not above the last", NULL},
    [ipc_DECISION_REPLAYED] = {"replayed", "it was taken before", NULL},
    [ipc_DECISION_PROFILE] = {"profile", "its key may not do this",
                              "a key may revoke itself; one that was built in with 'revokes' any"},
    [ipc_DECISION_COUNTERSIGNATURE] = {"countersignature", "it has to be signed twice", NULL},
};

const struct words *words_decision(ipc_Decision decision)
{
    return words_find(decisions, WORDS_COUNT(decisions), decision);
}
