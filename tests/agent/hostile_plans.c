/*
 * What a broker that has been taken over tries. Which of it is named by the configuration's
 * [console] path; what came of it is said on its log, for test_hostile_broker.py.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile_broker.h"

/* ---- against the local policy ---- */

static void try_runner(const char *what, uint32_t profile, const uint8_t digest[32])
{
    bool got = ask_runner(profile, digest);
    say("%s: %s %u", what, got ? "STARTED" : "refused", hostile.runner.reason);
    if (got)
        kill_runner();
}

static void try_process(const char *what, const char *kind)
{
    bool got = ask_process(kind);
    say("%s: %s %u", what, got ? "STARTED" : "refused", hostile.process.reason);
}

static void against_policy(void)
{
    uint8_t other[32];
    const uint8_t *allowed = hostile.config.commands.allow[0];
    memcpy(other, allowed, sizeof(other));
    other[31] ^= 1;
    try_runner("profile user", MONITOR_PROFILE_USER, allowed);
    try_runner("profile admin", MONITOR_PROFILE_ADMIN, allowed);
    try_runner("another command", MONITOR_PROFILE_DIAGNOSTIC, other);
    try_process("a process without a runner", "cmd-diagnostic");
    if (!ask_runner(MONITOR_PROFILE_DIAGNOSTIC, allowed))
        fail("no runner");
    try_process("a process of the profile user", "cmd-user");
    try_process("a process of the profile admin", "cmd-admin");
    hostile.process.slot++;
    try_process("a process above nobody", "cmd-diagnostic");
    hostile.process.slot--;
    if (!ask_process("cmd-diagnostic"))
        fail("no process");
    tell_of(MONITOR_KILL, &hostile.process);
    await("the process's end", &hostile.process.exited, &hostile.process.exited);
    try_process("a second process", "cmd-diagnostic");
    tell_of(MONITOR_KILL, &hostile.runner);
    await("the runner's end", &hostile.runner.exited, &hostile.runner.exited);
    try_process("a process of a runner that is gone", "cmd-diagnostic");
}

/* Each is to be the end of this broker. */
static void against_protocol(const char *how)
{
    struct monitor_message message = start_of(&hostile.runner, MONITOR_RUNNER_KIND);
    message.profile = MONITOR_PROFILE_DIAGNOSTIC;
    memcpy(message.digest, hostile.config.commands.allow[0], sizeof(message.digest));
    if (strcmp(how, "/high") == 0) {
        message.slot = MONITOR_COMMAND_SLOT;
    } else if (strcmp(how, "/unprofiled") == 0) {
        message.profile = MONITOR_PROFILE_NONE;
    } else if (strcmp(how, "/low") == 0) {
        message = (struct monitor_message){
            .op = MONITOR_START, .slot = 0, .generation = 1, .kind = "cmd-diagnostic"};
    } else if (strcmp(how, "/again") == 0) {
        if (!asked_to_start(&hostile.runner, &message))
            fail("no runner");
        tell_of(MONITOR_KILL, &hostile.runner);
        await("the runner's end", &hostile.runner.exited, &hostile.runner.exited);
    } else if (strcmp(how, "/disguised") == 0) {
        strcpy(message.kind, "vault");
    } else {
        fail("no such scenario");
    }
    tell(&message);
    for (int64_t end = now_ms() + DEADLINE_MS; now_ms() < end; pump())
        ;
    fail("it goes on");
}

/* ---- against the runner ---- */

/* What the vault hostile.orders for that instance. */
static void get_order(uint32_t number, uint32_t slot, uint32_t generation)
{
    uint32_t before = hostile.orders;
    ipc_CommandFetch ask = {.number = number, .slot = slot, .generation = generation};
    channel_send(hostile.vault.channel, IPC_COMMAND_FETCH, 100 + hostile.orders, &ask, NULL, 0);
    for (int64_t end = now_ms() + DEADLINE_MS; hostile.orders == before; pump())
        if (now_ms() > end)
            fail("no order");
}

static void give_order(void)
{
    channel_send(hostile.runner.channel, IPC_COMMAND_ORDER, hostile.fetch_request,
                 &hostile.order.body, hostile.order.bytes, hostile.order.length);
}

/* Gives what `order` holds to a runner, and says what that did. */
static void try_order(const char *what)
{
    give_order();
    await("the runner's end", &hostile.runner.exited, &hostile.runner.exited);
    await("the process's end", &hostile.process.exited, &hostile.process.exited);
    pump(); /* its last words */
    say("%s: exit %d, chunks %u, finished %u, status %u", what,
        hostile.runner.code == CLD_EXITED ? hostile.runner.status : -hostile.runner.status,
        hostile.chunks, hostile.finished, hostile.code);
}

/* A runner for the first command gets an order for something else, or one that was changed. */
static void try_changed(const char *what, uint32_t number, uint32_t slot_off,
                        uint32_t generation_off, size_t changed, bool in_tag)
{
    start_command(hostile.config.commands.allow[0]);
    get_order(number, hostile.runner.slot + slot_off, hostile.runner.generation - generation_off);
    if (in_tag)
        hostile.order.body.tag[changed / 8] ^= (uint8_t)(1u << changed % 8);
    else if (changed)
        hostile.order.bytes[changed] ^= 1;
    try_order(what);
}

static void against_runner(void)
{
    start_vault();
    for (size_t bit = 0; bit < 256; bit += 51)
        try_changed("a forged tag", 1, 0, 0, bit, true);
    try_changed("a changed slot", 1, 0, 0, 4, false);
    try_changed("a changed profile", 1, 0, 0, 12, false);
    try_changed("a changed digest", 1, 0, 0, 32, false);
    try_changed("a changed program", 1, 0, 0, 96 + 5, false);
    try_changed("another slot's order", 1, 1, 0, 0, false);
    try_changed("an earlier generation's order", 1, 0, 1, 0, false);
    try_changed("another command's order", 2, 0, 0, 0, false);
    try_changed("another profile's order", 3, 0, 0, 0, false);
    start_command(
        hostile.config.commands.allow[1]); /* let pass, and still not the one that is ordered */
    get_order(1, hostile.runner.slot, hostile.runner.generation);
    try_order("an order for what was not asked for");
    start_command(hostile.config.commands.allow[0]);
    get_order(1, hostile.runner.slot, hostile.runner.generation);
    hostile.order.length--;
    try_order("a shortened order");
    start_command(hostile.config.commands.allow[0]);
    get_order(1, hostile.runner.slot, hostile.runner.generation);
    memset(hostile.order.body.tag, 0, sizeof(hostile.order.body.tag));
    try_order("no tag");
    start_command(hostile.config.commands.allow[0]);
    get_order(1, hostile.runner.slot, hostile.runner.generation);
    static struct ordered earlier;
    earlier = hostile.order;
    try_order("the order that is its own");
    start_command(hostile.config.commands.allow[0]);
    hostile.order = earlier;
    try_order("the same once more, to the next");
    start_command(hostile.config.commands.allow[0]);
    get_order(1, hostile.runner.slot, hostile.runner.generation);
    give_order();
    try_order("the same twice, to one");
}

/* ---- with valid signatures ---- */

#define TOKENS    3
#define TOKEN_MAX 4096

/* Signed by a key of the vault's; the test writes them over these in a copy of this program, since
 * nothing can be handed to a broker from outside. */
static volatile const char tokens[TOKENS][TOKEN_MAX] = {"TOKEN:0", "TOKEN:1", "TOKEN:2"};

/* Offers a token until it is valid and the vault has time for it. */
static void offer(size_t which)
{
    static char token[TOKEN_MAX];
    static uint32_t request = 1000;
    ipc_TokenOffer said = {0};
    for (size_t i = 0; i < TOKEN_MAX; i++)
        token[i] = tokens[which][i];
    hostile.wanted = false;
    do {
        hostile.decided = false;
        /* as if from uplink: not from an administrator, who is root */
        channel_send_stamped(hostile.vault.channel, IPC_TOKEN_OFFER, ++request, 0, getuid(), &said,
                             token, strnlen(token, TOKEN_MAX));
        await("the vault's decision", &hostile.decided, &hostile.vault.exited);
        pump();
    } while (hostile.decision.decision == ipc_Decision_DECISION_NOT_YET_VALID ||
             hostile.decision.decision == ipc_Decision_DECISION_BUSY);
    say("token %zu: decision %d", which, (int)hostile.decision.decision);
    await("what the vault wants", &hostile.wanted, &hostile.vault.exited);
}

/* A command as it was signed, and then as if it were one that the configuration allows. */
static void try_signed(size_t which)
{
    ipc_CommandLost lost = {.reason = "policy_profile"};
    offer(which);
    bool got = ask_runner((uint32_t)hostile.want.profile, hostile.want.digest);
    say("token %zu as it is: %s %u", which, got ? "STARTED" : "refused", hostile.runner.reason);
    if (got) {
        tell_of(MONITOR_KILL, &hostile.runner);
        await("the runner's end", &hostile.runner.exited, &hostile.runner.exited);
    }
    start_command(hostile.config.commands.allow[0]);
    get_order(hostile.want.number, hostile.runner.slot, hostile.runner.generation);
    char what[64];
    snprintf(what, sizeof(what), "token %zu in disguise", which);
    try_order(what);
    lost.number = hostile.want.number;
    channel_send(hostile.vault.channel, IPC_COMMAND_LOST, 0, &lost, NULL, 0);
}

static void with_signatures(void)
{
    start_vault();
    for (size_t i = 0; i < TOKENS; i++)
        try_signed(i);
}

static void read_config(void)
{
    if (pread(MONITOR_FD_CONFIG, &hostile.config, sizeof(hostile.config), 0) !=
            sizeof(hostile.config) ||
        hostile.config.magic != AGENT_CONFIG_MAGIC)
        fail("no configuration");
}

int main(void)
{
    read_config();
    if (channel_threads_start() != 0)
        fail("no threads");
    say("hostile %s", hostile.config.console.path);
    if (strcmp(hostile.config.console.path, "/policy") == 0)
        against_policy();
    else if (strcmp(hostile.config.console.path, "/off") == 0)
        try_runner("commands that are off", MONITOR_PROFILE_DIAGNOSTIC,
                   hostile.config.commands.allow[0]);
    else if (strcmp(hostile.config.console.path, "/orders") == 0)
        against_runner();
    else if (strcmp(hostile.config.console.path, "/signed") == 0)
        with_signatures();
    else
        against_protocol(hostile.config.console.path);
    say("all tried");
    while (!hostile.stopping)
        pump();
    return 0;
}
