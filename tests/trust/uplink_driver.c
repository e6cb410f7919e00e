/*
 * The network part of uplink, run from the command line: the same objects as cloister-uplink, with
 * the vault's signer in the same process and without a broker. For the trust tests; it is not
 * installed.
 *
 *   uplink_driver --host NAME --port N --ca FILE [--address IP]... [--proxy] [--pin BASE64]
 * [--tls12]
 *                 [--connect-ms N] [--enroll TOKEN] [--upload FILE]... [--stay MS]
 *                 [--commands FILE [--output BYTES[,BYTES]]]
 *
 * With --proxy, the addresses and --proxy-port are those of the proxy. Without --address the host
 * must be an address. With --commands it takes signed commands, and a vault and a runner are played
 * (played_agent.h) whose command writes so many bytes. Prints one line for each thing that happens,
 * and at the end
 *
 *   end REASON cpu_ms=N elapsed_ms=N DETAIL
 *
 * Exits with 0 if REASON is "none", with 1 otherwise, with 2 for a wrong command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "dial.h"
#include "encoding.h"
#include "played_agent.h"
#include "signer.h"

#define UPLOADS_MAX 8

struct driver {
    const char *host, *ca, *token;
    uint16_t port, proxy_port;
    bool proxied, tls12, pinned;
    uint8_t pin[TLS_PIN_SIZE];
    struct dial_address addresses[DIAL_ADDRESSES_MAX];
    size_t address_count;
    int connect_ms, stay_ms;
    const char *files[UPLOADS_MAX];
    size_t file_count, done;
    uint8_t *data[UPLOADS_MAX];
    size_t size[UPLOADS_MAX];
    uint8_t public_key[32], secret_key[64];
    struct signer signer;
    struct client *client;
    bool uploads_begun;
    struct played_agent agent;
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void die(const char *what)
{
    fprintf(stderr, "uplink_driver: %s\n", what);
    exit(2);
}

static char *slurp(const char *path, size_t *length)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text;

    if (fd < 0 || fstat(fd, &status) < 0 || !(text = malloc((size_t)status.st_size + 1)))
        die(path);
    *length = (size_t)status.st_size;
    for (size_t at = 0; at < *length;) {
        ssize_t count = read(fd, text + at, *length - at);

        if (count <= 0)
            die(path);
        at += (size_t)count;
    }
    close(fd);
    return text;
}

/* ---- what the broker, the vault and the ticket program do in the agent ---- */

static void on_sign(void *user, const uint8_t *challenge, const uint8_t *binding)
{
    struct driver *driver = user;
    char host[SIGNER_HOST_MAX + 1];
    struct signer_challenge fields = {host, 0, challenge, binding};
    struct wire_authenticate authenticate = {0};

    snprintf(host, sizeof host, "%s", driver->host);
    fields.host_length = strlen(host);
    if (signer_sign_challenge(&driver->signer, driver->secret_key,
                              (uint64_t)clock_ms(CLOCK_MONOTONIC), &fields,
                              authenticate.signature) != SIGNER_SIGNED)
        die("the signer refuses");
    memcpy(authenticate.public_key, driver->public_key, WIRE_KEY_SIZE);
    EVP_Digest(driver->public_key, WIRE_KEY_SIZE, authenticate.machine_id, NULL, EVP_sha256(),
               NULL);
    printf("challenge\n");
    if (session_signed(client_session(driver->client), &authenticate, clock_ms(CLOCK_MONOTONIC)) !=
        0)
        die("authenticate is not sent");
}

static void offer(struct driver *driver, uint32_t ticket)
{
    uint8_t *data = driver->data[ticket];
    struct wire_bundle bundle = {.size = driver->size[ticket], .recipient_count = 1};
    struct signer_origin fields = {bundle.ticket, bundle.digest, bundle.size, 1790000000000};
    uint8_t *digests;

    bundle.recipients[0] = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    bundle.consent_time_ms = fields.consent_ms;
    bundle.chunks = wire_chunks(bundle.size);
    digests = malloc((size_t)bundle.chunks * WIRE_DIGEST_SIZE + 1);
    for (uint32_t i = 0; i < bundle.chunks; i++)
        EVP_Digest(data + (size_t)i * WIRE_CHUNK_SIZE, wire_chunk_length(bundle.size, i),
                   digests + (size_t)i * WIRE_DIGEST_SIZE, NULL, EVP_sha256(), NULL);
    EVP_Digest(digests, (size_t)bundle.chunks * WIRE_DIGEST_SIZE, bundle.digest, NULL, EVP_sha256(),
               NULL);
    memcpy(bundle.ticket, bundle.digest, WIRE_TICKET_SIZE); /* the same file is the same ticket */
    if (signer_sign_origin(&driver->signer, driver->secret_key, (uint64_t)clock_ms(CLOCK_MONOTONIC),
                           &fields, bundle.signature) != 0 ||
        uploads_offer(session_uploads(client_session(driver->client)), ticket, &bundle, digests) ||
        uploads_begin(session_uploads(client_session(driver->client)), ticket,
                      clock_ms(CLOCK_MONOTONIC)))
        die("the bundle cannot be begun");
    free(digests);
}

static void on_state(void *user, enum wire_state state, const struct wire_message *welcome)
{
    struct driver *driver = user;
    char id[ENCODING_HEX_SIZE(32)];
    uint8_t digest[32];

    if (welcome) {
        EVP_Digest(driver->public_key, WIRE_KEY_SIZE, digest, NULL, EVP_sha256(), NULL);
        encoding_hex(id, digest, sizeof digest);
        printf("welcome %s %s %s\n", wire_state_name(state), id, client_describe(driver->client));
    } else {
        printf("state %s\n", wire_state_name(state));
    }
    if (welcome && driver->token) {
        int rc = session_enroll(client_session(driver->client), driver->token, "driver", "test",
                                clock_ms(CLOCK_MONOTONIC));

        printf("enroll %d\n", rc);
    }
    if (state == WIRE_APPROVED && !driver->uploads_begun) {
        driver->uploads_begun = true;
        for (uint32_t i = 0; i < driver->file_count; i++)
            offer(driver, i);
    }
    if (driver->stay_ms == 0 && (driver->file_count == 0 || state != WIRE_APPROVED) &&
        !driver->token)
        client_close(driver->client);
}

static void on_enrolled(void *user, bool accepted, const char *detail)
{
    struct driver *driver = user;

    printf("enrolled %s %s\n", accepted ? "yes" : "no", detail);
    driver->token = NULL;
    if (driver->stay_ms == 0)
        client_close(driver->client);
}

static void on_news(void *user, const struct upload_news *news)
{
    struct driver *driver = user;
    uint32_t next = news->event == UPLOAD_TAKEN ? news->index + 1 : news->index;
    size_t size = driver->size[news->ticket];

    if (news->event == UPLOAD_DONE)
        printf("done %u %s\n", news->ticket, news->number);
    if (news->event == UPLOAD_FAILED)
        printf("failed %u %s %s\n", news->ticket, news->code, news->text);
    if (news->event == UPLOAD_READY)
        printf("ready %u %u\n", news->ticket, next);
    if (news->event == UPLOAD_DONE || news->event == UPLOAD_FAILED) {
        if (++driver->done == driver->file_count && driver->stay_ms == 0)
            client_close(driver->client);
        return;
    }
    if (next < wire_chunks(size) &&
        uploads_chunk(session_uploads(client_session(driver->client)), news->ticket, next,
                      driver->data[news->ticket] + (size_t)next * WIRE_CHUNK_SIZE,
                      wire_chunk_length(size, next), clock_ms(CLOCK_MONOTONIC)) != 0)
        die("a chunk is not taken");
}

static const struct client_callbacks hooks = {on_sign, on_state, on_enrolled, on_news};

/* ---- the loop that uplink's main has ---- */

static struct commands *commands_of(const struct driver *driver)
{
    struct session *session = client_session(driver->client);

    return session ? session_commands(session) : NULL;
}

static void serve(struct driver *driver, struct fault *fault)
{
    int64_t leave_ms = clock_ms(CLOCK_MONOTONIC) + driver->stay_ms;

    while (client_service(driver->client, clock_ms(CLOCK_MONOTONIC), fault)) {
        int64_t now = clock_ms(CLOCK_MONOTONIC);
        struct pollfd pollfd;
        int64_t deadline;

        if (driver->stay_ms && now >= leave_ms)
            client_close(driver->client);
        pollfd = (struct pollfd){client_fd(driver->client), client_events(driver->client), 0};
        deadline = client_deadline_ms(driver->client);
        if (driver->stay_ms && now < leave_ms && leave_ms < deadline)
            deadline = leave_ms;
        if (commands_of(driver) && played_agent_turn(&driver->agent, commands_of(driver), now))
            deadline = now; /* and again */
        fflush(stdout);
        poll(&pollfd, 1, deadline == INT64_MAX ? -1 : deadline > now ? (int)(deadline - now) : 0);
    }
}

static void run(struct driver *driver, struct fault *fault)
{
    struct tls_context *tls = NULL;
    struct tls_config tls_config = {.pin = driver->pinned ? driver->pin : NULL,
                                    .allow_tls12 = driver->tls12};
    struct client_config config = {
        .host = driver->host,
        .port = driver->port,
        .path = "/agent",
        .proxied = driver->proxied,
        .session = {.agent_version = CLOISTER_VERSION,
                    .boot_id = "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11"},
    };
    char *ca = slurp(driver->ca, &tls_config.ca_length);
    size_t used;
    int fd;

    if (driver->agent.file) {
        played_agent_load(&driver->agent);
        config.session.agent = &played_agent_hooks;
        config.session.agent_user = &driver->agent;
    }
    tls_config.ca = ca;
    if (tls_setup(fault) == 0 && tls_context_new(&tls, &tls_config, fault) == 0 &&
        dial(&fd, driver->addresses, driver->address_count, driver->connect_ms, &used, fault) ==
            0) {
        config.tls = tls;
        printf("connected\n");
        if (client_new(&driver->client, &config, fd, &hooks, driver, clock_ms(CLOCK_MONOTONIC),
                       fault) == 0)
            serve(driver, fault);
    }
    driver->client = client_free(driver->client);
    tls_context_free(tls);
    free(ca);
}

static void option(struct driver *driver, int which, const char *value)
{
    size_t length = 0;

    switch (which) {
    case 'h':
        driver->host = value;
        break;
    case 'p':
        driver->port = (uint16_t)atoi(value);
        break;
    case 'x':
        driver->proxied = true;
        driver->proxy_port = (uint16_t)atoi(value);
        break;
    case 'c':
        driver->ca = value;
        break;
    case 'i':
        driver->pinned =
            sodium_base642bin(driver->pin, sizeof driver->pin, value, strlen(value), NULL, &length,
                              NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
            length == sizeof driver->pin;
        if (!driver->pinned)
            die("not a pin");
        break;
    case '2':
        driver->tls12 = true;
        break;
    case 'm':
        driver->connect_ms = atoi(value);
        break;
    case 'e':
        driver->token = value;
        break;
    case 'u':
        if (driver->file_count < UPLOADS_MAX)
            driver->files[driver->file_count++] = value;
        break;
    case 's':
        driver->stay_ms = atoi(value);
        break;
    case 'C':
        driver->agent.file = value;
        break;
    case 'o':
        driver->agent.bytes[OUTPUT_STDOUT] = (uint32_t)atoi(value);
        if (strchr(value, ','))
            driver->agent.bytes[OUTPUT_STDERR] = (uint32_t)atoi(strchr(value, ',') + 1);
        break;
    default:
        die("unknown option");
    }
}

static void read_options(struct driver *driver, int argc, char **argv)
{
    static const struct option options[] = {
        {"host", 1, NULL, 'h'},       {"port", 1, NULL, 'p'},
        {"address", 1, NULL, 'a'},    {"proxy-port", 1, NULL, 'x'},
        {"ca", 1, NULL, 'c'},         {"pin", 1, NULL, 'i'},
        {"tls12", 0, NULL, '2'},      {"enroll", 1, NULL, 'e'},
        {"connect-ms", 1, NULL, 'm'}, {"upload", 1, NULL, 'u'},
        {"stay", 1, NULL, 's'},       {"commands", 1, NULL, 'C'},
        {"output", 1, NULL, 'o'},     {0},
    };
    const char *addresses[DIAL_ADDRESSES_MAX];
    int which;

    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (which != 'a')
            option(driver, which, optarg);
        else if (driver->address_count < DIAL_ADDRESSES_MAX)
            addresses[driver->address_count++] = optarg;
    }
    if (!driver->host || !driver->ca || !driver->port)
        die("--host, --port and --ca are needed");
    if (driver->address_count == 0)
        addresses[driver->address_count++] = driver->host;
    for (size_t i = 0; i < driver->address_count; i++)
        if (dial_address_read(&driver->addresses[i], addresses[i],
                              driver->proxied ? driver->proxy_port : driver->port) < 0)
            die("not an address");
}

int main(int argc, char **argv)
{
    struct driver driver = {.connect_ms = 5000};
    uint8_t seed[32];
    struct fault fault;
    int64_t begun = clock_ms(CLOCK_MONOTONIC);

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i; /* the key of the vectors in docs/wire.md */
    read_options(&driver, argc, argv);
    if (sodium_init() < 0 || wire_setup() < 0 ||
        signer_begin(&driver.signer, driver.host, (uint64_t)begun) < 0)
        die("set-up fails");
    crypto_sign_seed_keypair(driver.public_key, driver.secret_key, seed);
    for (size_t i = 0; i < driver.file_count; i++)
        driver.data[i] = (uint8_t *)slurp(driver.files[i], &driver.size[i]);
    fault_clear(&fault);
    run(&driver, &fault);
    for (size_t i = 0; i < driver.file_count; i++)
        free(driver.data[i]);
    printf("end %s cpu_ms=%lld elapsed_ms=%lld %s\n", fault_name(fault.reason),
           (long long)clock_ms(CLOCK_PROCESS_CPUTIME_ID),
           (long long)(clock_ms(CLOCK_MONOTONIC) - begun), fault.detail);
    return fault.reason == FAULT_NONE ? 0 : 1;
}
