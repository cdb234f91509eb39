/* What the parts of the load generator share; main.c says what it is. */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, MAX_PAYLOAD = 1 << 24, MAX_HEAD = 14 };

#define SECOND ((uint64_t)1000000000)  /* in nanoseconds */

/* What a connection waits for: the TCP handshake, that of TLS, the answer to the upgrade, what the server says
 * unasked, the answer to the hello, the answers to its joins; then it takes part in the traffic. */
typedef enum { CONNECTING, SECURING, UPGRADING, GREETED, HAILING, JOINING, READY, LOST } State;

typedef struct {
    int fd;
    int number;
    State state;
    struct ssl_st *tls;
    uint32_t watched;       /* the events epoll reports for it */
    int awaited;            /* messages still to come before the next state */
    uint64_t allowed;       /* octets of the ring that may be written, since the beginning */
    uint64_t written;       /* octets of the ring that were written */
    uint64_t received;      /* messages received in the traffic */
    uint64_t dialled_at;
    uint64_t *sent_at;      /* when message n was sent, at n modulo depth */
    unsigned char *buffer;  /* the beginning of a frame whose end hasn't arrived */
    size_t held, capacity;  /* how much of it there is; how much has room */
} Connection;

/* What lies between a connection and the network. All that is read or written may be less than was asked for. */
typedef struct {
    bool (*secure)(Connection *c);  /* false while the peer has to answer first */
    ssize_t (*receive)(Connection *c, void *in, size_t room);
    ssize_t (*send)(Connection *c, const struct iovec *pieces, int count);
    bool (*holds_octets)(const Connection *c);  /* that have left the socket and aren't received */
    void (*release)(Connection *c);
} Transport;

extern const Transport plain, *const tls;  /* NULL: built without OpenSSL */

typedef struct {
    int opcode;
    bool whole;             /* final, unmasked, no reserved bits that weren't agreed on */
    bool compressed;
    const unsigned char *payload;
    size_t length;
    size_t size;            /* head and payload together */
} Frame;

/* A kind of traffic. What is NULL has nothing to do. */
typedef struct {
    const char *name;
    bool joins;             /* before the traffic */
    int spare;              /* connections beside those asked for */
    void (*prepare)(void);
    void (*start)(uint64_t now);
    void (*issue)(uint64_t now);  /* open loop: sends all that is due */
    void (*upgraded)(Connection *c, uint64_t now);
    void (*receive)(Connection *c, const Frame *frame, uint64_t now);
    void (*give_up)(uint64_t now);  /* open loop: what was never answered took this long at least */
    void (*run)(void);
} Mode;

extern const Mode echo_mode, fan_mode, churn_mode, storm_mode, idle_mode;

/* options.c */
typedef struct {
    const Mode *mode;
    int port, pid, connections, size, depth, rate, rooms, greetings, milliseconds, binary, raw, deflate, tls,
        awake;
    const char *path, *hello, *join, *leave, *template, *payload;
} Options;
extern Options option;
void parse_options(int argc, char **argv);

/* measure.c */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *allocate(size_t count, size_t size);
uint64_t nanoseconds(void);
double server_cpu_seconds(void);
double own_cpu_seconds(void);
long server_memory(void);
void open_window(uint64_t from, uint64_t to);
void record_latency(uint64_t due, uint64_t now);
double latency_microseconds(double quantile);

/* frames.c */
extern unsigned char *ring;      /* masked frames; a connection writes these, round and round */
extern size_t ring_length;
size_t encode_frame(unsigned char *out, int opcode, const void *message, size_t length);
bool parse_frame(const unsigned char *in, size_t available, Frame *frame);
size_t ring_append(const void *message, size_t length);
void ring_patch(size_t message_at, size_t at, const char *digits, size_t count);
unsigned char *make_payload(size_t *length);
unsigned char *fill_template(const unsigned char *payload, size_t *length, size_t *payload_at);
void write_digits(char *out, size_t count, uint64_t value);
const char *name_room(const char *text, int room);

/* handshake.c */
void prepare_request(void);
void request_upgrade(Connection *c);
size_t check_handshake(const unsigned char *in, size_t available);

/* connection.c */
extern int epoll;
extern const Transport *transport;
extern Connection *connections, *publisher;
extern int total_connections, dialled, ready;
extern uint64_t counted, in_flight, errors;
extern bool stopping;
void dial(Connection *c);
void hang_up(Connection *c);
void write_allowed(Connection *c);
void mismatch(Connection *c, const char *what, const Frame *frame);
void on_event(Connection *c, uint32_t events);

/* schedule.c */
void start_schedule(uint64_t now);
uint64_t due_at(uint64_t n);
uint64_t due_by(uint64_t now);
void turn(void);
double working_seconds(void);
void turn_until(uint64_t end);
void open_connections(int count);

#endif
