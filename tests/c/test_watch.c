/* Being watched: who wants news is told of opening, frames and the end, who does not is told nothing. */
#include "client/conn.h"
#include "server_end.h"
#include "support.h"

static void start(server_end* server, bool watched, bool frames) {
    wsOptions options = {.size = sizeof options, .url = server->url, .proxy = "", .deflate = {.off = 1}};
    server_open(server);
    assert_int_equal(wsConnNew(&options, &server->client), WS_OK);
    if (watched) assert_int_equal(ws_conn_watch(server->client, frames), WS_OK);
    assert_true(server_accept(server));
    while (wsConnState(server->client) != WS_STATE_OPEN) {
        assert_int_equal(wsConnWait(server->client, 100), WS_OK);
    }
}

static void stop(server_end* server) {
    wsConnFree(server->client);
    server_close(server);
}

static void await_end(wsConn* conn) {
    while (wsConnState(conn) != WS_STATE_CLOSED) {
        assert_int_equal(wsConnWait(conn, 100), WS_OK);
    }
}

TEST(who_does_not_watch_is_told_nothing) {
    server_end server;
    ws_traced out[1];
    start(&server, false, false);
    assert_int_equal(wsConnSend(server.client, WS_TEXT, "hello", 5), WS_OK);
    server_drop(&server);
    await_end(server.client);
    assert_int_equal(ws_conn_due(server.client), 0);
    assert_int_equal(ws_conn_take_frames(server.client, out, 1), 0);
    stop(&server);
}

TEST(opening_and_end_are_told_once) {
    server_end server;
    start(&server, true, false);
    wsConn* conn = server.client;
    assert_int_equal(ws_conn_due(conn), WS_DUE_OPENED);
    assert_int_equal(ws_conn_take_due(conn, WS_DUE_TO_DO), 0);
    assert_int_equal(ws_conn_take_due(conn, WS_DUE_NEWS), WS_DUE_OPENED);
    assert_int_equal(wsConnSend(conn, WS_TEXT, "hello", 5), WS_OK);
    assert_int_equal(ws_conn_due(conn), 0);
    server_drop(&server);
    await_end(conn);
    assert_int_equal(ws_conn_take_due(conn, WS_DUE_NEWS), WS_DUE_CLOSED);
    assert_int_equal(ws_conn_due(conn), 0);
    stop(&server);
}

TEST(frames_are_told_in_both_directions) {
    server_end server;
    ws_traced out[4];
    start(&server, true, true);
    wsConn* conn = server.client;
    ws_conn_take_due(conn, WS_DUE_OPENED);
    assert_int_equal(wsConnSend(conn, WS_TEXT, "hello", 5), WS_OK);
    assert_int_equal(ws_conn_due(conn), WS_DUE_FRAMES);
    assert_true(server_hear(&server));
    server_say(&server, FIN | WS_OPCODE_PING, "there?", 6);
    assert_true(server_hear(&server)); /* the pong */
    assert_int_equal(ws_conn_take_frames(conn, out, COUNT(out)), 3);
    assert_true(out[0].sent && !out[1].sent && out[2].sent);
    assert_int_equal(out[0].opcode, WS_OPCODE_TEXT);
    assert_int_equal(out[1].opcode, WS_OPCODE_PING);
    assert_int_equal(out[2].opcode, WS_OPCODE_PONG);
    assert_int_equal(out[0].payload_length, 0);
    assert_memory_equal(out[1].payload, "there?", 6);
    assert_true(0 < out[0].time && out[0].time <= out[1].time && out[1].time <= out[2].time);
    ws_counters counters;
    ws_conn_counters(conn, &counters);
    assert_int_equal(counters.frames_missed, 0);
    stop(&server);
}

TEST(every_connection_has_a_number_of_its_own) {
    wsOptions options = {.size = sizeof options, .url = "ws://127.0.0.1:1/"};
    wsConn *one, *other;
    assert_int_equal(wsConnNew(&options, &one), WS_OK);
    assert_int_equal(wsConnNew(&options, &other), WS_OK);
    assert_true(ws_conn_id(one) && ws_conn_id(one) < ws_conn_id(other));
    wsConnFree(one);
    wsConnFree(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_watch_is_told_nothing),
        cmocka_unit_test(opening_and_end_are_told_once),
        cmocka_unit_test(frames_are_told_in_both_directions),
        cmocka_unit_test(every_connection_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
