/* The command line, as bench/generator.py writes it. */
#include "loadgen.h"

#include <stdlib.h>
#include <string.h>

Options option = {.connections = 1, .size = 64, .depth = 1, .rooms = 1, .milliseconds = 1000, .path = "/",
                  .template = "%P"};

static const Mode *const modes[] = {&echo_mode, &fan_mode, &churn_mode, &storm_mode, &idle_mode};

static const struct {
    const char *name;
    int *value, least;
} numbers[] = {
    {"--port", &option.port, 1},
    {"--pid", &option.pid, 1},              /* the server's process */
    {"--connections", &option.connections, 1},
    {"--size", &option.size, 1},
    {"--depth", &option.depth, 1},          /* messages in flight, on a connection or of the publisher */
    {"--rate", &option.rate, 0},            /* open loop: messages a second, whatever is in flight */
    {"--rooms", &option.rooms, 1},          /* that each member joins, and that are published to in turn */
    {"--greetings", &option.greetings, 0},  /* messages that the server sends unasked at first */
    {"--milliseconds", &option.milliseconds, 1},
    {"--binary", &option.binary, 0},
    {"--raw", &option.raw, 0},              /* 1: plain TCP, no handshake and no frames */
    {"--deflate", &option.deflate, 0},      /* 1: the payload is compressed; offer that and expect it */
    {"--tls", &option.tls, 0},
    {"--awake", &option.awake, 0},          /* 1: a closed loop doesn't sleep while nothing comes */
};

static const struct {
    const char *name, **value;
} texts[] = {
    {"--path", &option.path},
    {"--hello", &option.hello},             /* what every connection says first; one message answers it */
    {"--join", &option.join},               /* what a member says; %R is the room's number; one answer */
    {"--leave", &option.leave},
    {"--template", &option.template},       /* the message to send, %P in the payload's place, %R as above */
    {"--payload", &option.payload},         /* a file whose octets are the payload */
};

static int number(const char *text, int least)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < least || value > 1 << 30) die("not a number of at least %d: %s", least, text);
    return value;
}

static bool set(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name)) continue;
        *numbers[i].value = number(value, numbers[i].least);
        return true;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name)) continue;
        *texts[i].value = value;
        return true;
    }
    return false;
}

void parse_options(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (argc > 1 && !strcmp(argv[1], modes[i]->name)) option.mode = modes[i];
    if (!option.mode) die("usage: loadgen echo|fan|churn|storm|idle --port N --pid N [--OPTION VALUE ...]");
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc) die("%s without a value", argv[i]);
        if (!set(argv[i], argv[i + 1])) die("no option %s", argv[i]);
    }
    if (!option.port || !option.pid) die("--port and --pid are needed");
    if (option.tls && !tls) die("--tls, but built without OpenSSL");
    if (option.size > MAX_PAYLOAD) die("--size is at most %d", MAX_PAYLOAD);
    if (option.rate && !option.mode->issue) die("--rate is for echo and fan alone");
    if (option.mode->joins && !option.join && option.mode == &fan_mode) die("fan without --join");
    if (option.mode == &churn_mode && !(option.join && option.leave)) die("churn without --join or --leave");
}
