/*
 * order_read, and order_accept with the right tag, a wrong one, and another runner's grant.
 *
 * The input is an order. Its digest is made right where it is long enough, which lets the fuzzer
 * past that check, unless the first byte is odd.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* An order has one form: writing what was read gives the same bytes. */
static void check_whole(const struct order *order, const uint8_t *bytes, size_t length)
{
    static uint8_t written[ORDER_MAX];
    must(order_write(written, sizeof written, order) == length);
    must(memcmp(written, bytes, length) == 0);
    must(order_write(written, length - 1, order) == 0);
    must(order->argv[order->argc] == NULL && order->env[order->envc] == NULL);
    must(order->time_ms > 0 && order->time_ms <= ORDER_TIME_MS_MAX);
    must(order->output_bytes <= ORDER_OUTPUT_BYTES_MAX);
}

static void check_accepting(const struct order *order, enum order_outcome read,
                            const uint8_t *bytes, size_t length)
{
    struct grant grant = {GRANT_MAGIC, order->slot, order->generation, order->profile, {7}, {0}, {{0}}};
    uint8_t tag[ORDER_TAG_SIZE];
    struct order out;
    memcpy(grant.digest, order->digest, sizeof grant.digest);
    order_tag(tag, bytes, length, grant.key);
    must(order_accept(&out, bytes, length, tag, &grant) == read);
    grant.generation++;
    must(order_accept(&out, bytes, length, tag, &grant) ==
         (read == ORDER_OK ? ORDER_MISPLACED : read));
    tag[length % sizeof tag] ^= 1;
    must(order_accept(&out, bytes, length, tag, &grant) == ORDER_FORGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct order order;
    if (size == 0)
        return 0;
    bool mend = data[0] % 2 == 0;
    size_t length = size - 1;
    uint8_t *bytes = malloc(length ? length : 1);
    must(bytes != NULL);
    memcpy(bytes, data + 1, length);
    enum order_outcome outcome = order_read(&order, bytes, length);
    if (outcome != ORDER_OK && mend && length >= ORDER_HEAD_SIZE && order.script != NULL) {
        order_digest(bytes + 32, &order);
        outcome = order_read(&order, bytes, length);
    }
    must(outcome == ORDER_OK || outcome == ORDER_MALFORMED);
    if (outcome == ORDER_OK)
        check_whole(&order, bytes, length);
    check_accepting(&order, outcome, bytes, length);
    free(bytes);
    return 0;
}
