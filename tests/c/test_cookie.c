/* core/cookie: which cookies are kept, and to which requests they go (RFC 6265 5.1 to 5.4). */
#include "core/cookie.h"

#include <stdio.h>
#include <stdlib.h>

#include "support.h"

static void parse(ws_url* url, const char* text) {
    ws_error error = {0};
    if (ws_url_parse(url, text, &error)) fail_msg("%s: %s", text, ws_error_text(&error));
}

/* Take an answer from there with these lines. */
static void take(ws_cookies* cookies, const char* from, const char* lines) {
    static ws_http_head head;
    ws_url url;
    ws_buf text = {0};
    parse(&url, from);
    put_text(&text, "HTTP/1.1 302 Found\r\n");
    put_text(&text, lines);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    assert_int_equal(ws_cookies_take(cookies, &url, &head), WS_OK);
    memset(text.data, '#', text.end); /* nothing points into the head any more */
    ws_buf_free(&text);
    ws_url_free(&url);
}

static void take_one(ws_cookies* cookies, const char* from, const char* value) {
    ws_buf line = {0};
    put_text(&line, "Set-Cookie: ");
    put_text(&line, value);
    put(&line, "\r\n", 3);
    take(cookies, from, (const char*)line.data);
    ws_buf_free(&line);
}

/* The Cookie header's value for there; free with free(). */
static char* sent(const ws_cookies* cookies, const char* to) {
    ws_url url;
    ws_buf out = {0};
    parse(&url, to);
    assert_int_equal(ws_cookies_write(cookies, &url, &out), WS_OK);
    put(&out, "", 1);
    ws_url_free(&url);
    return (char*)out.data;
}

static void assert_sent(const ws_cookies* cookies, const char* to, const char* expected) {
    char* value = sent(cookies, to);
    if (strcmp(value, expected) != 0) fail_msg("%s: %s", to, value);
    free(value);
}

typedef struct row {
    const char *from, *set_cookie, *to, *expected;
} row;

static const row rows[] = {
    /* what a cookie is (5.2) */
    {"ws://a.b", "n=v", "ws://a.b", "n=v"},
    {"ws://a.b", "  n =  v w  ; x", "ws://a.b", "n=v w"},
    {"ws://a.b", "n=\t v\t;", "ws://a.b", "n=v"},
    {"ws://a.b", "n=", "ws://a.b", "n="},
    {"ws://a.b", "n=a=b", "ws://a.b", "n=a=b"},
    {"ws://a.b", "n=\"v\"", "ws://a.b", "n=\"v\""},
    {"ws://a.b", "n=a,b", "ws://a.b", "n=a,b"},
    {"ws://a.b", "n", "ws://a.b", ""},
    {"ws://a.b", "", "ws://a.b", ""},
    {"ws://a.b", ";n=v", "ws://a.b", ""},
    {"ws://a.b", "n;x=v", "ws://a.b", ""},
    {"ws://a.b", "=v", "ws://a.b", ""},
    {"ws://a.b", " = v", "ws://a.b", ""},
    {"ws://a.b", "n=v; HttpOnly; SameSite=Strict; Expires=Thu, 01 Jan 1970 00:00:00 GMT;;=;", "ws://a.b", "n=v"},
    /* Max-Age (5.2.2) */
    {"ws://a.b", "n=v; Max-Age=1", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=0", "ws://a.b", ""},
    {"ws://a.b", "n=v; max-age = 000", "ws://a.b", ""},
    {"ws://a.b", "n=v; MAX-AGE=-1", "ws://a.b", ""},
    {"ws://a.b", "n=v; Max-Age=-99999999999999999999", "ws://a.b", ""},
    {"ws://a.b", "n=v; Max-Age=99999999999999999999", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=10", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=-", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=0x", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=+0", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=0; Max-Age=5", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Max-Age=5; Max-Age=0", "ws://a.b", ""},
    {"ws://a.b", "n=v; Max-Age=0; Max-Age=x", "ws://a.b", ""},
    /* without a Domain: that host alone (5.3, 6) */
    {"ws://a.b", "n=v", "ws://A.B", "n=v"},
    {"ws://a.b", "n=v", "ws://a.b:81", "n=v"},
    {"ws://a.b", "n=v", "ws://x.a.b", ""},
    {"ws://a.b", "n=v", "ws://b", ""},
    {"ws://a.b", "n=v; Domain=", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Domain=", "ws://x.a.b", ""},
    {"ws://a.b", "n=v; Domain", "ws://x.a.b", ""},
    /* with one (5.1.3, 5.2.3, 5.3) */
    {"ws://a.b", "n=v; Domain=a.b", "ws://a.b", "n=v"},
    {"ws://a.b", "n=v; Domain=a.b", "ws://x.y.a.b", "n=v"},
    {"ws://a.b", "n=v; Domain=.a.b", "ws://x.a.b", "n=v"},
    {"ws://a.b", "n=v; DOMAIN = A.b", "ws://X.a.B", "n=v"},
    {"ws://a.b", "n=v; Domain=a.b", "ws://xa.b", ""},
    {"ws://a.b", "n=v; Domain=a.b", "ws://b", ""},
    {"ws://a.b", "n=v; Domain=a.b", "ws://x.y.b", ""},
    {"ws://a.b", "n=v; Domain=a.b", "ws://localhost", ""},
    {"ws://a.b", "n=v; Domain=a.b", "ws://x.a.b.", ""},
    {"ws://x.a.b", "n=v; Domain=a.b", "ws://a.b", "n=v"},
    {"ws://x.a.b", "n=v; Domain=a.b", "ws://y.a.b", "n=v"},
    {"ws://a.b", "n=v; Domain=x.a.b", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=x.a.b", "ws://x.a.b", ""},
    {"ws://a.b", "n=v; Domain=c.d", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=c.d", "ws://c.d", ""},
    {"ws://xa.b", "n=v; Domain=a.b", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=..a.b", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=a.b.", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=.", "ws://a.b", ""},
    {"ws://a.b", "n=v; Domain=c.d; Domain=a.b", "ws://x.a.b", "n=v"},
    {"ws://a.b", "n=v; Domain=a.b; Domain=c.d", "ws://a.b", ""},
    {"ws://a.com", "n=v; Domain=com", "ws://a.com", ""},
    {"ws://a.com", "n=v; Domain=.com", "ws://b.com", ""},
    {"ws://localhost", "n=v; Domain=localhost", "ws://localhost", "n=v"},
    {"ws://localhost", "n=v; Domain=localhost", "ws://x.localhost", ""},
    {"ws://10.0.0.1", "n=v", "ws://10.0.0.1", "n=v"},
    {"ws://10.0.0.1", "n=v; Domain=10.0.0.1", "ws://10.0.0.1", "n=v"},
    {"ws://10.0.0.1", "n=v; Domain=0.0.1", "ws://10.0.0.1", ""},
    {"ws://10.0.0.1", "n=v; Domain=0.0.1", "ws://2.0.0.1", ""},
    {"ws://10.0.0.1", "n=v; Domain=10.0.0.1", "ws://1.10.0.0.1", ""},
    {"ws://[::1]", "n=v; Domain=::1", "ws://[::1]", "n=v"},
    {"ws://[::ffff:1.0.0.1]", "n=v; Domain=0.0.1", "ws://[::ffff:1.0.0.1]", ""},
    /* Path (5.1.4, 5.2.4) */
    {"ws://h/a/b/c?d/e", "n=v", "ws://h/a/b/x", "n=v"},
    {"ws://h/a/b/c?d/e", "n=v", "ws://h/a/b", "n=v"},
    {"ws://h/a/b/c?d/e", "n=v", "ws://h/a/b?x", "n=v"},
    {"ws://h/a/b/c", "n=v", "ws://h/a/bc", ""},
    {"ws://h/a/b/c", "n=v", "ws://h/a", ""},
    {"ws://h/a/b/c", "n=v", "ws://h/a?/a/b/", ""},
    {"ws://h/a/b/", "n=v", "ws://h/a/b", "n=v"},
    {"ws://h/a", "n=v", "ws://h/x/y", "n=v"},
    {"ws://h/a?b/c", "n=v", "ws://h/", "n=v"},
    {"ws://h", "n=v", "ws://h/x", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=/", "ws://h", "n=v"},
    {"ws://h/a/b/c", "n=v; path = /x", "ws://h/x", "n=v"},
    {"ws://h//x", "n=v", "ws://h/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=/x", "ws://h/x/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=/x", "ws://h/xy", ""},
    {"ws://h/a/b/c", "n=v; Path=/x", "ws://h/X", ""},
    {"ws://h/a/b/c", "n=v; Path=/x/", "ws://h/x", ""},
    {"ws://h/a/b/c", "n=v; Path=/x/", "ws://h/x/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=x", "ws://h/a/b/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=", "ws://h/a/b/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=x", "ws://h/x", ""},
    {"ws://h/a/b/c", "n=v; Path=/x; Path=/y", "ws://h/y", "n=v"},
    {"ws://h/a/b/c", "n=v; Path=/x; Path=", "ws://h/x", ""},
    /* Secure (5.2.5) */
    {"wss://h", "n=v; Secure", "wss://h", "n=v"},
    {"wss://h", "n=v; SECURE = no", "ws://h", ""},
    {"wss://h", "n=v", "ws://h", "n=v"},
    {"wss://h", "n=v; Secured", "ws://h", "n=v"},
    {"ws://h", "n=v; Secure", "wss://h", "n=v"},
};

TEST(one_cookie_goes_where_the_rules_say) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        ws_cookies cookies = {0};
        take_one(&cookies, rows[i].from, rows[i].set_cookie);
        char* value = sent(&cookies, rows[i].to);
        if (strcmp(value, rows[i].expected) != 0) {
            fail_msg("%s said %s, %s got: %s", rows[i].from, rows[i].set_cookie, rows[i].to, value);
        }
        free(value);
        ws_cookies_free(&cookies);
    }
}

TEST(all_headers_of_an_answer_count) {
    ws_cookies cookies = {0};
    take(&cookies, "ws://h", "Set-Cookie: a=1\r\nX: b=2\r\nset-cookie: c=3\r\nSet-Cookie: bad\r\nSET-COOKIE: d=4\r\n");
    assert_sent(&cookies, "ws://h", "a=1; c=3; d=4");
    take(&cookies, "ws://h", "X: y\r\n");
    assert_sent(&cookies, "ws://h", "a=1; c=3; d=4");
    ws_cookies_free(&cookies);
    assert_sent(&cookies, "ws://h", "");
}

TEST(longer_paths_come_first_and_then_older_cookies) {
    ws_cookies cookies = {0};
    take(&cookies, "ws://h/x/y/z",
         "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/x/y\r\nSet-Cookie: c=3; Path=/x\r\n"
         "Set-Cookie: d=4; Path=/x/y\r\nSet-Cookie: e=5; Path=/\r\n");
    assert_sent(&cookies, "ws://h/x/y/z", "b=2; d=4; c=3; a=1; e=5");
    take_one(&cookies, "ws://h", "a=6; Path=/");
    assert_sent(&cookies, "ws://h/x/y/z", "b=2; d=4; c=3; a=6; e=5");
    ws_cookies_free(&cookies);
}

TEST(a_cookie_is_replaced_by_name_domain_and_path) {
    ws_cookies cookies = {0};
    take_one(&cookies, "ws://a.b/", "n=1");
    take_one(&cookies, "ws://a.b/", "n=2; Path=/p");
    take_one(&cookies, "ws://a.b/", "N=3");
    take_one(&cookies, "ws://x.a.b/", "n=4");
    assert_sent(&cookies, "ws://a.b/p", "n=2; n=1; N=3");
    take_one(&cookies, "ws://A.B/", "n=5; Domain=A.b");
    assert_sent(&cookies, "ws://a.b/p", "n=2; n=5; N=3");
    assert_sent(&cookies, "ws://x.a.b/", "n=5; n=4");
    take_one(&cookies, "ws://a.b/", "n=6");
    assert_sent(&cookies, "ws://x.a.b/", "n=4");
    ws_cookies_free(&cookies);
}

TEST(max_age_deletes_the_same_cookie_only) {
    ws_cookies cookies = {0};
    take(&cookies, "ws://h", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nSet-Cookie: b=3; Path=/p\r\n");
    take_one(&cookies, "ws://h", "b=; Max-Age=0");
    assert_sent(&cookies, "ws://h/p", "b=3; a=1");
    take_one(&cookies, "ws://h", "c=; Max-Age=0");
    assert_sent(&cookies, "ws://h/p", "b=3; a=1");
    ws_cookies_free(&cookies);
}

TEST(a_secure_cookie_of_the_chain_does_not_go_out_in_the_clear) {
    ws_cookies cookies = {0};
    take(&cookies, "wss://h", "Set-Cookie: a=1; Secure\r\nSet-Cookie: b=2\r\n");
    assert_sent(&cookies, "wss://h", "a=1; b=2");
    assert_sent(&cookies, "ws://h", "b=2");
    ws_cookies_free(&cookies);
}

TEST(fifty_cookies_are_kept) {
    ws_cookies cookies = {0};
    char set[32];
    for (int i = 0; i < WS_COOKIES_MAX + 10; i++) {
        snprintf(set, sizeof set, "n%d=%d", i, i);
        take_one(&cookies, "ws://h", set);
    }
    char* value = sent(&cookies, "ws://h");
    assert_non_null(strstr(value, "; n49=49"));
    assert_null(strstr(value, "n50="));
    free(value);
    take_one(&cookies, "ws://h", "n0=again"); /* one more there is not */
    take_one(&cookies, "ws://h", "n1=; Max-Age=0");
    take_one(&cookies, "ws://h", "last=1");
    take_one(&cookies, "ws://h", "none=1");
    value = sent(&cookies, "ws://h");
    assert_memory_equal(value, "n0=again; n2=2; ", 16);
    assert_string_equal(strrchr(value, ' '), " last=1");
    free(value);
    ws_cookies_free(&cookies);
}

TEST(a_header_has_at_most_4096_bytes) {
    for (size_t n = WS_COOKIE_MAX_SIZE; n <= WS_COOKIE_MAX_SIZE + 1; n++) {
        ws_cookies cookies = {0};
        char set[WS_COOKIE_MAX_SIZE + 2];
        memset(set, 'x', n);
        set[1] = '=';
        set[n] = '\0';
        take_one(&cookies, "ws://h", set);
        assert_sent(&cookies, "ws://h", n == WS_COOKIE_MAX_SIZE ? set : "");
        ws_cookies_free(&cookies);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cookie_goes_where_the_rules_say),
        cmocka_unit_test(all_headers_of_an_answer_count),
        cmocka_unit_test(longer_paths_come_first_and_then_older_cookies),
        cmocka_unit_test(a_cookie_is_replaced_by_name_domain_and_path),
        cmocka_unit_test(max_age_deletes_the_same_cookie_only),
        cmocka_unit_test(a_secure_cookie_of_the_chain_does_not_go_out_in_the_clear),
        cmocka_unit_test(fifty_cookies_are_kept),
        cmocka_unit_test(a_header_has_at_most_4096_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
