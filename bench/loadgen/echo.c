/* echo: every connection keeps messages in flight, or sends them when they are due; each must come back. */
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies of the frame in the ring of an open loop: what is behind goes out in one write. */
enum { OPEN_LOOP_COPIES = 16 };

static unsigned char *expected;  /* what must come back */
static size_t expected_length, frame_length;
static bool expects_compressed;
static uint64_t issued;          /* open loop: message n goes to connection n modulo their number */

static void prepare(void)
{
    size_t payload_at;
    unsigned char *payload = make_payload(&expected_length);
    expected = option.deflate ? payload : fill_template(payload, &expected_length, &payload_at);
    int copies = option.rate ? OPEN_LOOP_COPIES : option.depth;
    for (int i = 0; i < copies; i++) ring_append(expected, expected_length);
    frame_length = ring_length / copies;
    /* Servers compress differently: the first echo is shown to who can inflate it, and the others are as it. */
    if (option.deflate) expected = NULL;
    for (int i = 0; i < total_connections; i++)
        connections[i].sent_at = allocate(option.depth, sizeof(uint64_t));
}

static void start(uint64_t now)
{
    for (Connection *c = connections; c < connections + total_connections && !option.rate; c++) {
        for (int i = 0; i < option.depth; i++) c->sent_at[i] = now;
        c->allowed = frame_length * option.depth;
        in_flight += option.depth;
        write_allowed(c);
    }
}

static void issue(uint64_t now)
{
    for (uint64_t due = due_by(now); issued < due; issued++) {
        Connection *c = &connections[issued % total_connections];
        c->allowed += frame_length;
        in_flight++;
        write_allowed(c);
    }
}

static void show(const Frame *frame)
{
    expected = allocate(frame->length, 1);
    expected_length = frame->length;
    expects_compressed = frame->compressed;
    memcpy(expected, frame->payload, frame->length);
    printf("%d ", frame->compressed);
    for (size_t i = 0; i < frame->length; i++) printf("%02x", expected[i]);
    printf("\n");
}

/* With depth messages in flight the next one to be sent takes the place of the one that came back. */
static void receive(Connection *c, const Frame *frame, uint64_t now)
{
    if (!expected) show(frame);
    if (frame->opcode != (option.binary ? BINARY : TEXT) || frame->compressed != expects_compressed ||
        frame->length != expected_length || memcmp(frame->payload, expected, expected_length))
        mismatch(c, "not what was sent", frame);
    uint64_t n = c->received++;
    counted++;
    if (option.rate) {
        in_flight--;
        record_latency(due_at(n * total_connections + c->number), now);
        return;
    }
    record_latency(c->sent_at[n % option.depth], now);
    c->sent_at[n % option.depth] = now;
    if (stopping)
        in_flight--;
    else
        c->allowed += frame_length;
}

static void give_up(uint64_t now)
{
    for (Connection *c = connections; c < connections + total_connections; c++)
        for (uint64_t n = c->received * total_connections + c->number; n < issued; n += total_connections)
            record_latency(due_at(n), now);
}

const Mode echo_mode = {
    .name = "echo", .prepare = prepare, .start = start, .issue = issue, .receive = receive, .give_up = give_up,
};
