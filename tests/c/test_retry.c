/* client/retry: what is worth another attempt, and when. docs/reconnecting.md has the table. */
#include "client/retry.h"

#include <errno.h>

#include "support.h"

static bool of_code(int32_t code, int os_error, int status) {
    ws_error error = {.code = code, .os_error = os_error, .http_status = status};
    return ws_retry_worthwhile(&error, 0);
}

TEST(close_codes) {
    static const uint16_t lasting[] = {1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003};
    ws_error none = {0};
    size_t found = 0;
    for (uint32_t code = 1000; code < 5000; code++) {
        bool listed = found < sizeof lasting / sizeof *lasting && lasting[found] == code;
        assert_int_equal(ws_retry_worthwhile(&none, (uint16_t)code), !listed);
        found += listed;
    }
    assert_int_equal(found, sizeof lasting / sizeof *lasting);
}

TEST(statuses) {
    static const int passing[] = {408, 421, 423, 425, 429, 500, 502, 503, 504, 507};
    size_t found = 0;
    for (int status = 100; status < 600; status++) {
        bool listed = found < sizeof passing / sizeof *passing && passing[found] == status;
        assert_int_equal(of_code(WS_ERR_STATUS, 0, status), listed || status >= 520);
        assert_int_equal(of_code(WS_ERR_PROXY_STATUS, 0, status), listed || status >= 520);
        found += listed;
    }
    assert_int_equal(found, sizeof passing / sizeof *passing);
}

TEST(errors_of_the_system) {
    static const int passing[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN,
                                  ECONNRESET,   EMFILE,    ENFILE,       ENOENT,      EADDRNOTAVAIL};
    static const int lasting[] = {EACCES, EPERM, EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, ENOTDIR, ENAMETOOLONG};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        assert_true(of_code(WS_ERR_CONNECT, passing[i], 0));
    }
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        assert_false(of_code(WS_ERR_CONNECT, lasting[i], 0));
        assert_false(of_code(WS_ERR_SYSTEM, lasting[i], 0));
    }
}

TEST(other_errors) {
    static const int32_t passing[] = {WS_ERR_RESOLVE,       WS_ERR_LOST,         WS_ERR_OPEN_TIMEOUT,
                                      WS_ERR_WRITE_TIMEOUT, WS_ERR_PING_TIMEOUT, WS_ERR_CLOSE_TIMEOUT,
                                      WS_ERR_ON_OPEN};
    static const int32_t lasting[] = {WS_ERR_MEMORY,    WS_ERR_ARGUMENT, WS_ERR_CERTIFICATE, WS_ERR_TLS,
                                      WS_ERR_PROXY,     WS_ERR_UPGRADE,  WS_ERR_ACCEPT,      WS_ERR_HTTP,
                                      WS_ERR_REDIRECT,  WS_ERR_PROTOCOL, WS_ERR_TOO_BIG,     WS_ERR_CLOSED,
                                      WS_ERR_EXTENSION, WS_ERR_UTF8,     WS_ERR_HEAD_TOO_BIG};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        assert_true(of_code(passing[i], 0, 0));
    }
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        assert_false(of_code(lasting[i], 0, 0));
    }
    assert_true(of_code(WS_ERR_TLS, ECONNRESET, 0));
    assert_true(of_code(WS_ERR_PROXY, ECONNRESET, 0));
}

static const ws_retry_terms terms = {.initial = 100, .cap = 1000, .max_time = INT64_MAX, .steady = 5000};

/* The longest pause is what the largest remainder gives. */
static int64_t longest(ws_retry* retry, int64_t bound) {
    return ws_retry_failed(retry, &terms, 10, 0, -1, (uint64_t)bound);
}

TEST(the_pause_doubles_up_to_the_cap) {
    static const int64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    ws_retry retry = {0}, same = {0};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_int_equal(longest(&retry, bounds[i]), bounds[i]);
        assert_int_equal(longest(&same, bounds[i] + 1), 0); /* the jitter is full: from nothing on */
    }
    for (int i = 0; i < 1000; i++) {
        assert_true(ws_retry_failed(&retry, &terms, 10, 0, -1, UINT64_MAX) <= 1000);
    }
}

TEST(the_server_may_ask_for_more) {
    ws_retry retry = {0};
    assert_int_equal(ws_retry_failed(&retry, &terms, 10, 0, 7000, 50), 7000);
    assert_int_equal(ws_retry_failed(&retry, &terms, 10, 0, 10, 150), 150);
}

TEST(attempts_are_limited) {
    ws_retry retry = {0};
    ws_retry_terms limited = terms;
    limited.max_attempts = 2;
    assert_int_equal(ws_retry_failed(&retry, &limited, 10, 0, -1, 0), 0);
    assert_int_equal(ws_retry_failed(&retry, &limited, 10, 0, -1, 0), -1);
}

TEST(time_is_limited) {
    ws_retry retry = {0};
    ws_retry_terms limited = terms;
    limited.max_time = 1000;
    assert_int_equal(ws_retry_failed(&retry, &limited, 5000, 0, -1, 0), 0);
    assert_int_equal(ws_retry_failed(&retry, &limited, 6000, 0, -1, 0), 0);
    assert_int_equal(ws_retry_failed(&retry, &limited, 6000, 0, 1, 0), -1);
    assert_int_equal(ws_retry_failed(&retry, &limited, 6001, 0, -1, 0), -1);
}

TEST(only_a_steady_connection_counts) {
    ws_retry retry = {0};
    longest(&retry, 0);
    longest(&retry, 0);
    ws_retry_failed(&retry, &terms, 9999, 5000, -1, 0);
    assert_int_equal(retry.failed, 3);
    ws_retry_failed(&retry, &terms, 10000, 5000, -1, 0);
    assert_int_equal(retry.failed, 1);
    assert_int_equal(retry.since, 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_codes),
        cmocka_unit_test(statuses),
        cmocka_unit_test(errors_of_the_system),
        cmocka_unit_test(other_errors),
        cmocka_unit_test(the_pause_doubles_up_to_the_cap),
        cmocka_unit_test(the_server_may_ask_for_more),
        cmocka_unit_test(attempts_are_limited),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(only_a_steady_connection_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
