/*
 * How long a full ticket takes: 300 frames of 1920x1080 as capture keeps them, decoded, encoded as
 * WebP lossless and sealed to two recipients. Prints one JSON object a line, in the form that
 * `./run bench` gathers: name, value, unit, peer, peer_value, ratio, target, met.
 *
 * usage: ticket_bench [FRAMES [THREADS]]   (300, 2)
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "document.h"
#include "pipeline.h"
#include "sample.h"

enum { WIDTH = 1920, HEIGHT = 1080, KEY_EVERY = 64 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_row(const char *name, double value, const char *unit, double target)
{
    printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"peer\":null,\"peer_value\":null,"
           "\"ratio\":null,\"target\":",
           name, value, unit);
    if (target > 0)
        printf("%.3f,\"met\":%s}\n", target, value <= target ? "true" : "false");
    else
        printf("null,\"met\":null}\n");
    fflush(stdout);
}

static void must(int result, const char *what)
{
    if (result) {
        fprintf(stderr, "ticket_bench: %s: %d\n", what, result);
        exit(1);
    }
}

static struct locked_bytes *make_records(struct review *review, size_t count, uint64_t *bytes)
{
    struct locked_bytes *records = calloc(count, sizeof(*records));
    struct sample *sample = sample_new(WIDTH, HEIGHT);
    for (size_t i = 0; i < count; i++) {
        struct frame_info info;
        size_t length;
        uint8_t *record = sample_record(sample, i % KEY_EVERY == 0, &length, &info);
        must(locked_bytes_append(&records[i], record, length), "memory");
        must(review_add(review, &info, (uint32_t)length), "listing");
        *bytes += length;
        free(record);
    }
    sample_free(sample);
    return records;
}

/* Feeds all records; returns when the last frame could first be shown, in seconds from `start`. */
static double first_look(struct pipeline *pipeline, struct locked_bytes *records, size_t count,
                         double start)
{
    struct picture *picture;
    for (size_t i = 0; i < count; i++)
        pipeline_record(pipeline, i, &records[i]);
    must(pipeline_step(pipeline), "step");
    must(pipeline_picture(pipeline, count - 1, &picture), "picture");
    picture_free(picture);
    return now_s() - start;
}

static void encode_all(struct pipeline *pipeline, const struct review *review)
{
    while (!review_complete(review)) {
        struct pollfd wait = {.fd = pipeline_fd(pipeline), .events = POLLIN};
        poll(&wait, 1, -1);
        must(pipeline_step(pipeline), "step");
    }
}

static uint64_t seal(struct review *review)
{
    struct document_facts facts = {.capture_state = "capturing", .max_bytes = 1 << 30};
    struct age_recipient recipients[2];
    struct chunk_list *chunks;
    for (int i = 0; i < 2; i++) {
        struct age_identity identity;
        randombytes_buf(identity.key, sizeof(identity.key));
        age_identity_recipient(&recipients[i], &identity);
    }
    must(document_seal(&chunks, review, &facts, recipients, 2), "seal");
    uint64_t size = chunk_list_size(chunks);
    chunk_list_free(chunks);
    return size;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 300;
    unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    uint64_t record_bytes = 0;
    struct review *review;
    struct pipeline *pipeline;
    if (count < 1 || count > REVIEW_FRAMES_MAX || sodium_init() < 0)
        return 2;
    must(review_new(&review), "review");
    struct locked_bytes *records = make_records(review, count, &record_bytes);
    must(pipeline_new(&pipeline, review, threads), "pipeline");

    double start = now_s();
    double look = first_look(pipeline, records, count, start);
    encode_all(pipeline, review);
    double encoded = now_s() - start;
    uint64_t sealed = seal(review);
    double total = now_s() - start;

    print_row("ticket_first_look", look, "s", 1);
    print_row("ticket_encode", encoded, "s", 0);
    print_row("ticket_seal", total - encoded, "s", 0);
    print_row("ticket_encoded_and_sealed", total, "s", 20.0 * (double)count / 300);
    print_row("ticket_records", (double)record_bytes / 1e6, "MB", 0);
    print_row("ticket_bundle", (double)sealed / 1e6, "MB", 0);
    pipeline_free(pipeline);
    review_free(review);
    free(records);
    return 0;
}
