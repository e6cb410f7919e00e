#include "requests.h"

enum requests_outcome requests_add(struct requests *requests, uint64_t asker, uint32_t asker_number,
                                   uint64_t answerer, uint16_t type, uint64_t deadline_ms,
                                   uint32_t *number)
{
    struct request *vacant = NULL;
    size_t asked = 0, owed = 0;
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        struct request *r = &requests->entries[i];
        if (r->number == 0) {
            vacant = vacant ? vacant : r;
            continue;
        }
        asked += r->asker == asker && !r->timed_out;
        owed += r->answerer == answerer;
        if (r->asker == asker && asker != REQUESTS_BROKER && r->asker_number == asker_number)
            return REQUESTS_DUPLICATE;
    }
    if (asked >= REQUESTS_PER_ASKER)
        return REQUESTS_FLOOD;
    if (owed >= REQUESTS_PER_ANSWERER || !vacant)
        return REQUESTS_BUSY;
    do
        requests->last++;
    while (requests->last == 0 || requests_find(requests, answerer, requests->last));
    *vacant = (struct request){
        .number = requests->last,
        .type = type,
        .asker = asker,
        .asker_number = asker_number,
        .answerer = answerer,
        .deadline_ms = deadline_ms,
    };
    requests->count++;
    *number = requests->last;
    return REQUESTS_OK;
}

struct request *requests_find(struct requests *requests, uint64_t answerer, uint32_t number)
{
    for (size_t i = 0; number && i < REQUESTS_MAX; i++) {
        struct request *r = &requests->entries[i];
        if (r->number == number && r->answerer == answerer)
            return r;
    }
    return NULL;
}

void requests_remove(struct requests *requests, struct request *request)
{
    *request = (struct request){0};
    requests->count--;
}

void requests_drop_asker(struct requests *requests, uint64_t asker)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        if (requests->entries[i].asker == asker)
            requests->entries[i].asker = 0;
}

struct request *requests_owed_by(struct requests *requests, uint64_t answerer)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        if (requests->entries[i].number && requests->entries[i].answerer == answerer)
            return &requests->entries[i];
    return NULL;
}

static bool waited_for(const struct request *r)
{
    return r->number && r->asker && !r->timed_out;
}

struct request *requests_overdue(struct requests *requests, uint64_t now_ms)
{
    for (size_t i = 0; requests->count && i < REQUESTS_MAX; i++) {
        struct request *r = &requests->entries[i];
        if (waited_for(r) && r->deadline_ms <= now_ms)
            return r;
    }
    return NULL;
}

uint64_t requests_hung_answerer(const struct requests *requests, uint64_t now_ms)
{
    for (size_t i = 0; requests->count && i < REQUESTS_MAX; i++) {
        const struct request *r = &requests->entries[i];
        size_t overdue = 0;
        if (!r->number || r->deadline_ms > now_ms)
            continue;
        for (size_t j = 0; j < REQUESTS_MAX; j++) {
            const struct request *other = &requests->entries[j];
            overdue +=
                other->number && other->answerer == r->answerer && other->deadline_ms <= now_ms;
        }
        if (overdue >= REQUESTS_OVERDUE_MAX)
            return r->answerer;
    }
    return 0;
}

uint64_t requests_next_deadline(const struct requests *requests)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; requests->count && i < REQUESTS_MAX; i++) {
        const struct request *r = &requests->entries[i];
        if (waited_for(r) && r->deadline_ms < next)
            next = r->deadline_ms;
    }
    return next;
}
