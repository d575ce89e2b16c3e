/* The keeper: the I/O thread stands in for callers that do not step their connection. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/conn.h"
#include "net/poll.h"
#include "server_end.h"
#include "support.h"

enum { DEADLINE = 20000, NAP = 300 /* ms after which the keeper stands in, and more */ };

/* A client that is open and kept, the server's end of it, and how often the keeper said that it has done something. */
typedef struct rig {
    server_end server;
    wsConn* conn;
    atomic_size_t calls;
    size_t messages; /* how many were expected so far */
} rig;

static void on_events(void* arg) {
    rig* r = arg;
    r->calls++;
}

static void open_rig(rig* r, wsOptions options) {
    *r = (rig){.conn = NULL};
    server_open(&r->server);
    options.size = sizeof options;
    options.url = r->server.url;
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
    r->server.client = r->conn;
    assert_true(server_accept(&r->server));
    while (wsConnState(r->conn) != WS_STATE_OPEN) {
        wsConnStep(r->conn, wsNow());
    }
    r->server.client = NULL;
    assert_int_equal(ws_io_keep(r->conn, on_events, r), WS_OK);
}

static void end_rig(rig* r) {
    wsConnFree(r->conn);
    server_close(&r->server);
}

static void await_calls(const rig* r) {
    int64_t end = wsNow() + DEADLINE;
    while (r->calls == 0) {
        assert_true(wsNow() < end);
        sched_yield();
    }
}

static void await_closed(const rig* r) {
    int64_t end = wsNow() + DEADLINE;
    while (wsConnState(r->conn) != WS_STATE_CLOSED) {
        assert_true(wsNow() < end);
        sched_yield();
    }
}

static void say_numbers(rig* r, size_t from, size_t count) {
    for (size_t i = from; i < from + count; i++) {
        char text[24];
        int n = snprintf(text, sizeof text, "%zu", i);
        server_say(&r->server, FIN | WS_OPCODE_TEXT, text, (size_t)n);
    }
}

static void check_number(rig* r, const wsEvent* event) {
    char number[24];
    if (event->type != WS_EVENT_TEXT) return;
    int n = snprintf(number, sizeof number, "%zu", r->messages++);
    assert_int_equal(event->length, n);
    assert_memory_equal(event->data, number, event->length);
}

/* With the token, which is let go of. */
static void take_all(rig* r) {
    wsEvent event;
    while (ws_conn_next(r->conn, &event, 1)) {
        check_number(r, &event);
    }
    ws_conn_release(r->conn);
}

/* What is there, without a step: only the keeper can have read it. */
static void take_kept(rig* r) {
    assert_true(ws_inline_take(r->conn));
    take_all(r);
}

/* Receive as a caller does until so many have come; and what is there with them. */
static void receive_numbers(rig* r, size_t count) {
    int64_t end = wsNow() + DEADLINE;
    while (r->messages < count) {
        if (ws_inline_take(r->conn)) take_all(r); /* a thread that drives is not waited for here */
        if (r->messages < count) assert_int_equal(ws_inline_turn(r->conn, end, INT64_MAX, true), WS_OK);
    }
}

TEST(pings_behind_messages_are_answered_while_nobody_steps) {
    rig r;
    open_rig(&r, (wsOptions){0});
    say_numbers(&r, 0, 2000);
    for (int i = 0; i < 3; i++) {
        server_say(&r.server, FIN | WS_OPCODE_PING, "there?", 6);
        assert_true(server_hear(&r.server));
        assert_int_equal(r.server.first, FIN | WS_OPCODE_PONG);
        assert_string_equal(r.server.payload, "there?");
    }
    take_kept(&r);
    assert_int_equal(r.messages, 2000);
    say_numbers(&r, 2000, 10);
    receive_numbers(&r, 2010);
    assert_true(r.calls > 0);
    end_rig(&r);
}

TEST(own_pings_are_sent_and_their_pongs_taken) {
    rig r;
    open_rig(&r, (wsOptions){.pingInterval = 100, .pingTimeout = 2000});
    for (int i = 0; i < 3; i++) {
        assert_true(server_hear(&r.server));
        assert_int_equal(r.server.first, FIN | WS_OPCODE_PING);
        server_say(&r.server, FIN | WS_OPCODE_PONG, r.server.payload, r.server.length);
    }
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    end_rig(&r);
}

typedef struct gate {
    atomic_bool reached, open;
} gate;

static void wait_at(void* arg) {
    gate* g = arg;
    int64_t end = wsNow() + DEADLINE;
    g->reached = true;
    while (!g->open && wsNow() < end) {
        sched_yield();
    }
}

/* Keep the keeper from seeing anything until the gate is open, by what it does for another connection. */
static void hold_up_keeper(rig* other, gate* g) {
    ws_io_remove(other->conn);
    assert_int_equal(ws_io_keep(other->conn, wait_at, g), WS_OK);
    say_numbers(other, 0, 1);
    int64_t end = wsNow() + DEADLINE;
    while (!g->reached) {
        assert_true(wsNow() < end);
        sched_yield();
    }
}

/* A caller that is faster than the keeper: that sees neither the message nor that the next ping is due earlier. */
TEST(pings_go_on_though_a_caller_takes_what_comes_first) {
    rig r, other;
    gate g = {false, false};
    open_rig(&other, (wsOptions){0});
    open_rig(&r, (wsOptions){.pingInterval = 100, .pingTimeout = 10 * DEADLINE});
    assert_true(server_hear(&r.server));
    assert_int_equal(r.server.first, FIN | WS_OPCODE_PING);
    hold_up_keeper(&other, &g);
    say_numbers(&r, 0, 1);
    receive_numbers(&r, 1);
    g.open = true;
    assert_true(server_hear(&r.server));
    assert_int_equal(r.server.first, FIN | WS_OPCODE_PING);
    end_rig(&r);
    end_rig(&other);
}

TEST(a_peer_that_is_silent_is_given_up) {
    rig r;
    ws_failure failure;
    open_rig(&r, (wsOptions){.pingInterval = 100, .pingTimeout = 100});
    await_closed(&r);
    await_calls(&r);
    ws_conn_failure(r.conn, &failure);
    assert_int_equal(failure.code, WS_ERR_PING_TIMEOUT);
    end_rig(&r);
}

TEST(the_closing_handshake_is_answered) {
    static const uint8_t bye[] = {0x03, 0xe8};
    rig r;
    ws_close_info info;
    open_rig(&r, (wsOptions){0});
    say_numbers(&r, 0, 3);
    server_say(&r.server, FIN | WS_OPCODE_CLOSE, bye, sizeof bye);
    assert_true(server_hear(&r.server));
    assert_int_equal(r.server.first, FIN | WS_OPCODE_CLOSE);
    server_drop(&r.server);
    await_closed(&r);
    ws_conn_close_info(r.conn, &info);
    assert_true(info.clean);
    take_kept(&r);
    assert_int_equal(r.messages, 3);
    end_rig(&r);
}

/* As much as the network takes; how many whole messages that is, and what is missing of the next. */
static size_t fill(const rig* r, const ws_buf* frame, size_t* missing) {
    size_t size = ws_buf_len(frame), said = 0;
    ws_poll_item item = {.fd = r->server.peer, .events = WS_POLL_WRITE};
    while (ws_poll_few(&item, 1, 2 * NAP) > 0) {
        size_t at = said % size;
        ssize_t n = send((int)r->server.peer, ws_buf_head(frame) + at, size - at, MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN);
        if (n > 0) said += (size_t)n;
    }
    *missing = size - said % size;
    return said / size;
}

TEST(it_reads_up_to_the_limit_and_judges_nobody_whom_it_does_not_read) {
    enum { SIZE = 100000, LIMIT = 8 * SIZE };
    rig r;
    ws_buf frame = {0};
    size_t missing, got = 0, whole;
    open_rig(&r, (wsOptions){.maxBuffer = LIMIT, .maxSize = SIZE, .pingInterval = 100, .pingTimeout = 200});
    add_pattern(&frame, CLIENT, FIN | WS_OPCODE_BINARY, SIZE, false);
    whole = fill(&r, &frame, &missing); /* which ends when nothing has been read for longer than the ping timeout */
    ws_counters counters;
    ws_conn_counters(r.conn, &counters);
    assert_in_range(counters.bytes_waiting, LIMIT, LIMIT + 2 * SIZE);
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    int64_t end = wsNow() + DEADLINE;
    while (got < whole) {
        wsEvent event;
        assert_true(ws_inline_take(r.conn));
        while (ws_conn_next(r.conn, &event, 1)) {
            got += event.type == WS_EVENT_BINARY && event.length == SIZE;
        }
        ws_conn_release(r.conn);
        if (got < whole) assert_int_equal(ws_inline_turn(r.conn, end, INT64_MAX, true), WS_OK);
    }
    assert_int_equal(wsConnState(r.conn), WS_STATE_OPEN);
    ws_buf_free(&frame);
    end_rig(&r);
}

/* ---- beside callers ---- */

enum { FLOOD = 60000, NAPS = 6 };

static void* flood(void* arg) {
    say_numbers(arg, 0, FLOOD);
    return NULL;
}

static void nap(void) {
    ws_poll_few(NULL, 0, NAP);
}

TEST(callers_that_come_and_go_miss_nothing) {
    rig r;
    pthread_t thread;
    open_rig(&r, (wsOptions){.maxBuffer = 100000});
    pthread_create(&thread, NULL, flood, &r);
    for (size_t i = 1; i <= NAPS; i++) {
        receive_numbers(&r, r.messages + 1);
        nap();
        receive_numbers(&r, r.messages < FLOOD / NAPS * i ? FLOOD / NAPS * i : r.messages);
    }
    receive_numbers(&r, FLOOD);
    pthread_join(thread, NULL);
    end_rig(&r);
}

TEST(who_asks_only_for_what_is_there_is_not_put_off_by_the_keeper) {
    rig r;
    open_rig(&r, (wsOptions){0});
    for (size_t i = 0; i < 3; i++) {
        say_numbers(&r, i, 1);
        await_calls(&r);
        int32_t rc = ws_inline_turn(r.conn, wsNow(), INT64_MAX, true);
        assert_true(rc == WS_OK || rc == WS_ERR_RECEIVE_TIMEOUT);
        take_kept(&r);
        assert_int_equal(r.messages, i + 1);
        r.calls = 0;
    }
    end_rig(&r);
}

TEST(a_waiting_caller_gets_what_the_keeper_reads) {
    rig r;
    open_rig(&r, (wsOptions){0});
    nap();
    nap();
    say_numbers(&r, 0, 1);
    receive_numbers(&r, 1);
    end_rig(&r);
}

TEST(the_io_thread_may_take_over_and_give_back) {
    rig r;
    open_rig(&r, (wsOptions){0});
    assert_int_equal(ws_io_keep(r.conn, NULL, NULL), WS_ERR_STATE);
    assert_int_equal(ws_io_add(r.conn, NULL, NULL), WS_OK);
    say_numbers(&r, 0, 1);
    receive_numbers(&r, 1);
    ws_io_remove(r.conn);
    assert_int_equal(r.calls, 0);
    say_numbers(&r, 1, 1);
    receive_numbers(&r, 2);
    assert_int_equal(ws_io_keep(r.conn, on_events, &r), WS_OK);
    say_numbers(&r, 2, 1);
    await_calls(&r);
    ws_io_stop();
    say_numbers(&r, 3, 1);
    receive_numbers(&r, 4);
    end_rig(&r);
}

TEST(a_child_of_fork_keeps_nothing_and_its_parent_goes_on) {
    rig r;
    int status;
    open_rig(&r, (wsOptions){0});
    pid_t child = fork();
    if (child == 0) {
        bool closed = wsConnState(r.conn) == WS_STATE_CLOSED;
        wsConnFree(r.conn);
        _exit(closed ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    server_say(&r.server, FIN | WS_OPCODE_PING, "", 0);
    assert_true(server_hear(&r.server));
    assert_int_equal(r.server.first, FIN | WS_OPCODE_PONG);
    end_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_behind_messages_are_answered_while_nobody_steps),
        cmocka_unit_test(own_pings_are_sent_and_their_pongs_taken),
        cmocka_unit_test(pings_go_on_though_a_caller_takes_what_comes_first),
        cmocka_unit_test(a_peer_that_is_silent_is_given_up),
        cmocka_unit_test(the_closing_handshake_is_answered),
        cmocka_unit_test(it_reads_up_to_the_limit_and_judges_nobody_whom_it_does_not_read),
        cmocka_unit_test(callers_that_come_and_go_miss_nothing),
        cmocka_unit_test(who_asks_only_for_what_is_there_is_not_put_off_by_the_keeper),
        cmocka_unit_test(a_waiting_caller_gets_what_the_keeper_reads),
        cmocka_unit_test(the_io_thread_may_take_over_and_give_back),
        cmocka_unit_test(a_child_of_fork_keeps_nothing_and_its_parent_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
