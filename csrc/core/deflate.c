#include "core/deflate.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = 5,        /* a few hundredths more bytes than 6, for an eighth less time */
    MEMORY_LEVEL = 5, /* 24 KiB with 12 bits of window, where zlib's default is 256 KiB */
    MOST_AT_ONCE = 1 << 30,
    SLACK = 64, /* beyond zlib's bound: the flush behind the data */
    INFLATE_STEP = 16384,
};

/* What a flush leaves at the end of a message, and RFC 7692 7.2.1 leaves away. */
static const uint8_t tail[] = {0x00, 0x00, 0xFF, 0xFF};

/* ---- compressing ---- */

static int32_t make_deflater(ws_deflater* deflater) {
    if (deflater->stream) return WS_OK;
    z_stream* stream = calloc(1, sizeof *stream);
    if (!stream) return WS_ERR_MEMORY;
    int rc = deflateInit2(stream, LEVEL, Z_DEFLATED, -deflater->window_bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        free(stream);
        return WS_ERR_MEMORY;
    }
    deflater->stream = stream;
    return WS_OK;
}

void ws_deflater_reset(ws_deflater* deflater) {
    if (!deflater->stream) return;
    deflateEnd(deflater->stream);
    free(deflater->stream);
    deflater->stream = NULL;
}

/* One piece of at most MOST_AT_ONCE bytes. */
static int32_t deflate_piece(z_stream* stream, const uint8_t* data, size_t len, int flush, ws_buf* out) {
    stream->next_in = (Bytef*)data;
    stream->avail_in = (uInt)len;
    do {
        if (ws_buf_reserve(out, deflateBound(stream, stream->avail_in) + SLACK)) return WS_ERR_MEMORY;
        size_t room = ws_buf_room(out) < MOST_AT_ONCE ? ws_buf_room(out) : MOST_AT_ONCE;
        stream->next_out = ws_buf_tail(out);
        stream->avail_out = (uInt)room;
        deflate(stream, flush); /* Z_BUF_ERROR: there was nothing to do */
        out->end += room - stream->avail_out;
    } while (stream->avail_out == 0);
    return WS_OK;
}

static int32_t deflate_all(ws_deflater* deflater, const uint8_t* data, size_t len, ws_buf* out) {
    int32_t rc = make_deflater(deflater);
    while (!rc && len > MOST_AT_ONCE) {
        rc = deflate_piece(deflater->stream, data, MOST_AT_ONCE, Z_NO_FLUSH, out);
        data += MOST_AT_ONCE;
        len -= MOST_AT_ONCE;
    }
    return rc ? rc : deflate_piece(deflater->stream, data, len, Z_SYNC_FLUSH, out);
}

/* The end of a message: without the flush's tail; if nothing else was left to say, an empty block (RFC 7692 7.2.3.6).
 */
static int32_t end_message(ws_buf* out, size_t before) {
    size_t added = ws_buf_len(out) - before;
    if (added < sizeof tail) return ws_buf_append(out, tail, 1);
    out->end -= sizeof tail;
    return WS_OK;
}

int32_t ws_deflater_run(ws_deflater* deflater, const void* data, size_t len, bool final, ws_buf* out) {
    size_t before = ws_buf_len(out);
    int32_t rc = deflate_all(deflater, data, len, out);
    if (!rc && final) rc = end_message(out, before);
    if (rc) out->end = out->start + before;
    if (rc || (final && deflater->no_context_takeover)) ws_deflater_reset(deflater);
    return rc;
}

/* ---- decompressing ---- */

static int32_t make_inflater(ws_inflater* inflater) {
    if (inflater->stream) return WS_OK;
    z_stream* stream = calloc(1, sizeof *stream);
    if (!stream) return WS_ERR_MEMORY;
    int bits = inflater->window_bits < 9 ? 9 : inflater->window_bits; /* a larger window reads the same */
    if (inflateInit2(stream, -bits) != Z_OK) {
        free(stream);
        return WS_ERR_MEMORY;
    }
    inflater->stream = stream;
    return WS_OK;
}

void ws_inflater_free(ws_inflater* inflater) {
    if (!inflater->stream) return;
    inflateEnd(inflater->stream);
    free(inflater->stream);
    inflater->stream = NULL;
}

void ws_inflater_trim(ws_inflater* inflater) {
    if (inflater->no_context_takeover) ws_inflater_free(inflater);
}

/* A block with BFINAL ended the DEFLATE stream, but not the message: go on with the same window (RFC 7692 7.2.3.4). */
static int32_t go_on(z_stream* stream) {
    uint8_t window[32768];
    uInt size = 0;
    if (inflateGetDictionary(stream, window, &size) != Z_OK || inflateReset(stream) != Z_OK) return WS_ERR_PROTOCOL;
    return inflateSetDictionary(stream, window, size) == Z_OK ? WS_OK : WS_ERR_PROTOCOL;
}

/* Room for the next piece, never more than one byte beyond the limit: that byte tells that it is too much. */
static int32_t make_room(ws_buf* out, uint64_t max) {
    uint64_t left = max - ws_buf_len(out) + 1;
    if (left == 0) left = INFLATE_STEP; /* no limit at all */
    return ws_buf_reserve(out, left < INFLATE_STEP ? (size_t)left : INFLATE_STEP);
}

/* Inflate once into what room there is. */
static int inflate_once(z_stream* stream, uint64_t max, ws_buf* out) {
    uint64_t left = max - ws_buf_len(out) + 1;
    size_t room = ws_buf_room(out);
    if (left && room > left) room = (size_t)left;
    if (room > MOST_AT_ONCE) room = MOST_AT_ONCE;
    stream->next_out = ws_buf_tail(out);
    stream->avail_out = (uInt)room;
    int rc = inflate(stream, Z_SYNC_FLUSH);
    out->end += room - stream->avail_out;
    return rc;
}

static int32_t inflate_piece(z_stream* stream, const uint8_t* data, size_t len, uint64_t max, ws_buf* out) {
    stream->next_in = (Bytef*)data;
    stream->avail_in = (uInt)len;
    for (;;) {
        if (make_room(out, max)) return WS_ERR_MEMORY;
        int rc = inflate_once(stream, max, out);
        if (ws_buf_len(out) > max) return WS_ERR_TOO_BIG;
        if (rc == Z_MEM_ERROR) return WS_ERR_MEMORY;
        if (rc == Z_STREAM_END && go_on(stream)) return WS_ERR_PROTOCOL;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return WS_ERR_PROTOCOL;
        if (stream->avail_in == 0 && stream->avail_out > 0) return WS_OK;
        if (rc == Z_BUF_ERROR && stream->avail_out > 0) return WS_OK;
    }
}

int32_t ws_inflater_run(ws_inflater* inflater, const uint8_t* data, size_t len, bool final, uint64_t max, ws_buf* out) {
    int32_t rc = make_inflater(inflater);
    while (!rc && len > 0) {
        size_t n = len < MOST_AT_ONCE ? len : MOST_AT_ONCE;
        rc = inflate_piece(inflater->stream, data, n, max, out);
        data += n;
        len -= n;
    }
    if (!rc && final) rc = inflate_piece(inflater->stream, tail, sizeof tail, max, out);
    if (!rc && final && inflater->no_context_takeover) inflateReset(inflater->stream);
    return rc;
}
