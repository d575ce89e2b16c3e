/* The sending half of an open connection: messages and control frames in, bytes to write out. */
#ifndef WS_CORE_WRITER_H
#define WS_CORE_WRITER_H

#include "core/buf.h"
#include "core/deflate.h"
#include "core/error.h"
#include "core/frame.h"
#include "core/utf8.h"

/* Fill `out` with `n` bytes nobody can predict; false if the system has none. */
typedef bool (*ws_random_fn)(uint8_t* out, size_t n);

typedef struct ws_writer {
    ws_random_fn random;  /* NULL in the server's role: frames go unmasked (RFC 6455 5.1) */
    bool closed;          /* a close frame was queued: nothing may follow it */
    uint8_t opcode;       /* of the fragmented message being sent, 0 between messages */
    bool compressing;     /* that message is compressed */
    ws_utf8 utf8;         /* of that message */
    ws_deflater deflater; /* enabled once permessage-deflate was agreed on */
    size_t threshold;     /* bytes below which a message goes plain unless compression is asked for */
    ws_buf scratch;       /* a compressed payload on its way to `out` */
    ws_buf out;           /* bytes to write */
    uint64_t total;       /* bytes ever queued, handshake included; total - len(out) are written */
    uint64_t frames;      /* frames ever queued */
    ws_frame_hook hook;   /* told of each one; it may be taken back later */
    bool pong_held;       /* a pong waits for the backlog to go */
    ws_buf pong;          /* its payload */
} ws_writer;

/* Should a message be compressed? It never is where that was not agreed on. */
typedef enum ws_compress {
    WS_COMPRESS_AUTO, /* if it is no shorter than the threshold; of a fragmented one the first fragment counts */
    WS_COMPRESS_NO,
    WS_COMPRESS_YES,
} ws_compress;

void ws_writer_init(ws_writer* writer, ws_random_fn random);
void ws_writer_free(ws_writer* writer);

/*
 * Queue one fragment of a message (opcode text or binary in every fragment), or with first call and `final` a whole
 * one. `compress` counts in the first fragment. All or nothing. WS_ERR_STATE after a close frame or when another kind
 * of message is being sent, WS_ERR_UTF8 for bad text, WS_ERR_SYSTEM without randomness, WS_ERR_MEMORY.
 */
int32_t ws_writer_fragment(ws_writer* writer, uint8_t opcode, const void* data, size_t len, bool final,
                           ws_compress compress);

/* Queue a whole message. WS_ERR_STATE too while a fragmented one is being sent. */
int32_t ws_writer_message(ws_writer* writer, uint8_t opcode, const void* data, size_t len, ws_compress compress);

/* Queue a ping or a pong; WS_ERR_ARGUMENT beyond 125 bytes, WS_ERR_STATE after a close frame. */
int32_t ws_writer_control(ws_writer* writer, uint8_t opcode, const void* data, size_t len);

/*
 * Answer a ping: at once while little is waiting; behind a backlog only the latest is kept (RFC 6455 5.5.3), and
 * goes out when the backlog has: a peer that pings and never reads cannot make us grow.
 */
int32_t ws_writer_answer_ping(ws_writer* writer, const void* data, size_t len);

/*
 * Queue the close frame; code 1005 sends an empty one. WS_ERR_ARGUMENT for a code that may not be sent or a reason
 * that is over 123 bytes or no UTF-8; WS_ERR_STATE if one was queued before.
 */
int32_t ws_writer_close(ws_writer* writer, uint16_t code, const char* reason, size_t len);

/* Take the last `n` queued bytes back: one frame, a whole message, none of it written. */
void ws_writer_take_back(ws_writer* writer, size_t n);

/* The bytes to write now; *len is 0 when there are none. Valid until the next call on the writer. */
const uint8_t* ws_writer_output(ws_writer* writer, size_t* len);

/* `n` of them were written. */
void ws_writer_written(ws_writer* writer, size_t n);

/* Idle: give back what the next message can make anew, the compression's memory above all. */
void ws_writer_trim(ws_writer* writer);

#endif
