/* The body of an HTTP/1.1 response (RFC 9112 6), as much of it as is worth showing. */
#ifndef WS_CORE_HTTP_BODY_H
#define WS_CORE_HTTP_BODY_H

#include "core/buf.h"
#include "core/http1.h"

enum { WS_BODY_MAX = 8192 }; /* bytes kept; then it is done */

typedef enum ws_body_kind {
    WS_BODY_NONE,
    WS_BODY_LENGTH,  /* Content-Length */
    WS_BODY_CHUNKED, /* RFC 9112 7.1 */
    WS_BODY_TO_END,  /* of the stream */
} ws_body_kind;

typedef struct ws_http_body {
    ws_body_kind kind;
    bool done;
    uint64_t left; /* of the length, or of the chunk; what of a chunk's size has come */
    int at;        /* chunked: in which part (http_body.c) */
} ws_http_body;

/* How the body of this response comes. `done` at once if it has none (RFC 9112 6.3). */
void ws_http_body_init(ws_http_body* body, const ws_http_head* head);

/*
 * Take bytes of the stream, adding what is the body's to `out`. When `done`, the rest is not looked at. A malformed
 * chunk ends the body. 0 or WS_ERR_MEMORY.
 */
int32_t ws_http_body_feed(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out);

#endif
