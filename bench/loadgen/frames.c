/* Frames: those that go out, masked and ready in a ring, and those that come in. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One key for every frame: the server unmasks all the same. */
static const unsigned char MASKING_KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

unsigned char *ring;
size_t ring_length;

size_t encode_frame(unsigned char *out, int opcode, const void *message, size_t length)
{
    const unsigned char *octets = message;
    size_t at = 0;
    if (option.raw) {
        memcpy(out, message, length);
        return length;
    }
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
bool parse_frame(const unsigned char *in, size_t available, Frame *frame)
{
    if (available < 2) return false;
    size_t length = in[1] & 0x7f, head = 2;
    int size_octets = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (available < head + size_octets) return false;
    if (size_octets) length = 0;
    while (size_octets--) length = length << 8 | in[head++];
    if (length > MAX_PAYLOAD) die("the server sent a frame of %zu octets", length);
    if (available < head + length) return false;
    bool compressed = in[0] & 0x40;
    *frame = (Frame){.opcode = in[0] & 15, .compressed = compressed, .payload = in + head, .length = length,
                     .whole = (in[0] & 0xb0) == 0x80 && !(in[1] & 0x80) && (!compressed || option.deflate),
                     .size = head + length};
    return true;
}

/* A frame at the end of the ring; returns where in the ring its message begins. */
size_t ring_append(const void *message, size_t length)
{
    ring = realloc(ring, ring_length + length + MAX_HEAD);
    if (!ring) die("out of memory");
    unsigned char *frame = ring + ring_length;
    ring_length += encode_frame(frame, option.binary ? BINARY : TEXT, message, length);
    /* 7692 6: RSV1 says that the message is compressed. */
    if (option.deflate) *frame |= 0x40;
    return ring_length - length;
}

/* Puts digits into a message that is in the ring. */
void ring_patch(size_t message_at, size_t at, const char *digits, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        ring[message_at + i] = digits[i - at] ^ (option.raw ? 0 : MASKING_KEY[i & 3]);
}

/* The file's octets, or --size letters. */
unsigned char *make_payload(size_t *length)
{
    unsigned char *payload;
    *length = option.size;
    if (!option.payload) {
        payload = allocate(*length, 1);
        for (size_t i = 0; i < *length; i++) payload[i] = 'a' + i % 26;
        return payload;
    }
    FILE *file = fopen(option.payload, "rb");
    if (!file) die("can't read %s", option.payload);
    payload = allocate(MAX_PAYLOAD, 1);
    *length = fread(payload, 1, MAX_PAYLOAD, file);
    fclose(file);
    return payload;
}

/* The message that carries a payload of this length; says how long it is, and where the payload begins. */
unsigned char *fill_template(const unsigned char *payload, size_t *length, size_t *payload_at)
{
    const char *template = name_room(option.template, 0), *place = strstr(template, "%P");
    if (!place) die("--template without %%P");
    size_t before = place - template, after = strlen(place + 2), size = *length;
    unsigned char *message = allocate(before + size + after, 1);
    memcpy(message, template, before);
    memcpy(message + before, payload, size);
    memcpy(message + before + size, place + 2, after);
    *length = before + size + after;
    *payload_at = before;
    return message;
}

void write_digits(char *out, size_t count, uint64_t value)
{
    for (; count; value /= 10) out[--count] = '0' + value % 10;
}

/* The text with the room's number, five digits, in place of %R. */
const char *name_room(const char *text, int room)
{
    const char *place = strstr(text, "%R");
    char *named;
    if (!place) return text;
    if (asprintf(&named, "%.*s%05d%s", (int)(place - text), text, room, place + 2) < 0) die("out of memory");
    return named;
}
