/*
 * What relay_client and relay_capture say to each other, in bytes behind the envelope's header. A
 * FrameFetch cannot be longer than 17 bytes; it is the request that the schema grants most of a
 * second. Its answer is filled up to 64.
 */
#ifndef CLOISTER_TESTS_BENCH_RELAY_H
#define CLOISTER_TESTS_BENCH_RELAY_H

#include <stdint.h>

#define RELAY_BYTES      64
#define RELAY_WARM_UP    50
#define RELAY_TURN       50
#define RELAY_ROUNDS_MAX 10000
/* The largest values, so that the bodies have their largest size: 17 and 23 bytes. */
#define RELAY_FRAME       UINT64_MAX
#define RELAY_PART        UINT32_MAX
#define RELAY_ANSWER_BODY 23
#define RELAY_ANSWER_BLOB (RELAY_BYTES - RELAY_ANSWER_BODY)

#endif
