/* core/proxy_url: what is taken, what is refused, and that nothing of it is repeated. */
#include "core/proxy_url.h"

#include <stdio.h>

#include "support.h"

typedef struct good {
    const char* text;
    ws_proxy_kind kind;
    const char* host;
    uint16_t port;
    const char *user, *password;
    bool ipv6;
} good;

static const good goods[] = {
    {"http://h", WS_PROXY_HTTP, "h", 80, NULL, NULL, false},
    {"https://h", WS_PROXY_HTTPS, "h", 443, NULL, NULL, false},
    {"socks5://h", WS_PROXY_SOCKS5, "h", 1080, NULL, NULL, false},
    {"socks5h://h", WS_PROXY_SOCKS5H, "h", 1080, NULL, NULL, false},
    {"HTTP://h/", WS_PROXY_HTTP, "h", 80, NULL, NULL, false},
    {"Socks5H://h/", WS_PROXY_SOCKS5H, "h", 1080, NULL, NULL, false},
    {"http://proxy.example.com:3128", WS_PROXY_HTTP, "proxy.example.com", 3128, NULL, NULL, false},
    {"http://proxy.example.com:3128/", WS_PROXY_HTTP, "proxy.example.com", 3128, NULL, NULL, false},
    {"proxy.example.com", WS_PROXY_HTTP, "proxy.example.com", 80, NULL, NULL, false},
    {"proxy.example.com:8080", WS_PROXY_HTTP, "proxy.example.com", 8080, NULL, NULL, false},
    {"10.0.0.1:8080/", WS_PROXY_HTTP, "10.0.0.1", 8080, NULL, NULL, false},
    {"u:p@h:8080", WS_PROXY_HTTP, "h", 8080, "u", "p", false},
    {"http://[::1]:3128", WS_PROXY_HTTP, "::1", 3128, NULL, NULL, true},
    {"[2001:db8::1]", WS_PROXY_HTTP, "2001:db8::1", 80, NULL, NULL, true},
    {"socks5://u:p@[2001:DB8::1]:1", WS_PROXY_SOCKS5, "2001:DB8::1", 1, "u", "p", true},
    {"http://user:secret@h", WS_PROXY_HTTP, "h", 80, "user", "secret", false},
    {"http://user@h", WS_PROXY_HTTP, "h", 80, "user", NULL, false},
    {"http://user:@h", WS_PROXY_HTTP, "h", 80, "user", "", false},
    {"http://:secret@h", WS_PROXY_HTTP, "h", 80, "", "secret", false},
    {"http://u:a:b@h", WS_PROXY_HTTP, "h", 80, "u", "a:b", false},
    {"http://u:a@b@h", WS_PROXY_HTTP, "h", 80, "u", "a@b", false},
    {"http://u%40x:%3a%2F%3F%23%40%25@h:1", WS_PROXY_HTTP, "h", 1, "u@x", ":/?#@%", false},
    {"http://caf%C3%A9:%e2%82%ac@h", WS_PROXY_HTTP, "h", 80, "caf\xc3\xa9", "\xe2\x82\xac", false},
    {"http://a%20b:%20@h", WS_PROXY_HTTP, "h", 80, "a b", " ", false},
    {"http://%ff:%FF@h", WS_PROXY_HTTP, "h", 80, "\xff", "\xff", false},
    {"socks5://a%3Ab:p@h", WS_PROXY_SOCKS5, "h", 1080, "a:b", "p", false},
};

static void assert_text(const char* found, const char* expected, const char* url) {
    if (!found != !expected || (found && strcmp(found, expected) != 0)) fail_msg("%s: %s", url, found ? found : "NULL");
}

static void check_good(const good* expected) {
    ws_proxy_url url;
    ws_error error = {0};
    if (ws_proxy_url_parse(&url, expected->text, &error)) fail_msg("%s: %s", expected->text, ws_error_text(&error));
    assert_text(url.host, expected->host, expected->text);
    assert_text(url.user, expected->user, expected->text);
    assert_text(url.password, expected->password, expected->text);
    if (url.kind != expected->kind || url.port != expected->port || url.ipv6 != expected->ipv6)
        fail_msg("%s", expected->text);
    ws_proxy_url_free(&url);
}

TEST(good_urls_are_taken_apart) {
    for (size_t i = 0; i < COUNT(goods); i++) {
        check_good(&goods[i]);
    }
}

typedef struct bad {
    const char* text;
    const char* why; /* what the error's text speaks of */
} bad;

static const bad bads[] = {
    {"", "host"},
    {"http://", "host"},
    {"http:///", "host"},
    {"http://:80", "host"},
    {"http://u:SECRET@", "host"},
    {"http://u:SECRET@:80", "host"},
    {"http://a,b", "host"},
    {"http://[::1", "host"},
    {"http://::1", "host"},
    {"socks4://h", "must begin with"},
    {"socks://h", "must begin with"},
    {"ftp://u:SECRET@h", "must begin with"},
    {"://h", "must begin with"},
    {"http//h", "nothing may follow"},
    {"http://h/path", "nothing may follow"},
    {"http://h//", "nothing may follow"},
    {"http://h/proxy.pac", "nothing may follow"},
    {"http://h?q", "nothing may follow"},
    {"http://h/?", "nothing may follow"},
    {"http://h#f", "nothing may follow"},
    {"http://u:SEC/RET@h", "percent-encode"},
    {"http://u:SEC?RET@h", "percent-encode"},
    {"http://u:SEC#RET@h", "percent-encode"},
    {"http://h:", "port"},
    {"http://h:0", "port"},
    {"http://h:65536", "port"},
    {"http://h:80x", "port"},
    {"user:SECRET%40h", "port"},
    {"http://[::1]3128", "port"},
    {"http://@h", "a user is missing"},
    {"http://:@h", "a user is missing"},
    {"http://a%3Ab:SECRET@h", "colon"},
    {"https://a%3Ab:SECRET@h", "colon"},
    {"socks5://user@h", "1 to 255"},
    {"socks5://user:@h", "1 to 255"},
    {"socks5h://:SECRET@h", "1 to 255"},
    {"socks5h://@h", "a user is missing"},
    {"http://u:SECRET%@h", "hexadecimal"},
    {"http://u:SECRET%4@h", "hexadecimal"},
    {"http://u:SECRET%4g@h", "hexadecimal"},
    {"http://u:SECRET%g4@h", "hexadecimal"},
    {"http://%:SECRET@h", "hexadecimal"},
    {"http://u:SECRET%00@h", "control character"},
    {"http://u:SECRET%1f@h", "control character"},
    {"http://u:SECRET%7F@h", "control character"},
    {"http://u%0d%0aX:SECRET@h", "control character"},
    {"http://u:SECRET @h", "spaces and control"},
    {" http://h", "spaces and control"},
    {"http://h\r\nX: y", "spaces and control"},
    {"http://u:SECRET\x7f@h", "spaces and control"},
    {"http://u:SECRET\xc3\xa9@h", "outside ASCII"},
};

TEST(bad_urls_are_refused_with_the_reason_and_no_secret) {
    for (size_t i = 0; i < COUNT(bads); i++) {
        ws_proxy_url url;
        ws_error error = {0};
        if (ws_proxy_url_parse(&url, bads[i].text, &error) != WS_ERR_PROXY_URL) fail_msg("%s was taken", bads[i].text);
        assert_int_equal(error.code, WS_ERR_PROXY_URL);
        const char* said = ws_error_text(&error);
        if (!strstr(said, bads[i].why) || strstr(said, "SEC")) fail_msg("%s: %s", bads[i].text, said);
        ws_proxy_url_free(&url);
        ws_error_clear(&error);
    }
}

static int32_t parse_with(const char* scheme, size_t user, size_t password, size_t host) {
    static char text[70000];
    ws_proxy_url url;
    ws_error error = {0};
    snprintf(text, sizeof text, "%s%0*d:%0*d@%0*d", scheme, (int)user, 7, (int)password, 7, (int)host, 7);
    int32_t rc = ws_proxy_url_parse(&url, text, &error);
    if (!rc) assert_true(strlen(url.user) == user && strlen(url.password) == password && strlen(url.host) == host);
    ws_proxy_url_free(&url);
    ws_error_clear(&error);
    return rc;
}

TEST(lengths_have_bounds) {
    assert_int_equal(parse_with("socks5://", 255, 255, 255), WS_OK);
    assert_int_equal(parse_with("socks5://", 256, 255, 255), WS_ERR_PROXY_URL);
    assert_int_equal(parse_with("socks5h://", 255, 256, 255), WS_ERR_PROXY_URL);
    assert_int_equal(parse_with("http://", 255, 255, 256), WS_ERR_PROXY_URL);
    assert_int_equal(parse_with("http://", 256, 3000, 255), WS_OK);
    assert_int_equal(parse_with("http://", 1, 65536 - 11, 1), WS_OK);
    assert_int_equal(parse_with("http://", 1, 65536 - 10, 1), WS_ERR_PROXY_URL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_with_the_reason_and_no_secret),
        cmocka_unit_test(lengths_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
