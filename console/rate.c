#include "rate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void rate_init(struct rate *r, uint32_t burst, uint64_t interval_ms)
{
    memset(r, 0, sizeof(*r));
    r->burst = burst;
    r->interval_ms = interval_ms;
}

void rate_network(char *out, const char *address)
{
    uint8_t bytes[16];
    snprintf(out, RATE_ADDRESS_MAX, "%s", address);
    if (inet_pton(AF_INET6, address, bytes) != 1)
        return;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return;
    memset(bytes + 8, 0, 8);
    inet_ntop(AF_INET6, bytes, out, RATE_ADDRESS_MAX);
}

static int find(const struct rate *r, const char *key)
{
    for (int i = 0; i < RATE_SLOTS; i++) {
        if (strcmp(r->slots[i].address, key) == 0)
            return i;
    }
    return -1;
}

uint32_t rate_wait_ms(const struct rate *r, const char *address, uint64_t mono_ms)
{
    char key[RATE_ADDRESS_MAX];
    rate_network(key, address);
    int i = find(r, key);
    uint64_t full = (uint64_t)(r->burst - 1) * r->interval_ms;
    if (i < 0 || r->slots[i].empty_at_ms <= mono_ms + full)
        return 0;
    return (uint32_t)(r->slots[i].empty_at_ms - mono_ms - full);
}

void rate_count(struct rate *r, const char *address, uint64_t mono_ms)
{
    char key[RATE_ADDRESS_MAX];
    rate_network(key, address);
    int i = find(r, key);
    if (i < 0) {
        i = 0;
        for (int j = 1; j < RATE_SLOTS; j++) {
            if (r->slots[j].empty_at_ms < r->slots[i].empty_at_ms)
                i = j;
        }
        memcpy(r->slots[i].address, key, sizeof(key));
        r->slots[i].empty_at_ms = 0;
    }
    if (r->slots[i].empty_at_ms < mono_ms)
        r->slots[i].empty_at_ms = mono_ms;
    r->slots[i].empty_at_ms += r->interval_ms;
}
