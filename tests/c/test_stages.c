/* The deadlines of many clients, and the stages a client goes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/poll.h"
#include "net/tcp.h"
#include "server/stages.h"

enum { DEADLINE = 5000 };

/* A client of the server, and the socket at its other end. */
typedef struct pair {
    ws_peer* peer;
    ws_transport client;
} pair;

static void await(intptr_t fd, uint32_t events) {
    ws_poll_item item = {.fd = fd, .events = events};
    assert_int_equal(ws_poll_few(&item, 1, DEADLINE), 1);
}

static pair make_pair(void) {
    uint16_t port = 0;
    ws_address address;
    pair made;
    intptr_t listener = ws_tcp_listen("", &port);
    assert_int_equal(ws_tcp_local(listener, &address), 0);
    ws_transport_socket(&made.client, ws_tcp_connect(&address, NULL));
    await(listener, WS_POLL_READ);
    made.peer = ws_peer_new(ws_tcp_accept(listener), 1024);
    assert_non_null(made.peer);
    ws_tcp_close(listener);
    return made;
}

static void free_pair(pair* made) {
    ws_peer_free(made->peer);
    made->client.ops->close(&made->client);
}

/* The client sends, the server reads; there is no message in it. */
static void say(pair* made, const void* bytes, size_t n) {
    ws_event message;
    assert_int_equal(made->client.ops->write(&made->client, bytes, n), n);
    await(made->peer->transport.fd, WS_POLL_READ);
    assert_true(ws_peer_read(made->peer));
    assert_false(ws_peer_next(made->peer, &message));
}

static void upgrade(pair* made) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    say(made, request, sizeof request - 1);
}

static void test_a_client_goes_through_its_stages(void** state) {
    (void)state;
    static const uint8_t pong[] = {0x8A, 0x80, 0, 0, 0, 0}, bye[] = {0x88, 0x80, 0, 0, 0, 0};
    pair made = make_pair();
    assert_int_equal(ws_peer_stage(made.peer), WS_STAGE_HANDSHAKE);
    assert_false(ws_peer_is_open(made.peer));
    upgrade(&made);
    assert_int_equal(ws_peer_stage(made.peer), WS_STAGE_ACTIVE);
    ws_peer_ping(made.peer);
    assert_int_equal(ws_peer_stage(made.peer), WS_STAGE_PINGED);
    assert_true(ws_peer_is_open(made.peer));
    say(&made, pong, sizeof pong);
    assert_int_equal(ws_peer_stage(made.peer), WS_STAGE_ACTIVE);
    say(&made, bye, sizeof bye);
    assert_int_equal(ws_peer_stage(made.peer), WS_STAGE_CLOSING);
    assert_false(ws_peer_is_open(made.peer));
    assert_string_equal(made.peer->reason, "closed with code 1005");
    assert_false(ws_peer_flush(made.peer));
    assert_true(made.peer->said_all);
    free_pair(&made);
}

/* The two bytes of a ping without payload come behind the answer to the upgrade. */
static void test_a_ping_goes_out(void** state) {
    (void)state;
    uint8_t got[512];
    pair made = make_pair();
    upgrade(&made);
    ws_peer_ping(made.peer);
    assert_false(ws_peer_flush(made.peer));
    await(made.client.fd, WS_POLL_READ);
    ssize_t n = made.client.ops->read(&made.client, got, sizeof got);
    assert_true(n > 2);
    assert_memory_equal(got + n - 2, "\x89\x00", 2);
    free_pair(&made);
}

static void test_closing_who_is_not_in_drops_it(void** state) {
    (void)state;
    pair made = make_pair();
    ws_peer_close(made.peer, WS_CODE_GOING_AWAY, "no more");
    assert_true(made.peer->gone);
    assert_string_equal(made.peer->reason, "no more");
    free_pair(&made);
}

static void test_the_first_to_enter_is_the_first_due(void** state) {
    (void)state;
    ws_stages stages = {.spans = {[WS_STAGE_HANDSHAKE] = 100, [WS_STAGE_ACTIVE] = 30}};
    pair a = make_pair(), b = make_pair(), c = make_pair();
    upgrade(&c);
    assert_true(ws_stages_next_deadline(&stages) == INT64_MAX);
    ws_stages_enter(&stages, a.peer, 0);
    ws_stages_enter(&stages, b.peer, 10);
    ws_stages_enter(&stages, c.peer, 20); /* the last, but with the shortest time */
    assert_int_equal(ws_stages_next_deadline(&stages), 50);
    assert_null(ws_stages_due(&stages, 49));
    assert_ptr_equal(ws_stages_due(&stages, 50), c.peer);
    ws_stages_leave(&stages, c.peer);
    ws_stages_enter(&stages, c.peer, 1000); /* its time begins anew */
    assert_null(ws_stages_due(&stages, 99));
    assert_ptr_equal(ws_stages_due(&stages, 500), a.peer);
    ws_stages_leave(&stages, a.peer);
    assert_null(ws_stages_due(&stages, 109));
    assert_ptr_equal(ws_stages_due(&stages, 110), b.peer);
    ws_stages_leave(&stages, b.peer);
    ws_stages_leave(&stages, c.peer);
    assert_true(ws_stages_next_deadline(&stages) == INT64_MAX);
    free_pair(&a);
    free_pair(&b);
    free_pair(&c);
}

static void test_one_may_leave_from_the_middle(void** state) {
    (void)state;
    ws_stages stages = {.spans = {[WS_STAGE_HANDSHAKE] = 100}};
    pair made[3] = {make_pair(), make_pair(), make_pair()};
    for (int i = 0; i < 3; i++)
        ws_stages_enter(&stages, made[i].peer, i);
    ws_stages_leave(&stages, made[1].peer);
    assert_ptr_equal(ws_stages_due(&stages, 500), made[0].peer);
    ws_stages_leave(&stages, made[0].peer);
    assert_ptr_equal(ws_stages_due(&stages, 500), made[2].peer);
    ws_stages_leave(&stages, made[2].peer);
    assert_null(ws_stages_due(&stages, 500));
    for (int i = 0; i < 3; i++)
        free_pair(&made[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_goes_through_its_stages),
        cmocka_unit_test(test_a_ping_goes_out),
        cmocka_unit_test(test_closing_who_is_not_in_drops_it),
        cmocka_unit_test(test_the_first_to_enter_is_the_first_due),
        cmocka_unit_test(test_one_may_leave_from_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
