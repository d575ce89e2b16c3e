#include "net/transport.h"

#include <errno.h>
#include <sys/socket.h>

#include "net/tcp.h"

static ssize_t socket_read(ws_transport* transport, uint8_t* to, size_t n) {
    ssize_t got;
    do {
        got = recv((int)transport->fd, to, n, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t socket_write(ws_transport* transport, const uint8_t* from, size_t n) {
    ssize_t sent;
    do {
        sent = send((int)transport->fd, from, n, MSG_NOSIGNAL); /* a dead peer must not kill the program by SIGPIPE */
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* A socket has nothing inside, neither to be read nor to be sent. */
static bool socket_nothing(const ws_transport* transport) {
    (void)transport;
    return false;
}

static void socket_explain(const ws_transport* transport, ws_error* error) {
    (void)transport, (void)error;
}

static void socket_shutdown(ws_transport* transport) {
    shutdown((int)transport->fd, SHUT_WR);
}

static void socket_reset_on_close(ws_transport* transport) {
    ws_tcp_reset_on_close(transport->fd);
}

static void socket_close(ws_transport* transport) {
    ws_tcp_close(transport->fd);
    *transport = (ws_transport){.fd = -1};
}

void ws_transport_socket(ws_transport* transport, intptr_t fd) {
    static const ws_transport_ops ops = {
        .read = socket_read,
        .write = socket_write,
        .unsent = socket_nothing,
        .ready_now = socket_nothing,
        .explain = socket_explain,
        .shutdown = socket_shutdown,
        .reset_on_close = socket_reset_on_close,
        .close = socket_close,
    };
    *transport = (ws_transport){.ops = &ops, .fd = fd};
}
