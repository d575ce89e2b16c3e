/* The clock, random bytes, errno texts, wake-ups, threads: what the system gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/poll.h"
#include "net/sys.h"
#include "net/thread.h"
#include "net/wake.h"

enum { DEADLINE = 5000 };

static uint32_t ready(intptr_t fd, int64_t timeout) {
    ws_poll_item item = {.fd = fd, .events = WS_POLL_READ};
    assert_true(ws_poll_few(&item, 1, timeout) >= 0);
    return item.ready;
}

static void test_the_clocks_go_forward(void** state) {
    (void)state;
    int64_t start = ws_sys_now();
    double wall = ws_sys_wall();
    int unreadable[2];
    assert_int_equal(pipe(unreadable), 0);
    assert_int_equal(ready(unreadable[0], 20), 0);
    assert_true(ws_sys_now() - start >= 19);
    assert_true(ws_sys_wall() - wall >= 0.019 && wall > 1.7e9);
    close(unreadable[0]);
    close(unreadable[1]);
}

/* Every bit takes both values, and no two draws are alike. */
static void test_random_bytes_differ(void** state) {
    (void)state;
    uint64_t ones = 0, zeros = 0, before = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value;
        assert_true(ws_sys_random((uint8_t*)&value, sizeof value));
        assert_true(value != before);
        before = value;
        ones |= value;
        zeros |= ~value;
    }
    assert_true(ones == UINT64_MAX && zeros == UINT64_MAX);
}

static void test_random_bytes_of_any_number(void** state) {
    (void)state;
    for (size_t n = 0; n < 2000; n += 37) {
        uint8_t bytes[2000] = {0};
        assert_true(ws_sys_random(bytes, n));
        size_t zeros = 0;
        for (size_t i = 0; i < n; i++)
            zeros += bytes[i] == 0;
        assert_true(n < 100 || zeros < n / 10);
        for (size_t i = n; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0);
    }
}

/* What a child of fork draws, read through a pipe. */
static void draw_in_child(uint8_t* out, size_t n) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint8_t bytes[64];
        bool fine = ws_sys_random(bytes, n) && write(ends[1], bytes, n) == (ssize_t)n;
        _exit(fine ? 0 : 1);
    }
    int status;
    assert_int_equal(read(ends[0], out, n), n);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void test_a_child_of_fork_draws_other_bytes(void** state) {
    (void)state;
    uint8_t first[16], mine[16], childs[16];
    assert_true(ws_sys_random(first, sizeof first)); /* the block is begun */
    uint32_t forks = ws_sys_forks();
    draw_in_child(childs, sizeof childs);
    assert_true(ws_sys_random(mine, sizeof mine));
    assert_memory_not_equal(mine, childs, sizeof mine);
    assert_int_equal(ws_sys_forks(), forks);
}

static void test_errno_in_words(void** state) {
    (void)state;
    char buf[64], tiny[5];
    assert_ptr_equal(ws_sys_error_text(ECONNREFUSED, buf, sizeof buf), buf);
    assert_string_equal(buf, "Connection refused");
    assert_int_equal(strlen(ws_sys_error_text(ECONNREFUSED, tiny, sizeof tiny)), 4);
    assert_true(strlen(ws_sys_error_text(99999, buf, sizeof buf)) > 0);
}

static void test_a_wake_is_readable_until_cleared(void** state) {
    (void)state;
    intptr_t wake = ws_wake_new();
    assert_true(wake >= 0);
    assert_int_equal(ready(wake, 0), 0);
    ws_wake_clear(wake); /* does not wait */
    errno = 77;
    ws_wake_signal(wake);
    ws_wake_signal(wake);
    assert_int_equal(errno, 77);
    assert_int_equal(ready(wake, DEADLINE), WS_POLL_READ);
    ws_wake_clear(wake);
    assert_int_equal(ready(wake, 0), 0);
    ws_wake_close(wake);
}

/* What a thread reports of itself. */
typedef struct report {
    uintptr_t id;
    intptr_t wake;
    bool blocked; /* is SIGINT? */
    intptr_t done;
} report;

static void* report_self(void* arg) {
    report* mine = arg;
    sigset_t signals;
    pthread_sigmask(SIG_SETMASK, NULL, &signals);
    mine->blocked = sigismember(&signals, SIGINT) && sigismember(&signals, SIGTERM);
    mine->id = ws_thread_id();
    mine->wake = ws_wake_of_thread();
    ws_wake_signal(mine->done);
    return NULL;
}

static void test_a_detached_thread_has_an_identity_and_no_signals(void** state) {
    (void)state;
    report other = {.done = ws_wake_new()};
    intptr_t ours = ws_wake_of_thread(); /* asked for now: the other's number is free again once it has ended */
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(ws_thread_start_detached(report_self, &other), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
    assert_int_equal(ready(other.done, DEADLINE), WS_POLL_READ);
    ws_wake_clear(other.done); /* the read orders what the other has written before ours: poll does not */
    assert_true(other.blocked);
    assert_true(other.id != 0 && other.id != ws_thread_id());
    assert_true(ws_thread_id() == ws_thread_id());
    assert_true(other.wake >= 0 && other.wake != ours);
    ws_wake_close(other.done);
}

/* In the child the thread never begins; valgrind looks for what it would have freed. */
static void test_a_fork_beside_a_beginning_thread_loses_no_memory(void** state) {
    (void)state;
    report other = {.done = ws_wake_new()};
    assert_int_equal(ws_thread_start_detached(report_self, &other), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ready(other.done, DEADLINE), WS_POLL_READ);
    ws_wake_clear(other.done);
    ws_wake_close(other.done);
}

static void* own_wake(void* fd) {
    *(intptr_t*)fd = ws_wake_of_thread();
    return fcntl((int)*(intptr_t*)fd, F_GETFD) >= 0 ? fd : NULL;
}

static void test_the_wake_of_a_thread_ends_with_it(void** state) {
    (void)state;
    pthread_t thread;
    intptr_t fd = -1;
    void* was_open;
    assert_int_equal(pthread_create(&thread, NULL, own_wake, &fd), 0);
    assert_int_equal(pthread_join(thread, &was_open), 0);
    assert_non_null(was_open);
    assert_int_equal(fcntl((int)fd, F_GETFD), -1);
    assert_true(ws_wake_of_thread() == ws_wake_of_thread());
}

static void test_a_child_of_fork_has_a_wake_of_its_own(void** state) {
    (void)state;
    intptr_t mine = ws_wake_of_thread();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ws_wake_signal(ws_wake_of_thread());
        _exit(ready(ws_wake_of_thread(), 0) == WS_POLL_READ ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ready(mine, 0), 0); /* the child's signal did not come here */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clocks_go_forward),
        cmocka_unit_test(test_random_bytes_differ),
        cmocka_unit_test(test_random_bytes_of_any_number),
        cmocka_unit_test(test_a_child_of_fork_draws_other_bytes),
        cmocka_unit_test(test_errno_in_words),
        cmocka_unit_test(test_a_wake_is_readable_until_cleared),
        cmocka_unit_test(test_a_detached_thread_has_an_identity_and_no_signals),
        cmocka_unit_test(test_a_fork_beside_a_beginning_thread_loses_no_memory),
        cmocka_unit_test(test_the_wake_of_a_thread_ends_with_it),
        cmocka_unit_test(test_a_child_of_fork_has_a_wake_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
