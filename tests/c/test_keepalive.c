/* When a silent peer is pinged and given up: the rule by itself, then a connection; no test waits, the time is given.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/conn.h"
#include "client/round_trips.h"
#include "net/poll.h"
#include "net/tcp.h"
#include "support.h"

enum { DEADLINE = 10000, INTERVAL = 20000, TIMEOUT = 15000 };

static const ws_keepalive_terms terms = {INTERVAL, TIMEOUT};

/* ---- the rule ---- */

TEST(silence_leads_to_a_ping_and_silence_after_it_to_the_end) {
    ws_keepalive k = {0};
    ws_keepalive_heard(&k, 1000);
    assert_int_equal(ws_keepalive_due(&k, &terms), 1000 + INTERVAL);
    assert_int_equal(ws_keepalive_judge(&k, &terms, 1000 + INTERVAL - 1, 0), WS_WAIT);
    assert_int_equal(ws_keepalive_judge(&k, &terms, 1000 + INTERVAL, 0), WS_PING);
    ws_keepalive_pinged(&k, 30000, 10, 10);
    assert_int_equal(ws_keepalive_due(&k, &terms), 30000 + TIMEOUT);
    assert_int_equal(ws_keepalive_judge(&k, &terms, 30000 + TIMEOUT - 1, 10), WS_WAIT);
    assert_int_equal(ws_keepalive_judge(&k, &terms, 30000 + TIMEOUT, 10), WS_GIVE_UP);
}

TEST(whatever_comes_is_life) {
    ws_keepalive k = {0};
    ws_keepalive_pinged(&k, INTERVAL, 10, 10);
    ws_keepalive_heard(&k, INTERVAL + TIMEOUT - 1);
    assert_int_equal(ws_keepalive_judge(&k, &terms, INTERVAL + TIMEOUT, 10), WS_WAIT);
    assert_int_equal(ws_keepalive_due(&k, &terms), INTERVAL + TIMEOUT - 1 + INTERVAL);
}

TEST(a_long_absence_leads_to_a_ping_first) {
    ws_keepalive k = {0};
    assert_int_equal(ws_keepalive_judge(&k, &terms, 10 * INTERVAL, 0), WS_PING);
}

TEST(without_an_interval_there_is_no_ping) {
    ws_keepalive k = {0};
    const ws_keepalive_terms none = {INT64_MAX, TIMEOUT};
    assert_int_equal(ws_keepalive_due(&k, &none), INT64_MAX);
    assert_int_equal(ws_keepalive_judge(&k, &none, INT64_MAX - 1, 0), WS_WAIT);
}

TEST(without_a_timeout_there_are_pings_for_ever) {
    ws_keepalive k = {0};
    const ws_keepalive_terms endless = {INTERVAL, INT64_MAX};
    for (int64_t now = INTERVAL; now < 100 * INTERVAL; now += INTERVAL) {
        assert_int_equal(ws_keepalive_judge(&k, &endless, now - 1, 10), WS_WAIT);
        assert_int_equal(ws_keepalive_judge(&k, &endless, now, 10), WS_PING);
        ws_keepalive_pinged(&k, now, 10, 10);
    }
}

TEST(a_ping_behind_a_backlog_that_moves_gets_its_time) {
    ws_keepalive k = {0};
    int64_t now = INTERVAL;
    ws_keepalive_pinged(&k, now, 1000, 100);
    for (uint64_t written = 101; written <= 1000; written += 30) { /* slow, but it takes what we send */
        now += TIMEOUT;
        assert_int_equal(ws_keepalive_judge(&k, &terms, now, written), WS_WAIT);
    }
    assert_int_equal(ws_keepalive_judge(&k, &terms, now + TIMEOUT, 1000), WS_WAIT); /* the ping itself has gone */
    assert_int_equal(ws_keepalive_judge(&k, &terms, now + 2 * TIMEOUT, 5000), WS_GIVE_UP); /* what is behind it not */
}

TEST(a_ping_behind_a_backlog_that_stands_does_not) {
    ws_keepalive k = {0};
    ws_keepalive_pinged(&k, INTERVAL, 1000, 100);
    assert_int_equal(ws_keepalive_judge(&k, &terms, INTERVAL + TIMEOUT, 100), WS_GIVE_UP);
}

/* ---- round trips ---- */

TEST(quantiles_are_right_within_an_eighth) {
    ws_round_trips trips = {0};
    assert_true(ws_round_trips_quantile(&trips, 0.5) == 0);
    for (int i = 1; i <= 1000; i++) {
        ws_round_trips_add(&trips, i * 1e-3);
    }
    const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < COUNT(shares); i++) {
        double found = ws_round_trips_quantile(&trips, shares[i]);
        assert_true(found >= shares[i] * 0.875 && found <= shares[i] * 1.125);
    }
}

TEST(no_round_trip_is_too_short_or_too_long) {
    ws_round_trips trips = {0};
    ws_round_trips_add(&trips, 0);
    assert_true(ws_round_trips_quantile(&trips, 1) < 20e-6);
    ws_round_trips_add(&trips, 1e300);
    assert_true(ws_round_trips_quantile(&trips, 1) > 60);
}

TEST(beyond_what_can_be_counted_the_shares_stay) {
    ws_round_trips trips = {0};
    for (int i = 0; i < 100000; i++) {
        ws_round_trips_add(&trips, i % 10 ? 1e-3 : 1);
    }
    assert_true(ws_round_trips_quantile(&trips, 0.85) < 0.002);
    assert_true(ws_round_trips_quantile(&trips, 0.95) > 0.8);
    assert_true(ws_round_trips_quantile(NULL, 0.5) == 0);
}

/* ---- a connection ---- */

/* A client and the server's end of its connection; `now` is what the client takes for the time. */
typedef struct rig {
    wsConn* conn;
    intptr_t listener, peer;
    int64_t now;
} rig;

static void step(rig* r) {
    assert_int_equal(wsConnStep(r->conn, r->now), WS_OK);
}

/* Step until the server has read something that ends like this. */
static void read_until(rig* r, const char* end, char* got, size_t size) {
    int64_t until = wsNow() + DEADLINE;
    size_t len = 0;
    do {
        assert_true(wsNow() < until && len + 1 < size);
        step(r);
        ssize_t n = recv((int)r->peer, got + len, size - 1 - len, 0);
        if (n > 0) len += (size_t)n;
        got[len] = '\0';
    } while (!strstr(got, end));
}

static void readable(intptr_t fd) {
    ws_poll_item item = {.fd = fd, .events = WS_POLL_READ};
    assert_true(ws_poll_few(&item, 1, DEADLINE) > 0);
}

/* It is there for the client to be read when this returns. */
static void say(rig* r, const void* bytes, size_t n) {
    assert_int_equal(send((int)r->peer, bytes, n, MSG_NOSIGNAL), n);
    readable(wsConnFd(r->conn));
}

static void open_rig(rig* r, wsOptions options) {
    uint16_t port = 0;
    char url[64], got[2048], accept[WS_ACCEPT_SIZE + 1], head[512];
    r->now = wsNow();
    r->listener = ws_tcp_listen(NULL, &port);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", port);
    options.size = sizeof options;
    options.url = url;
    options.pingInterval = options.pingInterval ? options.pingInterval : INTERVAL;
    options.pingTimeout = options.pingTimeout ? options.pingTimeout : TIMEOUT;
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
    while ((r->peer = ws_tcp_accept(r->listener)) < 0) {
        step(r);
    }
    read_until(r, "\r\n\r\n", got, sizeof got);
    ws_handshake_accept(accept, strstr(got, "Sec-WebSocket-Key: ") + 19, WS_KEY_SIZE);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    say(r, head, (size_t)n);
    wsEvent event;
    while (!wsConnNext(r->conn, &event)) {
        step(r);
    }
    assert_int_equal(event.type, WS_EVENT_OPEN);
    step(r); /* nothing has come behind it */
}

static void stop(rig* r) {
    wsConnFree(r->conn);
    ws_tcp_close(r->peer);
    ws_tcp_close(r->listener);
}

/* The control frame that the server can read: its first byte, and its payload unmasked. */
static uint8_t read_frame(rig* r, char* payload) {
    uint8_t bytes[256];
    readable(r->peer);
    assert_int_equal(recv((int)r->peer, bytes, 6, 0), 6);
    size_t len = bytes[1] & 0x7f;
    assert_int_equal(recv((int)r->peer, bytes + 6, len, 0), len);
    for (size_t i = 0; i < len; i++) {
        payload[i] = (char)(bytes[6 + i] ^ bytes[2 + i % 4]);
    }
    payload[len] = '\0';
    return bytes[0];
}

static void assert_nothing_was_sent(rig* r) {
    char byte;
    assert_int_equal(wsConnQueued(r->conn), 0);
    assert_int_equal(recv((int)r->peer, &byte, 1, 0), -1);
}

static void say_frame(rig* r, uint8_t first, const char* payload, size_t len) {
    char bytes[128] = {(char)first, (char)len};
    memcpy(bytes + 2, payload, len);
    say(r, bytes, 2 + len);
}

/* When the client wants to be stepped next. */
static int64_t due(rig* r) {
    int64_t timeout = wsConnTimeout(r->conn, r->now);
    return timeout < 0 ? INT64_MAX : r->now + timeout;
}

/* Let so much time pass and step twice: one read may find something, the next does not. */
static void later(rig* r, int64_t ms) {
    r->now += ms;
    step(r);
    step(r);
}

TEST(a_silent_server_is_pinged_once_and_its_pong_is_timed) {
    rig r;
    char payload[126];
    open_rig(&r, (wsOptions){0});
    assert_int_equal(due(&r), r.now + INTERVAL);
    later(&r, INTERVAL - 1);
    assert_nothing_was_sent(&r);
    later(&r, 1);
    later(&r, 0);
    assert_int_equal(read_frame(&r, payload), FIN | WS_OPCODE_PING);
    assert_int_equal(due(&r), r.now + TIMEOUT);
    say_frame(&r, FIN | WS_OPCODE_PONG, payload, 8);
    later(&r, TIMEOUT);
    assert_int_equal(due(&r), r.now + INTERVAL);
    assert_nothing_was_sent(&r);
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_true(counters.latency > 0 && counters.ping_p50 > 0 && counters.ping_p99 == counters.ping_p50);
    stop(&r);
}

TEST(a_server_that_stays_silent_is_given_up) {
    rig r;
    char payload[126];
    wsEvent event;
    open_rig(&r, (wsOptions){0});
    later(&r, INTERVAL);
    assert_int_equal(read_frame(&r, payload), FIN | WS_OPCODE_PING);
    later(&r, TIMEOUT - 1);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    later(&r, 1);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSED);
    assert_int_equal(wsConnNext(r.conn, &event), 1);
    assert_int_equal(event.type, WS_EVENT_CLOSED);
    assert_int_equal(event.error, WS_ERR_PING_TIMEOUT);
    assert_string_equal(wsConnError(r.conn),
                        "nothing was received for 35 s, for the last 15 of them in spite of a ping (ping_timeout)");
    assert_int_equal(read_frame(&r, payload), FIN | WS_OPCODE_CLOSE);
    assert_memory_equal(payload, "\x03\xf3keepalive ping timeout", 25);
    stop(&r);
}

/* Each is what lies in the socket after a time in which nobody looked. */
TEST(what_lies_in_the_socket_is_read_before_it_is_judged) {
    const uint8_t firsts[] = {FIN | WS_OPCODE_PONG, FIN | WS_OPCODE_TEXT, FIN | WS_OPCODE_PING, WS_OPCODE_TEXT};
    for (size_t i = 0; i < COUNT(firsts); i++) {
        rig r;
        char payload[126];
        open_rig(&r, (wsOptions){0});
        later(&r, INTERVAL);
        assert_int_equal(read_frame(&r, payload), FIN | WS_OPCODE_PING);
        say_frame(&r, firsts[i], "12345678", 8);
        later(&r, 100 * TIMEOUT);
        assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
        stop(&r);
    }
}

TEST(who_was_away_pings_before_judging) {
    rig r;
    char payload[126];
    open_rig(&r, (wsOptions){0});
    later(&r, 100 * INTERVAL);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    assert_int_equal(read_frame(&r, payload), FIN | WS_OPCODE_PING);
    assert_int_equal(due(&r), r.now + TIMEOUT);
    stop(&r);
}

TEST(a_server_that_talks_and_never_pongs_lives) {
    rig r;
    open_rig(&r, (wsOptions){0});
    for (int i = 0; i < 200; i++) {
        later(&r, INTERVAL); /* it is pinged each time */
        say_frame(&r, FIN | WS_OPCODE_TEXT, "x", 1);
        later(&r, TIMEOUT);
        assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    }
    assert_true(r.conn->pings.count <= 64);
    stop(&r);
}

TEST(nothing_is_judged_while_nothing_is_read) {
    enum { SIZE = 100 };
    rig r;
    char text[SIZE] = {0};
    wsEvent event;
    open_rig(&r, (wsOptions){.maxBuffer = SIZE});
    say_frame(&r, FIN | WS_OPCODE_TEXT, text, SIZE);
    while (wsConnWants(r.conn) & WS_WANT_READ) {
        step(&r);
    }
    assert_int_equal(ws_conn_next_deadline(r.conn), INT64_MAX);
    later(&r, INTERVAL);
    later(&r, TIMEOUT);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    assert_int_equal(wsConnNext(r.conn, &event), 1);
    later(&r, 0); /* pinged now */
    assert_int_equal(due(&r), r.now + TIMEOUT);
    later(&r, TIMEOUT);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSED);
    stop(&r);
}

TEST(a_server_that_does_not_read_is_given_up_too) {
    rig r;
    static char block[1 << 20];
    open_rig(&r, (wsOptions){.writeLimit = 1 << 20});
    while (wsConnSend(r.conn, WS_BINARY, block, sizeof block) == WS_OK) {
    }
    later(&r, INTERVAL);
    size_t queued = wsConnQueued(r.conn);
    later(&r, TIMEOUT);
    assert_true(queued > 0);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSED);
    assert_int_equal(wsConnFd(r.conn), -1);
    stop(&r);
}

TEST(pings_can_be_left_out) {
    rig r;
    open_rig(&r, (wsOptions){.pingInterval = -1});
    assert_int_equal(due(&r), INT64_MAX);
    later(&r, 1000 * INTERVAL);
    assert_nothing_was_sent(&r);
    stop(&r);
}

TEST(pings_without_a_timeout_go_on_and_do_not_pile_up) {
    rig r;
    static char block[1 << 20];
    open_rig(&r, (wsOptions){.pingTimeout = -1, .writeLimit = 1 << 20});
    for (int i = 0; i < 100; i++) {
        later(&r, INTERVAL);
        assert_int_equal(due(&r), r.now + INTERVAL);
    }
    while (wsConnSend(r.conn, WS_BINARY, block, sizeof block) == WS_OK) {
    }
    later(&r, INTERVAL);
    size_t queued = wsConnQueued(r.conn);
    for (int i = 0; i < 100; i++) {
        later(&r, INTERVAL);
    }
    assert_true(wsConnQueued(r.conn) <= queued); /* the system may take some more */
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    stop(&r);
}

TEST(while_closing_the_close_timeout_counts) {
    rig r;
    open_rig(&r, (wsOptions){.closeTimeout = -1});
    later(&r, INTERVAL);
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    later(&r, 100 * TIMEOUT);
    assert_int_equal(wsConnState(r.conn), WS_STATE_CLOSING);
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_leads_to_a_ping_and_silence_after_it_to_the_end),
        cmocka_unit_test(whatever_comes_is_life),
        cmocka_unit_test(a_long_absence_leads_to_a_ping_first),
        cmocka_unit_test(without_an_interval_there_is_no_ping),
        cmocka_unit_test(without_a_timeout_there_are_pings_for_ever),
        cmocka_unit_test(a_ping_behind_a_backlog_that_moves_gets_its_time),
        cmocka_unit_test(a_ping_behind_a_backlog_that_stands_does_not),
        cmocka_unit_test(quantiles_are_right_within_an_eighth),
        cmocka_unit_test(no_round_trip_is_too_short_or_too_long),
        cmocka_unit_test(beyond_what_can_be_counted_the_shares_stay),
        cmocka_unit_test(a_silent_server_is_pinged_once_and_its_pong_is_timed),
        cmocka_unit_test(a_server_that_stays_silent_is_given_up),
        cmocka_unit_test(what_lies_in_the_socket_is_read_before_it_is_judged),
        cmocka_unit_test(who_was_away_pings_before_judging),
        cmocka_unit_test(a_server_that_talks_and_never_pongs_lives),
        cmocka_unit_test(nothing_is_judged_while_nothing_is_read),
        cmocka_unit_test(a_server_that_does_not_read_is_given_up_too),
        cmocka_unit_test(pings_can_be_left_out),
        cmocka_unit_test(pings_without_a_timeout_go_on_and_do_not_pile_up),
        cmocka_unit_test(while_closing_the_close_timeout_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
