#include "report.h"

#include <pb_encode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char context[] = "cloister/v1 report";

_Static_assert(sizeof(((ipc_CommandFinished *)0)->tag) == crypto_auth_BYTES, "it holds a tag");

void report_key(uint8_t out[REPORT_KEY_SIZE], const uint8_t grant_key[GRANT_KEY_SIZE],
                const uint8_t order_tag[ORDER_TAG_SIZE])
{
    uint8_t bytes[sizeof context + ORDER_TAG_SIZE];
    memcpy(bytes, context, sizeof context);
    memcpy(bytes + sizeof context, order_tag, ORDER_TAG_SIZE);
    crypto_auth(out, bytes, sizeof bytes, grant_key);
}

static void compute(uint8_t tag[crypto_auth_BYTES], const ipc_CommandFinished *report,
                    const uint8_t key[REPORT_KEY_SIZE])
{
    uint8_t bytes[ipc_CommandFinished_size];
    ipc_CommandFinished untagged = *report;
    memset(untagged.tag, 0, sizeof untagged.tag);
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    if (!pb_encode(&stream, ipc_CommandFinished_fields, &untagged))
        abort(); /* the buffer has room for any */
    crypto_auth(tag, bytes, stream.bytes_written, key);
}

void report_seal(ipc_CommandFinished *report, const uint8_t key[REPORT_KEY_SIZE])
{
    compute(report->tag, report, key);
}

bool report_holds(const ipc_CommandFinished *report, const uint8_t key[REPORT_KEY_SIZE])
{
    uint8_t tag[crypto_auth_BYTES];
    compute(tag, report, key);
    return sodium_memcmp(tag, report->tag, sizeof tag) == 0;
}
