/* core/url: where a Location leads to, what it must not, and to whom credentials may go. */
#include <stdlib.h>

#include "support.h"

/* The parts in one text; free with free(). */
static char* whole(const ws_url* url) {
    ws_buf out = {0};
    put_text(&out, url->secure ? "wss://" : "ws://");
    if (url->user) put_text(&out, url->user);
    if (url->password) {
        put_text(&out, ":");
        put_text(&out, url->password);
    }
    if (url->user) put_text(&out, "@");
    assert_int_equal(ws_url_write_host(url, &out), WS_OK);
    put_text(&out, url->target);
    put(&out, "", 1);
    return (char*)out.data;
}

/* The Location lies at the end of its memory, so that reading on is noticed. */
static int32_t resolve(ws_url* to, const char* base_text, const char* location, ws_error* error) {
    ws_url base;
    ws_error none = {0};
    size_t n = strlen(location);
    char* exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, location, n);
    if (ws_url_parse(&base, base_text, &none)) fail_msg("%s", base_text);
    int32_t rc = ws_url_resolve(to, &base, exact, n, error);
    ws_url_free(&base);
    free(exact);
    return rc;
}

typedef struct good {
    const char *base, *location, *expected;
} good;

static void check_goods(const good* goods, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ws_url to;
        ws_error error = {0};
        if (resolve(&to, goods[i].base, goods[i].location, &error))
            fail_msg("%s: %s", goods[i].location, ws_error_text(&error));
        char* found = whole(&to);
        if (strcmp(found, goods[i].expected) != 0) fail_msg("%s: %s", goods[i].location, found);
        free(found);
        ws_url_free(&to);
    }
}

/* RFC 3986 5.4, with the ";p?q" base of its examples; "g:h" and "http:g" are refused. */
#define BASE "ws://a/b/c/d;p?q"

static const good examples[] = {
    {BASE, "g", "ws://a/b/c/g"},
    {BASE, "./g", "ws://a/b/c/g"},
    {BASE, "g/", "ws://a/b/c/g/"},
    {BASE, "/g", "ws://a/g"},
    {BASE, "//g", "ws://g/"},
    {BASE, "?y", "ws://a/b/c/d;p?y"},
    {BASE, "g?y", "ws://a/b/c/g?y"},
    {BASE, "#s", "ws://a/b/c/d;p?q"},
    {BASE, "g#s", "ws://a/b/c/g"},
    {BASE, "g?y#s", "ws://a/b/c/g?y"},
    {BASE, ";x", "ws://a/b/c/;x"},
    {BASE, "g;x", "ws://a/b/c/g;x"},
    {BASE, "g;x?y#s", "ws://a/b/c/g;x?y"},
    {BASE, "", "ws://a/b/c/d;p?q"},
    {BASE, ".", "ws://a/b/c/"},
    {BASE, "./", "ws://a/b/c/"},
    {BASE, "..", "ws://a/b/"},
    {BASE, "../", "ws://a/b/"},
    {BASE, "../g", "ws://a/b/g"},
    {BASE, "../..", "ws://a/"},
    {BASE, "../../", "ws://a/"},
    {BASE, "../../g", "ws://a/g"},
    {BASE, "../../../g", "ws://a/g"},
    {BASE, "../../../../g", "ws://a/g"},
    {BASE, "/./g", "ws://a/g"},
    {BASE, "/../g", "ws://a/g"},
    {BASE, "g.", "ws://a/b/c/g."},
    {BASE, ".g", "ws://a/b/c/.g"},
    {BASE, "g..", "ws://a/b/c/g.."},
    {BASE, "..g", "ws://a/b/c/..g"},
    {BASE, "./../g", "ws://a/b/g"},
    {BASE, "./g/.", "ws://a/b/c/g/"},
    {BASE, "g/./h", "ws://a/b/c/g/h"},
    {BASE, "g/../h", "ws://a/b/c/h"},
    {BASE, "g;x=1/./y", "ws://a/b/c/g;x=1/y"},
    {BASE, "g;x=1/../y", "ws://a/b/c/y"},
    {BASE, "g?y/./x", "ws://a/b/c/g?y/./x"},
    {BASE, "g?y/../x", "ws://a/b/c/g?y/../x"},
    {BASE, "g#s/./x", "ws://a/b/c/g"},
    {BASE, "g#s/../x", "ws://a/b/c/g"},
};

TEST(the_examples_of_the_rfc) {
    check_goods(examples, COUNT(examples));
}

static const good others[] = {
    {"ws://a", "http://b", "ws://b/"},
    {"ws://a", "https://b", "wss://b/"},
    {"ws://a", "WS://b/x", "ws://b/x"},
    {"ws://a", "wSS://b:444/x?y", "wss://b:444/x?y"},
    {"wss://a", "HTTPS://b:443/x", "wss://b/x"},
    {"wss://a:444/x", "//b/y", "wss://b/y"},
    {"wss://a:444/x", "//b:1?y", "wss://b:1/?y"},
    {"wss://a:444/x", "/y", "wss://a:444/y"},
    {"wss://a:444", "y", "wss://a:444/y"},
    {"ws://a?q", "y", "ws://a/y"},
    {"ws://a?q/r/s", "y", "ws://a/y"},
    {"ws://a/x?q/r/s", "?y", "ws://a/x?y"},
    {"ws://a/x?q", "?", "ws://a/x?"},
    {"ws://[::1]:8080/x", "y", "ws://[::1]:8080/y"},
    {"ws://a", "ws://[2001:db8::1]/", "ws://[2001:db8::1]/"},
    {"ws://a", "ws://b/x/../y/./z/..", "ws://b/y/"},
    {"ws://a", "ws://b/..", "ws://b/"},
    {"ws://a", "ws://b//x//../y", "ws://b//x/y"},
    {"ws://a", "/x//..//./y", "ws://a/x//y"},
    {"ws://a", "/x:y", "ws://a/x:y"},
    {"ws://a", "./x:y", "ws://a/x:y"},
    {"ws://a", "?x:y", "ws://a/?x:y"},
    {"ws://a", "/%2e%2E/x", "ws://a/%2e%2E/x"},
    {"ws://a/1/2", "#//b", "ws://a/1/2"},
};

TEST(schemes_hosts_and_paths_are_taken_from_where_they_are) {
    check_goods(others, COUNT(others));
}

static const good carried[] = {
    {"ws://u:p@a/x", "/y", "ws://u:p@a/y"},
    {"ws://u@a/x", "y", "ws://u@a/y"},
    {"ws://u:p@a/x", "//A/y", "ws://u:p@A/y"},
    {"ws://u:p@a/x", "https://a/y", "wss://u:p@a/y"},
    {"ws://u:p@a:81/x", "wss://a:81/y", "wss://u:p@a:81/y"},
    {"ws://u:p@a:81/x", "wss://a/y", "wss://a/y"},
    {"ws://u:p@a/x", "wss://a:444/y", "wss://a:444/y"},
    {"ws://u:p@a/x", "ws://b/y", "ws://b/y"},
    {"ws://u:p@a/x", "ws://a.b/y", "ws://a.b/y"},
    {"wss://u:p@a/x", "ws://a:443/y", "ws://a:443/y"},
    {"wss://u:p@a/x", "ws://a/y", "ws://a/y"},
    {"ws://a/x", "//mallory:evil@b/y", "ws://b/y"},
    {"ws://u:p@a/x", "ws://mallory:evil@a/y", "ws://u:p@a/y"},
    {"ws://u:p@a/x", "ws://a@b/y", "ws://b/y"},
    {"ws://u:p@a/x", "ws://x@a@b/y", "ws://b/y"},
};

TEST(user_and_password_go_along_to_the_same_host_only) {
    check_goods(carried, COUNT(carried));
}

typedef struct bad {
    const char *location, *why;
} bad;

static const bad bads[] = {
    {"ftp://h/", "no ws, wss, http or https"},
    {"javascript:alert(1)", "no ws, wss, http or https"},
    {"g:h", "no ws, wss, http or https"},
    {"localhost:8080/x", "no ws, wss, http or https"},
    {"wsx://h/", "no ws, wss, http or https"},
    {":", "no ws, wss, http or https"},
    {"://h/", "no ws, wss, http or https"},
    {"http:g", "// is missing"},
    {"wss:", "// is missing"},
    {"ws:/h", "// is missing"},
    {"ws://", "host"},
    {"//", "host"},
    {"///x", "host"},
    {"//:80", "host"},
    {"//u:SECRET@/", "host"},
    {"//a,b/", "host"},
    {"//[::1/", "host"},
    {"//a:0/", "port"},
    {"//a:x/", "port"},
    {"//a:65536/", "port"},
    {"//u:SECRET%40h/", "port"},
    {"/a b", "spaces and control"},
    {"/a\tb", "spaces and control"},
    {"/a\x01", "spaces and control"},
    {"/\x7f", "spaces and control"},
    {"ftp://u:SECRET@h/", "no ws, wss, http or https"},
    {"//u:SECRET @h/", "spaces and control"},
    {"ftp://h/?SECRET", "ftp://h/: it leads to no ws"},
    {"//h:x/?SECRET", "port"},
    {"http://h:x/?SECRET", "port"},
    {"/a?SECRET b", "spaces and control"},
    {"/a b#SECRET", "/a b: spaces and control"},
    {"?SECRET\xff", "outside ASCII"},
    {"/caf\xc3\xa9", "outside ASCII"},
    {"/#\xff", "outside ASCII"},
};

TEST(bad_locations_are_refused_with_the_reason_and_no_secret) {
    for (size_t i = 0; i < COUNT(bads); i++) {
        ws_url to;
        ws_error error = {0};
        if (resolve(&to, "ws://user:SECRET@a/", bads[i].location, &error) != WS_ERR_REDIRECT)
            fail_msg("%s was taken", bads[i].location);
        assert_int_equal(error.code, WS_ERR_REDIRECT);
        const char* said = ws_error_text(&error);
        if (!strstr(said, bads[i].why) || strstr(said, "SECRET")) fail_msg("%s: %s", bads[i].location, said);
        ws_url_free(&to);
        ws_error_clear(&error);
    }
}

TEST(a_location_has_at_most_65536_characters) {
    static char text[65538];
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    for (size_t n = 65500; n < sizeof text; n++) {
        ws_url to;
        ws_error error = {0};
        char was = text[n];
        text[n] = '\0';
        int32_t rc = resolve(&to, "ws://h/", text, &error);
        text[n] = was;
        assert_int_equal(rc, n + 6 <= 65536 ? WS_OK : WS_ERR_REDIRECT); /* with "ws://h" before it */
        ws_url_free(&to);
        ws_error_clear(&error);
    }
}

typedef struct pair {
    const char *a, *b;
    bool same;
} pair;

static const pair pairs[] = {
    {"ws://a/x", "ws://a/y", true},         {"ws://a", "ws://A:80", true},    {"ws://a", "ws://b", false},
    {"ws://a", "ws://a:81", false},         {"ws://a", "wss://a", true},      {"ws://a:80", "wss://a:443", true},
    {"ws://a:81", "wss://a", false},        {"ws://a", "wss://a:80", true},   {"ws://a", "wss://a:444", false},
    {"wss://a", "ws://a", false},           {"wss://a", "ws://a:443", false}, {"wss://a", "wss://a", true},
    {"wss://a:444", "wss://a:444", true},   {"ws://a", "ws://a.b", false},    {"ws://a.b", "ws://b", false},
    {"ws://[::1]", "ws://[::1]:80/", true}, {"ws://[a::]", "ws://a", false},
};

TEST(the_same_host) {
    for (size_t i = 0; i < COUNT(pairs); i++) {
        ws_url a, b;
        ws_error error = {0};
        assert_int_equal(ws_url_parse(&a, pairs[i].a, &error), WS_OK);
        assert_int_equal(ws_url_parse(&b, pairs[i].b, &error), WS_OK);
        if (ws_url_same_host(&a, &b) != pairs[i].same) fail_msg("%s %s", pairs[i].a, pairs[i].b);
        ws_url_free(&a);
        ws_url_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(schemes_hosts_and_paths_are_taken_from_where_they_are),
        cmocka_unit_test(user_and_password_go_along_to_the_same_host_only),
        cmocka_unit_test(bad_locations_are_refused_with_the_reason_and_no_secret),
        cmocka_unit_test(a_location_has_at_most_65536_characters),
        cmocka_unit_test(the_same_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
