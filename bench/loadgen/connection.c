/* A connection's life: dialled, upgraded, joined, then reading and writing frames. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Servers limit connections per client address, and an address has only so many ports. */
enum { CONNECTIONS_PER_ADDRESS = 500 };

int epoll;
const Transport *transport;
Connection *connections, *publisher;
int total_connections, dialled, ready;
uint64_t counted, in_flight, errors;
bool stopping;

static unsigned char inbox[1 << 18];

static void watch(Connection *c, uint32_t events)
{
    if (c->watched == events) return;
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->watched = events;
}

void dial(Connection *c)
{
    int on = 1;
    int number = c - connections;
    *c = (Connection){.number = number, .state = CONNECTING, .sent_at = c->sent_at, .buffer = c->buffer,
                      .capacity = c->capacity, .dialled_at = nanoseconds()};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / CONNECTIONS_PER_ADDRESS)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(option.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    watch(c, EPOLLOUT);
}

void hang_up(Connection *c)
{
    /* A reset leaves no TIME_WAIT, so that a storm doesn't run out of ports. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c->fd);
    transport->release(c);
    c->state = LOST;
}

static void lose(Connection *c, const char *reason)
{
    if (c->state < READY) die("connection %d: %s before it was ready", c->number, reason);
    if (!errors++) fprintf(stderr, "loadgen: connection %d: %s\n", c->number, reason);
    hang_up(c);
}

void mismatch(Connection *c, const char *what, const Frame *frame)
{
    if (errors++) return;
    int shown = frame->length < 200 ? (int)frame->length : 200;
    fprintf(stderr, "loadgen: connection %d: %s: %.*s\n", c->number, what, shown, frame->payload);
}

/* Once round the ring at a time. */
void write_allowed(Connection *c)
{
    while (c->state == READY && c->written < c->allowed) {
        size_t at = c->written % ring_length, wanted = c->allowed - c->written;
        if (wanted > ring_length) wanted = ring_length;
        size_t first = wanted < ring_length - at ? wanted : ring_length - at;
        struct iovec pieces[2] = {{ring + at, first}, {ring, wanted - first}};
        ssize_t written = transport->send(c, pieces, 2);
        if (written < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT);
            return;
        }
        if (written < 0) {
            lose(c, strerror(errno));
            return;
        }
        c->written += written;
    }
    if (c->state == READY) watch(c, EPOLLIN);
}

/* For small frames outside of the ring; they fit the socket's buffer, or the server isn't reading at all. */
static void write_now(Connection *c, int opcode, const void *message, size_t length)
{
    unsigned char *frame = allocate(length + MAX_HEAD, 1);
    size_t size = encode_frame(frame, opcode, message, length);
    struct iovec whole = {frame, size};
    if (transport->send(c, &whole, 1) != (ssize_t)size) lose(c, "the server doesn't read");
    free(frame);
}

static void join(Connection *c, int room)
{
    const char *text = name_room(option.join, room);
    write_now(c, TEXT, text, strlen(text));
    if (text != option.join) free((char *)text);
}

/* From one state to the next, as far as nothing has to be waited for. */
static void advance(Connection *c)
{
    while (!c->awaited && c->state < READY) {
        c->state++;
        if (c->state == GREETED && !option.raw) c->awaited = option.greetings;
        if (c->state == HAILING && option.hello) {
            c->awaited = 1;
            write_now(c, TEXT, option.hello, strlen(option.hello));
        }
        if (c->state == JOINING && option.join && option.mode->joins && c != publisher) {
            c->awaited = option.rooms;
            join(c, 0);
        }
        if (c->state == READY) ready++;
    }
}

static void on_answer(Connection *c, const Frame *frame)
{
    if (!c->awaited) {
        mismatch(c, "unexpected", frame);
        return;
    }
    c->awaited--;
    if (c->state == JOINING && c->awaited) join(c, option.rooms - c->awaited);
    advance(c);
}

static void secure(Connection *c)
{
    if (!transport->secure(c)) return;
    c->state = UPGRADING;
    if (option.raw)
        advance(c);
    else
        request_upgrade(c);
}

static void on_connected(Connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) die("connect: %s", strerror(error));
    c->state = SECURING;
    watch(c, EPOLLIN);
    secure(c);
}

static void on_frame(Connection *c, const Frame *frame, uint64_t now)
{
    if (!frame->whole) {
        mismatch(c, "fragmented, masked or with reserved bits", frame);
    } else if (frame->opcode == PING) {
        /* In mid-frame it can't be answered, and needn't be: the rest of the frame shows that we live. */
        if (c->written == c->allowed) write_now(c, PONG, frame->payload, frame->length);
    } else if (frame->opcode == CLOSE) {
        lose(c, "closed by the server");
    } else if (c->state < READY) {
        on_answer(c, frame);
    } else if (option.mode->receive) {
        option.mode->receive(c, frame, now);
    } else {
        mismatch(c, "unexpected", frame);
    }
}

/* Plain TCP has no frames: as much as was sent comes back. */
static bool next_frame(const Connection *c, const unsigned char *in, size_t available, Frame *frame)
{
    if (!option.raw) return parse_frame(in, available, frame);
    size_t size = c->state < READY ? strlen(option.join) : (size_t)option.size;
    *frame = (Frame){.opcode = option.binary ? BINARY : TEXT, .whole = true, .payload = in, .length = size,
                     .size = size};
    return available >= size;
}

/* The beginning of a frame is kept, with room for as much again. */
static void keep(Connection *c, const unsigned char *rest, size_t length)
{
    bool is_in_buffer = c->held;
    c->held = length;
    if (!length) return;
    if (is_in_buffer) memmove(c->buffer, rest, length);
    if (c->capacity < 2 * length) {
        c->capacity = 3 * length + 4096;
        c->buffer = realloc(c->buffer, c->capacity);
        if (!c->buffer) die("out of memory");
    }
    if (!is_in_buffer) memcpy(c->buffer, rest, length);
}

/* A read goes behind what is kept of an earlier one, so that every frame lies in one piece. False if there was
 * nothing to read. */
static bool on_readable(Connection *c)
{
    unsigned char *in = c->held ? c->buffer : inbox;
    size_t room = c->held ? c->capacity - c->held : sizeof inbox, at = 0;
    ssize_t arrived = transport->receive(c, in + c->held, room);
    if (arrived < 0 && errno == EAGAIN) return false;
    if (arrived <= 0) {
        lose(c, arrived ? strerror(errno) : "connection ended by the server");
        return false;
    }
    size_t length = c->held + arrived;
    uint64_t now = nanoseconds();
    if (c->state == UPGRADING) {
        at = check_handshake(in, length);
        if (!at) {
            keep(c, in, length);
            return true;
        }
        if (option.mode->upgraded) {
            option.mode->upgraded(c, now);
            return false;
        }
        advance(c);
    }
    Frame frame;
    while (c->state != LOST && next_frame(c, in + at, length - at, &frame)) {
        on_frame(c, &frame, now);
        at += frame.size;
    }
    keep(c, in + at, length - at);
    write_allowed(c);
    if (publisher) write_allowed(publisher);
    return true;
}

void on_event(Connection *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        on_connected(c);
        return;
    }
    if (c->state == SECURING) {
        secure(c);
        return;
    }
    if (c->state != LOST && events & EPOLLOUT) write_allowed(c);
    if (c->state == LOST || !(events & ~EPOLLOUT)) return;
    /* Nothing wakes us for what has left the socket already. */
    while (on_readable(c) && c->state != LOST && transport->holds_octets(c)) continue;
}
