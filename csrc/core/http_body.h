/* The body of a response (RFC 9112 6), taken out of its transfer coding; the first WS_BODY_MAX bytes are kept. */
#ifndef WS_CORE_HTTP_BODY_H
#define WS_CORE_HTTP_BODY_H

#include "core/buf.h"
#include "core/http1.h"

enum { WS_BODY_MAX = 8192 };

/* Where in the body it stands. */
typedef enum ws_body_step {
    WS_BODY_DONE,
    WS_BODY_LENGTH,     /* as many bytes as Content-Length says */
    WS_BODY_UNTIL_END,  /* all that comes until the stream ends */
    WS_BODY_CHUNK_SIZE, /* chunked (RFC 9112 7.1): in the hexadecimal size ... */
    WS_BODY_CHUNK_LINE, /* ... in the rest of its line ... */
    WS_BODY_CHUNK_LF,   /* ... before the line feed at its end ... */
    WS_BODY_CHUNK_DATA, /* ... in as many bytes as it says ... */
    WS_BODY_CHUNK_END,  /* ... and in the CRLF behind them */
} ws_body_step;

/* Only the functions below look inside. */
typedef struct ws_http_body {
    ws_body_step step;
    uint64_t left; /* bytes to come, of the body or of the chunk */
    size_t line;   /* bytes of the chunk's first line, or of the CRLF at its end */
} ws_http_body;

/*
 * Begin with the body of the response with this head, which is not an interim one. True if a body follows: none does
 * on 101, 204 and 304, and on Content-Length: 0. A Content-Length that is no number is ignored.
 */
bool ws_http_body_start(ws_http_body* body, const ws_http_head* head);

/*
 * Take bytes[0..n), and append to `out` what of them is the body. 1 if it is complete, or `out` holds WS_BODY_MAX
 * bytes, or the chunks are malformed: then what has come is all; 0 if more is to come; WS_ERR_MEMORY.
 */
int32_t ws_http_body_take(ws_http_body* body, const uint8_t* bytes, size_t n, ws_buf* out);

#endif
