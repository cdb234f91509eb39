/* The socket as it is. */
#include "loadgen.h"

#include <unistd.h>

static bool secure(Connection *c)
{
    (void)c;
    return true;
}

static ssize_t receive(Connection *c, void *in, size_t room)
{
    return read(c->fd, in, room);
}

static ssize_t send_pieces(Connection *c, const struct iovec *pieces, int count)
{
    return writev(c->fd, pieces, count);
}

static bool holds_octets(const Connection *c)
{
    (void)c;
    return false;
}

static void release(Connection *c)
{
    (void)c;
}

const Transport plain = {secure, receive, send_pieces, holds_octets, release};
