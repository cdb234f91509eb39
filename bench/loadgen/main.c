/* A load generator for WebSocket servers, so cheap that the server under measurement is the bottleneck.
 *
 *   loadgen echo   keeps --depth messages of --size octets in flight on each of --connections
 *   loadgen fan    --connections members and one publisher, which keeps --depth messages in flight;
 *                  deliveries are counted, a message has arrived when every member has it
 *   loadgen churn  joins a room and leaves it on each of --connections
 *   loadgen storm  opens, upgrades and resets again, --connections at a time; handshakes are counted
 *   loadgen idle   opens --connections, lets them rest, and reports what each costs the server in memory
 *
 * With --rate, echo and fan are an open loop: messages are due at fixed times whether or not the server keeps
 * up, and latency counts from when a message was due, also where it had to wait to be sent.
 *
 * One thread, one epoll, level-triggered. Everything that comes back is compared with what was sent. All
 * replies owed after one read leave in one write. It prints one line of JSON; a server that can't be used
 * at all (refused connection, wrong handshake) ends it with status 1 and a sentence on stderr.
 */
#include "loadgen.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static const uint64_t DRAIN = 5 * SECOND;
/* A rate from fewer says nothing: the messages are large or the machine stalls, so it is measured for longer. */
enum { LEAST_COUNT = 8 };

/* What is in flight at the end must arrive as well; in an open loop a server may be too far behind. */
static uint64_t stop_traffic(void)
{
    if (option.rate) option.mode->issue(nanoseconds());
    stopping = true;
    uint64_t deadline = nanoseconds() + DRAIN;
    while (in_flight && nanoseconds() < deadline) turn();
    if (option.rate) {
        option.mode->give_up(nanoseconds());
        return in_flight;
    }
    if (in_flight) fprintf(stderr, "loadgen: %llu messages never arrived\n", (unsigned long long)in_flight);
    errors += in_flight;
    return in_flight;
}

static void run_traffic(void)
{
    bool is_storm = option.mode->upgraded;
    if (!is_storm) open_connections(total_connections);
    uint64_t span = option.milliseconds * (SECOND / 1000), began = nanoseconds() + span / 4, end = began + span;
    open_window(began, end);
    start_schedule(nanoseconds());
    option.mode->start(nanoseconds());
    turn_until(began);  /* warm-up */
    uint64_t counted_before = counted, measured_from = nanoseconds();
    double server_before = server_cpu_seconds(), own_before = working_seconds();
    turn_until(end);
    while (counted < counted_before + LEAST_COUNT && nanoseconds() < end + DRAIN) turn();
    double server_cpu = server_cpu_seconds() - server_before, own_cpu = working_seconds() - own_before;
    double elapsed = (nanoseconds() - measured_from) * 1e-9;
    uint64_t count = counted - counted_before, unanswered = is_storm ? 0 : stop_traffic();
    printf("{\"rate\": %.1f, \"rate_per_cpu_second\": %.1f, \"seconds\": %.4f, ", count / elapsed,
           server_cpu > 0 ? count / server_cpu : 0, elapsed);
    printf("\"server_cpu_seconds\": %.4f, \"generator_cpu_seconds\": %.4f, ", server_cpu, own_cpu);
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
           latency_microseconds(.5), latency_microseconds(.9), latency_microseconds(.99),
           latency_microseconds(.999), latency_microseconds(1));
    printf("\"unanswered\": %llu, \"errors\": %llu}\n", (unsigned long long)unanswered,
           (unsigned long long)errors);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    prepare_request();
    transport = option.tls ? tls : &plain;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    total_connections = option.connections + option.mode->spare;
    connections = allocate(total_connections, sizeof *connections);
    if (option.mode->prepare) option.mode->prepare();
    if (option.mode->run)
        option.mode->run();
    else
        run_traffic();
    return 0;
}
