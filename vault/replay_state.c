#include "replay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int replay_state_new(struct replay_state **out)
{
    struct replay_state *state = calloc(1, sizeof *state);
    if (state) {
        state->ids = calloc(REPLAY_IDS_HELD_MAX, sizeof *state->ids);
        state->commands = calloc(REPLAY_WAITING_MAX + 1, sizeof *state->commands);
    }
    if (!state || !state->ids || !state->commands) {
        replay_state_free(state);
        return -ENOMEM;
    }
    *out = state;
    return 0;
}

struct replay_state *replay_state_free(struct replay_state *state)
{
    if (!state)
        return NULL;
    free(state->ids);
    free(state->commands);
    free(state);
    return NULL;
}

void replay_state_clear(struct replay_state *state)
{
    struct replay_id *ids = state->ids;
    struct replay_command *commands = state->commands;
    memset(state, 0, sizeof *state);
    state->ids = ids;
    state->commands = commands;
}

/* ---------------------------------------------------------------- finding */

static size_t key_row(const struct replay_state *state, const char *kid)
{
    size_t row = 0;
    while (row < state->key_count && strcmp(state->keys[row].kid, kid) != 0)
        row++;
    return row;
}

const struct replay_key *replay_state_key(const struct replay_state *state, const char *kid)
{
    size_t row = key_row(state, kid);
    return row < state->key_count ? &state->keys[row] : NULL;
}

static struct replay_command *find(const struct replay_state *state,
                                   const uint8_t token[ORDER_TOKEN_SIZE])
{
    for (size_t i = 0; i < state->command_count; i++)
        if (memcmp(state->commands[i].receipt.token, token, ORDER_TOKEN_SIZE) == 0)
            return &state->commands[i];
    return NULL;
}

const struct replay_command *replay_state_find(const struct replay_state *state,
                                               const uint8_t token[ORDER_TOKEN_SIZE])
{
    return find(state, token);
}

static bool is_same(const struct receipt *receipt, const char *kid, const uint8_t *jti,
                    uint64_t seq)
{
    return strcmp(receipt->kid, kid) == 0 &&
           (receipt->seq == seq || memcmp(receipt->jti, jti, RECEIPT_JTI_SIZE) == 0);
}

const struct replay_command *replay_state_find_id(const struct replay_state *state, const char *kid,
                                                  const uint8_t jti[RECEIPT_JTI_SIZE], uint64_t seq)
{
    for (size_t i = 0; i < state->command_count; i++)
        if (is_same(&state->commands[i].receipt, kid, jti, seq))
            return &state->commands[i];
    return NULL;
}

static bool has_id(const struct replay_state *state, const struct receipt *receipt)
{
    size_t row = key_row(state, receipt->kid);
    for (size_t i = 0; i < state->id_count; i++) {
        const struct replay_id *id = &state->ids[i];
        if (id->key == row &&
            (id->seq == receipt->seq || memcmp(id->jti, receipt->jti, RECEIPT_JTI_SIZE) == 0))
            return true;
    }
    return false;
}

static bool is_full(const struct replay_state *state, const struct receipt *receipt)
{
    bool new_key = key_row(state, receipt->kid) == state->key_count;
    return state->id_count == REPLAY_IDS_HELD_MAX || state->command_count >= REPLAY_WAITING_MAX ||
           (new_key && state->key_count == REPLAY_KEYS_MAX);
}

enum replay_admission replay_state_admit(const struct replay_state *state,
                                         const struct receipt *receipt, uint64_t nbf)
{
    const struct replay_key *key = replay_state_key(state, receipt->kid);
    if (nbf < state->begin.epoch_ms / 1000)
        return REPLAY_EPOCH;
    if (has_id(state, receipt) || find(state, receipt->token) ||
        (key && key->highest == receipt->seq))
        return REPLAY_REPLAYED;
    if (key && receipt->seq <= key->highest)
        return REPLAY_SEQUENCE;
    return is_full(state, receipt) ? REPLAY_FULL : REPLAY_NEW;
}

size_t replay_state_waiting(const struct replay_state *state)
{
    size_t count = 0;
    for (size_t i = 0; i < state->command_count; i++)
        count += state->commands[i].phase == ipc_COMMAND_ENDED;
    return count;
}

/* ---------------------------------------------------------------- checking */

static bool has_space_for_key(const struct replay_state *state, const char *kid)
{
    return key_row(state, kid) < REPLAY_KEYS_MAX;
}

static const char *check_key(const struct replay_state *state, const struct replay_key *from)
{
    const struct replay_key *key = replay_state_key(state, from->kid);
    if (!has_space_for_key(state, from->kid))
        return "more keys than the store holds";
    if (key && from->highest < key->highest)
        return "a key's highest sequence number falls";
    return key && key->revoked && !from->revoked ? "a revoked key is none any more" : NULL;
}

static const char *check_ids(const struct replay_state *state, const struct replay_ids *from)
{
    if (from->count > REPLAY_IDS_HELD_MAX - state->id_count)
        return "more ids than the store holds";
    for (uint32_t i = 0; i < from->count; i++)
        if (from->list[i].key >= state->key_count ||
            from->list[i].seq > state->keys[from->list[i].key].highest)
            return "an id of no key";
    return NULL;
}

static const char *check_accepted(const struct replay_state *state,
                                  const struct replay_command *command, bool in_snapshot)
{
    const struct receipt *receipt = &command->receipt;
    const struct replay_key *key = replay_state_key(state, receipt->kid);
    uint64_t highest = key ? key->highest : 0;
    if (find(state, receipt->token) || has_id(state, receipt))
        return "a command is accepted twice";
    if (in_snapshot ? receipt->seq > highest : receipt->seq <= highest)
        return "a command out of sequence";
    if (!has_space_for_key(state, receipt->kid) || state->command_count > REPLAY_WAITING_MAX ||
        state->id_count == REPLAY_IDS_HELD_MAX)
        return "more commands than the store holds";
    return NULL;
}

static const char *check_started(const struct replay_state *state,
                                 const struct replay_command *from)
{
    const struct replay_command *command = find(state, from->receipt.token);
    return command && command->phase == ipc_COMMAND_ACCEPTED
               ? NULL
               : "a command is started that does not wait";
}

/* What was not started can only have not run, and what was started not that. */
static const char *check_ended(const struct replay_state *state, const struct replay_command *from)
{
    const struct replay_command *command = find(state, from->receipt.token);
    if (!command || command->phase == ipc_COMMAND_ENDED)
        return "a command ends that is not under way";
    bool started = command->phase == ipc_COMMAND_STARTED;
    bool may_have_run = from->receipt.decision != RECEIPT_NOT_RUN;
    return started == may_have_run && (started || !from->receipt.started_ms)
               ? NULL
               : "a command ends as it cannot";
}

static const char *check_delivered(const struct replay_state *state,
                                   const uint8_t token[ORDER_TOKEN_SIZE])
{
    const struct replay_command *command = find(state, token);
    return command && command->phase == ipc_COMMAND_ENDED
               ? NULL
               : "a receipt is delivered that there is not";
}

const char *replay_state_check(const struct replay_state *state, const struct replay_record *record)
{
    bool in_snapshot = record->index < state->begin.records;
    if ((record->index == 0) != (record->kind == REPLAY_BEGIN))
        return "a beginning that is none";
    switch (record->kind) {
    case REPLAY_KEY:
        return check_key(state, &record->key);
    case REPLAY_IDS:
        return in_snapshot ? check_ids(state, &record->ids) : "ids outside of the beginning";
    case REPLAY_ACCEPTED:
        return check_accepted(state, &record->command, in_snapshot);
    case REPLAY_STARTED:
        return check_started(state, &record->command);
    case REPLAY_ENDED:
        return check_ended(state, &record->command);
    case REPLAY_DELIVERED:
        return in_snapshot ? "a delivery in the beginning" : check_delivered(state, record->token);
    case REPLAY_BEGIN:
    case REPLAY_TIME:
        return NULL;
    }
    return "a record of no kind";
}

/* ---------------------------------------------------------------- applying what was checked */

static struct replay_key *take_key(struct replay_state *state, const char *kid)
{
    size_t row = key_row(state, kid);
    if (row == state->key_count) {
        state->keys[row] = (struct replay_key){0};
        memcpy(state->keys[row].kid, kid, sizeof state->keys[row].kid);
        state->key_count++;
    }
    return &state->keys[row];
}

static void show(struct replay_state *state, const struct replay_command *command)
{
    size_t kept = state->recent_count;
    if (kept == REPLAY_RECENT_MAX)
        kept--;
    memmove(state->recent + 1, state->recent, kept * sizeof *state->recent);
    state->recent[0] = *command;
    state->recent_count = kept + 1;
}

static void show_again(struct replay_state *state, const struct replay_command *command)
{
    for (size_t i = 0; i < state->recent_count; i++)
        if (memcmp(state->recent[i].receipt.token, command->receipt.token, ORDER_TOKEN_SIZE) == 0)
            state->recent[i] = *command;
}

static void add_ids(struct replay_state *state, const struct replay_ids *from)
{
    memcpy(state->ids + state->id_count, from->list, from->count * sizeof *from->list);
    state->id_count += from->count;
}

static void accept(struct replay_state *state, const struct replay_command *command)
{
    const struct receipt *receipt = &command->receipt;
    struct replay_key *key = take_key(state, receipt->kid);
    struct replay_id *id = &state->ids[state->id_count++];
    if (receipt->seq > key->highest)
        key->highest = receipt->seq;
    *id = (struct replay_id){
        .seq = receipt->seq, .exp = command->exp, .key = (uint32_t)(key - state->keys)};
    memcpy(id->jti, receipt->jti, sizeof id->jti);
    struct replay_command *kept = &state->commands[state->command_count++];
    *kept = *command;
    kept->phase = ipc_COMMAND_ACCEPTED;
    show(state, kept);
}

static void start(struct replay_state *state, const struct replay_command *from)
{
    struct replay_command *command = find(state, from->receipt.token);
    command->phase = ipc_COMMAND_STARTED;
    command->receipt.started_ms = from->receipt.started_ms;
    show_again(state, command);
}

static void end(struct replay_state *state, const struct replay_command *from)
{
    struct replay_command *command = find(state, from->receipt.token);
    struct receipt *receipt = &command->receipt;
    command->phase = ipc_COMMAND_ENDED;
    receipt->decision = from->receipt.decision;
    memcpy(receipt->reason, from->receipt.reason, sizeof receipt->reason);
    receipt->end = from->receipt.end;
    receipt->code = from->receipt.code;
    receipt->limit = from->receipt.limit;
    receipt->out = from->receipt.out;
    receipt->err = from->receipt.err;
    if (from->receipt.started_ms)
        receipt->started_ms = from->receipt.started_ms;
    receipt->ended_ms = from->receipt.ended_ms;
    show_again(state, command);
}

static void deliver(struct replay_state *state, const uint8_t token[ORDER_TOKEN_SIZE])
{
    struct replay_command *command = find(state, token);
    size_t at = (size_t)(command - state->commands);
    memmove(command, command + 1, (state->command_count - at - 1) * sizeof *command);
    state->command_count--;
}

static void apply(struct replay_state *state, const struct replay_record *record)
{
    switch (record->kind) {
    case REPLAY_BEGIN:
        replay_state_clear(state);
        state->begin = record->begin;
        break;
    case REPLAY_KEY:
        *take_key(state, record->key.kid) = record->key;
        break;
    case REPLAY_IDS:
        add_ids(state, &record->ids);
        break;
    case REPLAY_ACCEPTED:
        accept(state, &record->command);
        break;
    case REPLAY_STARTED:
        start(state, &record->command);
        break;
    case REPLAY_ENDED:
        end(state, &record->command);
        break;
    case REPLAY_DELIVERED:
        deliver(state, record->token);
        break;
    case REPLAY_TIME:
        break;
    }
}

const char *replay_state_apply(struct replay_state *state, const struct replay_record *record)
{
    const char *wrong = replay_state_check(state, record);
    if (wrong)
        return wrong;
    apply(state, record);
    if (record->time_ms > state->high_water_ms)
        state->high_water_ms = record->time_ms;
    return NULL;
}
