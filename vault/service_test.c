#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "key_files.h"

#define HOST "console.example.org"
#define UNIX 1790000000000ULL

struct place {
    char path[64];
    int folder;
    struct key_store *store;
    struct service service;
};

static ipc_VaultConfig configuration(const char *disk, const char *board)
{
    ipc_VaultConfig config = {.has_disk = true, .has_board = true, .console_host = HOST};
    config.disk.state = disk ? ipc_IDENTIFIER_PRESENT : ipc_IDENTIFIER_UNREADABLE;
    config.board.state = board ? ipc_IDENTIFIER_PRESENT : ipc_IDENTIFIER_ABSENT;
    snprintf(config.disk.value, sizeof config.disk.value, "%s", disk ? disk : "");
    snprintf(config.board.value, sizeof config.board.value, "%s", board ? board : "");
    return config;
}

/* As a new process would begin. */
static void begin(struct place *place, const char *disk, const char *board)
{
    ipc_VaultConfig config = configuration(disk, board);
    place->store = key_store_free(place->store);
    assert_int_equal(key_store_new(&place->store), 0);
    assert_int_equal(service_begin(&place->service, place->store, place->folder, &config, 0), 0);
    service_open(&place->service, UNIX);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->path, "/tmp/vault_service_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->folder = state_folder_open(place->path);
    assert_true(place->folder >= 0);
    begin(place, "D1", "B1");
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    place->store = key_store_free(place->store);
    close(place->folder);
    snprintf(command, sizeof command, "rm -r %s", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void assert_event(struct place *place, ipc_VaultEventKind kind)
{
    ipc_VaultEvent event;
    assert_int_equal(service_event(&place->service, &event), 1);
    assert_int_equal(event.kind, kind);
    assert_true(strlen(event.detail) > 0);
}

static void assert_no_event(struct place *place)
{
    ipc_VaultEvent event;
    assert_int_equal(service_event(&place->service, &event), 0);
}

static ipc_SignChallenge challenge_for(const char *host)
{
    ipc_SignChallenge request = {0};
    snprintf(request.host, sizeof request.host, "%s", host);
    memset(request.challenge, 0x11, sizeof request.challenge);
    memset(request.exporter, 0x22, sizeof request.exporter);
    return request;
}

static void a_challenge_is_signed_by_the_key_it_names(void **state)
{
    struct place *place = *state;
    ipc_SignChallenge request = challenge_for(HOST);
    ipc_ChallengeSigned reply;
    ipc_MachineIdentityReply identity;
    assert_null(service_sign_challenge(&place->service, &request, 0, UNIX, &reply));
    assert_true(reply.has_key);
    uint8_t message[256];
    size_t length = sizeof "cloister/v1 console-auth";
    memcpy(message, "cloister/v1 console-auth", length);
    message[length++] = sizeof HOST - 1;
    message[length++] = 0;
    memcpy(message + length, HOST, sizeof HOST - 1);
    length += sizeof HOST - 1;
    memset(message + length, 0x11, 32);
    memset(message + length + 32, 0x22, 32);
    length += 64;
    assert_int_equal(
        crypto_sign_verify_detached(reply.signature, message, length, reply.key.public_key), 0);
    assert_null(service_identity(&place->service, 0, UNIX, &identity));
    assert_memory_equal(identity.key.public_key, reply.key.public_key, 32);
    assert_int_equal(identity.key.origin, ipc_KEY_FIRST_START);
    assert_int_equal(identity.key.created_ms, UNIX);
    assert_string_equal(identity.binding, "disk board");
    assert_int_equal(strlen(identity.fingerprint), 39);
}

static void refusals_name_their_reason(void **state)
{
    struct place *place = *state;
    ipc_SignChallenge request = challenge_for("evil.example.org");
    ipc_ChallengeSigned reply;
    ipc_OriginSigned origin;
    const struct service_refusal *refusal =
        service_sign_challenge(&place->service, &request, 0, UNIX, &reply);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_NOT_ALLOWED);
    assert_true(sodium_is_zero(reply.signature, sizeof reply.signature));
    request = challenge_for(HOST);
    for (int i = 0; i < 50; i++)
        refusal = service_sign_challenge(&place->service, &request, 0, UNIX, &reply);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_TOO_MANY);
    ipc_SignOrigin empty = {.consent_ms = 1};
    refusal = service_sign_origin(&place->service, &empty, 0, UNIX, &origin);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_BAD_REQUEST);
    ipc_SignOrigin whole = {.size = 1, .consent_ms = 1};
    assert_null(service_sign_origin(&place->service, &whole, 0, UNIX, &origin));
}

/* A host that fills its field to the last byte, without a terminator. */
static void an_unterminated_host_is_just_wrong(void **state)
{
    struct place *place = *state;
    ipc_SignChallenge request = challenge_for(HOST);
    ipc_ChallengeSigned reply;
    memset(request.host, 'a', sizeof request.host);
    const struct service_refusal *refusal =
        service_sign_challenge(&place->service, &request, 0, UNIX, &reply);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_NOT_ALLOWED);
}

static void what_happened_is_told_once(void **state)
{
    struct place *place = *state;
    assert_event(place, ipc_KEY_CREATED);
    assert_no_event(place);
    begin(place, NULL, "B1");
    assert_event(place, ipc_IDENTIFIER_NOT_READABLE);
    assert_no_event(place);
    begin(place, "D2", "B1");
    assert_event(place, ipc_KEY_ROTATED);
    assert_no_event(place);
    begin(place, NULL, NULL);
    assert_event(place, ipc_IDENTIFIER_NOT_READABLE);
    assert_event(place, ipc_IDENTIFIER_NOT_READABLE);
    assert_event(place, ipc_KEY_NOT_AVAILABLE);
    assert_no_event(place);
}

static void a_missing_configuration_is_no_change(void **state)
{
    struct place *place = *state;
    ipc_VaultConfig config = {.console_host = HOST};
    ipc_MachineIdentityReply identity;
    assert_int_equal(service_begin(&place->service, place->store, place->folder, &config, 0), 0);
    service_open(&place->service, UNIX);
    assert_int_equal(key_store_state(place->store), KEY_STORE_LOCKED);
    assert_null(service_identity(&place->service, 0, UNIX, &identity));
    assert_int_equal(identity.key.origin, ipc_KEY_FIRST_START);
}

static void a_lost_key_waits_for_root(void **state)
{
    struct place *place = *state;
    ipc_SignChallenge request = challenge_for(HOST);
    ipc_ChallengeSigned reply;
    ipc_MachineIdentityReply identity;
    ipc_KeyResetDone done;
    assert_int_equal(unlinkat(place->folder, KEY_FILES_KEY, 0), 0);
    begin(place, "D1", "B1");
    assert_event(place, ipc_KEY_NOT_AVAILABLE);
    const struct service_refusal *refusal =
        service_sign_challenge(&place->service, &request, 0, UNIX, &reply);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_FAILED);
    assert_non_null(strstr(refusal->detail, KEY_FILES_KEY));
    assert_non_null(service_identity(&place->service, 0, UNIX, &identity));
    refusal = service_reset(&place->service, 1000, 0, UNIX, &done);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_NOT_ALLOWED);
    assert_int_equal(key_store_state(place->store), KEY_STORE_LOST);
    assert_null(service_reset(&place->service, 0, 0, UNIX, &done));
    assert_int_equal(done.key.origin, ipc_KEY_RESET);
    assert_event(place, ipc_KEY_SET_ASIDE); /* the install secret of the lost key */
    assert_event(place, ipc_KEY_CREATED);
    assert_no_event(place);
    assert_null(service_sign_challenge(&place->service, &request, 0, UNIX, &reply));
    assert_memory_equal(reply.key.public_key, done.key.public_key, 32);
}

static void a_store_that_cannot_be_opened_is_tried_again(void **state)
{
    struct place *place = *state;
    ipc_SignChallenge request = challenge_for(HOST);
    ipc_ChallengeSigned reply;
    assert_int_equal(fchmod(place->folder, 0755), 0);
    begin(place, "D1", "B1");
    assert_event(place, ipc_KEY_NOT_AVAILABLE);
    const struct service_refusal *refusal =
        service_sign_challenge(&place->service, &request, 0, UNIX, &reply);
    assert_non_null(refusal);
    assert_int_equal(refusal->reason, ipc_FAILED);
    assert_non_null(strstr(refusal->detail, "state folder"));
    assert_int_equal(fchmod(place->folder, 0700), 0);
    assert_non_null(service_sign_challenge(&place->service, &request, 4999, UNIX, &reply));
    assert_null(service_sign_challenge(&place->service, &request, 5000, UNIX, &reply));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_challenge_is_signed_by_the_key_it_names),    test(refusals_name_their_reason),
        test(an_unterminated_host_is_just_wrong),           test(what_happened_is_told_once),
        test(a_missing_configuration_is_no_change),         test(a_lost_key_waits_for_root),
        test(a_store_that_cannot_be_opened_is_tried_again),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
