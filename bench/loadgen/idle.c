/* idle: connections rest, and cost the server memory. */
#include "loadgen.h"

#include <stdio.h>

/* Opened before the memory of the others is measured. */
enum { WARM_UP = 100 };

static void run(void)
{
    open_connections(WARM_UP);
    long before = server_memory();
    uint64_t began = nanoseconds();
    open_connections(total_connections);
    double seconds = (nanoseconds() - began) * 1e-9;
    turn_until(nanoseconds() + option.milliseconds * (SECOND / 1000));
    printf("{\"bytes_per_connection\": %.0f, \"connections\": %d, \"opening_seconds\": %.2f, \"errors\": %llu}\n",
           (double)(server_memory() - before) / option.connections, option.connections, seconds,
           (unsigned long long)errors);
}

const Mode idle_mode = {.name = "idle", .joins = true, .spare = WARM_UP, .run = run};
