/* churn: every connection joins a room and leaves it again, over and over; each must be answered. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <string.h>

static size_t frame_length[2];
static const char *const answers[2] = {"joined", "left"};

static void prepare(void)
{
    const char *const messages[2] = {name_room(option.join, 0), name_room(option.leave, 0)};
    for (int i = 0; i < 2; i++) {
        size_t before = ring_length;
        ring_append(messages[i], strlen(messages[i]));
        frame_length[i] = ring_length - before;
    }
    for (int i = 0; i < total_connections; i++) connections[i].sent_at = allocate(1, sizeof(uint64_t));
}

static void send_next(Connection *c, uint64_t now)
{
    *c->sent_at = now;
    c->allowed += frame_length[c->received % 2];
}

static void start(uint64_t now)
{
    in_flight = total_connections;
    for (Connection *c = connections; c < connections + total_connections; c++) {
        send_next(c, now);
        write_allowed(c);
    }
}

static void receive(Connection *c, const Frame *frame, uint64_t now)
{
    const char *answer = answers[c->received % 2];
    if (!memmem(frame->payload, frame->length, answer, strlen(answer))) mismatch(c, "not the answer", frame);
    record_latency(*c->sent_at, now);
    c->received++;
    counted++;
    if (stopping)
        in_flight--;
    else
        send_next(c, now);
}

const Mode churn_mode = {.name = "churn", .prepare = prepare, .start = start, .receive = receive};
