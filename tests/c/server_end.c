/* No memory is allocated here: a test may let that fail. */
#include "server_end.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "net/poll.h"
#include "net/tcp.h"
#include "support.h"

void server_open(server_end* server) {
    uint16_t port = 0;
    *server = (server_end){.listener = ws_tcp_listen(NULL, &port), .peer = -1};
    assert_true(server->listener >= 0);
    snprintf(server->url, sizeof server->url, "ws://127.0.0.1:%u/", port);
}

void server_drop(server_end* server) {
    if (server->peer >= 0) ws_tcp_close(server->peer);
    server->peer = -1;
}

void server_reset(server_end* server) {
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt((int)server->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    server_drop(server);
}

void server_shut(server_end* server) {
    shutdown((int)server->listener, SHUT_RDWR);
}

void server_close(server_end* server) {
    server_drop(server);
    ws_tcp_close(server->listener);
}

/* Wait until the descriptor is ready; the client goes on meanwhile. False: it is closed, and nothing is ready. */
static bool await(server_end* server, intptr_t fd, uint32_t events) {
    ws_poll_item item = {.fd = fd, .events = events};
    int64_t end = wsNow() + SERVER_DEADLINE;
    for (;;) {
        if (server->client) wsConnStep(server->client, wsNow());
        if (ws_poll_few(&item, 1, server->client ? 1 : SERVER_DEADLINE) > 0) return true;
        assert_true(wsNow() < end);
        if (server->client && wsConnState(server->client) == WS_STATE_CLOSED) return false;
    }
}

static bool hear(server_end* server, void* to, size_t n) {
    for (size_t got = 0; got < n;) {
        if (!await(server, server->peer, WS_POLL_READ)) return false;
        ssize_t now = recv((int)server->peer, (char*)to + got, n - got, 0);
        if (now == 0 || (now < 0 && errno != EAGAIN)) return false;
        if (now > 0) got += (size_t)now;
    }
    return true;
}

static void say(server_end* server, const void* bytes, size_t n) {
    for (size_t sent = 0; sent < n;) {
        if (!await(server, server->peer, WS_POLL_WRITE)) return;
        ssize_t now = send((int)server->peer, (const char*)bytes + sent, n - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EAGAIN) return; /* it has gone: that is seen by who reads */
        if (now > 0) sent += (size_t)now;
    }
}

static bool upgrade(server_end* server) {
    char request[2048], accept[WS_ACCEPT_SIZE + 1], head[512];
    size_t n = 0;
    while (n < 4 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof request - 1);
        if (!hear(server, request + n++, 1)) return false;
    }
    request[n] = 0;
    ws_handshake_accept(accept, strstr(request, "Sec-WebSocket-Key: ") + 19, WS_KEY_SIZE);
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n",
                          accept);
    say(server, head, (size_t)length);
    return true;
}

bool server_accept(server_end* server) {
    for (;;) {
        server_drop(server);
        if (!await(server, server->listener, WS_POLL_READ)) return false;
        server->peer = ws_tcp_accept(server->listener);
        if (server->peer == -EINVAL) return false; /* shut */
        if (server->peer >= 0 && upgrade(server)) return true;
    }
}

bool server_hear(server_end* server) {
    uint8_t head[4], key[4];
    if (!hear(server, head, 2)) return false;
    size_t length = head[1] & 0x7F;
    assert_true(head[1] & 0x80 && length < 127);
    if (length == 126) {
        if (!hear(server, head + 2, 2)) return false;
        length = (size_t)head[2] << 8 | head[3];
    }
    assert_true(length <= SERVER_PAYLOAD);
    if (!hear(server, key, 4) || !hear(server, server->payload, length)) return false;
    for (size_t i = 0; i < length; i++) {
        server->payload[i] ^= (char)key[i % 4];
    }
    server->payload[length] = 0;
    server->length = length;
    server->first = head[0];
    return true;
}

void server_say(server_end* server, uint8_t first, const void* payload, size_t length) {
    uint8_t head[2] = {first, (uint8_t)length};
    assert_true(length < 126);
    say(server, head, 2);
    say(server, payload, length);
}

bool server_hear_message(server_end* server) {
    while (server_hear(server)) {
        uint8_t opcode = server->first & 0xF;
        if (opcode == WS_OPCODE_TEXT || opcode == WS_OPCODE_BINARY) return true;
        if (opcode == WS_OPCODE_PING) server_say(server, FIN | WS_OPCODE_PONG, server->payload, server->length);
        if (opcode == WS_OPCODE_CLOSE) {
            server_say(server, FIN | WS_OPCODE_CLOSE, server->payload, server->length);
            return false;
        }
    }
    return false;
}
