/*
 * The receiving half of an open connection: bytes in, frames checked, messages and control frames out.
 *
 * It lends the memory to read into: ws_reader_prepare says where, ws_reader_commit how much came, ws_reader_next hands
 * out what is complete. A small message is handed out where it lies in the receive buffer; a big or fragmented one is
 * gathered, and the bytes of a big frame are lent their final place, which may be the caller's. Text is validated as it
 * arrives.
 */
#ifndef WS_CORE_READER_H
#define WS_CORE_READER_H

#include "core/buf.h"
#include "core/deflate.h"
#include "core/error.h"
#include "core/frame.h"
#include "core/utf8.h"

enum {
    WS_READ_SIZE = 65536,  /* bytes of the receive buffer, and the largest frame read in place */
    WS_CODE_NORMAL = 1000, /* close codes, RFC 6455 7.4.1 */
    WS_CODE_GOING_AWAY = 1001,
    WS_CODE_PROTOCOL_ERROR = 1002,
    WS_CODE_NO_STATUS = 1005,
    WS_CODE_ABNORMAL = 1006,
    WS_CODE_INVALID_DATA = 1007,
    WS_CODE_POLICY = 1008,
    WS_CODE_TOO_BIG = 1009,
    WS_CODE_INTERNAL_ERROR = 1011,
};

typedef struct ws_limits {
    uint64_t max_size;      /* bytes of a message */
    uint32_t max_fragments; /* frames of a message */
    uint32_t max_head;      /* bytes of an HTTP head */
} ws_limits;

/* What came: a message (opcode text or binary), a ping, a pong or a close frame. */
typedef struct ws_incoming {
    uint8_t opcode;
    const uint8_t* data; /* payload; of a close frame: the reason. Valid until the next call on the reader */
    size_t len;
    uint16_t code; /* of a close frame; 1005 if it carried none */
} ws_incoming;

typedef struct ws_reader {
    const ws_limits* limits; /* borrowed */
    bool expect_masked;      /* true in the server's role */
    bool done;               /* a close frame or an error was the end */
    bool compressed;         /* the message being received is (RFC 7692 6) */
    bool in_frame;           /* the header has been read, the payload not wholly */
    bool gathering;          /* the current data frame goes to `message`, not in place */
    bool message_out;        /* `message` has been handed out and is to be emptied */
    bool placed;             /* `message` lies in the caller's memory */
    uint8_t opcode;          /* of the message being received, 0 between messages */
    uint32_t fragments;      /* frames of it so far */
    uint64_t frames;         /* headers read; whoever counts them may set it back */
    ws_frame_hook hook;      /* told of data frames once the header is read, of control frames once they are complete */
    ws_utf8 utf8;
    ws_inflater inflater; /* enabled once permessage-deflate was agreed on */
    ws_frame frame;
    uint64_t taken; /* bytes of the frame's payload unmasked and validated so far */
    ws_buf in;      /* off the wire; in place, the current payload stays at its start until complete */
    size_t used;    /* bytes of `in` behind the last event, dropped at the next call */
    ws_buf message; /* what has been gathered */
    bool lent;      /* the last place lent was the tail of `message` */
    size_t landed;  /* bytes put there and not looked at yet */
} ws_reader;

/* `limits` is borrowed for the reader's life. */
void ws_reader_init(ws_reader* reader, bool expect_masked, const ws_limits* limits);
void ws_reader_free(ws_reader* reader);

/* Lend a place for up to *len > 0 bytes. What ws_reader_next handed out is gone. 0 or WS_ERR_MEMORY. */
int32_t ws_reader_prepare(ws_reader* reader, uint8_t** at, size_t* len);

/*
 * The payload's length, if the message that is on its way is a big binary one in one plain frame: then the caller may
 * have it received into his own memory, of that length. 0: no such message, or it has its place, or so little of it
 * has come that it is a mere claim.
 */
size_t ws_reader_coming(const ws_reader* reader);

/* Receive it there. The memory is lent to the reader until the call after the one that hands the message out. */
void ws_reader_place(ws_reader* reader, uint8_t* at);

/* `n` bytes were put there. */
void ws_reader_commit(ws_reader* reader, size_t n);

/*
 * 1 and *incoming, 0 if more bytes are needed, or an error: WS_ERR_PROTOCOL, _UTF8, _TOO_BIG, _TOO_MANY_FRAGMENTS,
 * _MEMORY, recorded in *error. After an error or a close frame it only ever returns 0.
 */
int32_t ws_reader_next(ws_reader* reader, ws_incoming* incoming, ws_error* error);

/*
 * Nothing unread and no message begun? Then it can do without memory: give the buffers back. The window of what was
 * decompressed stays where later messages may refer to it.
 */
void ws_reader_trim(ws_reader* reader);

/* May this code stand in a close frame on the wire (RFC 6455 7.4)? */
bool ws_close_code_ok(uint16_t code);

#endif
