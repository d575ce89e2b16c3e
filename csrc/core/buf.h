/* A queue of bytes in one piece of memory: append at the end, consume from the start. Empty, it owns no memory. */
#ifndef WS_CORE_BUF_H
#define WS_CORE_BUF_H

#include <stddef.h>
#include <stdint.h>

typedef struct ws_buf {
    uint8_t* data;
    size_t start, end, cap; /* the bytes are data[start .. end) */
} ws_buf;

static inline size_t ws_buf_len(const ws_buf* buf) {
    return buf->end - buf->start;
}

/* NULL where there is no memory: adding to a null pointer is undefined, even nothing (C11 6.5.6). */
static inline uint8_t* ws_buf_head(const ws_buf* buf) {
    return buf->data ? buf->data + buf->start : NULL;
}
static inline uint8_t* ws_buf_tail(const ws_buf* buf) {
    return buf->data ? buf->data + buf->end : NULL;
}
static inline size_t ws_buf_room(const ws_buf* buf) {
    return buf->cap - buf->end;
}

/* Make room for `n` more bytes behind the end, moving the bytes if need be. 0, or WS_ERR_MEMORY with nothing changed.
 */
int32_t ws_buf_reserve(ws_buf* buf, size_t n);

/* Copy `n` bytes to the end. 0, or WS_ERR_MEMORY with nothing changed. */
int32_t ws_buf_append(ws_buf* buf, const void* bytes, size_t n);

/* Append a string without its NUL. */
int32_t ws_buf_append_text(ws_buf* buf, const char* text);

/* Drop `n` bytes (at most what is there) from the start. */
void ws_buf_consume(ws_buf* buf, size_t n);

enum { WS_BUF_KEPT = 4 << 20 }; /* bytes that an empty buffer keeps at most */

/* Drop all bytes. The memory stays for the next ones, unless it is more than WS_BUF_KEPT: to get a megabyte anew for
 * each message costs more than to receive it. Whoever empties buffers so gives them back when nothing comes. */
void ws_buf_empty(ws_buf* buf);

/* Give back what is behind the end: nothing more will be appended soon. */
void ws_buf_fit(ws_buf* buf);

/* Free the memory; the buffer is empty and usable. */
void ws_buf_free(ws_buf* buf);

#endif
