#include "core/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/basic_auth.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */

/* Headers that the handshake writes itself; a second one would contradict it. */
static const char* const ours[] = {"Host",
                                   "Upgrade",
                                   "Connection",
                                   "Sec-WebSocket-Key",
                                   "Sec-WebSocket-Version",
                                   "Sec-WebSocket-Protocol",
                                   "Sec-WebSocket-Extensions",
                                   "Content-Length",
                                   "Transfer-Encoding"};

void ws_handshake_key(char key[WS_KEY_SIZE + 1], const uint8_t random[16]) {
    EVP_EncodeBlock((unsigned char*)key, random, 16);
}

int32_t ws_handshake_accept(char accept[WS_ACCEPT_SIZE + 1], const char* key, size_t key_len) {
    unsigned char text[WS_KEY_SIZE + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH];
    size_t n = key_len < WS_KEY_SIZE ? key_len : WS_KEY_SIZE;
    memcpy(text, key, n);
    memcpy(text + n, guid, sizeof guid - 1);
    if (!SHA1(text, n + sizeof guid - 1, digest)) return WS_ERR_SYSTEM;
    EVP_EncodeBlock((unsigned char*)accept, digest, sizeof digest);
    return WS_OK;
}

static bool is_ours(const char* name) {
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcasecmp(name, ours[i]) == 0) return true;
    }
    return false;
}

static int32_t check_header(const wsHeader* header, ws_error* error) {
    if (!header->name || !ws_http_name_ok(header->name)) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "a header's name is empty or has characters that are not allowed");
    }
    if (is_ours(header->name)) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "header %s is written by the handshake itself", header->name);
    }
    if (!header->value || !ws_http_value_ok(header->value)) {
        return ws_error_set(error, WS_ERR_ARGUMENT,
                            "the value of header %s has control characters, or white space around it", header->name);
    }
    return WS_OK;
}

/* Subprotocols are tokens, each once (RFC 6455 4.1, 10). */
static int32_t check_subprotocol(const ws_request* request, size_t i, ws_error* error) {
    const char* name = request->subprotocols[i];
    if (!name || !ws_http_name_ok(name)) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "a subprotocol is empty or has characters that are not allowed");
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(name, request->subprotocols[j]) == 0) {
            return ws_error_set(error, WS_ERR_ARGUMENT, "subprotocol %s is offered twice", name);
        }
    }
    return WS_OK;
}

int32_t ws_handshake_check_request(const ws_request* request, ws_error* error) {
    wsHeader own[] = {{"Origin", request->origin}, {"User-Agent", request->user_agent}};
    int32_t rc = WS_OK;
    for (size_t i = 0; i < 2 && !rc; i++) {
        if (own[i].value) rc = check_header(&own[i], error);
    }
    for (size_t i = 0; i < request->header_count && !rc; i++) {
        rc = check_header(&request->headers[i], error);
    }
    for (size_t i = 0; i < request->subprotocol_count && !rc; i++) {
        rc = check_subprotocol(request, i, error);
    }
    return rc;
}

/* "Name: value" and the end of the line; nothing if there is no value. */
static int32_t write_header(ws_buf* out, const char* name, const char* value) {
    if (!value || !*value) return WS_OK;
    if (ws_buf_append_text(out, name) || ws_buf_append_text(out, ": ") || ws_buf_append_text(out, value)) {
        return WS_ERR_MEMORY;
    }
    return ws_buf_append_text(out, "\r\n");
}

static int32_t write_subprotocols(const ws_request* request, ws_buf* out) {
    for (size_t i = 0; i < request->subprotocol_count; i++) {
        const char* before = i ? ", " : "Sec-WebSocket-Protocol: ";
        if (ws_buf_append_text(out, before) || ws_buf_append_text(out, request->subprotocols[i])) return WS_ERR_MEMORY;
    }
    return request->subprotocol_count ? ws_buf_append_text(out, "\r\n") : WS_OK;
}

static int32_t write_request_line(const ws_request* request, ws_buf* out) {
    if (ws_buf_append_text(out, "GET ") || ws_buf_append_text(out, request->url->target) ||
        ws_buf_append_text(out, " HTTP/1.1\r\nHost: ") || ws_url_write_host(request->url, out)) {
        return WS_ERR_MEMORY;
    }
    return ws_buf_append_text(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
}

static bool has_header(const ws_request* request, const char* name) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) return true;
    }
    return false;
}

/* A header that the caller's own headers may replace. */
static int32_t write_default(const ws_request* request, const char* name, const char* value, ws_buf* out) {
    return has_header(request, name) ? WS_OK : write_header(out, name, value);
}

static int32_t write_login(const ws_request* request, ws_buf* out) {
    const ws_url* url = request->url;
    if (!url->user || request->foreign || has_header(request, "Authorization")) return WS_OK;
    if (ws_buf_append_text(out, "Authorization: ") || ws_basic_auth_write(url->user, url->password, out)) {
        return WS_ERR_MEMORY;
    }
    return ws_buf_append_text(out, "\r\n");
}

static bool is_credential(const char* name) {
    return strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Proxy-Authorization") == 0 ||
           strcasecmp(name, "Cookie") == 0;
}

/* The caller's headers as they are; but Cookie is written apart. */
static int32_t write_own(const ws_request* request, ws_buf* out) {
    for (size_t i = 0; i < request->header_count; i++) {
        const wsHeader* header = &request->headers[i];
        if (strcasecmp(header->name, "Cookie") == 0 || (request->foreign && is_credential(header->name))) continue;
        if (ws_buf_append_text(out, header->name) || ws_buf_append_text(out, ": ") ||
            ws_buf_append_text(out, header->value) || ws_buf_append_text(out, "\r\n")) {
            return WS_ERR_MEMORY;
        }
    }
    return WS_OK;
}

/* The caller's and the store's in one header (RFC 6265 5.4). */
static int32_t write_cookies(const ws_request* request, ws_buf* out) {
    const char* before = "Cookie: ";
    for (size_t i = 0; i < request->header_count && !request->foreign; i++) {
        if (strcasecmp(request->headers[i].name, "Cookie") != 0 || !*request->headers[i].value) continue;
        if (ws_buf_append_text(out, before) || ws_buf_append_text(out, request->headers[i].value)) return WS_ERR_MEMORY;
        before = "; ";
    }
    ws_buf stored = {0};
    int32_t rc = request->cookies ? ws_cookies_write(request->cookies, request->url, &stored) : WS_OK;
    if (!rc && ws_buf_len(&stored)) {
        rc = ws_buf_append_text(out, before);
        if (!rc) rc = ws_buf_append(out, ws_buf_head(&stored), ws_buf_len(&stored));
        before = "; ";
    }
    ws_buf_free(&stored);
    return rc || *before == 'C' ? rc : ws_buf_append_text(out, "\r\n");
}

int32_t ws_handshake_write_request(const ws_request* request, const char* key, ws_buf* out) {
    if (write_request_line(request, out) || write_header(out, "Sec-WebSocket-Key", key) ||
        write_default(request, "Origin", request->origin, out) ||
        write_default(request, "User-Agent", request->user_agent, out) || write_subprotocols(request, out)) {
        return WS_ERR_MEMORY;
    }
    if (request->deflate && ws_extension_write_offer(request->deflate, out)) return WS_ERR_MEMORY;
    if (write_login(request, out) || write_own(request, out) || write_cookies(request, out)) return WS_ERR_MEMORY;
    return ws_buf_append_text(out, "\r\n");
}

static int32_t check_status(const ws_http_head* head, ws_error* error) {
    if (head->status == 101) return WS_OK;
    error->http_status = head->status;
    return ws_error_set(error, WS_ERR_STATUS, "server refused the upgrade with HTTP %d %.*s", head->status,
                        (int)(head->reason.len < 200 ? head->reason.len : 200), head->reason.at);
}

static int32_t check_upgraded(const ws_http_head* head, const char* key, ws_error* error) {
    if (!ws_http_has_token(head, "Upgrade", "websocket")) {
        return ws_error_set(error, WS_ERR_UPGRADE, "the response has no header Upgrade: websocket");
    }
    if (!ws_http_has_token(head, "Connection", "Upgrade")) {
        return ws_error_set(error, WS_ERR_UPGRADE, "the response has no header Connection: Upgrade");
    }
    char accept[WS_ACCEPT_SIZE + 1];
    size_t count;
    const ws_slice* value = ws_http_header_value(head, "Sec-WebSocket-Accept", &count);
    if (ws_handshake_accept(accept, key, strlen(key))) {
        return ws_error_set(error, WS_ERR_SYSTEM, "libcrypto makes no SHA-1, without which no answer can be checked");
    }
    if (value && ws_slice_equal(*value, accept)) return WS_OK;
    return ws_error_set(error, WS_ERR_ACCEPT,
                        "the response has %s Sec-WebSocket-Accept: it does not answer this request",
                        count == 0   ? "no"
                        : count == 1 ? "a wrong"
                                     : "more than one");
}

static int32_t check_chosen(const ws_http_head* head, const char* const* offered, size_t offered_count, int* chosen,
                            ws_error* error) {
    size_t count;
    const ws_slice* value = ws_http_header_value(head, "Sec-WebSocket-Protocol", &count);
    *chosen = -1;
    if (count == 0) return WS_OK;
    for (size_t i = 0; value && i < offered_count; i++) {
        if (ws_slice_equal(*value, offered[i])) {
            *chosen = (int)i;
            return WS_OK;
        }
    }
    return ws_error_set(error, WS_ERR_SUBPROTOCOL, "the server chose subprotocol %.*s, which was not offered",
                        value ? (int)(value->len < 100 ? value->len : 100) : 12, value ? value->at : "several ones");
}

int32_t ws_handshake_check_response(const ws_http_head* head, const char* key, const char* const* offered,
                                    size_t offered_count, int* subprotocol, ws_error* error) {
    int32_t rc = check_status(head, error);
    if (!rc) rc = check_upgraded(head, key, error);
    if (!rc) rc = check_chosen(head, offered, offered_count, subprotocol, error);
    return rc;
}

static int32_t refuse(int* status, int with, ws_error* error, int32_t code, const char* text) {
    *status = with;
    return ws_error_set(error, code, "%s", text);
}

/* 16 bytes in base64: 22 characters and "==" (RFC 6455 4.2.1, 5). */
static bool key_ok(const ws_slice* key) {
    if (!key || key->len != WS_KEY_SIZE || memcmp(key->at + WS_KEY_SIZE - 2, "==", 2) != 0) return false;
    if (memchr(key->at, '=', WS_KEY_SIZE - 2)) return false; /* which the decoder would take */
    unsigned char bytes[WS_KEY_SIZE];
    return EVP_DecodeBlock(bytes, (const unsigned char*)key->at, WS_KEY_SIZE) == 18;
}

int32_t ws_handshake_check_upgrade(const ws_http_head* head, ws_slice* key, int* status, ws_error* error) {
    size_t hosts, keys, versions;
    ws_http_header_value(head, "Host", &hosts);
    const ws_slice* version = ws_http_header_value(head, "Sec-WebSocket-Version", &versions);
    const ws_slice* value = ws_http_header_value(head, "Sec-WebSocket-Key", &keys);
    if (!ws_slice_equal(head->method, "GET")) {
        return refuse(status, 405, error, WS_ERR_HTTP, "a WebSocket begins with GET");
    }
    if (hosts != 1) return refuse(status, 400, error, WS_ERR_HEADER, "there must be one header Host");
    if (!ws_http_has_token(head, "Upgrade", "websocket") || !ws_http_has_token(head, "Connection", "Upgrade")) {
        return refuse(status, 426, error, WS_ERR_UPGRADE, "this server speaks WebSocket: upgrade to it");
    }
    if (!version || !ws_slice_equal(*version, "13")) {
        return refuse(status, 426, error, WS_ERR_HEADER, "Sec-WebSocket-Version must be 13");
    }
    if (!key_ok(value)) return refuse(status, 400, error, WS_ERR_HEADER, "Sec-WebSocket-Key is missing or malformed");
    *key = *value;
    return WS_OK;
}

bool ws_handshake_offers(const ws_http_head* head, const char* subprotocol) {
    for (size_t i = 0; i < head->count; i++) {
        if (!ws_slice_equal_nocase(head->headers[i].name, "Sec-WebSocket-Protocol")) continue;
        ws_slice list = head->headers[i].value, item;
        while (ws_http_list_next(&list, &item)) {
            if (ws_slice_equal(item, subprotocol)) return true;
        }
    }
    return false;
}

int32_t ws_handshake_write_response(ws_slice key, const char* subprotocol, const ws_buf* extension, ws_buf* out) {
    char accept[WS_ACCEPT_SIZE + 1];
    int32_t rc = ws_handshake_accept(accept, key.at, key.len);
    if (rc) return rc;
    if (ws_buf_append_text(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n") ||
        write_header(out, "Sec-WebSocket-Accept", accept) || write_header(out, "Sec-WebSocket-Protocol", subprotocol)) {
        return WS_ERR_MEMORY;
    }
    if (extension && ws_buf_append(out, ws_buf_head(extension), ws_buf_len(extension))) return WS_ERR_MEMORY;
    return ws_buf_append_text(out, "\r\n");
}

static const char* status_reason(int status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 405:
        return "Method Not Allowed";
    case 426:
        return "Upgrade Required";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Refused";
    }
}

int32_t ws_handshake_write_refusal(int status, const char* reason, ws_buf* out) {
    char lines[256];
    snprintf(
        lines, sizeof lines,
        "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n",
        status, status_reason(status), strlen(reason) + 1);
    const char* more = status == 426   ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
                       : status == 405 ? "Allow: GET\r\n\r\n"
                                       : "\r\n";
    if (ws_buf_append_text(out, lines) || ws_buf_append_text(out, more) || ws_buf_append_text(out, reason)) {
        return WS_ERR_MEMORY;
    }
    return ws_buf_append_text(out, "\n");
}
