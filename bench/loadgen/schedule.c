/* Time: the turns of the event loop, and in an open loop when each message is due. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

/* Below the usual listen backlog: to overflow it costs a second. */
enum { MAX_HALF_OPEN = 64, MAX_EVENTS = 512, MAX_WAIT_MILLISECONDS = 20 };

static uint64_t began;
static double interval;  /* nanoseconds from one message to the next; 0 in a closed loop */

void start_schedule(uint64_t now)
{
    if (!option.rate) return;
    began = now;
    interval = (double)SECOND / option.rate;
    /* Else the kernel may wake us 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1);
}

/* Message n's time doesn't depend on how the others fare, and neither does what it is measured from. */
uint64_t due_at(uint64_t n)
{
    return began + (uint64_t)(n * interval);
}

/* How many messages are due by now. */
uint64_t due_by(uint64_t now)
{
    return (uint64_t)((now - began) / interval) + 1;
}

static void wait_for_next(void)
{
    uint64_t now = nanoseconds(), next = due_at(due_by(now)), wait = next > now ? next - now : 0;
    struct pollfd descriptor = {.fd = epoll, .events = POLLIN};
    struct timespec timeout = {.tv_sec = wait / SECOND, .tv_nsec = wait % SECOND};
    ppoll(&descriptor, 1, &timeout, NULL);
    option.mode->issue(nanoseconds());
}

/* CPU time spent on looking for what hadn't come yet, while awake. */
static double idle_seconds, idle_since;

static void note_idle(bool is_idle)
{
    if (is_idle == (idle_since > 0)) return;
    double now = own_cpu_seconds();
    if (!is_idle) idle_seconds += now - idle_since;
    idle_since = is_idle ? now : 0;
}

double working_seconds(void)
{
    note_idle(false);
    return own_cpu_seconds() - idle_seconds;
}

void turn(void)
{
    struct epoll_event events[MAX_EVENTS];
    bool is_open_loop = interval && !stopping;
    if (is_open_loop) wait_for_next();
    int count = epoll_wait(epoll, events, MAX_EVENTS, is_open_loop || option.awake ? 0 : MAX_WAIT_MILLISECONDS);
    if (option.awake && !is_open_loop) note_idle(!count);
    for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
}

void turn_until(uint64_t end)
{
    while (nanoseconds() < end) turn();
}

void open_connections(int count)
{
    int before = 0;
    uint64_t progress = nanoseconds(), patience = 10 * SECOND + option.rooms * (SECOND / 1000);
    while (ready < count) {
        while (dialled < count && dialled - ready < MAX_HALF_OPEN) dial(&connections[dialled++]);
        turn();
        if (ready != before) progress = nanoseconds();
        before = ready;
        if (nanoseconds() - progress > patience) die("only %d of %d connections are ready", ready, count);
    }
}
