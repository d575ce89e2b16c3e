/* TLS over a socket whose other end does not read, and TLS on top of TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>

#include "certificate.h"
#include "net/tls.h"
#include "net/tls_bio.h"

enum { TURNS = 100000 };

/* ---- two ends of TLS on TLS ---- */

static test_certificate certificate;
static ws_tls_context *server_context, *client_context;

static int set_up(void** state) {
    (void)state;
    ws_error error = {0};
    wsTls options = {.insecure = 1};
    test_certificate_make(&certificate, "localhost");
    assert_int_equal(ws_tls_context_server(certificate.file, certificate.key, &server_context, &error), WS_OK);
    assert_int_equal(ws_tls_context_get(&options, &client_context, &error), WS_OK);
    return 0;
}

static int tear_down(void** state) {
    (void)state;
    ws_tls_context_drop(server_context);
    ws_tls_context_drop(client_context);
    test_certificate_remove(&certificate);
    return 0;
}

typedef struct pair {
    ws_transport client, server;
} pair;

/* `room` is for what the server has not read; 0: the system's default. */
static pair make_sockets(int room) {
    int fds[2];
    pair made;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    if (room) assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    ws_transport_socket(&made.client, fds[0]);
    ws_transport_socket(&made.server, fds[1]);
    return made;
}

static void close_pair(pair* made) {
    made->client.ops->close(&made->client);
    made->server.ops->close(&made->server);
}

/* Put TLS on both ends. */
static void secure(pair* made) {
    ws_error error = {0};
    ws_tls_server_id id = {"localhost", "localhost", 1};
    int32_t client = 0, server = 0;
    assert_int_equal(ws_tls_start(&made->client, client_context, &id, &error), WS_OK);
    assert_int_equal(ws_tls_start(&made->server, server_context, NULL, &error), WS_OK);
    for (int i = 0; i < TURNS && !(client && server); i++) {
        if (!client) client = ws_tls_handshake(&made->client, &error);
        if (!server) server = ws_tls_handshake(&made->server, &error);
    }
    assert_string_equal(ws_error_text(&error), "");
    assert_int_equal(client, 1);
    assert_int_equal(server, 1);
}

/* Write that many pieces, or as many as are taken: the bytes. */
static size_t write_pieces(ws_transport* transport, size_t count, size_t size) {
    static const uint8_t bytes[4096];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        ssize_t written = transport->ops->write(transport, bytes, size);
        if (written == -EAGAIN) break;
        assert_int_equal(written, size);
        total += size;
    }
    return total;
}

/* Read as a loop would, which reads only when the socket or the transport says so: the bytes. */
static size_t read_all(ws_transport* transport) {
    static uint8_t got[64 * 1024];
    size_t total = 0;
    char peeked;
    while (transport->ops->ready_now(transport) || recv((int)transport->fd, &peeked, 1, MSG_PEEK) > 0) {
        ssize_t n = transport->ops->read(transport, got, sizeof got);
        assert_true(n > 0 || n == -EAGAIN);
        if (n > 0) total += (size_t)n;
    }
    return total;
}

/* ---- the tests ---- */

static void what_the_socket_does_not_take_is_unsent_in_the_outer_tls_too(void** state) {
    (void)state;
    enum { MORE_THAN_IT_TAKES = 100 };
    pair made = make_sockets(4096);
    secure(&made);
    secure(&made);
    for (size_t count = 1; count < MORE_THAN_IT_TAKES; count++) {
        size_t sent = write_pieces(&made.client, count, 100), received = 0;
        for (int i = 0; i < TURNS && made.client.ops->unsent(&made.client); i++) {
            received += read_all(&made.server);
            assert_true(made.client.ops->write(&made.client, NULL, 0) <= 0);
        }
        assert_false(made.client.ops->unsent(&made.client));
        assert_int_equal(received + read_all(&made.server), sent);
    }
    close_pair(&made);
}

/* Of all sizes, so that one of them ends where the buffer of the upper TLS does. */
static void what_the_outer_tls_has_read_is_ready_now(void** state) {
    (void)state;
    pair made = make_sockets(0);
    secure(&made);
    secure(&made);
    for (size_t size = 100; size < 2000; size++) {
        size_t sent = write_pieces(&made.client, 20000 / size, size);
        assert_false(made.client.ops->unsent(&made.client));
        assert_int_equal(read_all(&made.server), sent);
    }
    close_pair(&made);
}

static void a_peer_that_does_not_read_costs_no_more_than_a_limit(void** state) {
    (void)state;
    static const uint8_t bytes[1000];
    pair made = make_sockets(4096);
    ws_tls_wire wire = {.below = made.client};
    SSL_CTX* ctx = SSL_CTX_new(TLS_method());
    SSL* ssl = SSL_new(ctx);
    size_t kept = 0, taken;
    assert_true(ws_tls_wire_attach(&wire, ssl));
    for (int i = 0; i < 2000 && !wire.write_error; i++) {
        assert_int_equal(BIO_write_ex(SSL_get_wbio(ssl), bytes, sizeof bytes, &taken), 1);
        if (ws_buf_len(&wire.unsent) > kept) kept = ws_buf_len(&wire.unsent);
    }
    assert_int_equal(wire.write_error, ENOBUFS);
    assert_in_range(kept, 200 * 1024, 300 * 1024);
    assert_false(ws_tls_wire_unsent(&wire));
    assert_int_equal(ws_tls_wire_flush(&wire), -ENOBUFS);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close_pair(&made);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_socket_does_not_take_is_unsent_in_the_outer_tls_too),
        cmocka_unit_test(what_the_outer_tls_has_read_is_ready_now),
        cmocka_unit_test(a_peer_that_does_not_read_costs_no_more_than_a_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
