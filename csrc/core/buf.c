#include "core/buf.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { BUF_SMALLEST = 256, BUF_BIG = 128 * 1024, PAGE = 4096 };

/* Slide the bytes to the front. */
static void buf_compact(ws_buf* buf) {
    size_t len = ws_buf_len(buf);
    if (len) memmove(buf->data, ws_buf_head(buf), len);
    buf->start = 0;
    buf->end = len;
}

/* A capacity for `need` bytes that doubles as it grows, so that appending costs the same at every length. */
static size_t buf_grown(size_t cap, size_t need) {
    size_t grown = cap < BUF_SMALLEST ? BUF_SMALLEST : cap;
    if (grown <= SIZE_MAX / 2 && grown * 2 >= need && cap) return grown * 2;
    return need > grown ? need : grown;
}

/* Big pieces start at a page. malloc's start 16 bytes behind one, and what a socket has at one, as a rule: to copy to
 * just behind the source's place in its page takes some processors (Zen 3, Zen 4) three times as long. */
static uint8_t* buf_new(size_t cap) {
    if (cap < BUF_BIG || cap > SIZE_MAX - PAGE) return malloc(cap);
    return aligned_alloc(PAGE, (cap + PAGE - 1) / PAGE * PAGE);
}

int32_t ws_buf_reserve(ws_buf* buf, size_t n) {
    if (ws_buf_room(buf) >= n) return WS_OK;
    size_t len = ws_buf_len(buf);
    if (n > SIZE_MAX - len) return WS_ERR_MEMORY;
    /* Moving costs at most as many bytes as were consumed before: it stays cheap. */
    if (buf->cap - len >= n && buf->start >= len) {
        buf_compact(buf);
        return WS_OK;
    }
    size_t cap = buf_grown(buf->cap, len + n);
    uint8_t* data = buf_new(cap);
    if (!data) return WS_ERR_MEMORY;
    if (len) memcpy(data, ws_buf_head(buf), len);
    free(buf->data);
    *buf = (ws_buf){.data = data, .start = 0, .end = len, .cap = cap};
    return WS_OK;
}

int32_t ws_buf_append(ws_buf* buf, const void* bytes, size_t n) {
    if (n == 0) return WS_OK;
    if (ws_buf_reserve(buf, n)) return WS_ERR_MEMORY;
    memcpy(ws_buf_tail(buf), bytes, n);
    buf->end += n;
    return WS_OK;
}

int32_t ws_buf_append_text(ws_buf* buf, const char* text) {
    return ws_buf_append(buf, text, strlen(text));
}

void ws_buf_consume(ws_buf* buf, size_t n) {
    buf->start += n < ws_buf_len(buf) ? n : ws_buf_len(buf);
    if (buf->start == buf->end) buf->start = buf->end = 0;
}

void ws_buf_empty(ws_buf* buf) {
    buf->start = buf->end = 0;
    if (buf->cap > WS_BUF_KEPT) ws_buf_free(buf);
}

void ws_buf_fit(ws_buf* buf) {
    if (buf->end == 0) ws_buf_free(buf);
    uint8_t* data = buf->end < buf->cap ? realloc(buf->data, buf->end) : NULL;
    if (!data) return; /* then it stays as it is */
    buf->data = data;
    buf->cap = buf->end;
}

void ws_buf_free(ws_buf* buf) {
    free(buf->data);
    *buf = (ws_buf){0};
}
