/* client/session and its outbox, against a server's socket that the test holds in its hand. docs/reconnecting.md is the
 * contract. */
#include <stdlib.h>

#include "client/conn.h"
#include "net/poll.h"
#include "server_end.h"
#include "support.h"

enum { BIG = 8 << 20, FOREVER = 600000 }; /* bytes that no socket takes at once; ms */

typedef struct rig {
    server_end server;
    wsConn* conn;
} rig;

/* ---- begun and ended ---- */

static void start(rig* r, wsReconnect how, wsOptions options) {
    server_open(&r->server);
    options.size = sizeof options;
    options.url = r->server.url;
    options.proxy = "";
    options.reconnect = how;
    options.reconnect.enabled = 1;
    if (!how.initialDelay) options.reconnect.initialDelay = options.reconnect.maxDelay = 1;
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
    r->server.client = r->conn;
}

static void stop(rig* r) {
    wsConnFree(r->conn);
    server_close(&r->server);
}

static void await_state(const rig* r, wsState state) {
    int64_t end = wsNow() + SERVER_DEADLINE;
    while (wsConnState(r->conn) != state) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnStep(r->conn, wsNow()), WS_OK);
    }
}

static void open_rig(rig* r, wsReconnect how, wsOptions options) {
    start(r, how, options);
    assert_true(server_accept(&r->server));
    await_state(r, WS_STATE_OPEN);
}

static void lose(rig* r) {
    server_reset(&r->server);
    await_state(r, WS_STATE_CONNECTING);
}

/* ---- said and heard ---- */

static void send_text(const rig* r, const char* text) {
    assert_int_equal(wsConnSend(r->conn, WS_TEXT, text, strlen(text)), WS_OK);
}

static void assert_heard(rig* r, uint8_t opcode, const char* text) {
    assert_int_equal(r->server.first, FIN | opcode);
    assert_string_equal(r->server.payload, text);
}

/* The next frame is that text. */
static void hears(rig* r, const char* text) {
    assert_true(server_hear(&r->server));
    assert_heard(r, WS_OPCODE_TEXT, text);
}

static void answer_ping(rig* r) {
    assert_true(server_hear(&r->server));
    assert_int_equal(r->server.first, FIN | WS_OPCODE_PING);
    server_say(&r->server, FIN | WS_OPCODE_PONG, r->server.payload, r->server.length);
}

/* All that was sent is proved by one ping. */
static void prove(rig* r) {
    uint64_t newest = ws_session_newest(r->conn);
    int64_t end = wsNow() + SERVER_DEADLINE;
    assert_int_equal(ws_session_flushed(r->conn, newest), 0);
    answer_ping(r);
    while (!ws_session_flushed(r->conn, newest)) {
        assert_true(wsNow() < end);
        wsConnStep(r->conn, wsNow());
    }
}

/* The next of those that were given up; NULL: there is none. */
static void assert_lost(const rig* r, const char* text) {
    wsMessage message;
    assert_int_equal(wsConnLost(r->conn, &message), text != NULL);
    if (!text) return;
    assert_int_equal(message.type, WS_TEXT);
    assert_int_equal(message.length, strlen(text));
    assert_memory_equal(message.data, text, message.length);
}

/* The next event, which must come in time and be of this type. */
static wsEvent expect(const rig* r, wsEventType type) {
    wsEvent event = {0};
    int64_t end = wsNow() + SERVER_DEADLINE;
    while (!wsConnNext(r->conn, &event)) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnWait(r->conn, 100), WS_OK);
    }
    assert_int_equal(event.type, type);
    return event;
}

static void expect_text(const rig* r, const char* text) {
    wsEvent event = expect(r, WS_EVENT_TEXT);
    assert_int_equal(event.length, strlen(text));
    assert_memory_equal(event.data, text, event.length);
}

/* Step until that is asked. */
static void await_ask(const rig* r, int32_t ask) {
    int64_t end = wsNow() + SERVER_DEADLINE;
    while (wsConnAsked(r->conn) != ask) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnStep(r->conn, wsNow()), WS_OK);
    }
}

/* ---- the outbox by itself ---- */

TEST(letters_stand_in_order_and_are_counted) {
    ws_outbox box = {0}, other = {0};
    ws_letter* first = ws_outbox_add(&box, WS_TEXT, "one", 3);
    ws_letter* second = ws_outbox_add(&box, WS_BINARY, NULL, 0);
    assert_true(box.first == first && first->next == second && box.last == second && box.unsent == first);
    assert_int_equal(box.count, 2);
    assert_int_equal(box.bytes, 3);
    box.unsent = NULL;
    ws_letter* third = ws_outbox_add(&box, WS_TEXT, "three", 5);
    assert_true(box.unsent == third);
    assert_int_equal(third->number, second->number + 1);
    uint64_t dropped = third->number;
    ws_outbox_drop_last(&box);
    assert_true(box.last == second && !second->next && !box.unsent);
    assert_int_equal(box.bytes, 3);
    assert_int_equal(ws_outbox_add(&box, WS_TEXT, "4", 1)->number, dropped + 1); /* none twice */
    ws_outbox_rewind(&box);
    assert_true(box.unsent == first);
    ws_outbox_move_first(&box, &other);
    assert_true(other.first == first && !first->next && box.first == second && box.unsent == second);
    ws_outbox_drop(&box, second->number);
    assert_int_equal(box.count, 1);
    ws_outbox_drop_last(&box);
    assert_true(!box.first && !box.last && !box.unsent && !box.count && !box.bytes);
    ws_outbox_free(&other);
    assert_int_equal(other.count, 0);
}

/* ---- sent again, or lost ---- */

TEST(what_is_not_proved_is_sent_again_in_order_and_what_is_not) {
    rig r;
    open_rig(&r, (wsReconnect){0}, (wsOptions){0});
    send_text(&r, "1");
    assert_int_equal(wsConnSend(r.conn, WS_BINARY, "\2\3", 2), WS_OK);
    send_text(&r, "");
    hears(&r, "1");
    lose(&r);
    send_text(&r, "4");
    assert_true(server_accept(&r.server));
    hears(&r, "1");
    assert_true(server_hear(&r.server));
    assert_heard(&r, WS_OPCODE_BINARY, "\2\3");
    hears(&r, "");
    hears(&r, "4");
    prove(&r);
    send_text(&r, "5");
    hears(&r, "5");
    lose(&r);
    assert_true(server_accept(&r.server));
    hears(&r, "5");
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_int_equal(counters.reconnects, 2);
    assert_int_equal(counters.messages_sent, 5);
    assert_int_equal(counters.outbox_messages, 1);
    assert_lost(&r, NULL);
    stop(&r);
}

TEST(much_is_sent_again_within_the_write_limit) {
    enum { MANY = 700, SIZE = 500 };
    rig r;
    char text[SIZE + 1];
    open_rig(&r, (wsReconnect){0}, (wsOptions){.writeLimit = 1000});
    lose(&r);
    memset(text, 'x', SIZE);
    text[SIZE] = 0;
    for (int i = 0; i < MANY; i++) {
        text[0] = (char)('0' + i % 10);
        send_text(&r, text);
    }
    assert_true(server_accept(&r.server));
    for (int i = 0; i < MANY; i++) {
        assert_true(server_hear_message(&r.server)); /* the proofs that are asked for meanwhile are given */
        assert_int_equal(r.server.length, SIZE);
        assert_int_equal(r.server.payload[0], '0' + i % 10);
    }
    prove(&r);
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_int_equal(counters.outbox_messages + counters.outbox_bytes, 0);
    stop(&r);
}

TEST(at_most_once_loses_what_was_begun_and_names_it) {
    rig r;
    open_rig(&r, (wsReconnect){.atMostOnce = 1}, (wsOptions){0});
    send_text(&r, "1");
    send_text(&r, "2");
    hears(&r, "1");
    lose(&r);
    assert_int_equal(ws_conn_take_due(r.conn, WS_DUE_TO_DO), WS_DUE_DOWN | WS_DUE_LOST);
    assert_lost(&r, "1");
    assert_lost(&r, "2");
    assert_lost(&r, NULL);
    send_text(&r, "3");
    assert_true(server_accept(&r.server));
    hears(&r, "3");
    stop(&r);
}

/* A message of which the socket takes a part, as the server does not read. */
static void send_big(const rig* r) {
    char* big = calloc(1, BIG);
    assert_int_equal(wsConnSend(r->conn, WS_BINARY, big, BIG), WS_OK);
    free(big);
}

TEST(at_most_once_sends_what_was_not_begun) {
    rig r;
    wsMessage message;
    open_rig(&r, (wsReconnect){.atMostOnce = 1}, (wsOptions){.writeLimit = 2 * BIG});
    send_big(&r);
    send_text(&r, "behind it");
    lose(&r);
    assert_int_equal(wsConnLost(r.conn, &message), 1);
    assert_int_equal(message.type, WS_BINARY);
    assert_int_equal(message.length, BIG);
    assert_lost(&r, NULL);
    assert_true(server_accept(&r.server));
    hears(&r, "behind it");
    stop(&r);
}

TEST(what_is_not_begun_can_be_taken_back) {
    rig r;
    ws_ticket ticket, sent;
    open_rig(&r, (wsReconnect){0}, (wsOptions){.writeLimit = 2 * BIG});
    assert_int_equal(ws_conn_send(r.conn, WS_TEXT, "sent", 4, &sent), WS_OK);
    assert_false(ws_conn_withdraw(r.conn, &sent));
    send_big(&r);
    assert_int_equal(ws_conn_send(r.conn, WS_TEXT, "no", 2, &ticket), WS_OK);
    assert_true(ws_conn_withdraw(r.conn, &ticket));
    assert_false(ws_conn_withdraw(r.conn, &ticket));
    lose(&r);
    assert_int_equal(ws_conn_send(r.conn, WS_TEXT, "neither", 7, &ticket), WS_OK);
    assert_true(ws_conn_withdraw(r.conn, &ticket));
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_int_equal(counters.outbox_messages, 2);
    assert_int_equal(counters.outbox_bytes, 4 + BIG);
    assert_int_equal(counters.messages_sent, 2);
    stop(&r);
}

TEST(a_proof_is_asked_for_when_it_is_due) {
    rig r;
    open_rig(&r, (wsReconnect){0}, (wsOptions){0});
    expect(&r, WS_EVENT_OPEN);
    wsConnStep(r.conn, wsNow());
    assert_true(wsConnTimeout(r.conn, wsNow()) > 10000); /* that of keeping alive */
    send_text(&r, "1");
    assert_in_range(wsConnTimeout(r.conn, wsNow()), 1, 1000);
    hears(&r, "1");
    answer_ping(&r);
    while (!ws_session_flushed(r.conn, ws_session_newest(r.conn))) {
        wsConnStep(r.conn, wsNow());
    }
    assert_true(wsConnTimeout(r.conn, wsNow()) > 10000);
    stop(&r);
}

/* ---- bounds ---- */

static int32_t try_text(const rig* r, const char* text) {
    return wsConnSend(r->conn, WS_TEXT, text, strlen(text));
}

TEST(the_outbox_is_bounded_while_down) {
    rig r;
    wsReconnect how = {.initialDelay = FOREVER, .maxDelay = FOREVER, .outboxMessages = 3, .outboxBytes = 10};
    open_rig(&r, how, (wsOptions){0});
    lose(&r);
    send_text(&r, "longer than ten bytes, but alone");
    assert_int_equal(try_text(&r, "1"), WS_ERR_QUEUE_FULL);
    stop(&r);
    open_rig(&r, how, (wsOptions){0});
    lose(&r);
    send_text(&r, "123456");
    assert_int_equal(try_text(&r, "12345"), WS_ERR_QUEUE_FULL);
    send_text(&r, "1234");
    assert_false(ws_session_has_room(r.conn));
    stop(&r);
    open_rig(&r, how, (wsOptions){0});
    lose(&r);
    for (int i = 0; i < 3; i++) {
        assert_true(ws_session_has_room(r.conn));
        send_text(&r, "x");
    }
    assert_int_equal(try_text(&r, ""), WS_ERR_QUEUE_FULL);
    wsConnAbort(r.conn);
    assert_true(ws_session_has_room(r.conn)); /* to be refused for good */
    assert_int_equal(try_text(&r, ""), WS_ERR_CLOSED);
    stop(&r);
}

TEST(a_proof_makes_room) {
    rig r;
    open_rig(&r, (wsReconnect){.outboxMessages = 2}, (wsOptions){0});
    send_text(&r, "1");
    send_text(&r, "2");
    assert_int_equal(try_text(&r, "3"), WS_ERR_QUEUE_FULL);
    hears(&r, "1");
    hears(&r, "2");
    answer_ping(&r);
    int64_t end = wsNow() + SERVER_DEADLINE;
    while (try_text(&r, "3") == WS_ERR_QUEUE_FULL) {
        assert_true(wsNow() < end);
        wsConnStep(r.conn, wsNow());
    }
    hears(&r, "3");
    stop(&r);
}

TEST(what_no_message_can_be_is_refused) {
    rig r;
    open_rig(&r, (wsReconnect){0}, (wsOptions){0});
    assert_int_equal(wsConnSend(r.conn, WS_TEXT, "\xff", 1), WS_ERR_UTF8);
    assert_int_equal(wsConnSend(r.conn, 0, "x", 1), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnSendFragment(r.conn, WS_TEXT, "x", 1, 0), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnSendAhead(r.conn, 0, "x", 1), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnSendAhead(r.conn, WS_TEXT, NULL, 1), WS_ERR_ARGUMENT);
    assert_int_equal(wsConnSendAhead(r.conn, WS_TEXT, "x", 1), WS_ERR_STATE);
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_int_equal(counters.outbox_messages, 0);
    stop(&r);
}

/* ---- the beginning of each connection ---- */

TEST(greetings_come_first_on_every_connection) {
    static const wsMessage greeting[] = {{WS_TEXT, "hello", 5}, {WS_BINARY, "\1", 1}};
    rig r;
    open_rig(&r, (wsReconnect){.greeting = greeting, .greetingCount = COUNT(greeting)}, (wsOptions){0});
    send_text(&r, "1");
    for (int i = 0; i < 3; i++) {
        hears(&r, "hello");
        assert_true(server_hear(&r.server));
        assert_heard(&r, WS_OPCODE_BINARY, "\1");
        hears(&r, "1");
        lose(&r);
        assert_true(server_accept(&r.server));
    }
    stop(&r);
}

TEST(bad_greetings_are_refused) {
    static const wsMessage bad[] = {
        {0, "x", 1}, {WS_TEXT | WS_BINARY, "x", 1}, {WS_TEXT, NULL, 1}, {WS_TEXT, "\xff", 1}};
    static const int32_t codes[] = {WS_ERR_ARGUMENT, WS_ERR_ARGUMENT, WS_ERR_ARGUMENT, WS_ERR_UTF8};
    for (size_t i = 0; i <= COUNT(bad); i++) {
        wsConn* conn;
        wsOptions options = {.size = sizeof options, .url = "ws://127.0.0.1/"};
        options.reconnect = (wsReconnect){.enabled = 1, .greeting = &bad[i], .greetingCount = 1};
        if (i == COUNT(bad)) options.reconnect.greeting = NULL;
        assert_int_equal(wsConnNew(&options, &conn), i == COUNT(bad) ? WS_ERR_ARGUMENT : codes[i]);
    }
}

TEST(the_program_has_its_part_before_what_is_queued) {
    rig r;
    wsEvent event;
    start(&r, (wsReconnect){.asks = WS_ASK_OPEN}, (wsOptions){0});
    send_text(&r, "queued");
    assert_true(server_accept(&r.server));
    server_say(&r.server, FIN | WS_OPCODE_TEXT, "who?", 4);
    await_ask(&r, WS_ASK_OPEN);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_RETRY, WS_ANSWER_YES), WS_ERR_STATE);
    assert_int_equal(wsConnSendAhead(r.conn, WS_TEXT, "me", 2), WS_OK);
    hears(&r, "me");
    assert_int_equal(wsConnWait(r.conn, 0), WS_OK);
    assert_int_equal(wsConnNext(r.conn, &event), 0);
    ws_session_go_ahead(true);
    expect_text(&r, "who?");
    ws_session_go_ahead(false);
    server_say(&r.server, FIN | WS_OPCODE_TEXT, "left", 4);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_OPEN, WS_ANSWER_YES), WS_OK);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_OPEN, WS_ANSWER_NO), WS_ERR_STATE); /* once */
    expect(&r, WS_EVENT_OPEN);
    expect_text(&r, "left");
    hears(&r, "queued");
    stop(&r);
}

TEST(what_came_before_comes_before_what_on_open_leaves) {
    rig r;
    start(&r, (wsReconnect){.asks = WS_ASK_OPEN}, (wsOptions){0});
    assert_true(server_accept(&r.server));
    await_ask(&r, WS_ASK_OPEN);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_OPEN, WS_ANSWER_YES), WS_OK);
    await_state(&r, WS_STATE_OPEN);
    server_say(&r.server, FIN | WS_OPCODE_TEXT, "old", 3);
    server_drop(&r.server);
    for (int attempt = 0; attempt < 2; attempt++) { /* the first of these is lost while it is asked */
        assert_true(server_accept(&r.server));
        server_say(&r.server, FIN | WS_OPCODE_TEXT, attempt ? "newest" : "new", attempt ? 6 : 3);
        await_ask(&r, WS_ASK_OPEN);
        int64_t end = wsNow() + SERVER_DEADLINE;
        ws_session_go_ahead(true);
        while (!r.conn->inbox.first) {
            assert_true(wsNow() < end);
            wsConnStep(r.conn, wsNow());
        }
        ws_session_go_ahead(false);
        if (attempt == 0) lose(&r);
        if (attempt == 0) wsConnStep(r.conn, wsNow());
    }
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_OPEN, WS_ANSWER_YES), WS_OK);
    expect(&r, WS_EVENT_OPEN);
    expect_text(&r, "old");
    expect_text(&r, "new");
    expect_text(&r, "newest");
    expect(&r, WS_EVENT_OPEN);
    stop(&r);
}

TEST(each_attempt_may_have_other_headers) {
    static const wsHeader second = {"X-Attempt", "2"};
    rig r;
    size_t length;
    start(&r, (wsReconnect){.asks = WS_ASK_HEADERS},
          (wsOptions){.headers = &(wsHeader){"X-Attempt", "1"}, .headerCount = 1});
    assert_int_equal(wsConnSetHeaders(r.conn, &second, 1), WS_ERR_STATE);
    assert_true(server_accept(&r.server));
    assert_non_null(strstr(wsConnRequest(r.conn, &length), "X-Attempt: 1\r\n"));
    await_state(&r, WS_STATE_OPEN);
    lose(&r);
    await_ask(&r, WS_ASK_HEADERS);
    assert_int_equal(wsConnSetHeaders(r.conn, &second, 1), WS_OK);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_HEADERS, WS_ANSWER_YES), WS_OK);
    assert_true(server_accept(&r.server));
    assert_non_null(strstr(wsConnRequest(r.conn, &length), "X-Attempt: 2\r\n"));
    stop(&r);
}

/* ---- given up ---- */

static void send_two(const rig* r) {
    send_text(r, "1");
    send_text(r, "2");
}

static void assert_lost_two(const rig* r) {
    assert_lost(r, "1");
    assert_lost(r, "2");
    assert_lost(r, NULL);
}

TEST(the_program_may_decide_that_it_is_the_end) {
    rig r;
    open_rig(&r, (wsReconnect){.asks = WS_ASK_RETRY}, (wsOptions){0});
    send_two(&r);
    lose(&r);
    await_ask(&r, WS_ASK_RETRY);
    ws_down down;
    ws_session_down_info(r.conn, &down);
    assert_true(down.opened);
    assert_int_equal(down.failure.code, WS_ERR_LOST);
    assert_int_equal(wsConnAnswer(r.conn, WS_ASK_RETRY, WS_ANSWER_NO), WS_OK);
    await_state(&r, WS_STATE_CLOSED);
    assert_lost_two(&r);
    stop(&r);
}

/* The first attempt fails for want of an answer, and there is no other. */
static void unanswered(int32_t ask, int32_t answer, const char* text, const char* said) {
    rig r;
    start(&r, (wsReconnect){.asks = ask, .maxAttempts = 2, .askTimeout = answer < 0 ? 1 : FOREVER}, (wsOptions){0});
    for (int i = 0; i < 2; i++) {
        if (!server_accept(&r.server)) break;
        if (ask == WS_ASK_HEADERS) lose(&r);
        if (answer >= 0) await_ask(&r, ask);
        if (answer >= 0) assert_int_equal(ws_session_answer(r.conn, ask, answer, text), WS_OK);
    }
    await_state(&r, WS_STATE_CLOSED);
    assert_int_equal(expect(&r, WS_EVENT_CLOSED).error, WS_ERR_ON_OPEN);
    if (!strstr(wsConnError(r.conn), said)) fail_msg("%s", wsConnError(r.conn));
    stop(&r);
}

TEST(no_answer_and_a_no_are_failed_attempts) {
    unanswered(WS_ASK_OPEN, -1, NULL, "on_open did not return in time");
    unanswered(WS_ASK_OPEN, WS_ANSWER_NO, "bad password", "on_open raised: bad password");
    unanswered(WS_ASK_OPEN, WS_ANSWER_NO, NULL, "on_open raised; given up after 2 failures");
}

TEST(no_answer_about_retrying_leaves_it_to_the_rules) {
    rig r;
    open_rig(&r, (wsReconnect){.asks = WS_ASK_RETRY, .askTimeout = 1}, (wsOptions){0});
    lose(&r);
    assert_true(server_accept(&r.server));
    await_state(&r, WS_STATE_OPEN);
    server_say(&r.server, FIN | WS_OPCODE_CLOSE, "\x03\xea", 2); /* 1002 */
    server_drop(&r.server);
    await_state(&r, WS_STATE_CLOSED);
    stop(&r);
}

TEST(no_headers_are_a_failed_attempt) {
    rig r;
    open_rig(&r, (wsReconnect){.asks = WS_ASK_HEADERS, .askTimeout = 1, .maxAttempts = 2}, (wsOptions){0});
    lose(&r);
    await_state(&r, WS_STATE_CLOSED);
    assert_int_equal(expect(&r, WS_EVENT_OPEN).error, WS_OK);
    assert_int_equal(expect(&r, WS_EVENT_CLOSED).error, WS_ERR_ON_OPEN);
    assert_non_null(strstr(wsConnError(r.conn), "were not there in time"));
    stop(&r);
}

/* ---- closed ---- */

TEST(an_agreed_close_proves_what_was_sent) {
    rig r;
    open_rig(&r, (wsReconnect){0}, (wsOptions){0});
    send_two(&r);
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    assert_int_equal(try_text(&r, "late"), WS_ERR_CLOSED);
    hears(&r, "1");
    hears(&r, "2");
    assert_false(server_hear_message(&r.server));
    server_drop(&r.server);
    await_state(&r, WS_STATE_CLOSED);
    assert_lost(&r, NULL);
    stop(&r);
}

TEST(a_close_that_is_not_answered_proves_nothing) {
    rig r;
    ws_ticket ticket;
    open_rig(&r, (wsReconnect){0}, (wsOptions){0});
    send_text(&r, "1");
    assert_int_equal(ws_conn_send(r.conn, WS_TEXT, "2", 1, &ticket), WS_OK);
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    server_reset(&r.server);
    await_state(&r, WS_STATE_CLOSED);
    assert_true(ws_conn_written(r.conn, &ticket) < 0);
    assert_true(ws_conn_take_due(r.conn, WS_DUE_TO_DO) & WS_DUE_LOST);
    assert_lost_two(&r);
    stop(&r);
}

TEST(closing_while_it_is_down_is_the_end) {
    rig r;
    open_rig(&r, (wsReconnect){.initialDelay = FOREVER, .maxDelay = FOREVER}, (wsOptions){0});
    lose(&r);
    send_two(&r);
    assert_int_equal(wsConnClose(r.conn, 1000, NULL), WS_OK);
    await_state(&r, WS_STATE_CLOSED);
    assert_int_equal(expect(&r, WS_EVENT_OPEN).error, WS_OK);
    assert_int_equal(expect(&r, WS_EVENT_CLOSED).error, WS_ERR_CLOSED); /* not what it was lost by */
    assert_lost_two(&r);
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_stand_in_order_and_are_counted),
        cmocka_unit_test(what_is_not_proved_is_sent_again_in_order_and_what_is_not),
        cmocka_unit_test(much_is_sent_again_within_the_write_limit),
        cmocka_unit_test(at_most_once_loses_what_was_begun_and_names_it),
        cmocka_unit_test(at_most_once_sends_what_was_not_begun),
        cmocka_unit_test(what_is_not_begun_can_be_taken_back),
        cmocka_unit_test(a_proof_is_asked_for_when_it_is_due),
        cmocka_unit_test(the_outbox_is_bounded_while_down),
        cmocka_unit_test(a_proof_makes_room),
        cmocka_unit_test(what_no_message_can_be_is_refused),
        cmocka_unit_test(greetings_come_first_on_every_connection),
        cmocka_unit_test(bad_greetings_are_refused),
        cmocka_unit_test(the_program_has_its_part_before_what_is_queued),
        cmocka_unit_test(what_came_before_comes_before_what_on_open_leaves),
        cmocka_unit_test(each_attempt_may_have_other_headers),
        cmocka_unit_test(the_program_may_decide_that_it_is_the_end),
        cmocka_unit_test(no_answer_and_a_no_are_failed_attempts),
        cmocka_unit_test(no_answer_about_retrying_leaves_it_to_the_rules),
        cmocka_unit_test(no_headers_are_a_failed_attempt),
        cmocka_unit_test(an_agreed_close_proves_what_was_sent),
        cmocka_unit_test(a_close_that_is_not_answered_proves_nothing),
        cmocka_unit_test(closing_while_it_is_down_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
