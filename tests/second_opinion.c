/*
 * Replays a peer's frames to core/protocol, flat enough for ctypes. tests/test_second_opinion.py builds it from the
 * core's sources.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/protocol.h"

#define EXPORT __attribute__((visibility("default")))

static bool zero_mask(uint8_t* out, size_t n) {
    memset(out, 0, n);
    return true;
}

static void put_hex(ws_buf* out, const uint8_t* bytes, size_t n) {
    char digits[3];
    for (size_t i = 0; i < n; i++) {
        snprintf(digits, sizeof digits, "%02x", bytes[i]);
        ws_buf_append(out, digits, 2);
    }
}

static void put_line(ws_buf* out, const char* name, unsigned code, const uint8_t* bytes, size_t n) {
    char head[32];
    snprintf(head, sizeof head, "%s %u ", name, code);
    ws_buf_append_text(out, head);
    put_hex(out, bytes, n);
    ws_buf_append_text(out, "\n");
}

static void take_events(ws_protocol* protocol, ws_buf* out) {
    static const char* const names[] = {"NONE", "REQUEST", "OPEN", "TEXT", "BINARY", "PING", "PONG", "CLOSE", "FAILED"};
    for (ws_event event; (event = ws_protocol_next(protocol)).type != WS_PROTOCOL_NONE;) {
        put_line(out, names[event.type], event.code, event.data, event.len);
        if (ws_protocol_reply(protocol, &event)) put_line(out, "NO REPLY", 0, NULL, 0);
    }
    size_t len;
    for (const uint8_t* bytes; (bytes = ws_writer_output(&protocol->writer, &len)), len > 0;) {
        put_line(out, "SENT", 0, bytes, len);
        ws_writer_written(&protocol->writer, len);
    }
}

static void give(ws_protocol* protocol, const uint8_t* bytes, size_t n) {
    while (n > 0) {
        uint8_t* at;
        size_t room;
        if (ws_protocol_prepare(protocol, &at, &room)) abort();
        size_t some = n < room ? n : room;
        memcpy(at, bytes, some);
        ws_protocol_commit(protocol, some);
        bytes += some;
        n -= some;
    }
}

/*
 * A line for each event and each write of an open connection that is given `bytes` in pieces of these sizes. `deflate`:
 * 0 none, 1 with and 2 without context takeover. To be given to `release`.
 */
EXPORT char* replay(int32_t server, int32_t deflate, uint64_t max_size, const uint8_t* bytes, const size_t* sizes,
                    size_t count) {
    ws_protocol protocol;
    ws_limits limits = {.max_size = max_size, .max_fragments = 1000, .max_head = 1000};
    ws_buf out = {0};
    if (server) {
        ws_protocol_init_server(&protocol, &limits);
    } else {
        ws_protocol_init_client(&protocol, &limits, zero_mask);
    }
    protocol.phase = WS_PHASE_FRAMES;
    protocol.reader.inflater =
        (ws_inflater){.enabled = deflate > 0, .no_context_takeover = deflate == 2, .window_bits = 15};
    for (size_t i = 0; i < count; i++) {
        give(&protocol, bytes, sizes[i]);
        take_events(&protocol, &out);
        bytes += sizes[i];
    }
    ws_protocol_free(&protocol);
    ws_buf_append(&out, "", 1);
    return (char*)out.data;
}

EXPORT void release(char* transcript) {
    free(transcript);
}
