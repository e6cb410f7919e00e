#include "fixture.h"

struct played played;

int fixture_end(void **state)
{
    (void)state;
    played_end(&played);
    return 0;
}

struct order shell(const char *text)
{
    return played_order("/bin/sh", "-c", text);
}
