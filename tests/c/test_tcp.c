/* Sockets, the transport over them, and waiting for many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "net/poll.h"
#include "net/tcp.h"
#include "net/transport.h"

enum { DEADLINE = 5000 };

static ws_address loopback(uint16_t port) {
    ws_resolve* job;
    ws_address* found;
    size_t count;
    ws_error error = {0};
    assert_int_equal(ws_resolve_start(&job, "127.0.0.1", port, &error), 0);
    assert_int_equal(ws_resolve_result(job, &found, &count, &error), 1);
    ws_address address = found[0];
    free(found);
    ws_resolve_drop(job);
    return address;
}

static void await(intptr_t fd, uint32_t events) {
    ws_poll_item item = {.fd = fd, .events = events};
    assert_int_equal(ws_poll_few(&item, 1, DEADLINE), 1);
}

/* Two ends of a connection. */
static void connect_pair(intptr_t* client, intptr_t* server) {
    uint16_t port = 0;
    intptr_t listener = ws_tcp_listen(NULL, &port);
    assert_true(listener >= 0 && port > 0);
    assert_int_equal(ws_tcp_accept(listener), -EAGAIN);
    ws_address address = loopback(port);
    *client = ws_tcp_connect(&address, NULL);
    assert_true(*client >= 0);
    await(*client, WS_POLL_WRITE);
    assert_int_equal(ws_tcp_connect_result(*client), 0);
    await(listener, WS_POLL_READ);
    *server = ws_tcp_accept(listener);
    assert_true(*server >= 0);
    ws_tcp_close(listener);
}

static void test_both_ends_know_each_other(void** state) {
    (void)state;
    intptr_t client, server;
    connect_pair(&client, &server);
    ws_address ours, theirs;
    char a[64], b[64];
    assert_int_equal(ws_tcp_local(client, &ours), 0);
    assert_int_equal(ws_tcp_remote(server, &theirs), 0);
    assert_string_equal(ws_address_text(&ours, a, sizeof a), ws_address_text(&theirs, b, sizeof b));
    for (int i = 0; i < 2; i++) {
        int fd = (int)(i ? client : server);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    ws_tcp_close(client);
    ws_tcp_close(server);
}

static void test_a_refused_port_says_so(void** state) {
    (void)state;
    uint16_t port = 0;
    intptr_t listener = ws_tcp_listen("127.0.0.1", &port);
    ws_tcp_close(listener);
    ws_address address = loopback(port);
    intptr_t fd = ws_tcp_connect(&address, NULL);
    if (fd >= 0) {
        await(fd, WS_POLL_WRITE);
        assert_int_equal(ws_tcp_connect_result(fd), -ECONNREFUSED);
        ws_tcp_close(fd);
    } else {
        assert_int_equal(fd, -ECONNREFUSED);
    }
}

static void test_listening_fails_clearly(void** state) {
    (void)state;
    uint16_t port = 0;
    intptr_t listener = ws_tcp_listen("127.0.0.1", &port);
    uint16_t same = port;
    assert_int_equal(ws_tcp_listen("127.0.0.1", &same), -EADDRINUSE);
    assert_int_equal(ws_tcp_listen("-..-", &same), -EADDRNOTAVAIL);
    ws_tcp_close(listener);
}

static void test_bytes_go_through_a_transport(void** state) {
    (void)state;
    intptr_t fds[2];
    ws_transport client, server;
    uint8_t buf[16];
    connect_pair(&fds[0], &fds[1]);
    ws_transport_socket(&client, fds[0]);
    ws_transport_socket(&server, fds[1]);
    assert_int_equal(server.ops->read(&server, buf, sizeof buf), -EAGAIN);
    assert_int_equal(client.ops->write(&client, (const uint8_t*)"hello", 5), 5);
    await(server.fd, WS_POLL_READ);
    assert_int_equal(server.ops->read(&server, buf, sizeof buf), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_false(server.ops->ready_now(&server));
    client.ops->shutdown(&client);
    await(server.fd, WS_POLL_READ);
    assert_int_equal(server.ops->read(&server, buf, sizeof buf), 0);
    assert_int_equal(server.ops->write(&server, (const uint8_t*)"bye", 3), 3); /* the other direction is open */
    await(client.fd, WS_POLL_READ);
    assert_int_equal(client.ops->read(&client, buf, sizeof buf), 3);
    client.ops->close(&client);
    server.ops->close(&server);
    assert_null(client.ops);
}

static void test_a_full_socket_says_not_now(void** state) {
    (void)state;
    static uint8_t block[65536];
    intptr_t fds[2];
    ws_transport client;
    connect_pair(&fds[0], &fds[1]);
    ws_transport_socket(&client, fds[0]);
    ssize_t sent;
    do {
        sent = client.ops->write(&client, block, sizeof block);
    } while (sent > 0);
    assert_int_equal(sent, -EAGAIN);
    client.ops->close(&client);
    ws_tcp_close(fds[1]);
}

/* Breaking off is seen as a reset, and writing to a dead peer is an error and no signal. */
static void test_breaking_off(void** state) {
    (void)state;
    intptr_t fds[2];
    ws_transport client;
    uint8_t byte = 0;
    connect_pair(&fds[0], &fds[1]);
    ws_transport_socket(&client, fds[0]);
    ws_tcp_reset_on_close(fds[1]);
    ws_tcp_close(fds[1]);
    await(client.fd, WS_POLL_READ);
    assert_int_equal(client.ops->read(&client, &byte, 1), -ECONNRESET);
    assert_int_equal(client.ops->write(&client, &byte, 1), -EPIPE);
    client.ops->close(&client);
}

static void test_a_set_reports_each_with_its_tag(void** state) {
    (void)state;
    intptr_t a, b;
    ws_poll_event events[4];
    connect_pair(&a, &b);
    ws_poll* set = ws_poll_new();
    assert_int_equal(ws_poll_add(set, a, WS_POLL_READ, &a), 0);
    assert_int_equal(ws_poll_add(set, b, WS_POLL_READ | WS_POLL_WRITE, &b), 0);
    assert_int_equal(ws_poll_add(set, b, WS_POLL_READ, &b), -EEXIST);
    assert_int_equal(ws_poll_wait(set, events, 4, DEADLINE), 1);
    assert_ptr_equal(events[0].tag, &b);
    assert_int_equal(events[0].events, WS_POLL_WRITE);
    assert_int_equal(ws_poll_change(set, b, WS_POLL_READ, &b), 0);
    assert_int_equal(ws_poll_wait(set, events, 4, 0), 0);
    ws_poll_remove(set, b);
    ws_tcp_reset_on_close(b);
    ws_tcp_close(b);
    assert_int_equal(ws_poll_wait(set, events, 4, -1), 1);
    assert_ptr_equal(events[0].tag, &a);
    assert_true(events[0].events & WS_POLL_HANGUP);
    ws_poll_remove(set, a);
    ws_tcp_close(a);
    ws_poll_free(set);
    ws_poll_free(NULL);
}

static void test_few_are_waited_for_without_a_set(void** state) {
    (void)state;
    intptr_t a, b;
    connect_pair(&a, &b);
    ws_poll_item items[2] = {{.fd = a, .events = WS_POLL_READ}, {.fd = b, .events = WS_POLL_READ | WS_POLL_WRITE}};
    assert_int_equal(ws_poll_few(items, 2, DEADLINE), 1);
    assert_int_equal(items[0].ready, 0);
    assert_int_equal(items[1].ready, WS_POLL_WRITE);
    assert_int_equal(ws_poll_few(items, 1, 0), 0);
    ws_tcp_close(a);
    ws_tcp_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_know_each_other),       cmocka_unit_test(test_a_refused_port_says_so),
        cmocka_unit_test(test_listening_fails_clearly),         cmocka_unit_test(test_bytes_go_through_a_transport),
        cmocka_unit_test(test_a_full_socket_says_not_now),      cmocka_unit_test(test_breaking_off),
        cmocka_unit_test(test_a_set_reports_each_with_its_tag), cmocka_unit_test(test_few_are_waited_for_without_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
