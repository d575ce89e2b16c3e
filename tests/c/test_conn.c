/* The general C API against a server's socket that the test holds in its hand. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/conn.h"
#include "net/poll.h"
#include "net/sys.h"
#include "net/tcp.h"
#include "support.h"

enum { DEADLINE = 10000 }; /* ms for what must happen */

/* A client and the server's end of its connection. */
typedef struct rig {
    wsConn* conn;
    intptr_t listener, peer;
    uint16_t port;
    char url[64];
} rig;

static void start(rig* r, wsOptions options) {
    r->port = 0;
    r->listener = ws_tcp_listen(NULL, &r->port);
    assert_true(r->listener >= 0);
    snprintf(r->url, sizeof r->url, "ws://127.0.0.1:%u/chat", r->port);
    options.size = sizeof options;
    options.url = r->url;
    r->peer = -1;
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
}

static void stop(rig* r) {
    wsConnFree(r->conn);
    if (r->peer >= 0) ws_tcp_close(r->peer);
    ws_tcp_close(r->listener);
}

static void readable(intptr_t fd) {
    ws_poll_item item = {.fd = fd, .events = WS_POLL_READ};
    assert_true(ws_poll_few(&item, 1, DEADLINE) > 0);
}

/* The next event, which must come in time and be of this type. */
static wsEvent expect(wsConn* conn, wsEventType type) {
    wsEvent event = {0};
    int64_t end = wsNow() + DEADLINE;
    while (!wsConnNext(conn, &event)) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnWait(conn, 100), WS_OK);
    }
    assert_int_equal(event.type, type);
    return event;
}

/* Step the client until the server has its connection. */
static void accept_peer(rig* r) {
    int64_t end = wsNow() + DEADLINE;
    while ((r->peer = ws_tcp_accept(r->listener)) < 0) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnStep(r->conn, wsNow()), WS_OK);
    }
}

/* What the server reads until `end` is in it; NUL-terminated, to be freed. */
static char* read_until(rig* r, const char* end) {
    ws_buf got = {0};
    char piece[4096];
    do {
        wsConnStep(r->conn, wsNow());
        ssize_t n = recv((int)r->peer, piece, sizeof piece, 0);
        if (n < 0 && errno == EAGAIN) continue;
        assert_true(n > 0);
        put(&got, piece, (size_t)n);
    } while (!got.data || !memmem(ws_buf_head(&got), ws_buf_len(&got), end, strlen(end)));
    put(&got, "", 1);
    char* text = strdup((char*)ws_buf_head(&got));
    ws_buf_free(&got);
    return text;
}

static void say(rig* r, const void* bytes, size_t n) {
    for (size_t sent = 0; sent < n;) {
        ssize_t now = send((int)r->peer, (const char*)bytes + sent, n - sent, MSG_NOSIGNAL);
        if (now > 0) sent += (size_t)now;
        if (now < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_int_equal(wsConnStep(r->conn, wsNow()), WS_OK);
        }
    }
}

/* The server's 101 to the request it reads; `more` goes out in the same piece. */
static void answer(rig* r, const char* headers, const ws_buf* more) {
    accept_peer(r);
    char* request = read_until(r, "\r\n\r\n");
    const char* key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    char accept[WS_ACCEPT_SIZE + 1], head[512];
    ws_handshake_accept(accept, key + 19, WS_KEY_SIZE);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                     accept, headers);
    ws_buf out = {0};
    put(&out, head, (size_t)n);
    if (more) put(&out, ws_buf_head(more), ws_buf_len(more));
    say(r, ws_buf_head(&out), ws_buf_len(&out));
    ws_buf_free(&out);
    free(request);
}

static void open_rig(rig* r, wsOptions options) {
    start(r, options);
    answer(r, "", NULL);
    expect(r->conn, WS_EVENT_OPEN);
}

static void say_frame(rig* r, uint8_t first, const char* payload) {
    ws_buf out = {0};
    add_text(&out, CLIENT, first, payload);
    say(r, ws_buf_head(&out), ws_buf_len(&out));
    ws_buf_free(&out);
}

static void assert_data(const wsEvent* event, const char* text) {
    assert_int_equal(event->length, strlen(text));
    assert_memory_equal(event->data, text, strlen(text));
}

/* ---- opening ---- */

TEST(opens_and_says_what_was_agreed) {
    const char* offered[] = {"a", "b"};
    rig r;
    start(&r, (wsOptions){.subprotocols = offered, .subprotocolCount = 2});
    assert_int_equal(wsConnState(r.conn), WS_STATE_CONNECTING);
    assert_int_equal(wsConnSend(r.conn, WS_TEXT, "x", 1), WS_ERR_STATE);
    answer(&r, "Sec-WebSocket-Protocol: b\r\n", NULL);
    expect(r.conn, WS_EVENT_OPEN);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    assert_string_equal(ws_conn_subprotocol(r.conn), "b");
    size_t n;
    const char* request = wsConnRequest(r.conn, &n);
    assert_memory_equal(request, "GET /chat HTTP/1.1\r\n", 20);
    assert_memory_equal(request + n - 4, "\r\n\r\n", 4);
    assert_true(ws_conn_opened(r.conn));
    stop(&r);
}

TEST(a_message_behind_the_answer_in_one_piece_is_not_lost) {
    rig r;
    ws_buf more = {0};
    add_text(&more, CLIENT, FIN | WS_OPCODE_TEXT, "at once");
    start(&r, (wsOptions){0});
    answer(&r, "", &more);
    expect(r.conn, WS_EVENT_OPEN);
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "at once");
    assert_true(event.received > 1e9);
    ws_buf_free(&more);
    stop(&r);
}

TEST(a_refused_upgrade_tells_the_status) {
    rig r;
    start(&r, (wsOptions){0});
    accept_peer(&r);
    free(read_until(&r, "\r\n\r\n"));
    static const char said[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    say(&r, said, sizeof said - 1);
    wsEvent event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_STATUS);
    assert_non_null(strstr(wsConnError(r.conn), "404"));
    ws_failure failure;
    ws_conn_failure(r.conn, &failure);
    assert_int_equal(failure.http_status, 404);
    assert_false(ws_conn_opened(r.conn));
    stop(&r);
}

TEST(a_refused_port_tells_the_errno) {
    rig r;
    start(&r, (wsOptions){0});
    ws_tcp_close(r.listener); /* nobody listens there any more, though the handshake may have been queued */
    wsConnFree(r.conn);
    wsOptions options = {.size = sizeof options, .url = r.url};
    assert_int_equal(wsConnNew(&options, &r.conn), WS_OK);
    wsEvent event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_CONNECT);
    ws_failure failure;
    ws_conn_failure(r.conn, &failure);
    assert_int_equal(failure.os_error, ECONNREFUSED);
    wsConnFree(r.conn);
}

TEST(a_silent_server_ends_at_the_deadline) {
    rig r;
    start(&r, (wsOptions){.openTimeout = 50});
    wsEvent event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_OPEN_TIMEOUT);
    assert_non_null(strstr(wsConnError(r.conn), "answer to the upgrade"));
    assert_int_equal(wsConnFd(r.conn), -1);
    stop(&r);
}

TEST(bad_options_are_refused) {
    wsConn* conn = (wsConn*)&conn;
    wsOptions options = {.size = sizeof options - 1, .url = "ws://127.0.0.1/"};
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
    assert_null(conn);
    options = (wsOptions){.size = sizeof options};
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
    options.url = "http://127.0.0.1/";
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_URL);
    options.url = "ws://127.0.0.1/";
    options.headerCount = 1;
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
    options.headers = &(wsHeader){"X", "a\r\nY: b"};
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
    options.headerCount = 0;
    options.queuePolicy = 7;
    assert_int_equal(wsConnNew(&options, &conn), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnNew(&options, NULL), WS_ERR_ARGUMENT);
    wsConnFree(NULL);
}

/* ---- messages ---- */

/* Everything a server may say in one flow, cut anywhere: the same events. */
TEST(a_flow_cut_at_every_byte_gives_the_same_events) {
    ws_buf flow = {0};
    add_text(&flow, CLIENT, WS_OPCODE_TEXT, "Hel");
    add_text(&flow, CLIENT, FIN | WS_OPCODE_PING, "p");
    add_text(&flow, CLIENT, FIN | WS_OPCODE_CONTINUATION, "lo");
    add_text(&flow, CLIENT, FIN | WS_OPCODE_BINARY, "");
    add_text(&flow, CLIENT, FIN | WS_OPCODE_CLOSE,
             "\x03\xe9"
             "bye");
    for (size_t cut = 1; cut < ws_buf_len(&flow); cut++) {
        rig r;
        open_rig(&r, (wsOptions){0});
        say(&r, ws_buf_head(&flow), cut);
        wsConnWait(r.conn, 100);
        wsConnStep(r.conn, wsNow()); /* what is there is kept, though nobody asks */
        say(&r, ws_buf_head(&flow) + cut, ws_buf_len(&flow) - cut);
        ws_tcp_close(r.peer);
        r.peer = -1;
        wsEvent event;
        do {
            wsConnWait(r.conn, 100);
        } while (!wsConnNext(r.conn, &event));
        if (event.type == WS_EVENT_PING) event = expect(r.conn, WS_EVENT_TEXT); /* kept messages come without pings */
        assert_int_equal(event.type, WS_EVENT_TEXT);
        assert_data(&event, "Hello");
        event = expect(r.conn, WS_EVENT_BINARY);
        assert_int_equal(event.length, 0);
        event = expect(r.conn, WS_EVENT_CLOSED);
        assert_int_equal(event.error, WS_OK);
        assert_int_equal(event.closeCode, 1001);
        assert_data(&event, "bye");
        stop(&r);
    }
    ws_buf_free(&flow);
}

TEST(pings_are_answered_though_nobody_asks_for_events) {
    rig r;
    open_rig(&r, (wsOptions){0});
    say_frame(&r, FIN | WS_OPCODE_TEXT, "first");
    say_frame(&r, FIN | WS_OPCODE_PING, "alive?");
    int64_t end = wsNow() + DEADLINE;
    char got[64];
    while (recv((int)r.peer, got, sizeof got, 0) < 0) {
        assert_true(wsNow() < end);
        wsConnStep(r.conn, wsNow());
    }
    assert_int_equal((uint8_t)got[0], FIN | WS_OPCODE_PONG);
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "first");
    stop(&r);
}

/* As much of the rest as the system takes now. */
static size_t say_some(rig* r, const ws_buf* all, size_t sent) {
    if (sent == ws_buf_len(all)) return 0;
    ssize_t n = send((int)r->peer, ws_buf_head(all) + sent, ws_buf_len(all) - sent, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

TEST(what_is_not_asked_for_is_bounded_and_kept) {
    enum { MESSAGES = 2000, SIZE = 1000 };
    rig r;
    open_rig(&r, (wsOptions){.maxBuffer = 100000});
    char payload[SIZE + 1];
    memset(payload, 'x', SIZE);
    payload[SIZE] = '\0';
    ws_buf flood = {0};
    for (int i = 0; i < MESSAGES; i++) {
        add_text(&flood, CLIENT, FIN | WS_OPCODE_TEXT, payload);
    }
    size_t sent = 0;
    int64_t end = wsNow() + DEADLINE;
    while (wsConnWants(r.conn) & WS_WANT_READ) { /* until it takes no more */
        assert_true(wsNow() < end);
        sent += say_some(&r, &flood, sent);
        wsConnWait(r.conn, 0);
    }
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_true(counters.bytes_received < 100000 + 3 * WS_READ_SIZE);
    for (int i = 0; i < MESSAGES; i++) { /* asked for, it all comes */
        sent += say_some(&r, &flood, sent);
        assert_int_equal(expect(r.conn, WS_EVENT_TEXT).length, SIZE);
    }
    ws_buf_free(&flood);
    stop(&r);
}

TEST(a_peer_is_not_given_up_while_its_words_are_not_read) {
    enum { HOUR = 3600000 };
    rig r;
    open_rig(&r, (wsOptions){.maxBuffer = 1, .pingInterval = 1000, .pingTimeout = 1000});
    say_frame(&r, FIN | WS_OPCODE_TEXT, "one");
    while (wsConnWants(r.conn) & WS_WANT_READ) {
        wsConnWait(r.conn, DEADLINE);
    }
    int64_t later = wsNow() + HOUR;
    assert_int_equal(wsConnTimeout(r.conn, wsNow()), 0); /* there is something to be asked for: no deadline */
    assert_int_equal(wsConnStep(r.conn, later), WS_OK);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    wsEvent event;
    assert_int_equal(wsConnNext(r.conn, &event), 1);
    assert_data(&event, "one");
    assert_int_equal(wsConnTimeout(r.conn, later), 0);
    assert_int_equal(wsConnStep(r.conn, later), WS_OK); /* silent for an hour, and pinged only now */
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    assert_int_equal(wsConnStep(r.conn, later + 999), WS_OK);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    assert_int_equal(wsConnStep(r.conn, later + 1000), WS_OK);
    event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_PING_TIMEOUT);
    stop(&r);
}

/* The peer says the numbers from 0, in messages of four digits, until they are read up to the last. */
static void count_to(rig* r, int last) {
    ws_counters counters;
    int64_t end = wsNow() + DEADLINE;
    for (int i = 0; i < last; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%04d", i);
        say_frame(r, FIN | WS_OPCODE_TEXT, digits);
    }
    do {
        assert_true(wsNow() < end);
        wsConnWait(r->conn, 10);
        ws_conn_counters(r->conn, &counters);
    } while (counters.messages_received < (uint64_t)last);
}

TEST(of_what_is_not_asked_for_the_newest_are_kept) {
    rig r;
    open_rig(&r, (wsOptions){.queuePolicy = WS_QUEUE_DROP_OLDEST, .maxQueue = 3});
    count_to(&r, 1000);
    assert_true(wsConnWants(r.conn) & WS_WANT_READ);
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "0997");
    event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "0998");
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_int_equal(counters.messages_dropped, 997);
    assert_int_equal(counters.messages_waiting, 1);
    stop(&r);
}

TEST(of_what_is_too_much_the_newest_is_kept) {
    rig r;
    open_rig(&r, (wsOptions){.queuePolicy = WS_QUEUE_DROP_OLDEST, .maxBuffer = 1});
    count_to(&r, 10);
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "0009");
    stop(&r);
}

TEST(a_message_over_the_limit_closes_with_1009_and_both_figures) {
    rig r;
    open_rig(&r, (wsOptions){.maxSize = 4});
    say_frame(&r, FIN | WS_OPCODE_TEXT, "four");
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "four");
    say_frame(&r, FIN | WS_OPCODE_TEXT, "five!");
    event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_TOO_BIG);
    ws_failure failure;
    ws_conn_failure(r.conn, &failure);
    assert_int_equal(failure.size, 5);
    assert_int_equal(failure.max_size, 4);
    ws_close_info info;
    ws_conn_close_info(r.conn, &info);
    assert_int_equal(info.sent, 1009);
    assert_int_equal(info.by, WS_BY_US);
    assert_false(info.clean);
    stop(&r);
}

TEST(sending_stops_at_the_limit_and_loses_nothing) {
    rig r;
    open_rig(&r, (wsOptions){.writeLimit = 1000});
    char block[10000] = {0};
    int accepted = 0;
    int32_t rc;
    while ((rc = wsConnSend(r.conn, WS_BINARY, block, sizeof block)) == WS_OK) {
        accepted++;
    }
    assert_int_equal(rc, WS_ERR_QUEUE_FULL);
    assert_true(wsConnWants(r.conn) & WS_WANT_WRITE);
    assert_true(wsConnQueued(r.conn) > 1000);
    size_t total = 0, expected = (size_t)accepted * (sizeof block + 8);
    char piece[65536];
    while (total < expected) {
        wsConnStep(r.conn, wsNow());
        ssize_t n = recv((int)r.peer, piece, sizeof piece, 0);
        if (n > 0) total += (size_t)n;
    }
    assert_int_equal(total, expected);
    assert_int_equal(wsConnQueued(r.conn), 0);
    stop(&r);
}

TEST(a_message_can_be_taken_back_until_it_is_on_its_way) {
    rig r;
    open_rig(&r, (wsOptions){.writeLimit = 1 << 30});
    static char block[8 << 20];
    ws_ticket big, small;
    assert_int_equal(ws_conn_send(r.conn, WS_BINARY, block, sizeof block, &big), WS_OK);
    assert_int_equal(ws_conn_written(r.conn, &big), 0);
    assert_int_equal(ws_conn_send(r.conn, WS_TEXT, "small", 5, &small), WS_OK);
    size_t queued = wsConnQueued(r.conn);
    assert_true(ws_conn_withdraw(r.conn, &small));
    assert_int_equal(wsConnQueued(r.conn), queued - 11);
    assert_false(ws_conn_withdraw(r.conn, &big)); /* it has begun */
    assert_int_equal(wsConnQueued(r.conn), queued - 11);
    stop(&r);
}

TEST(an_idle_connection_gives_its_memory_back) {
    rig r;
    open_rig(&r, (wsOptions){0});
    say_frame(&r, FIN | WS_OPCODE_TEXT, "something");
    expect(r.conn, WS_EVENT_TEXT);
    assert_int_equal(wsConnSend(r.conn, WS_TEXT, "an answer", 9), WS_OK);
    assert_non_null(r.conn->protocol.reader.in.data);
    for (int i = 0; i < 3; i++) {
        wsConnWait(r.conn, 5);
    }
    assert_null(r.conn->protocol.reader.in.data);
    assert_null(r.conn->protocol.writer.out.data);
    say_frame(&r, FIN | WS_OPCODE_TEXT, "again");
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "again");
    stop(&r);
}

/* ---- the end ---- */

TEST(closing_is_clean_when_the_server_answers) {
    rig r;
    open_rig(&r, (wsOptions){0});
    assert_int_equal(wsConnClose(r.conn, 999, NULL), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnClose(r.conn, 4000, "enough"), WS_OK);
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSING);
    assert_int_equal(wsConnSend(r.conn, WS_TEXT, "x", 1), WS_ERR_CLOSED);
    say_frame(&r, FIN | WS_OPCODE_TEXT, "on its way");
    say_frame(&r, FIN | WS_OPCODE_CLOSE, "\x0f\xa0");
    ws_tcp_close(r.peer);
    r.peer = -1;
    wsEvent event = expect(r.conn, WS_EVENT_TEXT);
    assert_data(&event, "on its way");
    event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_OK);
    assert_int_equal(event.closeCode, 4000);
    ws_close_info info;
    ws_conn_close_info(r.conn, &info);
    assert_true(info.clean);
    assert_int_equal(info.by, WS_BY_US);
    assert_string_equal(info.sent_reason, "enough");
    assert_false(wsConnNext(r.conn, &event));
    stop(&r);
}

TEST(closing_ends_at_its_deadline_whatever_the_server_does) {
    rig r;
    open_rig(&r, (wsOptions){.closeTimeout = 50, .maxBuffer = 1000});
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    for (int i = 0; i < 100; i++) {
        say_frame(&r, FIN | WS_OPCODE_TEXT, "the server goes on and on and on and on and on and on");
    }
    wsEvent event = {0};
    while (event.type != WS_EVENT_CLOSED) {
        if (!wsConnNext(r.conn, &event)) assert_int_equal(wsConnWait(r.conn, DEADLINE), WS_OK);
    }
    assert_int_equal(event.error, WS_ERR_CLOSE_TIMEOUT);
    assert_int_equal(event.closeCode, 1006);
    stop(&r);
}

TEST(a_server_that_vanishes_in_a_frame_is_a_lost_connection) {
    rig r;
    open_rig(&r, (wsOptions){0});
    say(&r, "\x81\x05ha", 4);
    ws_tcp_close(r.peer);
    r.peer = -1;
    wsEvent event = expect(r.conn, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_LOST);
    assert_int_equal(event.closeCode, 1006);
    assert_int_equal(wsConnSend(r.conn, WS_TEXT, "x", 1), WS_ERR_LOST);
    stop(&r);
}

TEST(a_reset_is_a_lost_connection_with_its_errno) {
    rig r;
    open_rig(&r, (wsOptions){0});
    ws_tcp_reset_on_close(r.peer);
    ws_tcp_close(r.peer);
    r.peer = -1;
    assert_int_equal(expect(r.conn, WS_EVENT_CLOSED).error, WS_ERR_LOST);
    ws_failure failure;
    ws_conn_failure(r.conn, &failure);
    assert_int_equal(failure.os_error, ECONNRESET);
    stop(&r);
}

TEST(aborting_is_at_once_and_the_server_sees_a_reset) {
    rig r;
    open_rig(&r, (wsOptions){0});
    wsConnAbort(r.conn);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSED);
    assert_int_equal(expect(r.conn, WS_EVENT_CLOSED).closeCode, 1006);
    readable(r.peer);
    char byte;
    assert_int_equal(recv((int)r.peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    wsConnAbort(r.conn);
    stop(&r);
}

TEST(aborting_while_connecting_ends_it) {
    rig r;
    start(&r, (wsOptions){0});
    wsConnAbort(r.conn);
    assert_int_equal(expect(r.conn, WS_EVENT_CLOSED).error, WS_ERR_CLOSED);
    stop(&r);
}

TEST(a_server_that_breaks_the_protocol_is_told_so) {
    rig r;
    open_rig(&r, (wsOptions){0});
    say(&r, "\xC1\x01x", 3);
    int64_t end = wsNow() + DEADLINE;
    uint8_t got[128];
    ssize_t n;
    while ((n = recv((int)r.peer, got, sizeof got, 0)) < 0) {
        assert_true(wsNow() < end);
        wsConnWait(r.conn, 10);
    }
    assert_true(n > 8);
    assert_int_equal(got[0], FIN | WS_OPCODE_CLOSE);
    assert_int_equal((got[6] ^ got[2]) << 8 | (got[7] ^ got[3]), 1002);
    ws_tcp_close(r.peer);
    r.peer = -1;
    assert_int_equal(expect(r.conn, WS_EVENT_CLOSED).error, WS_ERR_PROTOCOL);
    stop(&r);
}

/* ---- pings ---- */

TEST(a_ping_is_timed_by_its_pong) {
    rig r;
    open_rig(&r, (wsOptions){0});
    uint64_t first, second;
    assert_int_equal(ws_conn_ping(r.conn, "one", 3, &first), WS_OK);
    assert_int_equal(ws_conn_ping(r.conn, "one", 3, &second), WS_ERR_CONCURRENCY);
    assert_int_equal(ws_conn_ping(r.conn, "two", 3, &second), WS_OK);
    assert_true(second > first);
    say_frame(&r, FIN | WS_OPCODE_PONG, "unasked");
    expect(r.conn, WS_EVENT_PONG);
    assert_true(ws_conn_pong_time(r.conn, first) < 0);
    say_frame(&r, FIN | WS_OPCODE_PONG, "two"); /* answers both, RFC 6455 5.5.3 */
    expect(r.conn, WS_EVENT_PONG);
    assert_true(ws_conn_pong_time(r.conn, second) >= 0);
    assert_true(ws_conn_pong_time(r.conn, first) >= ws_conn_pong_time(r.conn, second));
    assert_int_equal(ws_conn_ping(r.conn, "one", 3, &first), WS_OK);
    stop(&r);
}

/* ---- threads ---- */

enum { SENDERS = 4, EACH = 500 };

static void* send_many(void* arg) {
    rig* r = arg;
    for (int i = 0; i < EACH; i++) {
        int32_t rc;
        while ((rc = wsConnSend(r->conn, WS_TEXT, "sixteen bytes...", 16)) == WS_ERR_QUEUE_FULL) {
            ws_inline_turn(r->conn, wsNow() + DEADLINE, INT64_MAX, false);
        }
        assert_int_equal(rc, WS_OK);
    }
    return NULL;
}

TEST(threads_may_send_at_once_and_no_frame_is_torn) {
    rig r;
    open_rig(&r, (wsOptions){.writeLimit = 500});
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &r), 0);
    }
    ws_protocol server;
    init_open(&server, true, &wide_limits);
    int received = 0;
    while (received < SENDERS * EACH) {
        uint8_t* at;
        size_t room;
        assert_int_equal(ws_protocol_prepare(&server, &at, &room), WS_OK);
        readable(r.peer);
        ssize_t n = recv((int)r.peer, at, room, 0);
        assert_true(n > 0);
        ws_protocol_commit(&server, (size_t)n);
        for (ws_event event; (event = ws_protocol_next(&server)).type != WS_PROTOCOL_NONE; received++) {
            assert_int_equal(event.type, WS_PROTOCOL_TEXT);
            assert_int_equal(event.len, 16);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    ws_protocol_free(&server);
    stop(&r);
}

static void* wait_for_events(void* arg) {
    rig* r = arg;
    return (void*)(intptr_t)ws_inline_turn(r->conn, wsNow() + DEADLINE, INT64_MAX, true);
}

TEST(a_thread_that_waits_can_be_woken) {
    rig r;
    open_rig(&r, (wsOptions){0});
    int64_t begin = wsNow();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_events, &r), 0);
    void* rc;
    struct timespec soon;
    do { /* until the thread has come to its wait */
        ws_inline_wake(r.conn);
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 10000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
    } while (pthread_timedjoin_np(thread, &rc, &soon) != 0);
    assert_int_equal((intptr_t)rc, WS_OK);
    assert_true(wsNow() - begin < DEADLINE);
    stop(&r);
}

TEST(the_token_has_one_holder) {
    rig r;
    open_rig(&r, (wsOptions){0});
    assert_true(ws_conn_take(r.conn));
    assert_true(ws_conn_is_mine(r.conn));
    assert_false(ws_conn_take(r.conn));
    assert_int_equal(wsConnStep(r.conn, wsNow()), WS_ERR_CONCURRENCY);
    assert_int_equal(ws_inline_turn(r.conn, wsNow(), INT64_MAX, true), WS_ERR_CONCURRENCY);
    ws_conn_release(r.conn);
    assert_false(ws_conn_is_mine(r.conn));
    assert_int_equal(wsConnStep(r.conn, wsNow()), WS_OK);
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_says_what_was_agreed),
        cmocka_unit_test(a_message_behind_the_answer_in_one_piece_is_not_lost),
        cmocka_unit_test(a_refused_upgrade_tells_the_status),
        cmocka_unit_test(a_refused_port_tells_the_errno),
        cmocka_unit_test(a_silent_server_ends_at_the_deadline),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_flow_cut_at_every_byte_gives_the_same_events),
        cmocka_unit_test(pings_are_answered_though_nobody_asks_for_events),
        cmocka_unit_test(what_is_not_asked_for_is_bounded_and_kept),
        cmocka_unit_test(a_peer_is_not_given_up_while_its_words_are_not_read),
        cmocka_unit_test(of_what_is_not_asked_for_the_newest_are_kept),
        cmocka_unit_test(of_what_is_too_much_the_newest_is_kept),
        cmocka_unit_test(a_message_over_the_limit_closes_with_1009_and_both_figures),
        cmocka_unit_test(sending_stops_at_the_limit_and_loses_nothing),
        cmocka_unit_test(a_message_can_be_taken_back_until_it_is_on_its_way),
        cmocka_unit_test(an_idle_connection_gives_its_memory_back),
        cmocka_unit_test(closing_is_clean_when_the_server_answers),
        cmocka_unit_test(closing_ends_at_its_deadline_whatever_the_server_does),
        cmocka_unit_test(a_server_that_vanishes_in_a_frame_is_a_lost_connection),
        cmocka_unit_test(a_reset_is_a_lost_connection_with_its_errno),
        cmocka_unit_test(aborting_is_at_once_and_the_server_sees_a_reset),
        cmocka_unit_test(aborting_while_connecting_ends_it),
        cmocka_unit_test(a_server_that_breaks_the_protocol_is_told_so),
        cmocka_unit_test(a_ping_is_timed_by_its_pong),
        cmocka_unit_test(threads_may_send_at_once_and_no_frame_is_torn),
        cmocka_unit_test(a_thread_that_waits_can_be_woken),
        cmocka_unit_test(the_token_has_one_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
