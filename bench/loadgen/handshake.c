/* The opening handshake: the request, and whether the answer is right. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The key and its answer are the sample in RFC 6455, 1.3. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/* Of both sides: a message then compresses to the same octets every time, so that an echo can be compared. */
static const char OFFER[] = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                            "client_no_context_takeover\r\n";

static char *request;

void prepare_request(void)
{
    if (asprintf(&request,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                 option.path, option.port, KEY, option.deflate ? OFFER : "") < 0)
        die("out of memory");
}

void request_upgrade(Connection *c)
{
    struct iovec whole = {request, strlen(request)};
    if (transport->send(c, &whole, 1) != (ssize_t)whole.iov_len) die("can't write the handshake");
}

/* The length of the server's answer to the handshake, or 0 until it is complete. */
size_t check_handshake(const unsigned char *in, size_t available)
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
    bool extended = strcasestr(head, "\r\nSec-WebSocket-Extensions:");
    if (extended != option.deflate) die("the server %s an extension", extended ? "added" : "refused");
    free(head);
    return length;
}
