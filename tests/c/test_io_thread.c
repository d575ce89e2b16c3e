/* The I/O thread against servers' sockets that the test holds in its hand. */
#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/conn.h"
#include "net/poll.h"
#include "net/tcp.h"
#include "net/wake.h"
#include "support.h"

enum { DEADLINE = 20000, MANY = 60 }; /* ms for what must happen; connections */

/* A client that the thread drives, and the server's end of it. */
typedef struct rig {
    wsConn* conn;
    intptr_t peer;
    pthread_mutex_t mutex;
    pthread_cond_t heard;
    size_t calls, messages, bytes; /* of on_events, and what it found */
    bool closed, in_order;
    int32_t error;
} rig;

/* ---- the server's end ---- */

static void wait_for(intptr_t fd, uint32_t events) {
    ws_poll_item item = {.fd = fd, .events = events};
    assert_true(ws_poll_few(&item, 1, DEADLINE) > 0);
}

static void say(const rig* r, const void* bytes, size_t n) {
    for (size_t sent = 0; sent < n;) {
        wait_for(r->peer, WS_POLL_WRITE);
        ssize_t now = send((int)r->peer, (const char*)bytes + sent, n - sent, MSG_NOSIGNAL);
        assert_true(now > 0 || errno == EAGAIN);
        if (now > 0) sent += (size_t)now;
    }
}

static void hear(const rig* r, void* to, size_t n) {
    for (size_t got = 0; got < n;) {
        wait_for(r->peer, WS_POLL_READ);
        ssize_t now = recv((int)r->peer, (char*)to + got, n - got, 0);
        assert_true(now > 0);
        got += (size_t)now;
    }
}

static void say_frame(const rig* r, uint8_t first, const char* payload) {
    ws_buf out = {0};
    add_text(&out, CLIENT, first, payload);
    say(r, ws_buf_head(&out), ws_buf_len(&out));
    ws_buf_free(&out);
}

/* Messages "0", "1", ... `count` of them. */
static void say_numbers(const rig* r, size_t count) {
    ws_buf out = {0};
    for (size_t i = 0; i < count; i++) {
        char text[24];
        snprintf(text, sizeof text, "%zu", i);
        add_text(&out, CLIENT, FIN | WS_OPCODE_TEXT, text);
    }
    say(r, ws_buf_head(&out), ws_buf_len(&out));
    ws_buf_free(&out);
}

/* The next frame's first byte; its payload of up to 125 bytes unmasked into `payload`. */
static uint8_t hear_frame(const rig* r, char* payload) {
    uint8_t head[6];
    hear(r, head, sizeof head);
    size_t n = head[1] & 0x7f;
    assert_true(n < 126);
    hear(r, payload, n);
    for (size_t i = 0; i < n; i++) {
        payload[i] ^= (char)head[2 + i % 4];
    }
    payload[n] = 0;
    return head[0];
}

static void answer(const rig* r) {
    char request[2048];
    size_t n = 0;
    while (n < 4 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof request - 1);
        hear(r, request + n++, 1);
    }
    request[n] = 0;
    char accept[WS_ACCEPT_SIZE + 1], head[512];
    ws_handshake_accept(accept, strstr(request, "Sec-WebSocket-Key: ") + 19, WS_KEY_SIZE);
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
    say(r, head, (size_t)len);
}

/* ---- what the thread says ---- */

static void take_events(rig* r) {
    wsEvent event;
    while (ws_conn_next(r->conn, &event, 1)) {
        if (event.type == WS_EVENT_CLOSED) {
            r->closed = true;
            r->error = event.error;
        } else if (event.type != WS_EVENT_OPEN) {
            char number[24];
            int n = snprintf(number, sizeof number, "%zu", r->messages);
            r->in_order = r->in_order && event.length == (size_t)n && memcmp(event.data, number, event.length) == 0;
            r->messages++;
            r->bytes += event.length;
        }
    }
}

static void on_events(void* arg) {
    rig* r = arg;
    pthread_mutex_lock(&r->mutex);
    r->calls++;
    if (ws_conn_take(r->conn)) {
        take_events(r);
        ws_conn_release(r->conn);
    }
    pthread_cond_broadcast(&r->heard);
    pthread_mutex_unlock(&r->mutex);
}

/* Wait until so many messages have come, or the connection is closed. */
static void await(rig* r, size_t messages) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += DEADLINE / 1000;
    pthread_mutex_lock(&r->mutex);
    while (r->messages < messages && !r->closed) {
        assert_int_equal(pthread_cond_timedwait(&r->heard, &r->mutex, &end), 0);
    }
    pthread_mutex_unlock(&r->mutex);
}

/* ---- begun and ended ---- */

static size_t open_files(void) {
    size_t n = 0;
    DIR* dir = opendir("/proc/self/fd");
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* How many threads have the I/O thread's name. */
static size_t io_threads(void) {
    size_t n = 0;
    DIR* dir = opendir("/proc/self/task");
    for (const struct dirent* entry; (entry = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE* file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file)) n += strcmp(name, "wsclient-io\n") == 0;
        if (file) fclose(file);
    }
    closedir(dir);
    return n;
}

/* A thread that was joined is listed for a moment longer, and has its name a moment after its start. */
static void await_threads(size_t n) {
    int64_t end = wsNow() + DEADLINE;
    while (io_threads() != n) {
        assert_true(wsNow() < end);
        sched_yield();
    }
}

static void make(rig* r, const char* url, wsOptions options) {
    *r = (rig){.peer = -1, .mutex = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER, .in_order = true};
    options.size = sizeof options;
    options.url = url;
    assert_int_equal(wsConnNew(&options, &r->conn), WS_OK);
}

/* Have the thread open it. */
static void open_rig(rig* r, wsOptions options, void (*callback)(void*)) {
    uint16_t port = 0;
    char url[64];
    intptr_t listener = ws_tcp_listen(NULL, &port);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", port);
    make(r, url, options);
    assert_int_equal(ws_io_add(r->conn, callback, r), WS_OK);
    wait_for(listener, WS_POLL_READ);
    r->peer = ws_tcp_accept(listener);
    assert_true(r->peer >= 0);
    answer(r);
    ws_tcp_close(listener);
}

static void end_rig(rig* r) {
    wsConnFree(r->conn);
    if (r->peer >= 0) ws_tcp_close(r->peer);
}

/* Wait for the state in the way of a caller that needs no events. */
static void await_state(const rig* r, wsState state) {
    int64_t end = wsNow() + DEADLINE;
    while (wsConnState(r->conn) != state) {
        assert_int_equal(ws_inline_turn(r->conn, end, INT64_MAX, false), WS_OK);
    }
}

/* Ask for the next message in the way of a caller that waits. */
static void expect_message(const rig* r, const char* text) {
    wsEvent event = {.type = WS_EVENT_NONE};
    int64_t end = wsNow() + DEADLINE;
    for (;;) {
        if (ws_conn_take(r->conn)) {
            bool any = ws_conn_next(r->conn, &event, 1) && event.type != WS_EVENT_OPEN;
            if (any) assert_int_equal(event.length, strlen(text));
            if (any) assert_memory_equal(event.data, text, event.length);
            ws_conn_release(r->conn);
            if (any) return;
        }
        assert_int_equal(ws_inline_turn(r->conn, end, INT64_MAX, true), WS_OK);
    }
}

/* ---- the tests ---- */

TEST(many_connections_share_one_thread_that_ends_with_the_last) {
    static rig rigs[MANY];
    ws_io_stop();
    size_t files = open_files();
    for (size_t i = 0; i < MANY; i++) {
        open_rig(&rigs[i], (wsOptions){0}, i % 2 ? on_events : NULL);
    }
    await_threads(1);
    for (size_t i = 0; i < MANY; i++) {
        say_numbers(&rigs[i], 3);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2) {
            await(&rigs[i], 3);
            assert_true(rigs[i].in_order);
        } else {
            expect_message(&rigs[i], "0");
            expect_message(&rigs[i], "1");
            expect_message(&rigs[i], "2");
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        end_rig(&rigs[i]);
    }
    await_threads(0);
    assert_int_equal(open_files(), files);
}

TEST(a_flood_arrives_in_order_and_starves_nobody) {
    rig flooded, other;
    open_rig(&flooded, (wsOptions){0}, on_events);
    open_rig(&other, (wsOptions){0}, on_events);
    say_numbers(&flooded, 100000);
    say_numbers(&other, 1);
    await(&other, 1);
    await(&flooded, 100000);
    assert_true(flooded.in_order);
    end_rig(&flooded);
    end_rig(&other);
}

TEST(pings_are_answered_while_nobody_asks) {
    rig r;
    char payload[126];
    open_rig(&r, (wsOptions){0}, NULL);
    say_numbers(&r, 1000);
    say_frame(&r, FIN | WS_OPCODE_PING, "there?");
    assert_int_equal(hear_frame(&r, payload), FIN | WS_OPCODE_PONG);
    assert_string_equal(payload, "there?");
    expect_message(&r, "0");
    end_rig(&r);
}

TEST(a_full_queue_stops_reading_until_there_is_room) {
    enum { SIZE = 100000, LIMIT = 4 * SIZE, COUNT = 200 };
    rig r;
    open_rig(&r, (wsOptions){.maxBuffer = LIMIT, .maxSize = SIZE}, NULL);
    char* text = malloc(SIZE + 1);
    memset(text, 'x', SIZE);
    text[SIZE] = 0;
    ws_buf out = {0};
    add_text(&out, CLIENT, FIN | WS_OPCODE_TEXT, text);
    size_t said = 0, all = COUNT * ws_buf_len(&out);
    ssize_t n = 0;
    while (said < all && n >= 0) { /* until the network takes no more */
        size_t at = said % ws_buf_len(&out);
        ws_poll_item item = {.fd = r.peer, .events = WS_POLL_WRITE};
        if (ws_poll_few(&item, 1, 300) == 0) break;
        n = send((int)r.peer, ws_buf_head(&out) + at, ws_buf_len(&out) - at, MSG_NOSIGNAL);
        if (n > 0) said += (size_t)n;
    }
    assert_true(said < all);
    size_t whole = said / ws_buf_len(&out), rest = ws_buf_len(&out) - said % ws_buf_len(&out);
    for (size_t i = 0; i < whole; i++) {
        expect_message(&r, text);
    }
    say(&r, ws_buf_head(&out) + ws_buf_len(&out) - rest, rest);
    expect_message(&r, text);
    ws_buf_free(&out);
    free(text);
    end_rig(&r);
}

TEST(the_thread_writes_what_the_socket_did_not_take) {
    enum { SIZE = 8 << 20 };
    rig r;
    ws_ticket ticket;
    uint8_t head[14];
    open_rig(&r, (wsOptions){.writeLimit = SIZE}, NULL);
    await_state(&r, WS_STATE_OPEN);
    char* data = calloc(1, SIZE);
    assert_int_equal(ws_conn_send(r.conn, WS_BINARY, data, SIZE, &ticket), WS_OK);
    assert_int_equal(ws_conn_written(r.conn, &ticket), 0);
    hear(&r, head, sizeof head);
    hear(&r, data, SIZE);
    int64_t end = wsNow() + DEADLINE;
    while (ws_conn_written(r.conn, &ticket) == 0) {
        assert_int_equal(ws_inline_turn(r.conn, end, INT64_MAX, false), WS_OK);
    }
    free(data);
    end_rig(&r);
}

TEST(closing_and_breaking_off_work_from_any_thread) {
    rig closing, aborted;
    char payload[126];
    open_rig(&closing, (wsOptions){0}, on_events);
    open_rig(&aborted, (wsOptions){0}, on_events);
    await_state(&closing, WS_STATE_OPEN);
    await_state(&aborted, WS_STATE_OPEN);
    wsConnAbort(aborted.conn);
    await(&aborted, 1);
    assert_true(aborted.closed);
    assert_int_equal(aborted.error, WS_ERR_CLOSED);
    assert_int_equal(wsConnClose(closing.conn, 1000, "done"), WS_OK);
    assert_int_equal(hear_frame(&closing, payload), FIN | WS_OPCODE_CLOSE);
    static const uint8_t bye[] = {FIN | WS_OPCODE_CLOSE, 2, 0x03, 0xe8};
    say(&closing, bye, sizeof bye);
    ws_tcp_close(closing.peer);
    closing.peer = -1;
    await(&closing, 1);
    assert_true(closing.closed);
    assert_int_equal(closing.error, WS_OK);
    end_rig(&closing);
    end_rig(&aborted);
}

TEST(deadlines_are_kept) {
    rig r, idle;
    open_rig(&idle, (wsOptions){0}, on_events);
    open_rig(&r, (wsOptions){0}, on_events);
    await_state(&r, WS_STATE_OPEN);
    assert_int_equal(ws_conn_close(r.conn, 1000, NULL, 0, 50), WS_OK);
    await(&r, 1);
    assert_int_equal(r.error, WS_ERR_CLOSE_TIMEOUT);
    end_rig(&r);
    end_rig(&idle);
}

TEST(what_cannot_be_opened_says_so) {
    rig r;
    uint16_t port = 0;
    char url[64];
    ws_tcp_close(ws_tcp_listen(NULL, &port));
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", port);
    make(&r, url, (wsOptions){0});
    assert_int_equal(ws_io_add(r.conn, on_events, &r), WS_OK);
    await(&r, 1);
    assert_int_equal(r.error, WS_ERR_CONNECT);
    end_rig(&r);
}

TEST(the_thread_ends_when_all_connections_are_closed) {
    rig r;
    open_rig(&r, (wsOptions){0}, on_events);
    await_state(&r, WS_STATE_OPEN);
    wsConnAbort(r.conn);
    await_threads(0);
    await(&r, 1);
    assert_true(r.closed);
    assert_int_equal(ws_io_add(r.conn, on_events, &r), WS_OK); /* it can be had again */
    end_rig(&r);
    await_threads(0);
}

static _Atomic long thread_of_callback;

static void note_thread(void* arg) {
    atomic_store(&thread_of_callback, syscall(SYS_gettid));
    on_events(arg);
}

TEST(connections_that_follow_one_another_share_a_thread) {
    enum { ROUNDS = 20 };
    long before = 0;
    size_t threads = 0;
    for (int i = 0; i < ROUNDS; i++) {
        rig r;
        open_rig(&r, (wsOptions){0}, note_thread);
        say_numbers(&r, 1);
        await(&r, 1);
        threads += atomic_load(&thread_of_callback) != before;
        before = atomic_load(&thread_of_callback);
        end_rig(&r);
    }
    assert_in_range(threads, 1, ROUNDS / 2); /* more than one where this process did not run for a while */
    await_threads(0);
}

TEST(a_connection_taken_back_is_driven_by_its_callers) {
    rig r;
    open_rig(&r, (wsOptions){0}, on_events);
    await_state(&r, WS_STATE_OPEN);
    ws_io_remove(r.conn);
    ws_io_remove(r.conn);
    size_t calls = r.calls;
    say_numbers(&r, 1);
    expect_message(&r, "0");
    assert_int_equal(r.calls, calls);
    assert_int_equal(ws_io_add(r.conn, on_events, &r), WS_OK);
    assert_int_equal(ws_io_add(r.conn, on_events, &r), WS_ERR_STATE);
    say_numbers(&r, 2);
    await(&r, 2);
    end_rig(&r);
}

TEST(stopping_gives_all_back) {
    static rig rigs[MANY];
    ws_io_stop();
    size_t files = open_files();
    for (size_t i = 0; i < MANY; i++) {
        open_rig(&rigs[i], (wsOptions){0}, on_events);
        await_state(&rigs[i], WS_STATE_OPEN);
    }
    ws_io_stop();
    await_threads(0);
    for (size_t i = 0; i < MANY; i++) {
        say_numbers(&rigs[i], 1);
        expect_message(&rigs[i], "0");
        end_rig(&rigs[i]);
    }
    ws_io_stop();
    assert_int_equal(open_files(), files);
}

static void free_inside(void* arg) {
    rig* r = arg;
    pthread_mutex_lock(&r->mutex);
    wsConnFree(r->conn);
    r->closed = true;
    pthread_cond_broadcast(&r->heard);
    pthread_mutex_unlock(&r->mutex);
}

TEST(a_connection_may_be_freed_in_its_own_callback) {
    rig r, other;
    open_rig(&r, (wsOptions){0}, free_inside);
    await(&r, 1);
    ws_tcp_close(r.peer);
    open_rig(&other, (wsOptions){0}, on_events);
    say_numbers(&other, 1);
    await(&other, 1);
    end_rig(&other);
    await_threads(0);
}

/* ---- everything at once ---- */

typedef struct storm {
    rig* rigs;
    size_t count;
    int64_t end;
} storm;

static void* add_and_remove(void* arg) {
    storm* s = arg;
    for (size_t round = 0; wsNow() < s->end; round++) {
        rig* r = &s->rigs[round % s->count];
        if (ws_io_add(r->conn, on_events, r) == WS_ERR_STATE) ws_io_remove(r->conn);
        wsConnPing(r->conn, NULL, 0);
    }
    return NULL;
}

static void* stop_again_and_again(void* arg) {
    storm* s = arg;
    while (wsNow() < s->end) {
        ws_io_stop();
        sched_yield();
    }
    return NULL;
}

TEST(threads_may_add_remove_and_stop_at_once) {
    enum { RIGS = 8, THREADS = 3 };
    static rig rigs[RIGS];
    pthread_t threads[THREADS + 1];
    ws_io_stop();
    size_t files = open_files();
    for (size_t i = 0; i < RIGS; i++) {
        open_rig(&rigs[i], (wsOptions){0}, on_events);
        await_state(&rigs[i], WS_STATE_OPEN);
        say_numbers(&rigs[i], 1000);
    }
    storm s = {rigs, RIGS, wsNow() + 500};
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, &s), 0);
    }
    assert_int_equal(pthread_create(&threads[THREADS], NULL, stop_again_and_again, &s), 0);
    for (size_t i = 0; i <= THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < RIGS; i++) {
        ws_io_remove(rigs[i].conn);
        assert_int_equal(ws_io_add(rigs[i].conn, on_events, &rigs[i]), WS_OK);
        await(&rigs[i], 1000);
        assert_true(rigs[i].in_order);
        end_rig(&rigs[i]);
    }
    ws_io_stop(); /* it may have no name yet */
    await_threads(0);
    assert_int_equal(open_files(), files);
}

/* ---- fork ---- */

TEST(a_thread_without_connections_ends_before_a_fork) {
    rig r;
    ws_io_stop();
    size_t files = open_files();
    open_rig(&r, (wsOptions){0}, on_events);
    await_state(&r, WS_STATE_OPEN);
    end_rig(&r);
    pid_t child = fork();
    if (child == 0) _exit(0);
    assert_int_equal(open_files(), files); /* its own are closed */
    assert_int_equal(waitpid(child, NULL, 0), child);
}

TEST(a_child_of_fork_has_no_thread_and_its_parent_keeps_it) {
    rig r;
    open_rig(&r, (wsOptions){0}, on_events);
    await_state(&r, WS_STATE_OPEN);
    for (int i = 0; i < 20; i++) {
        say_numbers(&r, 1000);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            ws_io_stop();
            _exit(io_threads() == 0 && !atomic_load(&r.conn->driven) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    await(&r, 20000);
    end_rig(&r);
}

/* ---- the end of the process ---- */

static void end_of_openssl(void) {
    _exit(io_threads() == 0 ? 0 : 1);
}

static void exit_inside(void* unused) {
    (void)unused;
    exit(2);
}

/* The status of a child that runs `leave` with a connection that its own thread drives. */
static int exit_status_of(void (*leave)(void), void (*told)(void* arg)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig r;
        OPENSSL_atexit(end_of_openssl);
        open_rig(&r, (wsOptions){0}, told);
        leave();
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void exit_now(void) {
    exit(2);
}

static void wait_for_exit(void) {
    for (;;) {
        pause();
    }
}

TEST(the_thread_ends_before_openssl) {
    for (int i = 0; i < 20; i++) {
        assert_int_equal(exit_status_of(exit_now, on_events), 0);
    }
}

TEST(the_thread_itself_may_end_the_process) {
    assert_int_equal(WEXITSTATUS(exit_status_of(wait_for_exit, exit_inside)), 1);
}

int main(void) {
    ws_wake_of_thread(); /* a descriptor that stays */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_connections_share_one_thread_that_ends_with_the_last),
        cmocka_unit_test(a_flood_arrives_in_order_and_starves_nobody),
        cmocka_unit_test(pings_are_answered_while_nobody_asks),
        cmocka_unit_test(a_full_queue_stops_reading_until_there_is_room),
        cmocka_unit_test(the_thread_writes_what_the_socket_did_not_take),
        cmocka_unit_test(closing_and_breaking_off_work_from_any_thread),
        cmocka_unit_test(deadlines_are_kept),
        cmocka_unit_test(what_cannot_be_opened_says_so),
        cmocka_unit_test(the_thread_ends_when_all_connections_are_closed),
        cmocka_unit_test(connections_that_follow_one_another_share_a_thread),
        cmocka_unit_test(a_connection_taken_back_is_driven_by_its_callers),
        cmocka_unit_test(stopping_gives_all_back),
        cmocka_unit_test(a_connection_may_be_freed_in_its_own_callback),
        cmocka_unit_test(threads_may_add_remove_and_stop_at_once),
        cmocka_unit_test(a_thread_without_connections_ends_before_a_fork),
        cmocka_unit_test(a_child_of_fork_has_no_thread_and_its_parent_keeps_it),
        cmocka_unit_test(the_thread_ends_before_openssl),
        cmocka_unit_test(the_thread_itself_may_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
