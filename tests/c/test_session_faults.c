/* client/session when memory fails, and when several threads are at one connection: nothing that was accepted is
 * forgotten, nothing leaks. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/conn.h"
#include "server_end.h"
#include "support.h"

enum { MESSAGES = 6, SENDERS = 2, EACH = 1500, MOST = SENDERS * EACH };

/* ---- allocations that fail ---- */

static _Thread_local bool counted;  /* this thread's allocations are */
static size_t allocations, failing; /* counted from 1; 0: none fails */

void* __real_malloc(size_t n);
void* __wrap_malloc(size_t n);
void* __real_calloc(size_t n, size_t size);
void* __wrap_calloc(size_t n, size_t size);
char* __real_strdup(const char* text);
char* __wrap_strdup(const char* text);

static bool fails(void) {
    return counted && ++allocations == failing;
}

void* __wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}

void* __wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

char* __wrap_strdup(const char* text) {
    return fails() ? NULL : __real_strdup(text);
}

/* ---- a server that loses connections and notes what it heard ---- */

typedef struct witness {
    server_end server;
    pthread_t thread;
    int losses;           /* so many connections are reset ... */
    int after;            /* ... when so many messages were heard of it */
    const char* greeting; /* that comes first, NULL: none */
    bool greeted;         /* on every connection that said anything */
    size_t times[MOST];   /* how often each message was heard; its number is its text */
    int newest[SENDERS];  /* the highest number of each sender heard so far, -1: none */
    bool in_order;        /* none was heard for the first time after a later one of the same sender */
} witness;

static void note(witness* w, size_t number) {
    size_t sender = number / EACH;
    assert_true(number < MOST);
    if (w->times[number]++ == 0) w->in_order &= (int)number > w->newest[sender];
    if ((int)number > w->newest[sender]) w->newest[sender] = (int)number;
}

static void serve_one(witness* w, bool to_be_lost) {
    server_end* server = &w->server;
    int heard = 0;
    bool first = true;
    while (server_hear_message(server)) {
        bool greets = w->greeting && strcmp(server->payload, w->greeting) == 0;
        if (first && w->greeting) w->greeted &= greets;
        first = false;
        if (greets) continue;
        note(w, (size_t)atoi(server->payload));
        if (to_be_lost && ++heard == w->after) {
            server_reset(server);
            return;
        }
    }
}

static void* serve(void* arg) {
    witness* w = arg;
    for (int i = 0; server_accept(&w->server); i++) {
        serve_one(w, i < w->losses);
    }
    return NULL;
}

static void begin(witness* w, int losses, int after, const char* greeting) {
    *w = (witness){.losses = losses, .after = after, .greeting = greeting, .greeted = true, .in_order = true};
    memset(w->newest, -1, sizeof w->newest);
    server_open(&w->server);
    assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
}

static void end(witness* w) {
    server_shut(&w->server);
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    server_close(&w->server);
}

static wsOptions options_for(const witness* w, bool at_most_once, size_t outbox) {
    return (wsOptions){
        .size = sizeof(wsOptions),
        .url = w->server.url,
        .proxy = "",
        .reconnect = {
            .enabled = 1, .atMostOnce = at_most_once, .initialDelay = 1, .maxDelay = 1, .outboxMessages = outbox}};
}

/* ---- each allocation fails in turn ---- */

/* Take turns until done() or the end of the connection. */
static void turn_until(wsConn* conn, bool (*done)(wsConn* conn, uint64_t number), uint64_t number) {
    int64_t deadline = wsNow() + SERVER_DEADLINE;
    wsEvent event;
    while (!done(conn, number) && wsConnState(conn) != WS_STATE_CLOSED) {
        assert_true(wsNow() < deadline);
        ws_inline_turn(conn, deadline, INT64_MAX, false);
        wsConnNext(conn, &event);
    }
}

static bool has_room(wsConn* conn, uint64_t number) {
    (void)number;
    return ws_session_has_room(conn);
}

static bool flushed(wsConn* conn, uint64_t number) {
    return ws_session_flushed(conn, number) == 1;
}

static bool never(wsConn* conn, uint64_t number) {
    (void)conn;
    (void)number;
    return false;
}

/* Send all messages that are accepted, in order; which those are. */
static void send_all(wsConn* conn, bool accepted[MESSAGES]) {
    for (int i = 0; i < MESSAGES; i++) {
        char text[8];
        int n = snprintf(text, sizeof text, "%d", i);
        turn_until(conn, has_room, 0);
        int32_t rc = wsConnSend(conn, WS_TEXT, text, (size_t)n);
        accepted[i] = rc == WS_OK;
        if (rc == WS_ERR_QUEUE_FULL) i--; /* somebody was quicker: nobody here */
        assert_true(rc == WS_OK || rc == WS_ERR_QUEUE_FULL || rc == WS_ERR_MEMORY ||
                    wsConnState(conn) == WS_STATE_CLOSED);
    }
}

/* What was given up, as often as it was. */
static void count_lost(wsConn* conn, size_t lost[MESSAGES]) {
    wsMessage message;
    int before = -1;
    while (wsConnLost(conn, &message)) {
        int number = *(const char*)message.data - '0';
        assert_int_equal(message.length, 1);
        assert_in_range(number, before + 1, MESSAGES - 1);
        lost[before = number]++;
    }
}

static void converse(witness* w, wsConn* conn, bool at_most_once) {
    bool accepted[MESSAGES];
    size_t lost[MESSAGES] = {0};
    send_all(conn, accepted);
    turn_until(conn, flushed, ws_session_newest(conn));
    wsConnClose(conn, 1000, NULL);
    turn_until(conn, never, 0);
    counted = false;
    count_lost(conn, lost);
    wsConnFree(conn);
    end(w);
    for (int i = 0; i < MESSAGES; i++) {
        size_t known = w->times[i] + lost[i];
        if (accepted[i] != (known > 0)) fail_msg("allocation %zu: message %d is known %zu times", failing, i, known);
        if (at_most_once) assert_true(w->times[i] <= 1);
    }
    assert_true(w->greeted && w->in_order);
}

/* One connection that is lost twice, its nth allocation failing. Were there so many? */
static bool run_with_failure(bool at_most_once, size_t nth) {
    static const wsMessage greeting = {WS_TEXT, "hello", 5};
    static witness w;
    wsConn* conn;
    begin(&w, 2, 2, "hello");
    wsOptions options = options_for(&w, at_most_once, 4);
    options.reconnect.greeting = &greeting;
    options.reconnect.greetingCount = 1;
    allocations = 0;
    failing = nth;
    counted = true;
    int32_t rc = wsConnNew(&options, &conn);
    if (rc == WS_OK) {
        converse(&w, conn, at_most_once);
    } else {
        counted = false;
        assert_int_equal(rc, WS_ERR_MEMORY);
        end(&w);
    }
    return allocations >= nth;
}

static void fail_each(bool at_most_once) {
    size_t nth = 1;
    while (run_with_failure(at_most_once, nth)) {
        nth++;
    }
    assert_true(nth > 35);
}

TEST(without_memory_nothing_accepted_is_forgotten) {
    fail_each(false);
}

TEST(without_memory_nothing_arrives_twice_that_must_not) {
    fail_each(true);
}

/* ---- several threads ---- */

typedef struct sender {
    wsConn* conn;
    int from;
} sender;

static void* send_numbers(void* arg) {
    const sender* s = arg;
    int64_t deadline = wsNow() + SERVER_DEADLINE;
    for (int i = s->from; i < s->from + EACH; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i);
        int32_t rc;
        while ((rc = wsConnSend(s->conn, WS_TEXT, text, (size_t)n)) == WS_ERR_QUEUE_FULL) {
            assert_true(wsNow() < deadline);
            ws_inline_turn(s->conn, deadline, INT64_MAX, false);
        }
        assert_int_equal(rc, WS_OK);
    }
    return NULL;
}

static atomic_bool looking;

/* What any thread may look at meanwhile. */
static void* look(void* arg) {
    wsConn* conn = arg;
    ws_counters counters;
    ws_failure failure;
    ws_close_info info;
    ws_down down;
    wsTimings timings;
    char text[4096], host[64];
    uint16_t port;
    while (looking) {
        ws_conn_counters(conn, &counters);
        ws_conn_failure(conn, &failure);
        ws_conn_close_info(conn, &info);
        ws_session_down_info(conn, &down);
        wsConnTimings(conn, &timings);
        ws_conn_copy(conn, WS_PART_REQUEST, text, sizeof text);
        ws_conn_copy(conn, WS_PART_RESPONSE, text, sizeof text);
        ws_conn_address(conn, true, host, sizeof host, &port);
        ws_conn_opened(conn);
        ws_session_newest(conn);
        ws_conn_take_due(conn, WS_DUE_TO_DO);
        wsConnAsked(conn);
        wsConnQueued(conn);
        ws_inline_turn(conn, wsNow() + 1, INT64_MAX, false);
    }
    return NULL;
}

static void race(bool background) {
    static witness w;
    wsConn* conn;
    pthread_t threads[SENDERS], looker;
    sender senders[SENDERS];
    begin(&w, 20, 60, NULL);
    wsOptions options = options_for(&w, false, 64);
    assert_int_equal(wsConnNew(&options, &conn), WS_OK);
    if (background) assert_int_equal(ws_io_add(conn, NULL, NULL), WS_OK);
    looking = true;
    assert_int_equal(pthread_create(&looker, NULL, look, conn), 0);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender){conn, i * EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, send_numbers, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    turn_until(conn, flushed, ws_session_newest(conn));
    assert_int_equal(wsConnClose(conn, 1000, NULL), WS_OK);
    turn_until(conn, never, 0);
    looking = false;
    pthread_join(looker, NULL);
    ws_counters counters;
    ws_conn_counters(conn, &counters);
    assert_int_equal(counters.reconnects, 20);
    wsConnFree(conn);
    end(&w);
    for (int i = 0; i < MOST; i++) {
        if (w.times[i] == 0) fail_msg("message %d was never heard", i);
    }
    assert_true(w.in_order);
}

TEST(senders_race_inline) {
    race(false);
}

TEST(senders_race_in_the_background) {
    race(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_accepted_is_forgotten),
        cmocka_unit_test(without_memory_nothing_arrives_twice_that_must_not),
        cmocka_unit_test(senders_race_inline),
        cmocka_unit_test(senders_race_in_the_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
