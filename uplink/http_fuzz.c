/*
 * The first byte of the input says in how many pieces the rest arrives: the reader must come to the
 * same result however the network cuts the stream. A whole head is then judged as the answer to
 * CONNECT and to the upgrade (with the key of RFC 6455 section 1.3).
 */
#include "http.h"
#include "upgrade.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int read_in_pieces(struct http_head *head, const uint8_t *data, size_t size, size_t piece,
                          size_t *total)
{
    int rc = HTTP_MORE;

    http_head_init(head);
    *total = 0;
    while (*total < size && rc == HTTP_MORE) {
        size_t length = size - *total < piece ? size - *total : piece;
        size_t consumed = 0;

        rc = http_head_feed(head, data + *total, length, &consumed);
        if (consumed > length)
            abort();
        *total += consumed;
    }
    return rc;
}

static void use(const struct http_head *head)
{
    size_t count;

    if (head->status < 100 || head->status > 999 || head->field_count > HTTP_FIELDS_MAX)
        abort();
    for (size_t i = 0; i < head->field_count; i++) {
        if (strlen(head->fields[i].name) == 0 || strlen(head->fields[i].value) > HTTP_HEAD_MAX)
            abort();
        if (!http_head_field(head, head->fields[i].name, &count) || count == 0)
            abort();
    }
    http_head_lists(head, "Connection", "upgrade");
}

/* A judgement has a reason exactly when it is a refusal; only a 101 is an upgrade. */
static void judge(const struct http_head *head, size_t surplus)
{
    struct upgrade upgrade = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
    struct fault fault;

    fault_clear(&fault);
    if (upgrade_connect_check(head, surplus, &fault) != (fault.reason == FAULT_NONE))
        abort();
    if (fault.reason == FAULT_NONE && (head->status / 100 != 2 || surplus != 0))
        abort();
    fault_clear(&fault);
    if (upgrade_derive(&upgrade) != 0)
        abort();
    if (upgrade_check(&upgrade, head, &fault) != (fault.reason == FAULT_NONE))
        abort();
    if (fault.reason == FAULT_NONE &&
        (head->status != 101 || strcmp(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head whole, cut;
    size_t whole_total, cut_total;
    int whole_rc, cut_rc;

    if (size == 0)
        return 0;
    whole_rc = read_in_pieces(&whole, data + 1, size - 1, SIZE_MAX, &whole_total);
    cut_rc = read_in_pieces(&cut, data + 1, size - 1, (size_t)data[0] + 1, &cut_total);
    if (whole_rc != cut_rc || whole_total != cut_total)
        abort();
    if (whole_rc == 0) {
        use(&whole);
        judge(&whole, size - 1 - whole_total);
    }
    return 0;
}
