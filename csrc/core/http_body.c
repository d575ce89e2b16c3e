#include "core/http_body.h"

#include "core/error.h"

enum { CHUNK_LINE_MAX = 4096 }; /* bytes of a chunk's size and extensions, which nobody needs */

/* ---- how long is it (RFC 9112 6.3)? ---- */

/* The last of all transfer codings, or {NULL, 0}. */
static ws_slice last_coding(const ws_http_head* head) {
    ws_slice last = {NULL, 0};
    for (size_t i = 0; i < head->count; i++) {
        if (!ws_slice_equal_nocase(head->headers[i].name, "Transfer-Encoding")) continue;
        ws_slice list = head->headers[i].value, item;
        while (ws_http_list_next(&list, &item)) {
            if (item.len) last = item;
        }
    }
    return last;
}

/* A decimal number, at most a large one; false if it is none. */
static bool parse_length(ws_slice text, uint64_t* length) {
    *length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        if (*length <= WS_BODY_MAX) *length = *length * 10 + (uint64_t)(text.at[i] - '0');
    }
    return text.len > 0;
}

bool ws_http_body_start(ws_http_body* body, const ws_http_head* head) {
    size_t count;
    *body = (ws_http_body){.step = WS_BODY_DONE};
    if (head->status == 101 || head->status == 204 || head->status == 304) return false;
    ws_slice coding = last_coding(head);
    const ws_slice* length = ws_http_header_value(head, "Content-Length", &count);
    if (coding.at) {
        body->step = ws_slice_equal_nocase(coding, "chunked") ? WS_BODY_CHUNK_SIZE : WS_BODY_UNTIL_END;
    } else if (length && parse_length(*length, &body->left)) {
        body->step = body->left ? WS_BODY_LENGTH : WS_BODY_DONE;
    } else {
        body->step = WS_BODY_UNTIL_END;
    }
    return body->step != WS_BODY_DONE;
}

/* ---- chunks ---- */

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A byte of the size; behind its first digit the line may go on. */
static ws_body_step take_size(ws_http_body* body, uint8_t c) {
    int digit = hex_value(c);
    if (digit >= 0 && body->left <= WS_BODY_MAX) body->left = body->left * 16 + (uint64_t)digit;
    if (digit >= 0) return WS_BODY_CHUNK_SIZE;
    if (body->line == 1) return WS_BODY_DONE;
    if (c == '\r') return WS_BODY_CHUNK_LF;
    return c == ';' || c == ' ' || c == '\t' ? WS_BODY_CHUNK_LINE : WS_BODY_DONE;
}

static ws_body_step take_line_feed(ws_http_body* body, uint8_t c) {
    body->line = 0;
    return c == '\n' && body->left ? WS_BODY_CHUNK_DATA : WS_BODY_DONE; /* the chunk of no bytes is the last */
}

static ws_body_step take_chunk_end(ws_http_body* body, uint8_t c) {
    if (c != "\r\n"[body->line++]) return WS_BODY_DONE;
    if (body->line < 2) return WS_BODY_CHUNK_END;
    body->line = 0;
    return WS_BODY_CHUNK_SIZE;
}

/* A byte of what is around the chunks. What is malformed ends the body. */
static ws_body_step take_framing(ws_http_body* body, uint8_t c) {
    if (body->step == WS_BODY_CHUNK_END) return take_chunk_end(body, c);
    if (body->step == WS_BODY_CHUNK_LF) return take_line_feed(body, c);
    if (++body->line > CHUNK_LINE_MAX) return WS_BODY_DONE;
    if (body->step == WS_BODY_CHUNK_SIZE) return take_size(body, c);
    return c == '\r' ? WS_BODY_CHUNK_LF : c == '\n' ? WS_BODY_DONE : WS_BODY_CHUNK_LINE;
}

/* ---- all of it ---- */

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Keep what of the bytes is the body's, up to the bound: how many, or WS_ERR_MEMORY. */
static int64_t take_data(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out) {
    bool counted = body->step != WS_BODY_UNTIL_END;
    size_t some = (size_t)smaller(smaller(n, counted ? body->left : n), WS_BODY_MAX - ws_buf_len(out));
    if (ws_buf_append(out, bytes, some)) return WS_ERR_MEMORY;
    if (counted) body->left -= some;
    if (counted && body->left == 0) {
        body->step = body->step == WS_BODY_CHUNK_DATA ? WS_BODY_CHUNK_END : WS_BODY_DONE;
    }
    if (ws_buf_len(out) == WS_BODY_MAX) body->step = WS_BODY_DONE;
    return (int64_t)some;
}

int32_t ws_http_body_take(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out) {
    for (size_t at = 0; at < n && body->step != WS_BODY_DONE;) {
        if (body->step > WS_BODY_UNTIL_END && body->step != WS_BODY_CHUNK_DATA) {
            body->step = take_framing(body, bytes[at++]);
            continue;
        }
        int64_t some = take_data(body, bytes + at, n - at, out);
        if (some < 0) return WS_ERR_MEMORY;
        at += (size_t)some;
    }
    return body->step == WS_BODY_DONE;
}
