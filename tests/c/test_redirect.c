/* core/redirect: which answers lead elsewhere, and where they must not. */
#include "core/redirect.h"

#include <stdio.h>

#include "support.h"

/* What an answer with this status and these lines makes of the request for `from`. */
static int32_t follow(const char* from_text, const char* status, const char* lines, ws_url* to, ws_error* error) {
    static ws_http_head head;
    ws_url from;
    ws_buf text = {0};
    assert_int_equal(ws_url_parse(&from, from_text, error), WS_OK);
    put_text(&text, "HTTP/1.1 ");
    put_text(&text, status);
    put_text(&text, " X\r\n");
    put_text(&text, lines);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    int32_t rc = ws_redirect_target(&head, &from, to, error);
    assert_int_equal(ws_redirect_is(&head), rc != 0);
    ws_buf_free(&text);
    ws_url_free(&from);
    return rc;
}

TEST(five_statuses_redirect) {
    for (int status = 200; status < 400; status++) {
        char text[8];
        ws_url to;
        ws_error error = {0};
        bool redirects = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        snprintf(text, sizeof text, "%d", status);
        int32_t rc = follow("ws://h/a", text, "Location: /b\r\n", &to, &error);
        if (rc != redirects) fail_msg("%d: %d", status, (int)rc);
        if (redirects) assert_string_equal(to.target, "/b");
        if (!redirects) assert_null(to.host);
        ws_url_free(&to);
    }
}

TEST(without_a_location_it_is_no_redirect) {
    ws_url to;
    ws_error error = {0};
    assert_int_equal(follow("ws://h/a", "302", "Locations: /b\r\n", &to, &error), 0);
    assert_int_equal(error.code, WS_OK);
    ws_url_free(&to);
}

typedef struct bad {
    const char *from, *lines, *why;
} bad;

static const bad bads[] = {
    {"ws://h", "Location: /a\r\nLocation: /b\r\n", "2 headers Location"},
    {"ws://h", "Location: /a\r\nlocation: /a\r\nLOCATION: /a\r\n", "3 headers Location"},
    {"ws://h", "Location: ftp://h/\r\n", "no ws, wss, http or https"},
    {"ws://h", "Location: //\r\n", "host"},
    {"ws://h", "Location: a b\r\n", "spaces"},
    {"wss://u:SECRET@h/a?t=SECRET", "Location: ws://u:SECRET@h:444/b?t=SECRET\r\n",
     "from wss://h:443/a to ws://h:444/b would leave TLS"},
    {"wss://[::1]:1/", "Location: http://[::2]/\r\n", "from wss://[::1]:1/ to ws://[::2]:80/ would leave TLS"},
};

TEST(a_redirect_that_is_not_followed_says_why) {
    for (size_t i = 0; i < COUNT(bads); i++) {
        ws_url to;
        ws_error error = {0};
        int32_t rc = follow(bads[i].from, "301", bads[i].lines, &to, &error);
        const char* said = ws_error_text(&error);
        if (rc != WS_ERR_REDIRECT || error.code != rc) fail_msg("%s: %d", bads[i].lines, (int)rc);
        if (!strstr(said, bads[i].why) || strstr(said, "SECRET")) fail_msg("%s: %s", bads[i].lines, said);
        ws_url_free(&to);
        ws_error_clear(&error);
    }
}

TEST(into_tls_and_within_it_a_redirect_is_followed) {
    static const char* const froms[] = {"ws://h", "wss://h"};
    for (size_t i = 0; i < COUNT(froms); i++) {
        ws_url to;
        ws_error error = {0};
        assert_int_equal(follow(froms[i], "308", "Location: https://other/x\r\n", &to, &error), 1);
        assert_true(to.secure);
        assert_string_equal(to.host, "other");
        ws_url_free(&to);
    }
}

TEST(a_long_url_is_cut_in_the_text) {
    ws_url to;
    ws_error error = {0};
    ws_buf from = {0};
    put_text(&from, "wss://h/");
    for (int i = 0; i < 2000; i++) {
        put_text(&from, "a");
    }
    put(&from, "", 1);
    assert_int_equal(follow((const char*)from.data, "301", "Location: ws://h/\r\n", &to, &error), WS_ERR_REDIRECT);
    assert_true(strlen(ws_error_text(&error)) < 500);
    ws_buf_free(&from);
    ws_url_free(&to);
    ws_error_clear(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_statuses_redirect),
        cmocka_unit_test(without_a_location_it_is_no_redirect),
        cmocka_unit_test(a_redirect_that_is_not_followed_says_why),
        cmocka_unit_test(into_tls_and_within_it_a_redirect_is_followed),
        cmocka_unit_test(a_long_url_is_cut_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
