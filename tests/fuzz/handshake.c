/*
 * Any HTTP head is parsed inside its bounds, the same in any pieces, and so is the body behind it; a request we let
 * pass says what it was told; cookies and redirects stay what may stand in a request.
 */
#include "core/handshake.h"
#include "core/http_body.h"
#include "core/redirect.h"
#include "core/retry_after.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const char* const offered[] = {"v1", "v2"};

/* A head that comes byte by byte is found where it is found at once, and its beginning looks like one all the time. */
static void find_head(const char* text, size_t size, size_t n) {
    size_t scanned = 0, found = 0, shown = 0;
    while (!found && shown < size) {
        found = ws_http_head_length(text, ++shown, &scanned);
    }
    MUST(found == n && (!n || shown == n));
}

static void check_bounds(const ws_http_head* head, const char* text, size_t n) {
    for (size_t i = 0; i < head->count; i++) {
        const ws_slice name = head->headers[i].name, value = head->headers[i].value;
        MUST(name.len && name.at >= text && name.at + name.len < value.at + 1);
        MUST(value.at + value.len <= text + n);
    }
}

static void answer(const char* text, size_t n) {
    ws_http_head head;
    ws_error error = {0};
    int chosen;
    if (!ws_http_parse_response(&head, text, n)) {
        check_bounds(&head, text, n);
        for (size_t i = 0; i <= n; i++) {
            MUST(ws_http_response_prefix(text, i));
        }
        int32_t rc = ws_handshake_check_response(&head, KEY, offered, 2, &chosen, &error);
        MUST(rc == error.code && (rc || (chosen >= -1 && chosen < 2)));
    }
    ws_error_clear(&error);
}

/* What is kept of the cookies may stand in a header. */
static void keep_cookies(const ws_http_head* head, const ws_url* url) {
    ws_cookies cookies = {0};
    ws_buf out = {0};
    MUST(ws_cookies_take(&cookies, url, head) == WS_OK && ws_cookies_take(&cookies, url, head) == WS_OK);
    MUST(cookies.count <= WS_COOKIES_MAX && ws_cookies_write(&cookies, url, &out) == WS_OK);
    MUST(!ws_buf_append(&out, "", 1) && ws_http_value_ok((const char*)out.data) &&
         out.end == strlen((char*)out.data) + 1);
    ws_buf_free(&out);
    ws_cookies_free(&cookies);
}

static void follow(const ws_http_head* head, const ws_url* url) {
    ws_url to;
    ws_error error = {0};
    int64_t seconds;
    int32_t rc = ws_redirect_target(head, url, &to, &error);
    MUST(rc == (error.code ? error.code : ws_redirect_is(head)) && (rc != 1 || (to.secure && to.target[0] == '/')));
    if (rc == 1) keep_cookies(head, &to);
    MUST(!ws_http_retry_after(head, 784111777, &seconds) || (seconds >= 0 && seconds <= WS_RETRY_AFTER_MAX));
    ws_url_free(&to);
    ws_error_clear(&error);
}

/* What is behind the head, whole and byte by byte. */
static void read_body(const ws_http_head* head, const uint8_t* bytes, size_t n) {
    ws_http_body whole, cut;
    ws_buf kept = {0}, pieces = {0};
    if (ws_http_interim(head) || !ws_http_body_start(&whole, head)) return;
    cut = whole;
    int32_t rc = ws_http_body_take(&whole, bytes, n, &kept), last = 0;
    for (size_t i = 0; i < n && !last; i++) {
        last = ws_http_body_take(&cut, bytes + i, 1, &pieces);
    }
    MUST(rc == last && ws_buf_len(&kept) == ws_buf_len(&pieces) && ws_buf_len(&kept) <= WS_BODY_MAX);
    MUST(!ws_buf_len(&kept) || memcmp(kept.data, pieces.data, kept.end) == 0);
    ws_buf_free(&kept);
    ws_buf_free(&pieces);
}

static void behave(const char* text, size_t n, size_t size) {
    char host[] = "a.example.com", target[] = "/x/y?z";
    const ws_url url = {.secure = true, .host = host, .port = 443, .target = target};
    ws_http_head head;
    if (ws_http_parse_response(&head, text, n)) return;
    keep_cookies(&head, &url);
    follow(&head, &url);
    read_body(&head, (const uint8_t*)text + n, size - n);
}

static void request(const char* text, size_t n) {
    ws_http_head head;
    ws_error error = {0};
    ws_slice key;
    int status = 0;
    if (!ws_http_parse_request(&head, text, n)) {
        check_bounds(&head, text, n);
        MUST(ws_http_request_prefix(text, n) == (head.method.len <= 32));
        ws_handshake_offers(&head, "v1");
        int32_t rc = ws_handshake_check_upgrade(&head, &key, &status, &error);
        MUST(rc == error.code && (rc ? status >= 400 : key.len == WS_KEY_SIZE));
    }
    ws_error_clear(&error);
}

/* Headers of the caller's are refused, or arrive as they are and leave the request what it is; but for a Cookie without
 * any. */
static void write_and_read(const char* name, const char* value) {
    ws_url url = {.host = (char*)"h", .port = 80, .target = (char*)"/"};
    const wsHeader own = {name, value};
    const ws_request wanted = {
        .url = &url, .headers = &own, .header_count = 1, .subprotocols = offered, .subprotocol_count = 2};
    ws_error error = {0};
    ws_buf out = {0};
    if (ws_handshake_check_request(&wanted, &error) == WS_OK) {
        ws_http_head head;
        ws_slice key;
        size_t count;
        int status;
        MUST(ws_handshake_write_request(&wanted, KEY, &out) == WS_OK);
        MUST(!ws_http_parse_request(&head, (const char*)out.data, out.end));
        MUST(ws_handshake_check_upgrade(&head, &key, &status, &error) == WS_OK && ws_slice_equal(key, KEY));
        const ws_slice* found = ws_http_header_value(&head, name, &count);
        bool nothing = !*value && strcasecmp(name, "Cookie") == 0; /* a Cookie header has a cookie (RFC 6265 4.2.1) */
        MUST(nothing ? count == 0 : count == 1 && ws_slice_equal(*found, value));
    }
    ws_buf_free(&out);
    ws_error_clear(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    size_t scanned = 0;
    char* text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    write_and_read(text, text + (strlen(text) < size ? strlen(text) + 1 : size));
    char* exact = realloc(text, size ? size : 1); /* reading beyond the end is noticed */
    size_t n = ws_http_head_length(exact, size, &scanned);
    find_head(exact, size, n);
    answer(exact, n ? n : size);
    behave(exact, n ? n : size, size);
    request(exact, n ? n : size);
    free(exact);
    return 0;
}
