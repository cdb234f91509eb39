/* A load generator for WebSocket servers, so cheap that the server under measurement is the bottleneck.
 *
 *   loadgen echo   keeps --depth messages of --size octets in flight on each of --connections
 *   loadgen fan    --connections subscribers and one publisher, which keeps --depth messages in flight;
 *                  a message has arrived when every subscriber has it; deliveries are counted
 *   loadgen storm  opens, upgrades and resets again, --connections at a time; handshakes are counted
 *   loadgen idle   opens --connections, lets them rest, and reports what each costs the server in memory
 *
 * One thread, one epoll, level-triggered. Everything that comes back is compared with what was sent. All
 * replies owed after one read leave in one write. It prints one line of JSON; a server that can't be used
 * at all (refused connection, wrong handshake) ends it with status 1 and a sentence on stderr.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10,
    MAX_PAYLOAD = 1 << 20,
    MAX_HEAD = 14,
    MAX_HALF_OPEN = 64,             /* below the usual listen backlog: to overflow it costs a second */
    CONNECTIONS_PER_ADDRESS = 500,  /* servers limit connections per client address */
    IDLE_WARM_UP = 100,             /* connections opened before the memory of the others is measured */
    SERIAL_DIGITS = 10,
    BUCKETS = 59 * 64,
};

static const uint64_t SECOND = 1000000000;  /* in nanoseconds */
static const char SERIAL_MARK[] = "serial=";
static const size_t SERIAL_AT = sizeof SERIAL_MARK - 1;
static const size_t PADDING_AT = sizeof SERIAL_MARK - 1 + SERIAL_DIGITS;

/* One key for every frame: the server unmasks all the same. */
static const unsigned char MASKING_KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

/* The key and its answer are the sample in RFC 6455, 1.3. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

typedef enum { ECHO, FAN, STORM, IDLE } Mode;
typedef enum { CONNECTING, UPGRADING, GREETED, JOINING, READY, LOST } State;

typedef struct {
    int fd;
    int number;
    State state;
    uint32_t watched;         /* the events epoll reports for it */
    int awaited;              /* greetings or replies still to come before the next state */
    uint64_t allowed;         /* octets of the frame ring that may be written, since the beginning */
    uint64_t written;         /* octets of the frame ring that were written */
    uint64_t received;        /* messages received; in a fan also the serial number expected next */
    uint64_t dialled_at;
    uint64_t *sent_at;        /* when message n was sent, at n modulo depth */
    unsigned char *leftover;  /* the beginning of a frame whose end hasn't arrived */
    size_t leftover_length;
} Connection;

typedef struct {
    int opcode;
    bool whole;                    /* final, unmasked, no reserved bits */
    const unsigned char *payload;
    size_t length;
    size_t size;                   /* head and payload together */
} Frame;

static struct {
    Mode mode;
    int port, pid, connections, size, depth, greetings, replies, milliseconds, binary, raw;
    const char *path, *hello, *template;
} option = {.connections = 1, .size = 64, .depth = 1, .replies = 1, .milliseconds = 1000, .path = "/",
            .template = "%P"};

static int epoll;
static Connection *connections, *publisher;
static int total_connections, dialled, ready;
static char *request;
static unsigned char *payload;      /* what an echo must bring back; in a fan what a delivery must contain */
static unsigned char *ring;         /* depth masked frames; a connection sends this, round and round */
static size_t frame_length, ring_length, serial_in_frame, serial_in_message;
static unsigned char inbox[2 * (MAX_PAYLOAD + MAX_HEAD)];
static uint64_t published, *published_at;
static int *deliveries_missing;     /* of publication n, at n modulo depth */
static uint64_t counted, in_flight, errors;
static uint64_t latencies[BUCKETS];
static bool stopping;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) die("out of memory");
    return memory;
}

static uint64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* ---- the server's process, and our own ---- */

static double server_cpu_seconds(void)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", option.pid);
    FILE *file = fopen(path, "r");
    if (!file) die("no server process %d", option.pid);
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = 0;
    unsigned long user, system;
    char *after_name = strrchr(line, ')');  /* a process may have spaces and brackets in its name */
    if (!after_name || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                              &system) != 2)
        die("can't read %s", path);
    return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static long server_memory(void)
{
    char path[64];
    long resident;
    snprintf(path, sizeof path, "/proc/%d/statm", option.pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %ld", &resident) != 1) die("can't read %s", path);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static double own_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    struct timeval user = usage.ru_utime, system = usage.ru_stime;
    return user.tv_sec + system.tv_sec + (user.tv_usec + system.tv_usec) * 1e-6;
}

/* ---- latencies: buckets 1/64 of a power of two wide, so exact to 1.6 % in memory that doesn't grow ---- */

static void record_latency(uint64_t ns)
{
    if (ns < 64) {
        latencies[ns]++;
        return;
    }
    int shift = 57 - __builtin_clzll(ns);
    latencies[shift * 64 + (ns >> shift)]++;
}

static double latency_microseconds(double quantile)
{
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) all += latencies[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += latencies[i];
        if (!seen || seen < quantile * all) continue;
        if (i < 64) return i / 1000.0;
        int shift = i / 64 - 1;
        return (i - shift * 64 + 0.5) * (double)(1ULL << shift) / 1000.0;
    }
    return 0;
}

/* ---- frames ---- */

static size_t encode_frame(unsigned char *out, int opcode, const void *message, size_t length)
{
    const unsigned char *octets = message;
    size_t at = 0;
    out[at++] = 0x80 | opcode;
    int size_octets = length < 126 ? 0 : length < 65536 ? 2 : 8;
    out[at++] = 0x80 | (size_octets == 0 ? length : size_octets == 2 ? 126 : 127);
    for (int i = size_octets - 1; i >= 0; i--) out[at++] = length >> (8 * i);
    memcpy(out + at, MASKING_KEY, 4);
    at += 4;
    for (size_t i = 0; i < length; i++) out[at++] = octets[i] ^ MASKING_KEY[i & 3];
    return at;
}

/* False until the whole frame is there. */
static bool parse_frame(const unsigned char *in, size_t available, Frame *frame)
{
    if (available < 2) return false;
    size_t length = in[1] & 0x7f, head = 2;
    int size_octets = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (available < head + size_octets) return false;
    if (size_octets) length = 0;
    while (size_octets--) length = length << 8 | in[head++];
    if (length > MAX_PAYLOAD) die("the server sent a frame of %zu octets", length);
    if (available < head + length) return false;
    *frame = (Frame){.opcode = in[0] & 15, .whole = (in[0] & 0xf0) == 0x80 && !(in[1] & 0x80),
                     .payload = in + head, .length = length, .size = head + length};
    return true;
}

static void prepare_frames(void)
{
    payload = allocate(option.size, 1);
    for (int i = 0; i < option.size; i++) payload[i] = 'a' + i % 26;
    const char *place = strstr(option.template, "%P");
    if (option.mode != FAN) {
        place = option.template = "%P";
    } else {
        if (!place) die("--template without %%P");
        if ((size_t)option.size < PADDING_AT) die("--size must be %zu for a serial number", PADDING_AT);
        memcpy(payload, SERIAL_MARK, SERIAL_AT);
    }
    size_t before = place - option.template, after = strlen(place + 2), length = before + option.size + after;
    unsigned char *message = allocate(length, 1);
    memcpy(message, option.template, before);
    memcpy(message + before, payload, option.size);
    memcpy(message + before + option.size, place + 2, after);

    unsigned char *frame = allocate(length + MAX_HEAD, 1);
    frame_length = encode_frame(frame, option.binary ? BINARY : TEXT, message, length);
    if (option.raw) memcpy(frame, message, frame_length = length);
    serial_in_message = before + SERIAL_AT;
    serial_in_frame = frame_length - length + serial_in_message;
    ring_length = frame_length * option.depth;
    ring = allocate(ring_length, 1);
    for (int i = 0; i < option.depth; i++) memcpy(ring + i * frame_length, frame, frame_length);
    free(frame);
    free(message);
}

/* ---- a connection's life ---- */

static void watch(Connection *c, uint32_t events)
{
    if (c->watched == events) return;
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->watched = events;
}

static void dial(Connection *c)
{
    int on = 1;
    int number = c - connections;
    *c = (Connection){.number = number, .state = CONNECTING, .sent_at = c->sent_at, .leftover = c->leftover,
                      .dialled_at = nanoseconds()};
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

static void hang_up(Connection *c)
{
    /* A reset leaves no TIME_WAIT, so that a storm doesn't run out of ports. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c->fd);
    c->state = LOST;
}

static void lose(Connection *c, const char *reason)
{
    if (c->state < READY) die("connection %d: %s before it was ready", c->number, reason);
    if (!errors++) fprintf(stderr, "loadgen: connection %d: %s\n", c->number, reason);
    hang_up(c);
}

static void mismatch(Connection *c, const char *what, const Frame *frame)
{
    if (errors++) return;
    int shown = frame->length < 200 ? (int)frame->length : 200;
    fprintf(stderr, "loadgen: connection %d: %s: %.*s\n", c->number, what, shown, frame->payload);
}

static void write_allowed(Connection *c)
{
    while (c->state == READY && c->written < c->allowed) {
        size_t at = c->written % ring_length, wanted = c->allowed - c->written;
        size_t first = wanted < ring_length - at ? wanted : ring_length - at;
        struct iovec pieces[2] = {{ring + at, first}, {ring, wanted - first}};
        ssize_t written = writev(c->fd, pieces, 2);
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
    if (write(c->fd, frame, size) != (ssize_t)size) lose(c, "the server doesn't read");
    free(frame);
}

/* From one state to the next, as far as nothing has to be waited for. */
static void advance(Connection *c)
{
    if (c->state == UPGRADING) {
        c->state = GREETED;
        c->awaited = option.raw ? 0 : option.greetings;
    }
    if (c->state == GREETED && c->awaited == 0) {
        c->state = JOINING;
        bool joins = option.hello && c != publisher;
        c->awaited = joins ? option.replies : 0;
        if (joins) write_now(c, TEXT, option.hello, strlen(option.hello));
    }
    if (c->state == JOINING && c->awaited == 0) {
        c->state = READY;
        ready++;
    }
}

static void on_connected(Connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) die("connect: %s", strerror(error));
    c->state = UPGRADING;
    watch(c, EPOLLIN);
    if (option.raw)
        advance(c);
    else if (write(c->fd, request, strlen(request)) != (ssize_t)strlen(request))
        die("can't write the handshake");
}

/* The length of the server's answer to the handshake, or 0 until it is complete. */
static size_t check_handshake(const unsigned char *in, size_t available)
{
    static const char field[] = "\r\nSec-WebSocket-Accept:";
    const unsigned char *end = memmem(in, available, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t length = end + 4 - in;
    char *head = strndup((const char *)in, length);
    if (strncmp(head, "HTTP/1.1 101 ", 13)) die("handshake refused: %.*s", (int)strcspn(head, "\r\n"), head);
    char *accept = strcasestr(head, field);
    if (!accept) die("handshake without Sec-WebSocket-Accept");
    accept += sizeof field - 1;
    accept += strspn(accept, " \t");
    if (strncmp(accept, ACCEPT, sizeof ACCEPT - 1)) die("wrong Sec-WebSocket-Accept: %.28s", accept);
    if (strcasestr(head, "\r\nSec-WebSocket-Extensions:")) die("the server added an extension");
    free(head);
    return length;
}

/* ---- messages ---- */

static void on_echo(Connection *c, const Frame *frame, uint64_t now)
{
    size_t size = option.size;
    int opcode = option.binary ? BINARY : TEXT;
    if (frame->opcode != opcode || frame->length != size || memcmp(frame->payload, payload, size))
        mismatch(c, "not what was sent", frame);
    /* With depth messages in flight the next one to be sent takes this one's place. */
    uint64_t *sent_at = &c->sent_at[c->received++ % option.depth];
    record_latency(now - *sent_at);
    *sent_at = now;
    counted++;
    if (stopping)
        in_flight--;
    else
        c->allowed += frame_length;
}

static void publish(uint64_t now)
{
    char serial[SERIAL_DIGITS + 1];
    size_t slot = published % option.depth;
    snprintf(serial, sizeof serial, "%0*llu", SERIAL_DIGITS, (unsigned long long)published);
    unsigned char *place = ring + slot * frame_length + serial_in_frame;
    for (size_t i = 0; i < SERIAL_DIGITS; i++)
        place[i] = serial[i] ^ MASKING_KEY[(serial_in_message + i) & 3];
    published_at[slot] = now;
    deliveries_missing[slot] = option.connections;
    published++;
    in_flight++;
    publisher->allowed += frame_length;
}

/* Each subscriber must get every publication, once, in order, with its whole payload. */
static void on_delivery(Connection *c, const Frame *frame, uint64_t now)
{
    if (c == publisher) {
        mismatch(c, "the publisher isn't a member", frame);
        return;
    }
    const unsigned char *found = memmem(frame->payload, frame->length, SERIAL_MARK, SERIAL_AT);
    size_t rest = found ? (size_t)(frame->payload + frame->length - found) : 0, size = option.size;
    if (rest < size || memcmp(found + PADDING_AT, payload + PADDING_AT, size - PADDING_AT)) {
        mismatch(c, "not what was published", frame);
        return;
    }
    uint64_t serial = 0;
    for (size_t i = SERIAL_AT; i < PADDING_AT; i++) serial = serial * 10 + (found[i] - '0');
    if (serial != c->received) mismatch(c, "lost, repeated or out of order", frame);
    if (serial < c->received || serial >= published) return;
    c->received = serial + 1;
    counted++;
    size_t slot = serial % option.depth;
    if (--deliveries_missing[slot]) return;
    record_latency(now - published_at[slot]);
    in_flight--;
    if (!stopping) publish(now);
}

static void on_frame(Connection *c, const Frame *frame, uint64_t now)
{
    if (!frame->whole) {
        mismatch(c, "fragmented, masked or with reserved bits", frame);
    } else if (frame->opcode == PING) {
        /* In mid-frame it can't be answered, and needn't be: the rest of the frame shows that we live. */
        if (c->written % frame_length == 0) write_now(c, PONG, frame->payload, frame->length);
    } else if (frame->opcode == CLOSE) {
        lose(c, "closed by the server");
    } else if (c->state < READY) {
        if (c->awaited-- <= 0) mismatch(c, "unexpected", frame);
        advance(c);
    } else if (option.mode == ECHO) {
        on_echo(c, frame, now);
    } else if (option.mode == FAN) {
        on_delivery(c, frame, now);
    } else {
        mismatch(c, "unexpected", frame);
    }
}

static void keep(Connection *c, const unsigned char *rest, size_t length)
{
    c->leftover_length = length;
    if (!length) return;
    c->leftover = realloc(c->leftover, length);
    if (!c->leftover) die("out of memory");
    memcpy(c->leftover, rest, length);
}

/* What an earlier read left over goes in front of this one, so that every frame lies in one piece. */
static void on_readable(Connection *c)
{
    size_t length = c->leftover_length, at = 0;
    if (length) memcpy(inbox, c->leftover, length);
    ssize_t arrived = read(c->fd, inbox + length, sizeof inbox - length);
    if (arrived < 0 && errno == EAGAIN) return;
    if (arrived <= 0) {
        lose(c, arrived ? strerror(errno) : "connection ended by the server");
        return;
    }
    length += arrived;
    uint64_t now = nanoseconds();
    if (c->state == UPGRADING) {
        at = check_handshake(inbox, length);
        if (!at) {
            keep(c, inbox, length);
            return;
        }
        if (option.mode == STORM) {
            counted++;
            record_latency(now - c->dialled_at);
            hang_up(c);
            dial(c);
            return;
        }
        advance(c);
    }
    size_t raw_size = option.size;
    int opcode = option.binary ? BINARY : TEXT;
    Frame frame = {.opcode = opcode, .whole = true, .length = raw_size, .size = raw_size};
    while (c->state != LOST) {
        frame.payload = inbox + at;
        if (option.raw ? length - at < raw_size : !parse_frame(inbox + at, length - at, &frame)) break;
        on_frame(c, &frame, now);
        at += frame.size;
    }
    keep(c, inbox + at, length - at);
    write_allowed(c);
    if (publisher) write_allowed(publisher);
}

static void turn(void)
{
    struct epoll_event events[512];
    int count = epoll_wait(epoll, events, 512, 20);
    for (int i = 0; i < count; i++) {
        Connection *c = events[i].data.ptr;
        if (c->state == CONNECTING)
            on_connected(c);
        else if (c->state != LOST && events[i].events & EPOLLOUT)
            write_allowed(c);
        if (c->state > CONNECTING && c->state != LOST && events[i].events & ~EPOLLOUT) on_readable(c);
    }
}

static void turn_for(int milliseconds)
{
    uint64_t end = nanoseconds() + milliseconds * (SECOND / 1000);
    while (nanoseconds() < end) turn();
}

/* ---- a run ---- */

static void open_connections(int count)
{
    int before = 0;
    uint64_t progress = nanoseconds();
    while (ready < count) {
        while (dialled < count && dialled - ready < MAX_HALF_OPEN) dial(&connections[dialled++]);
        turn();
        if (ready != before) progress = nanoseconds();
        before = ready;
        if (nanoseconds() - progress > 10 * SECOND) die("only %d of %d connections are ready", ready, count);
    }
}

static void start_traffic(void)
{
    uint64_t now = nanoseconds();
    if (option.mode == STORM)
        while (dialled < total_connections) dial(&connections[dialled++]);
    if (option.mode == ECHO)
        for (Connection *c = connections; c < connections + total_connections; c++) {
            for (int i = 0; i < option.depth; i++) c->sent_at[i] = now;
            c->allowed = ring_length;
            in_flight += option.depth;
            write_allowed(c);
        }
    if (option.mode == FAN) {
        for (int i = 0; i < option.depth; i++) publish(now);
        write_allowed(publisher);
    }
}

/* What is in flight at the end must arrive as well. */
static void stop_traffic(void)
{
    stopping = true;
    uint64_t deadline = nanoseconds() + 5 * SECOND;
    while (in_flight && nanoseconds() < deadline) turn();
    if (in_flight) fprintf(stderr, "loadgen: %llu messages never arrived\n", (unsigned long long)in_flight);
    errors += in_flight;
}

static void measure_traffic(void)
{
    if (option.mode != STORM) open_connections(total_connections);
    start_traffic();
    turn_for(option.milliseconds / 4);  /* warm-up */
    memset(latencies, 0, sizeof latencies);
    uint64_t counted_before = counted, began = nanoseconds();
    double server_before = server_cpu_seconds(), own_before = own_cpu_seconds();
    turn_for(option.milliseconds);
    double server_cpu = server_cpu_seconds() - server_before, own_cpu = own_cpu_seconds() - own_before;
    double elapsed = (nanoseconds() - began) * 1e-9;
    uint64_t count = counted - counted_before;
    double p50 = latency_microseconds(0.50), p99 = latency_microseconds(0.99);
    if (option.mode != STORM) stop_traffic();
    /* The kernel counts in ticks, so a short run may have seen none. */
    double tick = 1.0 / sysconf(_SC_CLK_TCK);
    printf("{\"rate\": %.1f, \"rate_per_cpu_second\": %.1f, \"seconds\": %.4f, ", count / elapsed,
           count / (server_cpu > tick ? server_cpu : tick), elapsed);
    printf("\"server_cpu_seconds\": %.2f, \"generator_cpu_seconds\": %.3f, ", server_cpu, own_cpu);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"errors\": %llu}\n", p50, p99, (unsigned long long)errors);
}

static void measure_memory(void)
{
    open_connections(IDLE_WARM_UP);
    long before = server_memory();
    open_connections(total_connections);
    turn_for(option.milliseconds);
    long grown = server_memory() - before;
    printf("{\"bytes_per_connection\": %.0f, \"connections\": %d, \"errors\": %llu}\n",
           (double)grown / option.connections, option.connections, (unsigned long long)errors);
}

static int number(const char *text, int least)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < least || value > 1 << 30) die("not a number of at least %d: %s", least, text);
    return value;
}

static void parse_options(int argc, char **argv)
{
    static const char *const modes[] = {[ECHO] = "echo", [FAN] = "fan", [STORM] = "storm", [IDLE] = "idle"};
    static const struct { const char *name; int *value, least; } numbers[] = {
        {"--port", &option.port, 1},
        {"--pid", &option.pid, 1},                /* the server's process */
        {"--connections", &option.connections, 1},
        {"--size", &option.size, 1},
        {"--depth", &option.depth, 1},
        {"--greetings", &option.greetings, 0},    /* messages that the server sends unasked at first */
        {"--replies", &option.replies, 0},        /* messages that answer the hello */
        {"--milliseconds", &option.milliseconds, 1},
        {"--binary", &option.binary, 0},
        {"--raw", &option.raw, 0},                /* 1: plain TCP, no handshake and no frames */
    };
    static const struct { const char *name, **value; } texts[] = {
        {"--path", &option.path},
        {"--hello", &option.hello},               /* what a subscriber says to join */
        {"--template", &option.template},         /* the message to publish, %P in the payload's place */
    };
    int mode = 0;
    while (mode < 4 && (argc < 2 || strcmp(argv[1], modes[mode]))) mode++;
    if (mode == 4) die("usage: loadgen echo|fan|storm|idle --port N --pid N [--OPTION VALUE ...]");
    option.mode = mode;
    for (int i = 2; i < argc; i += 2) {
        bool known = false;
        if (i + 1 == argc) die("%s without a value", argv[i]);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            if (strcmp(argv[i], numbers[k].name)) continue;
            *numbers[k].value = number(argv[i + 1], numbers[k].least);
            known = true;
        }
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            if (strcmp(argv[i], texts[k].name)) continue;
            *texts[k].value = argv[i + 1];
            known = true;
        }
        if (!known) die("no option %s", argv[i]);
    }
    if (!option.port || !option.pid) die("--port and --pid are needed");
    if (option.size > MAX_PAYLOAD) die("--size is at most %d", MAX_PAYLOAD);
    if (option.raw && option.mode != ECHO) die("--raw is for echo alone");
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (asprintf(&request,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                 option.path, option.port, KEY) < 0)
        die("out of memory");

    prepare_frames();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    total_connections = option.connections;
    if (option.mode == FAN) total_connections++;
    if (option.mode == IDLE) total_connections += IDLE_WARM_UP;
    connections = allocate(total_connections, sizeof *connections);
    for (int i = 0; i < total_connections; i++)
        connections[i].sent_at = allocate(option.mode == ECHO ? option.depth : 0, sizeof(uint64_t));
    if (option.mode == FAN) {
        publisher = &connections[option.connections];
        published_at = allocate(option.depth, sizeof *published_at);
        deliveries_missing = allocate(option.depth, sizeof *deliveries_missing);
    }
    if (option.mode == IDLE)
        measure_memory();
    else
        measure_traffic();
    return 0;
}
