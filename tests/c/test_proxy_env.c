/* net/proxy_env: which variable counts for which target. */
#include "net/proxy_env.h"

#include <stdlib.h>

#include "net/literal.h"
#include "support.h"

/* The environment: "NAME=value" in each. */
static const char* variables[16];

static char* look_up(const char* name) {
    size_t n = strlen(name);
    for (size_t i = 0; variables[i]; i++) {
        if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=') return (char*)variables[i] + n + 1;
    }
    return NULL;
}

#define ENVIRONMENT(...) memcpy(variables, ((const char* const[COUNT(variables)]){__VA_ARGS__}), sizeof variables)

/* The host of the proxy chosen, or "-"; valid until the next call. */
static const char* choice(bool secure, const char* host, uint16_t port) {
    static char chosen[256];
    ws_proxy_url url;
    ws_error error = {0};
    int32_t rc = ws_proxy_choose(look_up, secure, host, port, &url, &error);
    if (rc < 0) fail_msg("%s", ws_error_text(&error));
    strcpy(chosen, rc ? url.host : "-");
    ws_proxy_url_free(&url);
    return chosen;
}

#define CHOSEN(secure, expected) assert_string_equal(choice(secure, "example.com", (secure) ? 443 : 80), expected)

TEST(nothing_is_set) {
    ENVIRONMENT("PATH=/bin");
    CHOSEN(true, "-");
    CHOSEN(false, "-");
}

/* Each alone, then each with all that come after it. */
static void check_order(bool secure, const char* const* names, size_t count) {
    for (size_t first = 0; first < count; first++) {
        ENVIRONMENT(NULL);
        memcpy(variables, names + first, (count - first) * sizeof *names);
        CHOSEN(secure, strchr(names[first], '=') + 1);
        variables[1] = NULL;
        CHOSEN(secure, strchr(names[first], '=') + 1);
    }
}

TEST(the_order_of_the_variables) {
    static const char* const tls[] = {"wss_proxy=a",   "WSS_PROXY=b",   "socks_proxy=c", "SOCKS_PROXY=d",
                                      "https_proxy=e", "HTTPS_PROXY=f", "all_proxy=g",   "ALL_PROXY=h"};
    static const char* const plain[] = {"ws_proxy=a",    "WS_PROXY=b",    "socks_proxy=c", "SOCKS_PROXY=d",
                                        "https_proxy=e", "HTTPS_PROXY=f", "http_proxy=g",  "HTTP_PROXY=h",
                                        "all_proxy=i",   "ALL_PROXY=j"};
    check_order(true, tls, COUNT(tls));
    check_order(false, plain, COUNT(plain));
}

TEST(what_is_for_others_does_not_count) {
    ENVIRONMENT("ws_proxy=a", "http_proxy=b", "ftp_proxy=c", "Https_Proxy=d", "proxy=e");
    CHOSEN(true, "-");
    ENVIRONMENT("wss_proxy=a");
    CHOSEN(false, "-");
}

TEST(what_is_empty_does_not_count) {
    ENVIRONMENT("wss_proxy=", "WSS_PROXY=", "https_proxy=", "HTTPS_PROXY=b");
    CHOSEN(true, "b");
}

TEST(a_cgi_program_does_not_believe_HTTP_PROXY) {
    ENVIRONMENT("HTTP_PROXY=a", "REQUEST_METHOD=GET");
    CHOSEN(false, "-");
    ENVIRONMENT("HTTP_PROXY=a", "REQUEST_METHOD=GET", "all_proxy=b");
    CHOSEN(false, "b");
    ENVIRONMENT("http_proxy=a", "REQUEST_METHOD=GET");
    CHOSEN(false, "a");
    ENVIRONMENT("HTTPS_PROXY=a", "REQUEST_METHOD=GET");
    CHOSEN(false, "a");
}

TEST(the_whole_url_arrives) {
    ws_proxy_url url;
    ws_error error = {0};
    ENVIRONMENT("all_proxy=socks5h://user:p%40ss@[::1]:9");
    assert_int_equal(ws_proxy_choose(look_up, true, "h", 443, &url, &error), 1);
    assert_int_equal(url.kind, WS_PROXY_SOCKS5H);
    assert_string_equal(url.password, "p@ss");
    assert_true(url.ipv6 && url.port == 9);
    ws_proxy_url_free(&url);
}

TEST(an_error_names_the_variable_and_no_password) {
    ws_proxy_url url;
    ws_error error = {0};
    ENVIRONMENT("HTTPS_PROXY=socks4://user:secret@h");
    assert_int_equal(ws_proxy_choose(look_up, true, "h", 443, &url, &error), WS_ERR_PROXY_URL);
    assert_int_equal(error.code, WS_ERR_PROXY_URL);
    assert_non_null(strstr(ws_error_text(&error), "environment variable HTTPS_PROXY"));
    assert_non_null(strstr(ws_error_text(&error), "must begin with"));
    assert_null(strstr(ws_error_text(&error), "secret"));
    ws_proxy_url_free(&url);
    ws_error_clear(&error);
}

TEST(a_bad_url_hurts_only_who_would_use_it) {
    ENVIRONMENT("https_proxy=nonsense://", "no_proxy=example.com");
    CHOSEN(true, "-");
}

TEST(loopback_is_reached_directly) {
    static const char* const direct[] = {"localhost",       "LocalHost", "localhost.", "a.localhost",
                                         "a.b.LOCALHOST.",  "127.0.0.1", "127.1.2.3",  "127.1",
                                         "127.255.255.255", "::1",       "0:0::1"};
    static const char* const others[] = {
        "localhost.example", "xlocalhost", "128.0.0.1", "126.0.0.1", "::2", "1::1", "::", "local", "127.example"};
    ENVIRONMENT("all_proxy=p");
    for (size_t i = 0; i < COUNT(direct); i++) {
        if (strcmp(choice(true, direct[i], 443), "-") != 0) fail_msg("%s", direct[i]);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        if (strcmp(choice(true, others[i], 443), "p") != 0) fail_msg("%s", others[i]);
    }
}

typedef struct row {
    const char* list;
    const char* host;
    uint16_t port;
    bool direct;
} row;

static const row rows[] = {
    {"*", "example.com", 80, true},
    {"a, *", "1.2.3.4", 80, true},
    {"", "example.com", 80, false},
    {",", "example.com", 80, false},
    {". , .. *. *", "other", 80, true},
    {". , .. *.", "other", 80, false},
    /* names */
    {"example.com", "example.com", 80, true},
    {"example.com", "EXAMPLE.com", 80, true},
    {"EXAMPLE.COM", "example.com", 80, true},
    {"example.com", "www.example.com", 80, true},
    {"example.com", "a.b.example.com", 80, true},
    {"example.com", "example.com.", 80, true},
    {"example.com.", "example.com", 80, true},
    {".example.com", "example.com", 80, true},
    {".example.com", "www.example.com", 80, true},
    {"*.example.com", "www.example.com", 80, true},
    {"example.com", "badexample.com", 80, false},
    {".example.com", "badexample.com", 80, false},
    {"example.com", "example.com.evil", 80, false},
    {"www.example.com", "example.com", 80, false},
    {"xample.com", "example.com", 80, false},
    {"exa*.com", "example.com", 80, false},
    {"com", "example.com", 80, true},
    /* lists */
    {"a.com,example.com,b.com", "example.com", 80, true},
    {"a.com example.com b.com", "example.com", 80, true},
    {"  a.com ,\t example.com , ", "example.com", 80, true},
    {"a.com,b.com", "example.com", 80, false},
    /* ports */
    {"example.com:80", "example.com", 80, true},
    {"example.com:80", "example.com", 81, false},
    {".example.com:80", "www.example.com", 80, true},
    {"example.com:", "example.com", 80, false},
    {"example.com:x", "example.com", 80, false},
    {"example.com:65616", "example.com", 80, false},
    {"10.0.0.1:80", "10.0.0.1", 80, true},
    {"10.0.0.1:80", "10.0.0.1", 443, false},
    {"[fd00::1]:80", "fd00::1", 80, true},
    {"[fd00::1]:80", "fd00::1", 81, false},
    /* literals */
    {"10.0.0.1", "10.0.0.1", 80, true},
    {"10.0.0.1", "10.0.0.2", 80, false},
    {"10.0.0.1", "110.0.0.1", 80, false},
    {"0.0.1", "10.0.0.1", 80, false},
    {".0.0.1", "10.0.0.1", 80, false},
    {"fd00::1", "fd00::1", 80, true},
    {"fd00::1", "FD00:0::0:1", 80, true},
    {"[fd00::1]", "fd00::1", 80, true},
    {"fd00::1", "fd00::2", 80, false},
    {"[fd00::1", "fd00::1", 80, false},
    /* networks */
    {"10.0.0.0/8", "10.255.0.1", 80, true},
    {"10.0.0.0/8", "11.0.0.1", 80, false},
    {"10.1.2.3/8", "10.9.9.9", 80, true},
    {"192.168.128.0/17", "192.168.128.1", 80, true},
    {"192.168.128.0/17", "192.168.255.255", 80, true},
    {"192.168.128.0/17", "192.168.127.255", 80, false},
    {"10.0.0.1/32", "10.0.0.1", 80, true},
    {"10.0.0.1/32", "10.0.0.0", 80, false},
    {"10.0.0.1/31", "10.0.0.0", 80, true},
    {"0.0.0.0/0", "8.8.8.8", 80, true},
    {"0.0.0.0/0", "fd00::1", 80, false},
    {"0.0.0.0/0", "example.com", 80, false},
    {"10.0.0.0/33", "10.0.0.1", 80, false},
    {"10.0.0.0/", "10.0.0.1", 80, false},
    {"10.0.0.0/x", "10.0.0.1", 80, false},
    {"10.0.0.0/-8", "10.0.0.1", 80, false},
    {"example.com/8", "example.com", 80, false},
    {"fd00::/8", "fd12:3456::1", 80, true},
    {"fd00::/8", "fe00::1", 80, false},
    {"fd00::/128", "fd00::", 80, true},
    {"fd00::/127", "fd00::2", 80, false},
    {"::/0", "fd00::1", 80, true},
    {"::/129", "::", 80, false},
};

TEST(no_proxy) {
    char list[200] = "no_proxy=";
    ENVIRONMENT("all_proxy=p", list);
    for (size_t i = 0; i < COUNT(rows); i++) {
        strcpy(list + 9, rows[i].list);
        bool direct = strcmp(choice(false, rows[i].host, rows[i].port), "-") == 0;
        if (direct != rows[i].direct) fail_msg("%s: %s", rows[i].list, rows[i].host);
    }
}

TEST(no_proxy_in_capitals_counts_where_the_other_is_empty) {
    ENVIRONMENT("all_proxy=p", "NO_PROXY=example.com");
    CHOSEN(true, "-");
    ENVIRONMENT("all_proxy=p", "no_proxy=", "NO_PROXY=example.com");
    CHOSEN(true, "-");
    ENVIRONMENT("all_proxy=p", "no_proxy=other", "NO_PROXY=example.com");
    CHOSEN(true, "p");
}

TEST(an_entry_longer_than_any_host_matches_nothing) {
    static char list[1000] = "no_proxy=";
    ENVIRONMENT("all_proxy=p", list);
    memset(list + 9, 'a', 900);
    CHOSEN(true, "p");
    strcpy(list + 909, ",example.com");
    CHOSEN(true, "-");
}

TEST(the_real_environment_is_read) {
    ws_proxy_url url;
    ws_error error = {0};
    setenv("wss_proxy", "http://user:secret@p:1", 1);
    setenv("no_proxy", "other", 1);
    assert_int_equal(ws_proxy_from_env(true, "example.com", 443, &url, &error), 1);
    assert_string_equal(url.host, "p");
    ws_proxy_url_free(&url);
    setenv("no_proxy", "example.com", 1);
    assert_int_equal(ws_proxy_from_env(true, "example.com", 443, &url, &error), 0);
    ws_proxy_url_free(&url);
}

TEST(literals_are_told_from_names) {
    static const uint8_t loopback[] = {127, 0, 0, 1}, ours[16] = {0xfd, [15] = 7};
    uint8_t bytes[16];
    assert_int_equal(ws_literal_bytes("127.0.0.1", bytes), 4);
    assert_memory_equal(bytes, loopback, 4);
    assert_int_equal(ws_literal_bytes("127.1", bytes), 4);
    assert_memory_equal(bytes, loopback, 4);
    assert_int_equal(ws_literal_bytes("fd00::7", bytes), 16);
    assert_memory_equal(bytes, ours, 16);
    static const char* const names[] = {"", "localhost", "127.0.0.1.example", "256.0.0.1", "1.2.3.4.5", "[::1]", ":"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (ws_literal_bytes(names[i], bytes)) fail_msg("%s", names[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_set),
        cmocka_unit_test(the_order_of_the_variables),
        cmocka_unit_test(what_is_for_others_does_not_count),
        cmocka_unit_test(what_is_empty_does_not_count),
        cmocka_unit_test(a_cgi_program_does_not_believe_HTTP_PROXY),
        cmocka_unit_test(the_whole_url_arrives),
        cmocka_unit_test(an_error_names_the_variable_and_no_password),
        cmocka_unit_test(a_bad_url_hurts_only_who_would_use_it),
        cmocka_unit_test(loopback_is_reached_directly),
        cmocka_unit_test(no_proxy),
        cmocka_unit_test(no_proxy_in_capitals_counts_where_the_other_is_empty),
        cmocka_unit_test(an_entry_longer_than_any_host_matches_nothing),
        cmocka_unit_test(the_real_environment_is_read),
        cmocka_unit_test(literals_are_told_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
