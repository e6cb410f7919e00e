#include "fixture.h"

struct world *w;

int fixture_new(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

int fixture_serving(void **state)
{
    fixture_new(state);
    world_all_serve(w);
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    world_free(w);
    w = NULL;
    return 0;
}

static bool is_killed(struct world *world, void *arg)
{
    return world->ends[*(int *)arg].killed;
}

void await_killed(int index)
{
    world_run(w, is_killed, &index);
}
