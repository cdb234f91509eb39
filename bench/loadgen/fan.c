/* fan: one publisher, and members that must each get every publication, once, in order, whole. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdlib.h>
#include <string.h>

enum {
    SERIAL_DIGITS = 10,
    ROOM_DIGITS = 5,
    OPEN_LOOP_WINDOW = 1024,  /* publications in flight; what is due beyond waits, and is measured from then */
};

static const char SERIAL_MARK[] = "serial=";
static const size_t SERIAL_AT = sizeof SERIAL_MARK - 1;
static const size_t PADDING_AT = sizeof SERIAL_MARK - 1 + SERIAL_DIGITS;

typedef struct {
    size_t message_at;  /* in the ring */
    uint64_t due;
    int missing;        /* members that haven't got it yet */
} Slot;

static unsigned char *payload;
static size_t payload_length, serial_in_message, room_in_message, frame_length;
static bool names_room;
static Slot *slots;          /* of publication n, at n modulo their number */
static uint64_t slot_count, published, completed;

static void prepare(void)
{
    payload = make_payload(&payload_length);
    if (payload_length < PADDING_AT) die("--size must be %zu for a serial number", PADDING_AT);
    memcpy(payload, SERIAL_MARK, SERIAL_AT);
    size_t length = payload_length, payload_at;
    unsigned char *message = fill_template(payload, &length, &payload_at);
    serial_in_message = payload_at + SERIAL_AT;
    const char *place = strstr(option.template, "%R");
    names_room = place;
    if (place) room_in_message = place - option.template;
    slot_count = option.rate ? OPEN_LOOP_WINDOW : option.depth;
    slots = allocate(slot_count, sizeof *slots);
    for (uint64_t i = 0; i < slot_count; i++) slots[i].message_at = ring_append(message, length);
    frame_length = ring_length / slot_count;
    free(message);
    publisher = &connections[option.connections];
}

static void publish(uint64_t due)
{
    char serial[SERIAL_DIGITS], room[ROOM_DIGITS];
    Slot *slot = &slots[published % slot_count];
    write_digits(serial, SERIAL_DIGITS, published);
    ring_patch(slot->message_at, serial_in_message, serial, SERIAL_DIGITS);
    if (names_room) {
        write_digits(room, ROOM_DIGITS, published % option.rooms);
        ring_patch(slot->message_at, room_in_message, room, ROOM_DIGITS);
    }
    slot->due = due;
    slot->missing = option.connections;
    published++;
    in_flight++;
    publisher->allowed += frame_length;
}

static void start(uint64_t now)
{
    for (int i = 0; i < option.depth && !option.rate; i++) publish(now);
    write_allowed(publisher);
}

static void issue(uint64_t now)
{
    for (uint64_t due = due_by(now); published < due && in_flight < slot_count;) publish(due_at(published));
    write_allowed(publisher);
}

static void receive(Connection *c, const Frame *frame, uint64_t now)
{
    if (c == publisher) {
        mismatch(c, "the publisher isn't a member", frame);
        return;
    }
    const unsigned char *found = memmem(frame->payload, frame->length, SERIAL_MARK, SERIAL_AT);
    size_t rest = found ? (size_t)(frame->payload + frame->length - found) : 0;
    if (rest < payload_length || memcmp(found + PADDING_AT, payload + PADDING_AT, payload_length - PADDING_AT)) {
        mismatch(c, "not what was published", frame);
        return;
    }
    uint64_t serial = 0;
    for (size_t i = SERIAL_AT; i < PADDING_AT; i++) serial = serial * 10 + (found[i] - '0');
    if (serial != c->received) mismatch(c, "lost, repeated or out of order", frame);
    if (serial < c->received || serial >= published) return;
    c->received = serial + 1;
    counted++;
    Slot *slot = &slots[serial % slot_count];
    if (--slot->missing) return;
    /* It has arrived when the last member has it; and then so have those before it. */
    record_latency(slot->due, now);
    completed = serial + 1;
    in_flight--;
    if (!stopping && !option.rate) publish(now);
}

static void give_up(uint64_t now)
{
    for (uint64_t n = completed, due = due_by(now); n < due; n++) record_latency(due_at(n), now);
}

const Mode fan_mode = {
    .name = "fan", .joins = true, .spare = 1,
    .prepare = prepare, .start = start, .issue = issue, .receive = receive, .give_up = give_up,
};
