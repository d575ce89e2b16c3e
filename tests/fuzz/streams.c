#include "streams.h"

#include <stdio.h>
#include <stdlib.h>

/* The switches in the first byte. */
enum { FROM_HEAD = 1, COMPRESSED = 2, AFRESH = 4, SMALL = 8, TRIM = 16, BIG = 32, PLACE = 64 };

/* More than a receive buffer: what BIG inserts behind the first bytes, where the payload of a frame may be. */
enum { HEADERS = 24, INSERTED = 70000 };

enum { MOST = 100000 };
static const ws_limits roomy = {.max_size = MOST, .max_fragments = 64, .max_head = 8192};
static const ws_limits narrow = {.max_size = 300, .max_fragments = 3, .max_head = 400};

/* From single bytes to more than a receive buffer. */
static size_t next_piece(uint32_t* seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 8) % (UINT32_C(1) << (*seed >> 28) % 5 * 4);
}

static void start(ws_protocol* protocol, ws_role role, uint8_t switches) {
    const ws_limits* limits = switches & SMALL ? &narrow : &roomy;
    const ws_deflate_terms terms = {.server_no_context_takeover = switches & AFRESH,
                                    .client_no_context_takeover = switches & AFRESH,
                                    .server_max_window_bits = 15,
                                    .client_max_window_bits = 15};
    if (!(switches & FROM_HEAD)) {
        init_open(protocol, role == SERVER, limits);
        protocol->reader.inflater = (ws_inflater){
            .enabled = switches & COMPRESSED, .no_context_takeover = switches & AFRESH, .window_bits = 15};
    } else if (role == SERVER) {
        ws_protocol_init_server(protocol, limits);
        if (switches & COMPRESSED) ws_protocol_offer_deflate(protocol, &terms);
    } else {
        start_client(protocol, limits);
        protocol->offers_deflate = switches & COMPRESSED;
        protocol->deflate = terms;
    }
}

static void place_big(ws_reader* reader) {
    static uint8_t place[MOST];
    if (ws_reader_coming(reader)) ws_reader_place(reader, place);
}

/* Feed it, in pieces if there is a seed, end it, and say what came of it: the events, and what would be written. */
static ws_buf transcript(ws_role role, uint8_t switches, const ws_buf* stream, uint32_t seed) {
    ws_protocol protocol;
    ws_buf story = {0};
    size_t len;
    start(&protocol, role, switches);
    for (size_t at = 0; at < ws_buf_len(stream);) {
        size_t left = ws_buf_len(stream) - at;
        size_t piece = seed ? next_piece(&seed) : left;
        if (piece > left) piece = left;
        receive(&protocol, ws_buf_head(stream) + at, piece, &story);
        if (switches & PLACE && seed) place_big(&protocol.reader);
        if (switches & TRIM && seed) ws_reader_trim(&protocol.reader);
        at += piece;
    }
    put_text(&story, ws_protocol_end(&protocol).type == WS_PROTOCOL_NONE ? "end " : "lost ");
    put_text(&story, wsErrorName(protocol.error.code));
    put(&story, ws_buf_head(&protocol.body), ws_buf_len(&protocol.body));
    const uint8_t* out = ws_writer_output(&protocol.writer, &len);
    put(&story, out, len);
    ws_protocol_free(&protocol);
    return story;
}

void fuzz_streams(ws_role role, const uint8_t* data, size_t size) {
    if (size < 3) return;
    ws_buf stream = {0};
    size_t before = size - 3 < HEADERS ? size - 3 : HEADERS;
    put(&stream, data + 3, before);
    if (data[0] & BIG) {
        static uint8_t letters[INSERTED];
        fill_pattern(letters, sizeof letters, true);
        put(&stream, letters, sizeof letters);
    }
    put(&stream, data + 3 + before, size - 3 - before);
    ws_buf whole = transcript(role, data[0], &stream, 0);
    ws_buf cut = transcript(role, data[0], &stream, 1 + data[1] + data[2] * 256u);
    if (ws_buf_len(&whole) != ws_buf_len(&cut) || memcmp(whole.data, cut.data, ws_buf_len(&whole)) != 0) {
        fprintf(stderr, "whole:\n%.*s\ncut:\n%.*s\n", (int)ws_buf_len(&whole), (char*)whole.data, (int)ws_buf_len(&cut),
                (char*)cut.data);
        abort();
    }
    ws_buf_free(&whole);
    ws_buf_free(&cut);
    ws_buf_free(&stream);
}
