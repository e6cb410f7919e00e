#include <string.h>

#include "replay_state.h"

/* The slack, since a clock may lie behind the high water by that. */
static bool has_expired(const struct replay_state *state, const struct replay_id *id)
{
    return id->exp < state->high_water_ms / 1000 &&
           state->high_water_ms / 1000 - id->exp > REPLAY_CLOCK_SLACK_MS / 1000;
}

static bool is_held(const struct replay_state *state, const struct replay_id *id)
{
    for (size_t i = 0; i < state->command_count; i++) {
        const struct receipt *receipt = &state->commands[i].receipt;
        if (memcmp(receipt->jti, id->jti, sizeof id->jti) == 0 && receipt->seq == id->seq &&
            strcmp(receipt->kid, state->keys[id->key].kid) == 0)
            return true;
    }
    return false;
}

void replay_state_prune(struct replay_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->id_count; i++)
        if (!has_expired(state, &state->ids[i]) || is_held(state, &state->ids[i]))
            state->ids[kept++] = state->ids[i];
    state->id_count = kept;
}

struct emitter {
    void (*emit)(void *context, struct replay_record *record);
    void *context;
    uint64_t time_ms;
};

static void emit(const struct emitter *emitter, struct replay_record *record)
{
    record->time_ms = emitter->time_ms;
    emitter->emit(emitter->context, record);
}

static void emit_keys(const struct replay_state *state, const struct emitter *emitter)
{
    for (size_t i = 0; i < state->key_count; i++) {
        struct replay_record record = {.kind = REPLAY_KEY, .key = state->keys[i]};
        emit(emitter, &record);
    }
}

/* The ids of commands that follow as such are left to these. */
static void emit_ids(const struct replay_state *state, const struct emitter *emitter)
{
    struct replay_record record = {.kind = REPLAY_IDS};
    for (size_t i = 0; i < state->id_count; i++) {
        if (is_held(state, &state->ids[i]))
            continue;
        record.ids.list[record.ids.count++] = state->ids[i];
        if (record.ids.count < REPLAY_IDS_MAX)
            continue;
        emit(emitter, &record);
        record = (struct replay_record){.kind = REPLAY_IDS};
    }
    if (record.ids.count > 0)
        emit(emitter, &record);
}

static bool was_started(const struct replay_command *command)
{
    return command->phase == ipc_COMMAND_STARTED ||
           (command->phase == ipc_COMMAND_ENDED && command->receipt.decision != RECEIPT_NOT_RUN);
}

static void emit_commands(const struct replay_state *state, const struct emitter *emitter)
{
    for (size_t i = 0; i < state->command_count; i++) {
        const struct replay_command *command = &state->commands[i];
        struct replay_record record = {.kind = REPLAY_ACCEPTED, .command = *command};
        emit(emitter, &record);
        record.kind = REPLAY_STARTED;
        if (was_started(command))
            emit(emitter, &record);
        record.kind = REPLAY_ENDED;
        if (command->phase == ipc_COMMAND_ENDED)
            emit(emitter, &record);
    }
}

static void count(void *context, struct replay_record *record)
{
    (void)record;
    ++*(uint64_t *)context;
}

static void emit_all(const struct replay_state *state, const struct emitter *emitter)
{
    struct replay_record record = {.kind = REPLAY_BEGIN, .begin = state->begin};
    emit(emitter, &record);
    emit_keys(state, emitter);
    emit_ids(state, emitter);
    emit_commands(state, emitter);
}

void replay_state_snapshot(struct replay_state *state,
                           void (*to)(void *context, struct replay_record *record), void *context)
{
    replay_state_prune(state);
    struct emitter counter = {.emit = count, .context = &state->begin.records};
    state->begin.records = 0;
    emit_all(state, &counter);
    emit_all(state, &(struct emitter){to, context, state->high_water_ms});
}
