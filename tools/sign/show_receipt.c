#include "show.h"

#include <inttypes.h>
#include <string.h>

#include "quantity.h"
#include "receipt.h"

static void show_word(FILE *out, const char *label, const char *word)
{
    if (!word || !*word)
        return;
    fprintf(out, SHOW_LABEL, label);
    show_escaped(out, word, strlen(word));
    fputc('\n', out);
}

static void show_time(FILE *out, const char *label, uint64_t ms)
{
    char moment[96];
    if (!ms)
        return;
    quantity_write_moment(moment, ms / 1000);
    fprintf(out, SHOW_LABEL "%s and %u ms\n", label, moment, (unsigned)(ms % 1000));
}

static void show_stream(FILE *out, const char *label, const struct receipt_stream *stream)
{
    char hex[DIGEST_HEX_SIZE];
    digest_hex(hex, stream->sha256, sizeof(stream->sha256));
    fprintf(out, SHOW_LABEL "%" PRIu64 " bytes, SHA-256 %s", label, stream->bytes, hex);
    if (stream->dropped)
        fprintf(out, "; %" PRIu64 " bytes beyond the limit were thrown away", stream->dropped);
    fputc('\n', out);
}

static void show_end(FILE *out, const struct receipt *receipt)
{
    if (!receipt->end)
        return;
    fprintf(out, SHOW_LABEL "%s %" PRIu64 "%s%s\n", "Ended", receipt->end, receipt->code,
            *receipt->limit ? ", by its limit of " : "", receipt->limit);
    show_stream(out, "Standard output", &receipt->out);
    show_stream(out, "Standard error", &receipt->err);
}

const char *show_receipt(FILE *out, const struct jws *jws)
{
    struct receipt receipt;
    const char *fault = receipt_read(&receipt, jws);
    if (fault)
        return fault;
    fprintf(out, SHOW_LABEL "%s\n", "Receipt of", receipt.machine);
    fprintf(out, SHOW_LABEL "%s%s%s\n", "Decision", receipt.decision, *receipt.reason ? ": " : "",
            receipt.reason);
    show_word(out, "About token", receipt.token);
    show_word(out, "Command", receipt.jti);
    show_word(out, "Signed by", receipt.kid);
    show_word(out, "Profile", receipt.profile);
    if (receipt.seq)
        fprintf(out, SHOW_LABEL "%" PRIu64 "\n", "Sequence", receipt.seq);
    show_end(out, &receipt);
    show_time(out, "Accepted", receipt.accepted_ms);
    show_time(out, "Started", receipt.started_ms);
    show_time(out, "Ended at", receipt.ended_ms);
    receipt_free(&receipt);
    return NULL;
}
