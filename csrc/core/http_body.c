#include "core/http_body.h"

#include <wsclient/wsclient.h>

#include <string.h>

/* Where in a chunk the next byte belongs. */
enum {
    AT_SIZE,      /* hexadecimal digits */
    AT_EXTENSION, /* whatever, until LF */
    AT_DATA,
    AT_DATA_END, /* CR LF */
};

static bool parse_length(ws_slice text, uint64_t* length) {
    *length = 0;
    if (text.len == 0 || text.len > 15) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        *length = *length * 10 + (uint64_t)(text.at[i] - '0');
    }
    return true;
}

void ws_http_body_init(ws_http_body* body, const ws_http_head* head) {
    size_t count;
    *body = (ws_http_body){.kind = WS_BODY_TO_END};
    const ws_slice* length = ws_http_header_value(head, "Content-Length", &count);
    if (head->status < 200 || head->status == 204 || head->status == 304) {
        body->kind = WS_BODY_NONE;
    } else if (ws_http_has_token(head, "Transfer-Encoding", "chunked")) {
        body->kind = WS_BODY_CHUNKED;
    } else if (length && parse_length(*length, &body->left)) {
        body->kind = body->left ? WS_BODY_LENGTH : WS_BODY_NONE;
    }
    body->done = body->kind == WS_BODY_NONE;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Keep what is the body's, up to the bound. */
static int32_t keep(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out) {
    size_t room = WS_BODY_MAX - ws_buf_len(out);
    int32_t rc = ws_buf_append(out, bytes, n < room ? n : room);
    if (ws_buf_len(out) == WS_BODY_MAX) body->done = true;
    return rc;
}

/* A digit of a chunk's size, or what ends it. */
static void take_size(ws_http_body* body, uint8_t c) {
    static const char digits[] = "0123456789abcdef";
    const char* digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    if (digit && body->left < (uint64_t)1 << 40) {
        body->left = body->left * 16 + (uint64_t)(digit - digits);
    } else if (c == '\n') {
        body->at = AT_DATA;
        body->done = body->left == 0; /* the last chunk; trailers are nobody's */
    } else if (c == '\r' || c == ';' || c == ' ' || c == '\t') {
        body->at = AT_EXTENSION;
    } else {
        body->done = true;
    }
}

/* One byte between the data of chunks. */
static void take_framing(ws_http_body* body, uint8_t c) {
    if (body->at == AT_SIZE || (body->at == AT_EXTENSION && c == '\n')) {
        take_size(body, c);
    } else if (body->at == AT_DATA_END) {
        if (c == '\n') body->at = AT_SIZE;
        if (c != '\n' && c != '\r') body->done = true;
    }
}

static int32_t feed_chunked(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out) {
    for (size_t i = 0; i < n && !body->done;) {
        if (body->at != AT_DATA) {
            take_framing(body, bytes[i++]);
            continue;
        }
        size_t part = (size_t)smaller(body->left, n - i);
        int32_t rc = keep(body, bytes + i, part, out);
        if (rc) return rc;
        i += part;
        body->left -= part;
        if (body->left == 0) body->at = AT_DATA_END;
    }
    return WS_OK;
}

int32_t ws_http_body_feed(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out) {
    if (body->done) return WS_OK;
    if (body->kind == WS_BODY_CHUNKED) return feed_chunked(body, bytes, n, out);
    if (body->kind == WS_BODY_TO_END) return keep(body, bytes, n, out);
    size_t part = (size_t)smaller(body->left, n);
    int32_t rc = keep(body, bytes, part, out);
    body->left -= part;
    if (body->left == 0) body->done = true;
    return rc;
}
