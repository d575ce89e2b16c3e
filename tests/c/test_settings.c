/* Settings: shared by connections of the same options, and by no others. */
#include <string.h>

#include "client/settings.h"
#include "support.h"

static const ws_settings* get(const wsOptions* options) {
    const ws_settings* settings;
    ws_error error = {0};
    assert_int_equal(ws_settings_get(options, &settings, &error), WS_OK);
    return settings;
}

static wsOptions options_for(const char* url) {
    return (wsOptions){.size = sizeof(wsOptions), .url = url};
}

TEST(the_same_options_are_one) {
    const wsHeader headers[] = {{"X-A", "1"}, {"X-B", "2"}}, others[] = {{"X-A", "1"}, {"X-B", "2"}};
    const char *const protocols[] = {"a", "b"}, *const other_protocols[] = {"a", "b"};
    wsOptions a = options_for("ws://u:p@h:81/t"), b = a;
    a.headers = headers, b.headers = others;
    a.headerCount = b.headerCount = 2;
    a.subprotocols = protocols, b.subprotocols = other_protocols;
    a.subprotocolCount = b.subprotocolCount = 2;
    const ws_settings *first = get(&a), *second = get(&b);
    assert_ptr_equal(first, second);
    ws_settings_drop(first);
    assert_string_equal(second->url.host, "h"); /* it lives as long as anybody has it */
    ws_settings_drop(second);
}

/* `changed` is like `plain` but for one thing. */
static void assert_apart(const wsOptions* plain, const wsOptions* changed) {
    const ws_settings *a = get(plain), *b = get(changed), *c = get(plain), *d = get(changed);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a, c);
    assert_ptr_equal(b, d);
    ws_settings_drop(a);
    ws_settings_drop(b);
    ws_settings_drop(c);
    ws_settings_drop(d);
}

static void assert_counts(const wsOptions* changed) {
    wsOptions plain = options_for("ws://h/");
    assert_apart(&plain, changed);
}

#define DIFFERS(...)                                                                                                   \
    do {                                                                                                               \
        wsOptions changed = {.size = sizeof(wsOptions), .url = "ws://h/", __VA_ARGS__};                                \
        assert_counts(&changed);                                                                                       \
    } while (0)

TEST(every_option_makes_a_difference) {
    const wsHeader header = {"A", "b"};
    const char* const protocol = "a";
    int one = 1;
    const wsSocketOption socket_option = {.level = 1, .name = 2, .value = &one, .length = sizeof one};
    DIFFERS(.headers = &header, .headerCount = 1);
    DIFFERS(.origin = "http://o");
    DIFFERS(.subprotocols = &protocol, .subprotocolCount = 1);
    DIFFERS(.userAgent = "me");
    DIFFERS(.openTimeout = 1);
    DIFFERS(.closeTimeout = 1);
    DIFFERS(.pingInterval = 1);
    DIFFERS(.pingTimeout = 1);
    DIFFERS(.maxRedirects = 1);
    DIFFERS(.writeLimit = 1);
    DIFFERS(.maxBuffer = 1);
    DIFFERS(.maxQueue = 1);
    DIFFERS(.queuePolicy = WS_QUEUE_DROP_OLDEST);
    DIFFERS(.maxSize = 1);
    DIFFERS(.maxFragments = 1);
    DIFFERS(.maxHead = 1);
    DIFFERS(.deflate = {.off = 1});
    DIFFERS(.deflate = {.threshold = 1});
    DIFFERS(.deflate = {.serverMaxWindowBits = 9});
    DIFFERS(.deflate = {.clientMaxWindowBits = 9});
    DIFFERS(.deflate = {.serverNoContextTakeover = 1});
    DIFFERS(.deflate = {.clientNoContextTakeover = 1});
    DIFFERS(.tls = {.insecure = 1});
    DIFFERS(.proxyTls = {.insecure = 1});
    DIFFERS(.serverHostname = "n");
    DIFFERS(.unixPath = "/p");
    DIFFERS(.proxy = "");
    DIFFERS(.proxy = "http://p");
    DIFFERS(.localHost = "127.0.0.1");
    DIFFERS(.localPort = 5);
    DIFFERS(.socketOptions = &socket_option, .socketOptionCount = 1);
}

TEST(every_part_of_the_url_makes_a_difference) {
    static const char* const urls[] = {"ws://h/x", "ws://g/", "ws://h:81/", "wss://h/", "ws://u@h/", "ws://u:p@h/"};
    wsOptions plain = options_for("ws://h/");
    for (size_t i = 0; i < COUNT(urls); i++) {
        wsOptions changed = options_for(urls[i]);
        assert_apart(&plain, &changed);
    }
}

TEST(values_make_a_difference_where_the_count_does_not) {
    const wsHeader a = {"A", "b"}, b = {"A", "c"};
    const char *const p = "p", *const q = "q";
    const char bytes[] = {1, 2};
    const wsSocketOption s = {.level = 1, .name = 2, .value = bytes, .length = 1};
    const wsSocketOption t = {.level = 1, .name = 2, .value = bytes + 1, .length = 1};
    wsOptions first = options_for("ws://h/"), second = first;
    first.headers = &a, second.headers = &b;
    first.headerCount = second.headerCount = 1;
    assert_apart(&first, &second);
    first = second = options_for("ws://h/");
    first.subprotocols = &p, second.subprotocols = &q;
    first.subprotocolCount = second.subprotocolCount = 1;
    assert_apart(&first, &second);
    first = second = options_for("ws://h/");
    first.socketOptions = &s, second.socketOptions = &t;
    first.socketOptionCount = second.socketOptionCount = 1;
    assert_apart(&first, &second);
    first = second = options_for("ws://h/");
    first.proxy = "http://u:p@a:1", second.proxy = "http://u:q@a:1";
    assert_apart(&first, &second);
}

TEST(what_is_wrong_is_not_kept) {
    const ws_settings* settings = NULL;
    ws_error error = {0};
    wsOptions wrong = options_for("http://h/");
    assert_int_equal(ws_settings_get(&wrong, &settings, &error), WS_ERR_URL);
    assert_null(settings);
    ws_settings_drop(settings);
    ws_error_clear(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_options_are_one),
        cmocka_unit_test(every_option_makes_a_difference),
        cmocka_unit_test(every_part_of_the_url_makes_a_difference),
        cmocka_unit_test(values_make_a_difference_where_the_count_does_not),
        cmocka_unit_test(what_is_wrong_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
