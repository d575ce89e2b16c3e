/* core/retry_after: seconds and dates, and all that is neither. */
#include "core/retry_after.h"

#include <time.h>

#include "support.h"

static bool parse(const char* lines, int64_t now, int64_t* seconds) {
    static ws_http_head head;
    ws_buf text = {0};
    put_text(&text, "HTTP/1.1 503 X\r\n");
    put_text(&text, lines);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    bool there = ws_http_retry_after(&head, now, seconds);
    ws_buf_free(&text);
    return there;
}

static bool parse_value(const char* value, int64_t now, int64_t* seconds) {
    ws_buf line = {0};
    put_text(&line, "Retry-After: ");
    put_text(&line, value);
    put(&line, "\r\n", 3);
    bool there = parse((const char*)line.data, now, seconds);
    ws_buf_free(&line);
    return there;
}

typedef struct good {
    const char* value;
    int64_t now, seconds;
} good;

static const good goods[] = {
    {"0", 0, 0},
    {"120", 5, 120},
    {"007", 0, 7},
    {"31536000", 0, 31536000},
    {"31536001", 0, 31536000},
    {"99999999999999999999999999", 0, 31536000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777, 0},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111776, 1},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111778, 0},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111000, 777},
    {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_MAX, 0},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
    {"Thu, 01 Jan 1970 00:00:01 GMT", 0, 1},
    {"Wed, 31 Dec 1969 23:59:59 GMT", 0, 0},
    {"Sat, 01 Jan 0000 00:00:00 GMT", 0, 0},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 0, 31536000},
    {"Fri, 31 Dec 9999 23:59:60 GMT", 253402300799, 1},
    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164799, 1},
    {"Tue, 29 Feb 2000 00:00:00 GMT", 951782399, 1},
};

TEST(seconds_and_dates) {
    for (size_t i = 0; i < COUNT(goods); i++) {
        int64_t seconds = -1;
        if (!parse_value(goods[i].value, goods[i].now, &seconds)) fail_msg("%s", goods[i].value);
        if (seconds != goods[i].seconds) fail_msg("%s: %lld", goods[i].value, (long long)seconds);
    }
}

static const char* const bads[] = {
    "",
    "-1",
    "+1",
    "1.5",
    "1 2",
    "0x10",
    "soon",
    "1;x",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 GMT+1",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun 06 Nov 1994 08:49:37  GMT",
    "Xxx, 06 Nov 1994 08:49:37 GMT",
    "unM, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nox 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, 32 Dec 1994 08:49:37 GMT",
    "Sun, 29 Feb 2023 08:49:37 GMT",
    "Sun, 29 Feb 1900 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06 Nov 199x 08:49:37 GMT",
    "Sun, 06 Nov 1994 -8:49:37 GMT",
    "Sun, 06 Nov 1994 08:-9:37 GMT",
    "Sun, 06 Nov 1994 08:49:-7 GMT",
    "Sun, 06 Nov 1994 08-49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT", /* the two obsolete formats */
    "Sun Nov  6 08:49:37 1994",
};

TEST(what_is_neither_says_nothing) {
    for (size_t i = 0; i < COUNT(bads); i++) {
        int64_t seconds;
        if (parse_value(bads[i], 0, &seconds)) fail_msg("%s", bads[i]);
    }
}

TEST(there_is_one_header_of_that_name) {
    int64_t seconds;
    assert_false(parse("X: 1\r\n", 0, &seconds));
    assert_false(parse("Retry-After: 1\r\nRetry-After: 1\r\n", 0, &seconds));
    assert_true(parse("X: 2\r\nretry-AFTER: 1\r\n", 0, &seconds));
    assert_int_equal(seconds, 1);
}

/* Every day from 1970 to 2400, as the C library writes it. */
TEST(dates_are_those_of_the_calendar) {
    for (time_t at = 86399; at < (time_t)430 * 366 * 86400; at += 86400) {
        char text[40];
        int64_t seconds;
        struct tm parts;
        assert_non_null(gmtime_r(&at, &parts));
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        if (!parse_value(text, at - 5, &seconds) || seconds != 5) fail_msg("%s", text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_and_dates),
        cmocka_unit_test(what_is_neither_says_nothing),
        cmocka_unit_test(there_is_one_header_of_that_name),
        cmocka_unit_test(dates_are_those_of_the_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
