/* Any bytes inflate to the same, whole and in pieces, and never to more than allowed; what was deflated comes back. */
#include <stdlib.h>

#include "support.h"

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

enum { MAX = 50000 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Inflate one message in pieces of `piece` bytes. */
static int32_t inflate_message(ws_inflater* inflater, const uint8_t* data, size_t size, size_t piece, ws_buf* out) {
    int32_t rc = WS_OK;
    do {
        size_t n = smaller(size, piece);
        rc = ws_inflater_run(inflater, data, n, n == size, MAX, out);
        data += n;
        size -= n;
    } while (!rc && size);
    MUST(rc || ws_buf_len(out) <= MAX);
    return rc;
}

/* The largest window only: in a smaller one it depends on the pieces whether a peer that oversteps it is noticed. */
static void inflate_anything(const uint8_t* data, size_t size, size_t piece) {
    ws_inflater one = {.enabled = true, .window_bits = 15}, two = one;
    ws_buf whole = {0}, cut = {0};
    for (int message = 0; message < 2; message++) {
        int32_t rc = inflate_message(&one, data, size, SIZE_MAX, &whole);
        MUST(inflate_message(&two, data, size, piece, &cut) == rc);
        if (rc) break;
        MUST(ws_buf_len(&whole) == ws_buf_len(&cut));
        MUST(!ws_buf_len(&whole) || memcmp(whole.data, cut.data, ws_buf_len(&whole)) == 0);
        ws_buf_consume(&whole, ws_buf_len(&whole));
        ws_buf_consume(&cut, ws_buf_len(&cut));
    }
    ws_inflater_free(&one);
    ws_inflater_free(&two);
    ws_buf_free(&whole);
    ws_buf_free(&cut);
}

/* One message, in fragments of `piece` bytes, there and back. */
static void go_there_and_back(ws_deflater* deflater, ws_inflater* inflater, const uint8_t* data, size_t size,
                              size_t piece) {
    ws_buf packed = {0}, back = {0};
    for (size_t at = 0, n; at == 0 || at < size; at += n + !size) {
        n = smaller(size - at, piece);
        MUST(ws_deflater_run(deflater, data + at, n, at + n == size, &packed) == WS_OK);
    }
    MUST(inflate_message(inflater, ws_buf_head(&packed), ws_buf_len(&packed), piece, &back) == WS_OK);
    MUST(ws_buf_len(&back) == size && (!size || memcmp(back.data, data, size) == 0));
    ws_buf_free(&packed);
    ws_buf_free(&back);
}

/* The input as three messages, the middle one empty; the deflater may start afresh between them. */
static void deflate_and_inflate(const uint8_t* data, size_t size, size_t piece, uint8_t switches) {
    uint8_t bits = (uint8_t)(9 + (switches >> 4) % 7);
    ws_deflater deflater = {.enabled = true, .no_context_takeover = switches & 2, .window_bits = bits};
    ws_inflater inflater = {.enabled = true, .no_context_takeover = switches & 2, .window_bits = bits};
    go_there_and_back(&deflater, &inflater, data, size, piece);
    go_there_and_back(&deflater, &inflater, data, 0, piece);
    if (switches & 4) ws_deflater_reset(&deflater);
    if (switches & 8) ws_inflater_trim(&inflater);
    go_there_and_back(&deflater, &inflater, data, size, SIZE_MAX);
    ws_deflater_reset(&deflater);
    ws_inflater_free(&inflater);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    size_t piece = 1 + data[1];
    if (data[0] & 1) {
        deflate_and_inflate(data + 2, size - 2, piece, data[0]);
    } else {
        inflate_anything(data + 2, size - 2, piece);
    }
    return 0;
}
