/* core: each allocation of a whole exchange fails once, and is reported as what it is; nothing leaks. */
#include <malloc.h>
#include <stdlib.h>

#include "core/proxy.h"
#include "support.h"

static size_t allocations, failing; /* counted from 1; 0: none fails */

void* __real_malloc(size_t n);
void* __wrap_malloc(size_t n);

void* __wrap_malloc(size_t n) {
    return ++allocations == failing ? NULL : __real_malloc(n);
}

/* What is given back is looked through for this, unless it is NULL. */
static const char* secret;
static size_t leaks;

void __real_free(void* memory);
void __wrap_free(void* memory);

void __wrap_free(void* memory) {
    if (memory && secret && memmem(memory, malloc_usable_size(memory), secret, strlen(secret))) leaks++;
    __real_free(memory);
}

/* ---- an exchange in which every step may fail ---- */

static int32_t take_events(ws_protocol* protocol) {
    for (ws_event event; (event = ws_protocol_next(protocol)).type != WS_PROTOCOL_NONE;) {
        int32_t rc = ws_protocol_reply(protocol, &event);
        if (event.type == WS_PROTOCOL_FAILED) return protocol->error.code;
        if (event.type == WS_PROTOCOL_REQUEST) rc = ws_protocol_accept(protocol, "v1");
        if (rc) return rc;
    }
    return WS_OK;
}

/* In pieces of 30000 bytes, so that big messages are gathered and lent. */
static int32_t carry(ws_protocol* from, ws_protocol* to) {
    for (;;) {
        size_t len, room;
        uint8_t* at;
        const uint8_t* bytes = ws_writer_output(&from->writer, &len);
        if (len == 0) return WS_OK;
        if (ws_protocol_prepare(to, &at, &room)) return WS_ERR_MEMORY;
        size_t n = len < 30000 ? len : 30000;
        n = n < room ? n : room;
        memcpy(at, bytes, n);
        ws_protocol_commit(to, n);
        ws_writer_written(&from->writer, n);
        int32_t rc = take_events(to);
        if (rc) return rc;
    }
}

static int32_t open_both(ws_protocol* client, ws_protocol* server, ws_url* url) {
    static const char* const subprotocols[] = {"v1"};
    ws_request request = {.url = url, .subprotocols = subprotocols, .subprotocol_count = 1, .user_agent = "test"};
    int32_t rc = ws_protocol_start(client, &request);
    if (!rc) rc = carry(client, server);
    return rc ? rc : carry(server, client);
}

static int32_t send_all(ws_protocol* client, ws_protocol* server) {
    static uint8_t big[200000];
    int32_t rc = ws_writer_message(&client->writer, WS_OPCODE_BINARY, big, sizeof big, WS_COMPRESS_AUTO);
    if (!rc) rc = ws_writer_fragment(&client->writer, WS_OPCODE_TEXT, big, 5000, false, WS_COMPRESS_AUTO);
    if (!rc) rc = ws_writer_control(&client->writer, WS_OPCODE_PING, "ping", 4);
    if (!rc) rc = ws_writer_fragment(&client->writer, WS_OPCODE_TEXT, big, 50000, true, WS_COMPRESS_AUTO);
    if (!rc) rc = carry(client, server);
    if (!rc) rc = ws_writer_message(&server->writer, WS_OPCODE_TEXT, big, 60000, WS_COMPRESS_AUTO);
    if (!rc) rc = ws_writer_close(&server->writer, 1000, "bye", 3);
    if (!rc) rc = carry(server, client);
    return rc ? rc : carry(client, server);
}

static int32_t exchange(void) {
    ws_protocol client, server;
    ws_url url;
    ws_error error = {0};
    ws_protocol_init_client(&client, &wide_limits, test_random);
    ws_protocol_init_server(&server, &wide_limits);
    int32_t rc = ws_url_parse(&url, "ws://[::1]:8080/path", &error);
    if (!rc) rc = open_both(&client, &server, &url);
    if (!rc) rc = send_all(&client, &server);
    if (!rc) assert_true(ws_protocol_finished(&client) && ws_protocol_finished(&server));
    ws_protocol_free(&client);
    ws_protocol_free(&server);
    ws_url_free(&url);
    ws_error_clear(&error);
    return rc;
}

/* Run it with each of its allocations failing; without, it gives `good`. */
static void fail_each(int32_t (*run)(void), int32_t good, size_t least) {
    allocations = failing = 0;
    assert_int_equal(run(), good);
    size_t all = allocations;
    assert_true(all >= least);
    for (size_t n = 1; n <= all; n++) {
        allocations = 0;
        failing = n;
        int32_t rc = run();
        failing = 0;
        if (rc != WS_ERR_MEMORY) fail_msg("allocation %zu of %zu: %s", n, all, wsErrorName(rc));
    }
}

TEST(each_allocation_that_fails_is_reported_and_nothing_leaks) {
    fail_each(exchange, WS_OK, 16);
}

/* ---- a URL that leads to another ---- */

static int32_t resolve_url(void) {
    ws_url base, to = {0};
    ws_error error = {0};
    int32_t rc = ws_url_parse(&base, "ws://user:sesame-sesame@example.com/a/b", &error);
    if (!rc) rc = ws_url_resolve(&to, &base, "../c", 4, &error);
    assert_int_equal(rc, error.code);
    ws_url_free(&base);
    ws_url_free(&to);
    ws_error_clear(&error);
    return rc;
}

TEST(a_url_that_finds_no_memory_says_so) {
    fail_each(resolve_url, WS_OK, 9);
}

TEST(no_url_gives_memory_back_with_a_password_in_it) {
    leaks = 0;
    secret = "sesame-sesame";
    assert_int_equal(resolve_url(), WS_OK);
    secret = NULL;
    assert_int_equal(leaks, 0);
}

/* ---- a dialog with a proxy ---- */

static int32_t feed_all(ws_proxy* proxy, const char* answers, size_t n, ws_error* error) {
    int32_t rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        size_t len;
        ws_proxy_output(proxy, &len);
        ws_proxy_written(proxy, len);
        rc = ws_proxy_feed(proxy, (const uint8_t*)answers + i, 1, error);
    }
    return rc;
}

static int32_t dialog(const char* text, const char* answers, size_t n) {
    const ws_proxy_target target = {.host = "example.com", .port = 443};
    ws_proxy_url url;
    ws_proxy proxy = {0};
    ws_error error = {0};
    int32_t rc = ws_proxy_url_parse(&url, text, &error);
    if (!rc) rc = ws_proxy_start(&proxy, &url, &target, "agent", &error);
    if (!rc) rc = feed_all(&proxy, answers, n, &error);
    assert_int_equal(rc < 0 ? rc : 0, error.code);
    ws_proxy_free(&proxy);
    ws_proxy_url_free(&url);
    ws_error_clear(&error);
    return rc;
}

static int32_t http_dialog(void) {
    static const char answers[] = "HTTP/1.1 200 OK\r\n\r\n";
    return dialog("http://user:sesame-sesame@h", answers, sizeof answers - 1);
}

static int32_t socks_dialog(void) {
    static const char answers[] = "\5\2\1\0\5\0\0\1\0\0\0\0\0\0";
    return dialog("socks5h://user:sesame-sesame@h", answers, sizeof answers - 1);
}

static int32_t (*const dialogs[])(void) = {http_dialog, socks_dialog};

TEST(a_dialog_with_a_proxy_that_finds_no_memory_says_so) {
    for (size_t i = 0; i < COUNT(dialogs); i++) {
        fail_each(dialogs[i], 1, 5);
    }
}

TEST(no_memory_is_given_back_with_a_password_in_it) {
    static const char* const forms[] = {"sesame-sesame", "dXNlcjpzZXNhbWUtc2VzYW1l"}; /* the second in base64 */
    leaks = 0;
    for (size_t i = 0; i < COUNT(dialogs) * COUNT(forms); i++) {
        secret = forms[i / 2];
        assert_int_equal(dialogs[i % 2](), 1);
        secret = NULL;
        assert_int_equal(leaks, 0);
    }
    ws_buf seen = {0};
    put_text(&seen, forms[0]);
    secret = forms[0];
    ws_buf_free(&seen);
    secret = NULL;
    assert_int_equal(leaks, 1);
}

TEST(a_request_that_found_no_memory_leaves_nothing_to_write) {
    static char path[2000]; /* longer than the first allocation of a buffer */
    memset(path, 'a', sizeof path - 1);
    memcpy(path, "ws://h/", 7);
    ws_url url;
    ws_error error = {0};
    assert_int_equal(ws_url_parse(&url, path, &error), WS_OK);
    for (size_t n = 1; n <= 2; n++) {
        ws_protocol client;
        size_t len;
        ws_protocol_init_client(&client, &wide_limits, test_random);
        failing = allocations + n;
        assert_int_equal(ws_protocol_start(&client, &(ws_request){.url = &url}), WS_ERR_MEMORY);
        failing = 0;
        ws_writer_output(&client.writer, &len);
        assert_int_equal(len, 0);
        assert_int_equal(client.writer.total, 0);
        ws_protocol_free(&client);
    }
    ws_url_free(&url);
}

TEST(an_error_whose_text_finds_no_memory_has_the_tables) {
    ws_error error = {0};
    failing = allocations + 1;
    ws_error_set(&error, WS_ERR_URL, "a text");
    failing = 0;
    assert_int_equal(error.code, WS_ERR_URL);
    assert_string_equal(ws_error_text(&error), wsErrorString(WS_ERR_URL));
    ws_error_clear(&error);
}

TEST(a_message_that_found_no_memory_can_be_sent_again) {
    static const uint8_t payload[1000];
    ws_writer writer;
    ws_writer_init(&writer, test_random);
    failing = allocations + 1;
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO),
                     WS_ERR_MEMORY);
    failing = 0;
    assert_int_equal(writer.total, 0);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO), WS_OK);
    assert_int_equal(writer.total, 1008);
    ws_writer_free(&writer);
}

TEST(a_message_that_finds_no_memory_closes_with_1011) {
    ws_protocol server;
    ws_buf input = {0};
    uint8_t* at;
    size_t room;
    init_open(&server, true, &wide_limits);
    add_text(&input, SERVER, 1, "a fragment, which is gathered");
    assert_int_equal(ws_protocol_prepare(&server, &at, &room), WS_OK);
    memcpy(at, input.data, ws_buf_len(&input));
    ws_protocol_commit(&server, ws_buf_len(&input));
    failing = allocations + 1;
    ws_event event = ws_protocol_next(&server);
    failing = 0;
    assert_int_equal(event.type, WS_PROTOCOL_FAILED);
    assert_int_equal(event.code, 1011);
    assert_int_equal(server.error.code, WS_ERR_MEMORY);
    ws_protocol_free(&server);
    ws_buf_free(&input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_that_fails_is_reported_and_nothing_leaks),
        cmocka_unit_test(a_url_that_finds_no_memory_says_so),
        cmocka_unit_test(no_url_gives_memory_back_with_a_password_in_it),
        cmocka_unit_test(a_dialog_with_a_proxy_that_finds_no_memory_says_so),
        cmocka_unit_test(no_memory_is_given_back_with_a_password_in_it),
        cmocka_unit_test(a_request_that_found_no_memory_leaves_nothing_to_write),
        cmocka_unit_test(an_error_whose_text_finds_no_memory_has_the_tables),
        cmocka_unit_test(a_message_that_found_no_memory_can_be_sent_again),
        cmocka_unit_test(a_message_that_finds_no_memory_closes_with_1011),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
