/* permessage-deflate (RFC 7692): what both sides agree on, and the two halves of the compression itself. */
#ifndef WS_CORE_DEFLATE_H
#define WS_CORE_DEFLATE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/error.h"

enum { WS_MAX_WINDOW_BITS = 15 };

/* What was agreed on, or what one side would like (RFC 7692 7.1). */
typedef struct ws_deflate_terms {
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_max_window_bits, client_max_window_bits; /* 8 to 15 */
} ws_deflate_terms;

/* Compresses what one side sends. Zero-initialised it compresses nothing. */
typedef struct ws_deflater {
    struct z_stream_s* stream; /* made at the first message, NULL when there is none */
    bool enabled;
    bool no_context_takeover;
    uint8_t window_bits; /* 9 to 15 */
} ws_deflater;

/*
 * Compress a part of a message and append it to `out`; `final` ends the message. Nothing is kept back: every part can
 * be read when it arrives. WS_ERR_MEMORY with nothing appended; the next message then starts afresh.
 */
int32_t ws_deflater_run(ws_deflater* deflater, const void* data, size_t len, bool final, ws_buf* out);

/*
 * Start afresh, giving the memory back: what follows refers to nothing that was sent before. Between messages only; the
 * other side need not know. It is right when a message was taken back, and when the connection is idle.
 */
void ws_deflater_reset(ws_deflater* deflater);

/* Decompresses what the other side sends. Zero-initialised it is off. */
typedef struct ws_inflater {
    struct z_stream_s* stream;
    bool enabled;
    bool no_context_takeover;
    uint8_t window_bits; /* 8 to 15 */
} ws_inflater;

/*
 * Decompress the next `len` bytes of a message and append the result to `out`, which then holds at most `max` bytes;
 * `final`: they are the last. 0; WS_ERR_TOO_BIG as soon as it would be more; WS_ERR_PROTOCOL if it is not DEFLATE;
 * WS_ERR_MEMORY.
 */
int32_t ws_inflater_run(ws_inflater* inflater, const uint8_t* data, size_t len, bool final, uint64_t max, ws_buf* out);

/* Give back what is not needed between messages: everything without context takeover, else nothing. */
void ws_inflater_trim(ws_inflater* inflater);

void ws_inflater_free(ws_inflater* inflater);

#endif
