/* storm: connections are opened, upgraded and reset, over and over. */
#include "loadgen.h"

static void start(uint64_t now)
{
    (void)now;
    while (dialled < total_connections) dial(&connections[dialled++]);
}

static void upgraded(Connection *c, uint64_t now)
{
    record_latency(c->dialled_at, now);
    counted++;
    hang_up(c);
    dial(c);
}

const Mode storm_mode = {.name = "storm", .start = start, .upgraded = upgraded};
