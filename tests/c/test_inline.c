/* Waiting on a connection that its caller drives. */
#include "client/conn.h"
#include "server_end.h"
#include "support.h"

typedef struct rig {
    server_end server;
    wsConn* conn;
} rig;

static wsEvent expect(wsConn* conn, wsEventType type) {
    wsEvent event = {0};
    int64_t end = wsNow() + SERVER_DEADLINE;
    while (!wsConnNext(conn, &event)) {
        assert_true(wsNow() < end);
        assert_int_equal(wsConnWait(conn, 100), WS_OK);
    }
    assert_int_equal(event.type, type);
    return event;
}

static void begin(rig* r) {
    server_open(&r->server);
    wsOptions options = {.size = sizeof options, .url = r->server.url};
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
    r->server.client = r->conn;
    assert_true(server_accept(&r->server));
    expect(r->conn, WS_EVENT_OPEN);
    r->server.client = NULL; /* from here on only the test steps it */
}

static void end(rig* r) {
    wsConnFree(r->conn);
    server_close(&r->server);
}

/* To be woken by one's own read is two system calls for nothing, on each message that is waited for. */
TEST(who_reads_after_a_wait_is_not_woken_by_that) {
    rig r;
    begin(&r);
    server_say(&r.server, 0x81, "one", 3);
    expect(r.conn, WS_EVENT_TEXT);
    assert_true(r.conn->quiet); /* the next turn waits before it reads */
    server_say(&r.server, 0x81, "two", 3);
    uint64_t before = atomic_load(&r.conn->news);
    expect(r.conn, WS_EVENT_TEXT);
    assert_int_equal(atomic_load(&r.conn->news) - before, 1); /* of what was read; being woken counts, too */
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_reads_after_a_wait_is_not_woken_by_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
