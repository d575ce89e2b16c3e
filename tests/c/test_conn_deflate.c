/* wsOptions.deflate and the flags of wsConnSend: what a server sees on its socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/engine.h"
#include "net/tcp.h"
#include "support.h"

enum { DEADLINE = 10000 };

/* What stands on the wire until `end` is in it; steps the client meanwhile. To be freed. */
static ws_buf read_until(wsConn* conn, intptr_t peer, const char* end, size_t n) {
    ws_buf got = {0};
    char piece[4096];
    int64_t deadline = wsNow() + DEADLINE;
    while (!got.data || !memmem(ws_buf_head(&got), ws_buf_len(&got), end, n)) {
        assert_true(wsNow() < deadline);
        assert_int_equal(wsConnStep(conn, wsNow()), WS_OK);
        ssize_t some = recv((int)peer, piece, sizeof piece, 0);
        if (some < 0 && errno == EAGAIN) continue;
        assert_true(some > 0);
        put(&got, piece, (size_t)some);
    }
    return got;
}

typedef struct rig {
    wsConn* conn;
    intptr_t listener, peer;
    char offer[256]; /* the header line of the request, "" if there was none */
} rig;

static void keep_offer(rig* r, const char* request) {
    const char* line = strstr(request, "Sec-WebSocket-Extensions: ");
    snprintf(r->offer, sizeof r->offer, "%.*s", line ? (int)strcspn(line, "\r") : 0, line ? line : "");
}

/* Open a connection to a server that answers with these headers. */
static void open_rig(rig* r, wsDeflate deflate, const char* headers) {
    uint16_t port = 0;
    char url[64], accept[WS_ACCEPT_SIZE + 1], head[512];
    r->listener = ws_tcp_listen(NULL, &port);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", port);
    wsOptions options = {.size = sizeof options, .url = url, .deflate = deflate};
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
    int64_t deadline = wsNow() + DEADLINE;
    while ((r->peer = ws_tcp_accept(r->listener)) < 0) {
        assert_true(wsNow() < deadline);
        assert_int_equal(wsConnStep(r->conn, wsNow()), WS_OK);
    }
    ws_buf request = read_until(r->conn, r->peer, "\r\n\r\n", 4);
    put(&request, "", 1);
    keep_offer(r, (char*)ws_buf_head(&request));
    ws_handshake_accept(accept, strstr((char*)ws_buf_head(&request), "Sec-WebSocket-Key: ") + 19, WS_KEY_SIZE);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                     accept, headers);
    assert_int_equal(send((int)r->peer, head, (size_t)n, MSG_NOSIGNAL), n);
    ws_buf_free(&request);
}

static wsEvent next_event(rig* r) {
    wsEvent event = {0};
    int64_t deadline = wsNow() + DEADLINE;
    while (!wsConnNext(r->conn, &event)) {
        assert_true(wsNow() < deadline);
        assert_int_equal(wsConnWait(r->conn, 100), WS_OK);
    }
    return event;
}

static void stop(rig* r) {
    wsConnFree(r->conn);
    ws_tcp_close(r->peer);
    ws_tcp_close(r->listener);
}

#define LINE "Sec-WebSocket-Extensions: permessage-deflate"

TEST(the_options_make_the_offer) {
    static const struct {
        wsDeflate deflate;
        const char* offer;
    } cases[] = {
        {{0}, LINE "; server_max_window_bits=12; client_max_window_bits=12"},
        {{.off = 1}, ""},
        {{.serverMaxWindowBits = 15, .clientMaxWindowBits = 15}, LINE "; client_max_window_bits"},
        {{.serverMaxWindowBits = 9, .clientMaxWindowBits = 10, .serverNoContextTakeover = 1},
         LINE "; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10"},
        {{.clientNoContextTakeover = 1},
         LINE "; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rig r;
        open_rig(&r, cases[i].deflate, "");
        assert_int_equal(next_event(&r).type, WS_EVENT_OPEN);
        assert_string_equal(r.offer, cases[i].offer);
        stop(&r);
    }
}

TEST(window_bits_are_9_to_15) {
    static const int32_t bad[] = {-1, 1, 8, 16};
    for (size_t i = 0; i < COUNT(bad); i++) {
        wsConn* conn = NULL;
        wsOptions options = {.size = sizeof options, .url = "ws://h/", .deflate = {.serverMaxWindowBits = bad[i]}};
        assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
        wsConnFree(conn);
        options.deflate = (wsDeflate){.clientMaxWindowBits = bad[i]};
        assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
        wsConnFree(conn);
    }
}

/* The first byte of the frame in which zeros go out. */
static uint8_t first_byte(rig* r, size_t n, int32_t flags) {
    static const uint8_t zeros[1000];
    assert_int_equal(wsConnSend(r->conn, WS_BINARY | flags, zeros, n), WS_OK);
    assert_int_equal(wsConnPing(r->conn, NULL, 0), WS_OK);
    ws_buf got = read_until(r->conn, r->peer, "\x89\x80", 2);
    uint8_t first = ws_buf_head(&got)[0];
    ws_buf_free(&got);
    int64_t deadline = wsNow() + DEADLINE;
    while (wsConnQueued(r->conn) && wsNow() < deadline) {
        wsConnStep(r->conn, wsNow());
    }
    return first;
}

static void assert_first_bytes(int32_t threshold, size_t n, int32_t flags, uint8_t expected) {
    rig r;
    open_rig(&r, (wsDeflate){.threshold = threshold}, LINE "\r\n");
    assert_int_equal(next_event(&r).type, WS_EVENT_OPEN);
    assert_int_equal(first_byte(&r, n, flags), expected);
    stop(&r);
}

TEST(the_threshold_and_the_flags_decide) {
    assert_first_bytes(0, 255, 0, 0x82);
    assert_first_bytes(0, 256, 0, 0xC2);
    assert_first_bytes(-1, 0, 0, 0xC2);
    assert_first_bytes(10, 9, 0, 0x82);
    assert_first_bytes(10, 10, 0, 0xC2);
    assert_first_bytes(10, 9, WS_COMPRESS, 0xC2);
    assert_first_bytes(10, 1000, WS_PLAIN, 0x82);
}

TEST(a_compressed_message_is_received) {
    rig r;
    open_rig(&r, (wsDeflate){0}, LINE "\r\n");
    assert_int_equal(next_event(&r).type, WS_EVENT_OPEN);
    assert_int_equal(send((int)r.peer, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", 9, MSG_NOSIGNAL), 9);
    wsEvent event = next_event(&r);
    assert_int_equal(event.type, WS_EVENT_TEXT);
    assert_int_equal(event.length, 5);
    assert_memory_equal(event.data, "Hello", 5);
    stop(&r);
}

TEST(an_answer_to_no_offer_ends_the_connection) {
    rig r;
    open_rig(&r, (wsDeflate){.off = 1}, LINE "\r\n");
    wsEvent event = next_event(&r);
    assert_int_equal(event.type, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_EXTENSION);
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_options_make_the_offer),
        cmocka_unit_test(window_bits_are_9_to_15),
        cmocka_unit_test(the_threshold_and_the_flags_decide),
        cmocka_unit_test(a_compressed_message_is_received),
        cmocka_unit_test(an_answer_to_no_offer_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
