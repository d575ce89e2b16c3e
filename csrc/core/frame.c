#include "core/frame.h"

#include <string.h>

static uint64_t read_big_endian(const uint8_t* bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void write_big_endian(uint8_t* to, uint64_t value, size_t n) {
    for (size_t i = n; i-- > 0; value >>= 8) {
        to[i] = (uint8_t)value;
    }
}

/* How many bytes of extended length follow a 7-bit length. */
static size_t extended_size(uint8_t length7) {
    return length7 == 126 ? 2 : length7 == 127 ? 8 : 0;
}

/* The length must be in its shortest form and leave the top bit clear (RFC 6455 5.2). */
static bool length_ok(uint64_t length, size_t extended) {
    if (extended == 2) return length > 125;
    if (extended == 8) return length > 0xFFFF && length <= INT64_MAX;
    return true;
}

int ws_frame_decode(ws_frame* frame, const uint8_t* bytes, size_t n) {
    if (n < 2) return 0;
    size_t extended = extended_size(bytes[1] & 0x7F);
    bool masked = bytes[1] & 0x80;
    size_t size = 2 + extended + (masked ? 4 : 0);
    if (n < size) return 0;
    frame->fin = bytes[0] & 0x80;
    frame->rsv = bytes[0] >> 4 & 0x7;
    frame->opcode = bytes[0] & 0xF;
    frame->masked = masked;
    frame->length = extended ? read_big_endian(bytes + 2, extended) : bytes[1] & 0x7F;
    if (masked) memcpy(frame->key, bytes + 2 + extended, 4);
    return length_ok(frame->length, extended) ? (int)size : -1;
}

size_t ws_frame_encode(const ws_frame* frame, uint8_t* to) {
    uint8_t length7 = frame->length < 126 ? (uint8_t)frame->length : frame->length <= 0xFFFF ? 126 : 127;
    size_t extended = extended_size(length7);
    to[0] = (uint8_t)((frame->fin ? 0x80 : 0) | frame->rsv << 4 | frame->opcode);
    to[1] = (uint8_t)((frame->masked ? 0x80 : 0) | length7);
    write_big_endian(to + 2, frame->length, extended);
    if (frame->masked) memcpy(to + 2 + extended, frame->key, 4);
    return 2 + extended + (frame->masked ? 4 : 0);
}
