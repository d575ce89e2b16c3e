#include "tls_pair.h"

#include <errno.h>

#include "support.h"

enum { MAX_TURNS = 2000000 };

/* ---- the transport below ---- */

static test_end* end_of(const ws_transport* transport) {
    return transport->state;
}

/* How much of n goes now; 0: none. */
static size_t share(size_t piece, bool* refused, size_t n) {
    if (piece == 0) return n;
    *refused = !*refused;
    return *refused ? (n < piece ? n : piece) : 0;
}

static ssize_t end_read(ws_transport* transport, uint8_t* to, size_t n) {
    test_end* end = end_of(transport);
    size_t there = ws_buf_len(end->in);
    if (there == 0 && end->read_error) return -end->read_error;
    if (there == 0) return *end->ended ? 0 : -EAGAIN;
    n = share(end->piece, &end->not_now_read, n < there ? n : there);
    if (n == 0) return -EAGAIN;
    memcpy(to, ws_buf_head(end->in), n);
    ws_buf_consume(end->in, n);
    return (ssize_t)n;
}

static ssize_t end_write(ws_transport* transport, const uint8_t* from, size_t n) {
    test_end* end = end_of(transport);
    size_t held = ws_buf_len(end->out);
    assert_false(end->shut || end->closed);
    end->writes++;
    if (end->write_error) return -end->write_error;
    if (end->capacity && held + n > end->capacity) n = held < end->capacity ? end->capacity - held : 0;
    if (n) n = share(end->piece, &end->not_now_write, n);
    if (n == 0) return -EAGAIN;
    put(end->out, from, n);
    return (ssize_t)n;
}

static bool end_nothing(const ws_transport* transport) {
    (void)transport;
    return false;
}

static void end_explain(const ws_transport* transport, ws_error* error) {
    (void)transport, (void)error;
}

static void end_shutdown(ws_transport* transport) {
    end_of(transport)->shut = true;
}

static void end_reset_on_close(ws_transport* transport) {
    end_of(transport)->reset = true;
}

static void end_close(ws_transport* transport) {
    end_of(transport)->closed = end_of(transport)->shut = true;
    *transport = (ws_transport){.fd = -1};
}

static ws_transport transport_of(test_end* end, ws_buf* in, ws_buf* out, const bool* ended) {
    static const ws_transport_ops ops = {end_read,    end_write,    end_nothing,        end_nothing,
                                         end_explain, end_shutdown, end_reset_on_close, end_close};
    *end = (test_end){.in = in, .out = out, .ended = ended};
    return (ws_transport){.ops = &ops, .fd = -1, .state = end};
}

bool test_end_readable(const test_end* end) {
    return ws_buf_len(end->in) > 0 || *end->ended || end->read_error;
}

/* ---- the pair ---- */

void tls_pair_start(tls_pair* pair, const wsTls* options, ws_tls_context* server, const char* name) {
    ws_error error = {0};
    *pair = (tls_pair){.server_context = server};
    pair->client = transport_of(&pair->below_client, &pair->to_client, &pair->to_server, &pair->below_server.shut);
    pair->server = transport_of(&pair->below_server, &pair->to_server, &pair->to_client, &pair->below_client.shut);
    ws_tls_server_id id = {name, name, 443};
    assert_int_equal(ws_tls_context_get(options, &pair->client_context, &error), WS_OK);
    assert_int_equal(ws_tls_start(&pair->client, pair->client_context, &id, &error), WS_OK);
    assert_int_equal(ws_tls_start(&pair->server, server, NULL, &error), WS_OK);
    assert_string_equal(ws_error_text(&error), "");
}

/* One side's turn. Who is through has its last bytes to move on. */
static int32_t turn(ws_transport* transport, int32_t so_far, ws_error* error) {
    if (so_far == 0) return ws_tls_handshake(transport, error);
    transport->ops->write(transport, NULL, 0);
    return so_far;
}

bool tls_pair_shake(tls_pair* pair) {
    int32_t client = 0, server = 0;
    for (int i = 0, after = 0; i < MAX_TURNS; i++) {
        client = turn(&pair->client, client, &pair->client_error);
        server = turn(&pair->server, server, &pair->server_error);
        bool moving = pair->client.ops->unsent(&pair->client) || pair->server.ops->unsent(&pair->server);
        if (client && server && !moving) return client == 1 && server == 1;
        if ((client < 0 || server < 0) && ++after == 100) return false; /* the other has been told by then */
    }
    fail_msg("the handshake does not go on: client %d, server %d", client, server);
    return false;
}

void tls_pair_open(tls_pair* pair, const wsTls* options, ws_tls_context* server, const char* name) {
    tls_pair_start(pair, options, server, name);
    if (!tls_pair_shake(pair)) {
        fail_msg("%s; %s", ws_error_text(&pair->client_error), ws_error_text(&pair->server_error));
    }
}

ssize_t tls_pair_drain(ws_transport* from, ws_buf* got) {
    uint8_t bytes[5000];
    ssize_t n;
    while ((n = from->ops->read(from, bytes, sizeof bytes)) > 0) {
        put(got, bytes, (size_t)n);
    }
    return n;
}

void tls_pair_send(ws_transport* from, ws_transport* to, const void* bytes, size_t n, ws_buf* got) {
    const uint8_t* at = bytes;
    size_t wanted = ws_buf_len(got) + n;
    for (int i = 0; ws_buf_len(got) < wanted; i++) {
        assert_true(i < MAX_TURNS);
        ssize_t written = from->ops->write(from, at, n);
        assert_true(written >= 0 || written == -EAGAIN);
        if (written > 0) {
            at += written;
            n -= (size_t)written;
        }
        assert_int_equal(tls_pair_drain(to, got), -EAGAIN);
    }
    assert_int_equal(ws_buf_len(got), wanted);
    assert_false(from->ops->unsent(from));
}

void tls_pair_free(tls_pair* pair) {
    if (pair->client.ops) pair->client.ops->close(&pair->client);
    if (pair->server.ops) pair->server.ops->close(&pair->server);
    ws_tls_context_drop(pair->client_context);
    ws_tls_context_drop(pair->server_context);
    ws_error_clear(&pair->client_error);
    ws_error_clear(&pair->server_error);
    ws_buf_free(&pair->to_server);
    ws_buf_free(&pair->to_client);
}
