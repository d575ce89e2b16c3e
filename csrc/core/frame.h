/* Frame headers (RFC 6455 5.2): bytes <-> struct. What a header may say in which situation is the reader's business. */
#ifndef WS_CORE_FRAME_H
#define WS_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_OPCODE_CONTINUATION = 0x0,
    WS_OPCODE_TEXT = 0x1,
    WS_OPCODE_BINARY = 0x2,
    WS_OPCODE_CLOSE = 0x8,
    WS_OPCODE_PING = 0x9,
    WS_OPCODE_PONG = 0xA,
};

enum {
    WS_FRAME_MAX_HEADER = 14,
    WS_FRAME_MAX_CONTROL = 125, /* payload of a control frame, RFC 6455 5.5 */
    WS_FRAME_RSV1 = 4,          /* in ws_frame.rsv: compressed, RFC 7692 6 */
};

typedef struct ws_frame {
    bool fin;
    uint8_t rsv; /* the three reserved bits, RSV1 = 4 */
    uint8_t opcode;
    bool masked;
    uint8_t key[4];
    uint64_t length; /* of the payload */
} ws_frame;

static inline bool ws_frame_is_control(uint8_t opcode) {
    return (opcode & 0x8) != 0;
}

/* Who is told of each frame that passes; `payload` is that of a control frame, else NULL. */
typedef struct ws_frame_hook {
    void (*note)(void* arg, const ws_frame* frame, const uint8_t* payload); /* NULL: nobody */
    void* arg;
} ws_frame_hook;

/*
 * Decode the header at the start of bytes[0..n). Returns its length; 0 if more bytes are needed; -1 if the length is
 * written wrongly (not in the shortest form, or with the top bit set).
 */
int ws_frame_decode(ws_frame* frame, const uint8_t* bytes, size_t n);

/* Write the header (at most WS_FRAME_MAX_HEADER bytes) and return its length. */
size_t ws_frame_encode(const ws_frame* frame, uint8_t* to);

#endif
