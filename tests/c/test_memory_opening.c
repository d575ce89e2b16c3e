/* core: each allocation on the way to a server fails once; no memory is given back with a password in it. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/proxy.h"
#include "core/redirect.h"
#include "support.h"

static size_t allocations, failing; /* counted from 1; 0: none fails */

void* __real_malloc(size_t n);
void* __wrap_malloc(size_t n);

/* What is given back is looked through for this, unless it is NULL. */
static const char* secret;
static size_t leaks;

void* __wrap_malloc(size_t n) {
    void* memory = ++allocations == failing ? NULL : __real_malloc(n);
    if (memory && secret) memset(memory, 0, n); /* all of it will be read */
    return memory;
}

void __real_free(void* memory);
void __wrap_free(void* memory);

void __wrap_free(void* memory) {
    if (memory && secret && memmem(memory, malloc_usable_size(memory), secret, strlen(secret))) leaks++;
    __real_free(memory);
}

/* This much is in its buffers already, so that each part of what is written is one that asks for memory. */
static size_t ahead;

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

/* ---- a URL that leads to another ---- */

/* An answer that sets cookies and leads on, and the request to where it leads. */
static int32_t redirected(ws_cookies* cookies, const ws_url* from, ws_error* error) {
    static const char answer[] = "HTTP/1.1 302 X\r\nLocation: ../c\r\nSet-Cookie: a=1; Path=/\r\n"
                                 "Set-Cookie: b=2; Path=/\r\n\r\n";
    static ws_http_head head;
    ws_url to = {0};
    ws_buf out = {0};
    static const wsHeader own[] = {{"X-Own", "x"}, {"Cookie", "c=3"}, {"Cookie", "d=4"}};
    const ws_request request = {.url = &to, .cookies = cookies, .headers = own, .header_count = COUNT(own)};
    assert_null(ws_http_parse_response(&head, answer, sizeof answer - 1));
    int32_t rc = ws_cookies_take(cookies, from, &head);
    if (!rc) rc = ws_redirect_target(&head, from, &to, error);
    if (rc == 1 && ahead) rc = ws_buf_append(&out, from->target, ahead) ? WS_ERR_MEMORY : 1;
    if (rc == 1) rc = ws_handshake_write_request(&request, "key", &out);
    ws_url_free(&to);
    ws_buf_free(&out);
    return rc;
}

static int32_t redirect(void) {
    char text[1024];
    ws_url from;
    ws_error error = {0};
    ws_cookies cookies = {0};
    snprintf(text, sizeof text, "ws://user:sesame-sesame@example.com/%0*d/a/b", (int)ahead, 0);
    int32_t rc = ws_url_parse(&from, text, &error);
    if (!rc) rc = redirected(&cookies, &from, &error);
    ws_url_free(&from);
    ws_cookies_free(&cookies);
    ws_error_clear(&error);
    return rc;
}

TEST(a_redirect_that_finds_no_memory_says_so) {
    for (ahead = 0; ahead < 512; ahead++) {
        fail_each(redirect, WS_OK, 13);
    }
    ahead = 0;
}

TEST(no_url_gives_memory_back_with_a_password_in_it) {
    leaks = 0;
    secret = "sesame-sesame";
    assert_int_equal(redirect(), WS_OK);
    secret = NULL;
    assert_int_equal(leaks, 0);
}

/* ---- an upgrade that is refused ---- */

/* A client reads a whole refusal; its nth allocation in doing so fails. */
static void read_refusal(size_t nth, int32_t* code, size_t* kept) {
    static const char answer[] = "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 404 X\r\nContent-Length: 5\r\n\r\nhello";
    ws_protocol client;
    uint8_t* at;
    size_t room;
    start_client(&client, &wide_limits);
    assert_int_equal(ws_protocol_prepare(&client, &at, &room), WS_OK);
    memcpy(at, answer, sizeof answer - 1);
    ws_protocol_commit(&client, sizeof answer - 1);
    allocations = 0;
    failing = nth;
    assert_int_equal(ws_protocol_next(&client).type, WS_PROTOCOL_FAILED);
    failing = 0;
    assert_true(ws_protocol_finished(&client));
    *code = client.error.code;
    *kept = ws_buf_len(&client.body);
    ws_protocol_free(&client);
}

TEST(a_refusal_that_finds_no_memory_ends_the_handshake_all_the_same) {
    static const int32_t codes[] = {WS_ERR_STATUS, WS_ERR_MEMORY, WS_ERR_STATUS, WS_ERR_STATUS};
    static const size_t lengths[] = {5, 0, 5, 0}; /* the head, the error's text, the body */
    for (size_t n = 0; n < COUNT(codes); n++) {
        int32_t code;
        size_t kept;
        read_refusal(n, &code, &kept);
        assert_int_equal(code, codes[n]);
        assert_int_equal(kept, lengths[n]);
        if (n == 0) assert_int_equal(allocations, COUNT(codes) - 1);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirect_that_finds_no_memory_says_so),
        cmocka_unit_test(no_url_gives_memory_back_with_a_password_in_it),
        cmocka_unit_test(a_refusal_that_finds_no_memory_ends_the_handshake_all_the_same),
        cmocka_unit_test(a_dialog_with_a_proxy_that_finds_no_memory_says_so),
        cmocka_unit_test(no_memory_is_given_back_with_a_password_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
