/* The socket through TLS, in a build that found OpenSSL. Whose certificate it is doesn't matter here. */
#include "loadgen.h"

#ifndef WITH_TLS
const Transport *const tls = NULL;
#else

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* Every server encrypts alike, with what TLS 1.3 has everyone implement (RFC 8446, 9.1). */
static const char CIPHER_SUITE[] = "TLS_AES_128_GCM_SHA256";
/* What one read may bring: else it is the head of a record, and then the rest. */
enum { READ_AHEAD = 1 << 17 };

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, CIPHER_SUITE))
        die("no TLS 1.3");
    /* As write() does: it takes what it can, and the rest may come from elsewhere and be longer. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
    return context;
}

/* What read() or write() would have returned. */
static ssize_t settle(Connection *c, int moved)
{
    if (moved > 0) return moved;
    int error = SSL_get_error(c->tls, moved);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL)
        errno = EPROTO;
    return -1;
}

static bool secure(Connection *c)
{
    static SSL_CTX *context;
    if (!context) context = new_context();
    if (!c->tls) {
        c->tls = SSL_new(context);
        if (!c->tls || !SSL_set_fd(c->tls, c->fd)) die("out of memory");
    }
    ssize_t done = settle(c, SSL_connect(c->tls));
    if (done <= 0 && errno != EAGAIN) die("connection %d: the TLS handshake failed", c->number);
    return done > 0;
}

/* A record at a time. */
static ssize_t receive(Connection *c, void *in, size_t room)
{
    ssize_t total = 0, arrived;
    do {
        arrived = settle(c, SSL_read(c->tls, (char *)in + total, room - total));
        if (arrived > 0) total += arrived;
    } while (arrived > 0 && (size_t)total < room && SSL_has_pending(c->tls));
    return total ? total : arrived;
}

static ssize_t send_pieces(Connection *c, const struct iovec *pieces, int count)
{
    (void)count;
    return settle(c, SSL_write(c->tls, pieces->iov_base, pieces->iov_len));
}

static bool holds_octets(const Connection *c)
{
    return SSL_has_pending(c->tls);
}

static void release(Connection *c)
{
    SSL_free(c->tls);
    c->tls = NULL;
}

static const Transport openssl = {secure, receive, send_pieces, holds_octets, release};
const Transport *const tls = &openssl;

#endif
