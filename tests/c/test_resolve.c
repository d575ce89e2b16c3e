/* Names and literals to addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/poll.h"
#include "net/resolve.h"

enum { DEADLINE = 20000, MANY = 20 };

/* One byte more than a label may have: fails without asking any name server, as "-..-" does. */
#define LONG_LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Wait for the result of a job and give the job back. */
static int32_t finish(ws_resolve* job, ws_address** addresses, size_t* count, ws_error* error) {
    ws_poll_item item = {.fd = ws_resolve_fd(job), .events = WS_POLL_READ};
    if (item.fd >= 0) assert_int_equal(ws_poll_few(&item, 1, DEADLINE), 1);
    int32_t rc = ws_resolve_result(job, addresses, count, error);
    ws_resolve_drop(job);
    return rc;
}

/* The first address of the host, as text. */
static void assert_resolves(const char* host, const char* want) {
    ws_resolve* job;
    ws_address* addresses = NULL;
    size_t count = 0;
    ws_error error = {0};
    char text[128];
    assert_int_equal(ws_resolve_start(&job, host, 80, &error), 0);
    assert_int_equal(finish(job, &addresses, &count, &error), 1);
    assert_true(count > 0);
    assert_string_equal(ws_address_text(&addresses[0], text, sizeof text), want);
    free(addresses);
}

static void assert_fails(const char* host) {
    ws_resolve* job;
    ws_address* addresses = NULL;
    size_t count = 0;
    ws_error error = {0};
    assert_int_equal(ws_resolve_start(&job, host, 80, &error), 0);
    assert_int_equal(finish(job, &addresses, &count, &error), WS_ERR_RESOLVE);
    assert_int_equal(error.code, WS_ERR_RESOLVE);
    assert_non_null(strstr(ws_error_text(&error), host));
    assert_null(addresses);
    ws_error_clear(&error);
}

static void test_literals_are_there_at_once(void** state) {
    (void)state;
    ws_resolve* job;
    ws_error error = {0};
    assert_int_equal(ws_resolve_start(&job, "127.0.0.1", 80, &error), 0);
    assert_int_equal(ws_resolve_fd(job), -1);
    ws_resolve_drop(job);
    assert_resolves("127.0.0.1", "127.0.0.1 port 80");
    assert_resolves("::1", "[::1] port 80");
    assert_resolves("fe80::1%lo", "[fe80::1%lo] port 80");
}

static void test_a_name_comes_from_a_thread(void** state) {
    (void)state;
    ws_resolve* job;
    ws_address* addresses;
    size_t count;
    ws_error error = {0};
    assert_int_equal(ws_resolve_start(&job, "localhost", 65535, &error), 0);
    assert_true(ws_resolve_fd(job) >= 0);
    assert_int_equal(finish(job, &addresses, &count, &error), 1);
    char text[128];
    ws_address_text(&addresses[0], text, sizeof text);
    assert_true(strcmp(text, "127.0.0.1 port 65535") == 0 || strcmp(text, "[::1] port 65535") == 0);
    free(addresses);
}

static void test_what_is_no_host_fails_with_its_name(void** state) {
    (void)state;
    assert_fails("-..-");
    assert_fails(LONG_LABEL ".example");
    assert_fails("fe80::1%no-such-interface");
}

static void test_more_names_than_threads(void** state) {
    (void)state;
    ws_resolve* jobs[MANY];
    ws_error error = {0};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ws_resolve_start(&jobs[i], "localhost", 1, &error), 0);
    for (int i = 0; i < MANY; i += 2)
        ws_resolve_drop(jobs[i]); /* nobody waits for half of them */
    for (int i = 1; i < MANY; i += 2) {
        ws_address* addresses;
        size_t count;
        assert_int_equal(finish(jobs[i], &addresses, &count, &error), 1);
        free(addresses);
    }
    ws_resolve_drop(NULL);
}

/* Not while another thread is inside the C library's resolver: its locks are then lost to the child. */
static void test_a_child_of_fork_can_resolve(void** state) {
    (void)state;
    assert_fails("-..-");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        assert_fails("-..-");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_are_there_at_once),          cmocka_unit_test(test_a_name_comes_from_a_thread),
        cmocka_unit_test(test_what_is_no_host_fails_with_its_name), cmocka_unit_test(test_more_names_than_threads),
        cmocka_unit_test(test_a_child_of_fork_can_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
