/* core/url: what is taken, what is refused, and the Host header. */
#include "support.h"

typedef struct good {
    const char* text;
    bool secure, ipv6;
    const char* host;
    uint16_t port;
    const char* target;
    const char* host_header;
} good;

static const good goods[] = {
    {"ws://example.com", false, false, "example.com", 80, "/", "example.com"},
    {"wss://example.com", true, false, "example.com", 443, "/", "example.com"},
    {"ws://example.com/", false, false, "example.com", 80, "/", "example.com"},
    {"WS://example.com/", false, false, "example.com", 80, "/", "example.com"},
    {"WsS://example.com/", true, false, "example.com", 443, "/", "example.com"},
    {"ws://example.com:80/", false, false, "example.com", 80, "/", "example.com"},
    {"ws://example.com:443/", false, false, "example.com", 443, "/", "example.com:443"},
    {"wss://example.com:443/", true, false, "example.com", 443, "/", "example.com"},
    {"wss://example.com:80/", true, false, "example.com", 80, "/", "example.com:80"},
    {"ws://127.0.0.1:9999/chat", false, false, "127.0.0.1", 9999, "/chat", "127.0.0.1:9999"},
    {"ws://h:1/", false, false, "h", 1, "/", "h:1"},
    {"ws://h:65535/", false, false, "h", 65535, "/", "h:65535"},
    {"ws://h:00081/", false, false, "h", 81, "/", "h:81"},
    {"ws://h:81", false, false, "h", 81, "/", "h:81"},
    {"ws://h:81?q", false, false, "h", 81, "/?q", "h:81"},
    {"ws://[::1]", false, true, "::1", 80, "/", "[::1]"},
    {"ws://[2001:DB8::ff]:8080/x", false, true, "2001:DB8::ff", 8080, "/x", "[2001:DB8::ff]:8080"},
    {"ws://[::ffff:10.0.0.1]/", false, true, "::ffff:10.0.0.1", 80, "/", "[::ffff:10.0.0.1]"},
    {"ws://h/a/b?c=d&e=%20", false, false, "h", 80, "/a/b?c=d&e=%20", "h"},
    {"ws://h?only=query", false, false, "h", 80, "/?only=query", "h"},
    {"ws://h?a/b", false, false, "h", 80, "/?a/b", "h"},
    {"ws://h?", false, false, "h", 80, "/?", "h"},
    {"ws://h/?a?b", false, false, "h", 80, "/?a?b", "h"},
    {"ws://h//double", false, false, "h", 80, "//double", "h"},
    {"ws://h/user@place:80", false, false, "h", 80, "/user@place:80", "h"},
    {"ws://h/ws://other", false, false, "h", 80, "/ws://other", "h"},
    {"ws://under_score-1.~x.local", false, false, "under_score-1.~x.local", 80, "/", "under_score-1.~x.local"},
    {"ws://azAZ09.x", false, false, "azAZ09.x", 80, "/", "azAZ09.x"},
    {"ws://m%C3%BCnchen.example/", false, false, "m%C3%BCnchen.example", 80, "/", "m%C3%BCnchen.example"},
};

static void check_good(const good* expected) {
    ws_url url;
    ws_error error = {0};
    ws_buf header = {0};
    if (ws_url_parse(&url, expected->text, &error)) fail_msg("%s: %s", expected->text, ws_error_text(&error));
    assert_int_equal(url.secure, expected->secure);
    assert_int_equal(url.ipv6, expected->ipv6);
    assert_string_equal(url.host, expected->host);
    assert_int_equal(url.port, expected->port);
    assert_string_equal(url.target, expected->target);
    assert_int_equal(ws_url_write_host(&url, &header), WS_OK);
    put(&header, "", 1);
    assert_string_equal((const char*)header.data, expected->host_header);
    ws_buf_free(&header);
    ws_url_free(&url);
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
    {"", "begin with ws://"},
    {"ws", "begin with ws://"},
    {"ws:/", "begin with ws://"},
    {"wss:/h", "begin with ws://"},
    {"ws:h", "begin with ws://"},
    {"//h/", "begin with ws://"},
    {"h:80", "begin with ws://"},
    {"http://h/", "begin with ws://"},
    {"https://h/", "begin with ws://"},
    {"wsss://h/", "begin with ws://"},
    {"ws://", "host"},
    {"ws:///path", "host"},
    {"ws://?q", "host"},
    {"ws://:80/", "host"},
    {"ws://a\"b/", "host"},
    {"ws://a,b/", "host"},
    {"ws://a\\b/", "host"},
    {"ws://[]/", "host"},
    {"ws://[::1/", "host"},
    {"ws://[/", "host"},
    {"ws://[", "host"},
    {"ws://[1", "host"},
    {"ws://[fe80::1%25eth0]/", "host"},
    {"ws://[example]/", "host"},
    {"ws://::1/", "host"},
    {"ws://1::/", "port"},
    {"ws://[::1]80/", "port"},
    {"ws://[::1]x:80/", "port"},
    {"ws://h:/", "port"},
    {"ws://h:0/", "port"},
    {"ws://h:00000/", "port"},
    {"ws://h:65536/", "port"},
    {"ws://h:99999/", "port"},
    {"ws://h:000080/", "port"},
    {"ws://h:4294967376/", "port"},
    {"ws://h:-1/", "port"},
    {"ws://h:+80/", "port"},
    {"ws://h:8o/", "port"},
    {"ws://h:80:81/", "port"},
    {"ws://h:0x50/", "port"},
    {"ws://@h/", "a user is missing"},
    {"ws://:@h/", "a user is missing"},
    {"ws://u:SECRET@/", "host"},
    {"ws://u:SECRET@:80/", "host"},
    {"ws://u:SECRET@h:x/", "port"},
    {"ws://u:SEC/RET@h/", "port"},
    {"ws://u:SEC?RET@h/", "port"},
    {"ws://u:SECRET%40h/", "port"},
    {"ws://u:SEC#RET@h/", "fragment"},
    {"ws://u:SECRET%@h/", "hexadecimal"},
    {"ws://u:SECRET%4@h/", "hexadecimal"},
    {"ws://u:SECRET%4g@h/", "hexadecimal"},
    {"ws://u%g4:SECRET@h/", "hexadecimal"},
    {"ws://u:SECRET%00@h/", "control character"},
    {"ws://u:SECRET%0a@h/", "control character"},
    {"ws://u:SECRET%7f@h/", "control character"},
    {"ws://u%0d%0aX:SECRET@h/", "control character"},
    {"ws://u%3Av:SECRET@h/", "colon"},
    {"ws://u:SECRET @h/", "spaces and control"},
    {"ws://u:SECRET\xc3\xa9@h/", "outside ASCII"},
    {"http://u:SECRET@h/", "begin with ws://"},
    {"http://h/?SECRET", "begin with ws://"},
    {"ws://h:x/?SECRET", "port"},
    {"ws://h?SECRET b", "spaces and control"},
    {"ws://h/?a#SECRET", "fragment"},
    {"ws://h/#SECRET", "fragment"},
    {"ws://h/#part", "fragment"},
    {"ws://h/#", "fragment"},
    {"ws://h#part", "fragment"},
    {"ws://h/a b", "spaces and control"},
    {" ws://h/", "spaces and control"},
    {"ws://h/ ", "spaces and control"},
    {"ws://h/\r\nX-Injected: 1", "spaces and control"},
    {"ws://h\t/", "spaces and control"},
    {"ws://h/\x01", "spaces and control"},
    {"ws://h/\x7f", "spaces and control"},
    {"ws://m\xc3\xbcnchen/", "outside ASCII"},
    {"ws://h/\xff", "outside ASCII"},
    {"ws://h/\x80", "outside ASCII"},
};

TEST(bad_urls_are_refused_with_the_reason) {
    for (size_t i = 0; i < COUNT(bads); i++) {
        ws_url url;
        ws_error error = {0};
        if (ws_url_parse(&url, bads[i].text, &error) != WS_ERR_URL) fail_msg("%s was taken", bads[i].text);
        assert_int_equal(error.code, WS_ERR_URL);
        const char* said = ws_error_text(&error);
        if (!strstr(said, bads[i].why) || strstr(said, "SEC")) fail_msg("%s: %s", bads[i].text, said);
        ws_url_free(&url);
        ws_error_clear(&error);
    }
}

TEST(every_control_character_is_refused_everywhere) {
    for (int c = 1; c <= 0x20; c++) {
        char host[] = "ws://h?/", path[] = "ws://h/?";
        host[6] = path[7] = (char)c;
        ws_url url;
        ws_error error = {0};
        assert_int_equal(ws_url_parse(&url, host, &error), WS_ERR_URL);
        ws_url_free(&url);
        assert_int_equal(ws_url_parse(&url, path, &error), WS_ERR_URL);
        ws_url_free(&url);
        ws_error_clear(&error);
    }
}

typedef struct login {
    const char* text;
    const char *user, *password;
    const char* host;
} login;

static const login logins[] = {
    {"ws://h/", NULL, NULL, "h"},
    {"ws://user:secret@h/", "user", "secret", "h"},
    {"ws://user@h/", "user", NULL, "h"},
    {"ws://user:@h/", "user", "", "h"},
    {"ws://:secret@h/", "", "secret", "h"},
    {"ws://u:a:b@h", "u", "a:b", "h"},
    {"ws://u:a@b@h?q@r", "u", "a@b", "h"},
    {"wss://u:p@[::1]:80/", "u", "p", "::1"},
    {"ws://u%40x:%3a%2F%3F%23%40%25@h:1/", "u@x", ":/?#@%", "h"},
    {"ws://caf%C3%A9:%e2%82%ac@h/", "caf\xc3\xa9", "\xe2\x82\xac", "h"},
    {"ws://a%20b:%20@h/", "a b", " ", "h"},
    {"ws://%ff:%FF@h/", "\xff", "\xff", "h"},
};

static void assert_text(const char* found, const char* expected, const char* url) {
    if (!found != !expected || (found && strcmp(found, expected) != 0)) fail_msg("%s: %s", url, found ? found : "NULL");
}

TEST(user_and_password_are_decoded) {
    for (size_t i = 0; i < COUNT(logins); i++) {
        ws_url url;
        ws_error error = {0};
        if (ws_url_parse(&url, logins[i].text, &error)) fail_msg("%s: %s", logins[i].text, ws_error_text(&error));
        assert_text(url.user, logins[i].user, logins[i].text);
        assert_text(url.password, logins[i].password, logins[i].text);
        assert_text(url.host, logins[i].host, logins[i].text);
        ws_url_free(&url);
        assert_null(url.password);
    }
}

TEST(a_refused_url_is_named_in_the_error) {
    ws_url url;
    ws_error error = {0};
    ws_url_parse(&url, "http://example.com/", &error);
    assert_non_null(strstr(ws_error_text(&error), "http://example.com/"));
    ws_url_free(&url);
    ws_error_clear(&error);
}

/* "ws://" and a host of n characters, or a path that makes the URL n characters long. */
static int32_t parse_long(size_t n, bool in_host) {
    static char text[70000];
    ws_url url;
    ws_error error = {0};
    memset(text, 'a', sizeof text);
    memcpy(text, in_host ? "ws://" : "ws://h/", in_host ? 5 : 7);
    text[in_host ? n + 5 : n] = '\0';
    int32_t rc = ws_url_parse(&url, text, &error);
    if (!rc) assert_int_equal(strlen(in_host ? url.host : url.target), in_host ? n : n - 6);
    ws_url_free(&url);
    ws_error_clear(&error);
    return rc;
}

TEST(a_host_has_at_most_255_characters) {
    assert_int_equal(parse_long(255, true), WS_OK);
    assert_int_equal(parse_long(256, true), WS_ERR_URL);
}

TEST(a_url_has_at_most_65536_characters) {
    assert_int_equal(parse_long(65536, false), WS_OK);
    assert_int_equal(parse_long(65537, false), WS_ERR_URL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_with_the_reason),
        cmocka_unit_test(every_control_character_is_refused_everywhere),
        cmocka_unit_test(user_and_password_are_decoded),
        cmocka_unit_test(a_refused_url_is_named_in_the_error),
        cmocka_unit_test(a_host_has_at_most_255_characters),
        cmocka_unit_test(a_url_has_at_most_65536_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
