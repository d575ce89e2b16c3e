#include "core/reader.h"

#include <string.h>

#include "core/mask.h"

enum { FIN = 0x80 };           /* in the first byte of a frame */
enum { CLAIM = 64 };           /* times what has come is what memory is made for on the word of a header */
enum { LEND_DIRECTLY = 4096 }; /* payload bytes still to come from which on they are read into their final place */

/* What a step of the receive path may say besides an error. */
enum { STEP_MORE = 0, STEP_EVENT = 1, STEP_ON = 2 };

bool ws_close_code_ok(uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

void ws_reader_init(ws_reader* reader, bool expect_masked, const ws_limits* limits) {
    *reader = (ws_reader){.limits = limits, .expect_masked = expect_masked};
}

/* Nothing of the message is wanted any more: what is not ours is only let go of. */
static void drop_message(ws_reader* reader) {
    if (reader->placed) reader->message = (ws_buf){0};
    reader->placed = false;
    ws_buf_empty(&reader->message);
}

void ws_reader_free(ws_reader* reader) {
    drop_message(reader);
    ws_buf_free(&reader->in);
    ws_buf_free(&reader->message);
    ws_inflater_free(&reader->inflater);
}

/* The event handed out last is gone: drop its bytes. */
static void drop_handed_out(ws_reader* reader) {
    ws_buf_consume(&reader->in, reader->used);
    reader->used = 0;
    if (!reader->message_out) return;
    reader->message_out = false;
    drop_message(reader);
}

static size_t smaller(uint64_t a, uint64_t b) {
    return (size_t)(a < b ? a : b);
}

/* ---- lending ---- */

/* The tail of the message. It grows with what has come, never by what a header claims. */
static int32_t lend_message(ws_reader* reader, uint64_t missing, uint8_t** at, size_t* len) {
    size_t have = ws_buf_len(&reader->message);
    size_t want = smaller(missing, have > WS_READ_SIZE ? have : WS_READ_SIZE);
    if (ws_buf_reserve(&reader->message, want)) return WS_ERR_MEMORY;
    *at = ws_buf_tail(&reader->message);
    *len = smaller(missing, ws_buf_room(&reader->message));
    return WS_OK;
}

int32_t ws_reader_prepare(ws_reader* reader, uint8_t** at, size_t* len) {
    drop_handed_out(reader);
    uint64_t missing = reader->in_frame ? reader->frame.length - reader->taken - reader->landed : 0;
    reader->lent = reader->in_frame && reader->gathering && !reader->compressed && ws_buf_len(&reader->in) == 0 &&
                   missing >= LEND_DIRECTLY;
    if (reader->lent) return lend_message(reader, missing, at, len);
    if (ws_buf_reserve(&reader->in, reader->in.cap < WS_READ_SIZE ? WS_READ_SIZE : WS_READ_SIZE / 4)) {
        return WS_ERR_MEMORY;
    }
    *at = ws_buf_tail(&reader->in);
    *len = ws_buf_room(&reader->in);
    return WS_OK;
}

size_t ws_reader_coming(const ws_reader* reader) {
    const ws_frame* frame = &reader->frame;
    bool whole = reader->in_frame && frame->fin && frame->opcode == WS_OPCODE_BINARY;
    if (!whole || !reader->gathering || reader->compressed || reader->placed || reader->done) return 0;
    return frame->length / CLAIM <= ws_buf_len(&reader->message) ? (size_t)frame->length : 0;
}

void ws_reader_place(ws_reader* reader, uint8_t* at) {
    size_t have = ws_buf_len(&reader->message);
    memcpy(at, ws_buf_head(&reader->message), have);
    ws_buf_free(&reader->message);
    reader->message = (ws_buf){.data = at, .end = have, .cap = (size_t)reader->frame.length};
    reader->placed = true;
}

void ws_reader_commit(ws_reader* reader, size_t n) {
    if (reader->lent) {
        reader->message.end += n;
        reader->landed += n;
    } else {
        reader->in.end += n;
    }
}

void ws_reader_trim(ws_reader* reader) {
    drop_handed_out(reader);
    if (ws_buf_len(&reader->in) == 0) ws_buf_free(&reader->in);
    if (reader->opcode) return;
    ws_buf_free(&reader->message);
    ws_inflater_trim(&reader->inflater);
}

/* ---- headers ---- */

static int32_t broken(ws_error* error, const char* what) {
    return ws_error_set(error, WS_ERR_PROTOCOL, "peer broke the protocol: %s", what);
}

/* RFC 6455 5.5: short, and never fragmented. */
static int32_t check_control(const ws_frame* frame, ws_error* error) {
    if (frame->opcode > WS_OPCODE_PONG) return broken(error, "a frame with a reserved opcode");
    if (!frame->fin) return broken(error, "a fragmented control frame");
    if (frame->length > WS_FRAME_MAX_CONTROL) return broken(error, "a control frame with more than 125 bytes");
    return WS_OK;
}

static int32_t too_big(ws_reader* reader, uint64_t size, ws_error* error) {
    uint64_t max = reader->limits->max_size;
    error->size = size;
    error->max_size = max;
    return ws_error_set(error, WS_ERR_TOO_BIG, "a message of at least %llu bytes is over max_size, %llu bytes",
                        (unsigned long long)size, (unsigned long long)max);
}

/* RFC 6455 5.4, and our limits. */
static int32_t check_data(ws_reader* reader, ws_error* error) {
    const ws_frame* frame = &reader->frame;
    if (frame->opcode > WS_OPCODE_BINARY) return broken(error, "a frame with a reserved opcode");
    if (frame->opcode == WS_OPCODE_CONTINUATION && !reader->opcode) {
        return broken(error, "a continuation frame outside a message");
    }
    if (frame->opcode != WS_OPCODE_CONTINUATION && reader->opcode) {
        return broken(error, "a new message inside a fragmented one");
    }
    bool compressed = reader->opcode ? reader->compressed : frame->rsv != 0;
    uint64_t size = ws_buf_len(&reader->message) + frame->length;
    if (!compressed && size > reader->limits->max_size) return too_big(reader, size, error);
    if (++reader->fragments > reader->limits->max_fragments) {
        return ws_error_set(error, WS_ERR_TOO_MANY_FRAGMENTS, "a message of more than max_fragments, %u frames",
                            reader->limits->max_fragments);
    }
    return WS_OK;
}

/* RSV1 on the first frame of a message says that it is compressed (RFC 7692 6); nothing else is agreed on. */
static bool reserved_bits_ok(const ws_reader* reader) {
    const ws_frame* frame = &reader->frame;
    if (frame->rsv == 0) return true;
    bool first = frame->opcode == WS_OPCODE_TEXT || frame->opcode == WS_OPCODE_BINARY;
    return frame->rsv == WS_FRAME_RSV1 && first && reader->inflater.enabled;
}

static int32_t check_frame(ws_reader* reader, ws_error* error) {
    const ws_frame* frame = &reader->frame;
    if (!reserved_bits_ok(reader)) return broken(error, "a frame with reserved bits set that were not agreed on");
    if (frame->masked != reader->expect_masked) {
        return broken(error, frame->masked ? "a masked frame from a server" : "an unmasked frame from a client");
    }
    return ws_frame_is_control(frame->opcode) ? check_control(frame, error) : check_data(reader, error);
}

static void begin_frame(ws_reader* reader) {
    const ws_frame* frame = &reader->frame;
    reader->in_frame = true;
    reader->taken = 0;
    reader->gathering = false;
    if (ws_frame_is_control(frame->opcode)) return;
    if (frame->opcode != WS_OPCODE_CONTINUATION) {
        reader->opcode = frame->opcode;
        reader->compressed = frame->rsv != 0;
    }
    bool whole = frame->fin && frame->opcode != WS_OPCODE_CONTINUATION;
    reader->gathering = !whole || reader->compressed || frame->length > WS_READ_SIZE;
}

static void note_data(const ws_reader* reader) {
    if (!ws_frame_is_control(reader->frame.opcode)) reader->hook.note(reader->hook.arg, &reader->frame, NULL);
}

static int32_t read_header(ws_reader* reader, ws_error* error) {
    int n = ws_frame_decode(&reader->frame, ws_buf_head(&reader->in), ws_buf_len(&reader->in));
    if (n == 0) return STEP_MORE;
    if (n < 0) return broken(error, "a payload length that is not in its shortest form or over 2^63");
    int32_t rc = check_frame(reader, error);
    if (rc) return rc;
    ws_buf_consume(&reader->in, (size_t)n);
    reader->frames++;
    begin_frame(reader);
    if (reader->hook.note) note_data(reader);
    return STEP_ON;
}

/* ---- payloads ---- */

/* `n` new bytes of the message lie at `at`: text is validated as it comes. */
static int32_t validate(ws_reader* reader, const uint8_t* at, size_t n, ws_error* error) {
    if (reader->opcode != WS_OPCODE_TEXT || ws_utf8_feed(&reader->utf8, at, n)) return WS_OK;
    return ws_error_set(error, WS_ERR_UTF8, "a text message is not valid UTF-8");
}

/* `n` new bytes of the payload lie unmasked at `at`, and are the message's: count and validate them. */
static int32_t took(ws_reader* reader, const uint8_t* at, size_t n, ws_error* error) {
    reader->taken += n;
    return validate(reader, at, n, error);
}

static void unmask(ws_reader* reader, uint8_t* to, const uint8_t* from, size_t n) {
    if (reader->frame.masked) {
        ws_mask_copy(to, from, n, reader->frame.key, reader->taken);
    } else if (to != from && n) {
        memcpy(to, from, n);
    }
}

/* What was read straight into the message. */
static int32_t take_landed(ws_reader* reader, ws_error* error) {
    size_t n = reader->landed;
    uint8_t* at = ws_buf_tail(&reader->message) - n;
    reader->landed = 0;
    unmask(reader, at, at, n);
    return took(reader, at, n, error);
}

/* From the receive buffer into the message. */
static int32_t take_gathered(ws_reader* reader, ws_error* error) {
    size_t n = smaller(ws_buf_len(&reader->in), reader->frame.length - reader->taken);
    if (ws_buf_reserve(&reader->message, n)) return ws_error_set(error, WS_ERR_MEMORY, "no memory for a message");
    uint8_t* to = ws_buf_tail(&reader->message);
    unmask(reader, to, ws_buf_head(&reader->in), n);
    reader->message.end += n;
    ws_buf_consume(&reader->in, n);
    return took(reader, to, n, error);
}

static int32_t inflate_failed(ws_reader* reader, int32_t rc, ws_error* error) {
    if (rc == WS_ERR_TOO_BIG) return too_big(reader, ws_buf_len(&reader->message), error);
    if (rc == WS_ERR_MEMORY) return ws_error_set(error, rc, "no memory for a compressed message");
    return broken(error, "a compressed message that cannot be decompressed");
}

/* From the receive buffer through decompression into the message. */
static int32_t take_compressed(ws_reader* reader, ws_error* error) {
    size_t n = smaller(ws_buf_len(&reader->in), reader->frame.length - reader->taken);
    size_t before = ws_buf_len(&reader->message);
    bool last = reader->frame.fin && reader->taken + n == reader->frame.length;
    uint8_t* at = ws_buf_head(&reader->in);
    unmask(reader, at, at, n);
    int32_t rc = ws_inflater_run(&reader->inflater, at, n, last, reader->limits->max_size, &reader->message);
    size_t added = ws_buf_len(&reader->message) - before;
    int32_t invalid = added ? validate(reader, ws_buf_head(&reader->message) + before, added, error) : WS_OK;
    if (invalid) return invalid; /* it came before what failed, however the bytes were cut */
    if (rc) return inflate_failed(reader, rc, error);
    ws_buf_consume(&reader->in, n);
    reader->taken += n;
    return WS_OK;
}

/* Where it lies in the receive buffer. */
static int32_t take_in_place(ws_reader* reader, ws_error* error) {
    size_t n = smaller(ws_buf_len(&reader->in), reader->frame.length) - (size_t)reader->taken;
    uint8_t* at = ws_buf_head(&reader->in) + reader->taken;
    unmask(reader, at, at, n);
    return took(reader, at, n, error);
}

/* The message is complete: hand it out. */
static int32_t finish_message(ws_reader* reader, ws_incoming* incoming, ws_error* error) {
    incoming->opcode = reader->opcode;
    if (reader->gathering) {
        incoming->data = ws_buf_head(&reader->message);
        incoming->len = ws_buf_len(&reader->message);
        reader->message_out = true;
    } else {
        incoming->data = ws_buf_head(&reader->in);
        incoming->len = reader->used = (size_t)reader->frame.length;
    }
    bool complete = ws_utf8_complete(&reader->utf8);
    reader->opcode = 0;
    reader->fragments = 0;
    reader->utf8 = (ws_utf8){0};
    if (complete) return STEP_EVENT;
    return ws_error_set(error, WS_ERR_UTF8, "a text message ends inside a UTF-8 character");
}

static int32_t take_available(ws_reader* reader, ws_error* error) {
    if (reader->compressed) return take_compressed(reader, error);
    return reader->gathering ? take_gathered(reader, error) : take_in_place(reader, error);
}

static int32_t read_data(ws_reader* reader, ws_incoming* incoming, ws_error* error) {
    int32_t rc = WS_OK;
    if (reader->landed) rc = take_landed(reader, error);
    if (!rc) rc = take_available(reader, error);
    if (rc) return rc;
    if (reader->taken < reader->frame.length) return STEP_MORE;
    reader->in_frame = false;
    return reader->frame.fin ? finish_message(reader, incoming, error) : STEP_ON;
}

/* RFC 6455 5.5.1: nothing, or a code and a reason in UTF-8. */
static int32_t parse_close(ws_reader* reader, ws_incoming* incoming, ws_error* error) {
    reader->done = true;
    incoming->code = WS_CODE_NO_STATUS;
    if (incoming->len == 0) return STEP_EVENT;
    if (incoming->len == 1) return broken(error, "a close frame with half a code");
    incoming->code = (uint16_t)(incoming->data[0] << 8 | incoming->data[1]);
    if (!ws_close_code_ok(incoming->code)) return broken(error, "a close frame with a code that may not be sent");
    incoming->data += 2;
    incoming->len -= 2;
    if (ws_utf8_valid(incoming->data, incoming->len)) return STEP_EVENT;
    return ws_error_set(error, WS_ERR_UTF8, "the reason in a close frame is not valid UTF-8");
}

static int32_t read_control(ws_reader* reader, ws_incoming* incoming, ws_error* error) {
    size_t n = (size_t)reader->frame.length;
    if (ws_buf_len(&reader->in) < n) return STEP_MORE;
    uint8_t* at = ws_buf_head(&reader->in);
    unmask(reader, at, at, n);
    reader->in_frame = false;
    reader->used = n;
    if (reader->hook.note) reader->hook.note(reader->hook.arg, &reader->frame, at);
    *incoming = (ws_incoming){.opcode = reader->frame.opcode, .data = at, .len = n};
    return incoming->opcode == WS_OPCODE_CLOSE ? parse_close(reader, incoming, error) : STEP_EVENT;
}

/* ---- the short way ---- */

/* The length of an unmasked payload that follows within the first `have` bytes and may lie where it is, -1: none such.
 */
static int64_t short_length(const ws_reader* reader, const uint8_t* at, size_t have, size_t* header) {
    size_t length = at[1];
    *header = 2;
    if (length == 126) {
        *header = 4;
        length = have < 4 ? 0 : (size_t)at[2] << 8 | at[3];
        if (length < 126) return -1;
    } else if (length > 126) {
        return -1;
    }
    bool here = have - *header >= length;
    return here && length <= WS_READ_SIZE && length <= reader->limits->max_size ? (int64_t)length : -1;
}

/* A plain message in one frame that is all here is what most are: it needs none of the steps. Others, bad ones, do. */
static bool take_whole(ws_reader* reader, ws_incoming* incoming) {
    const uint8_t* at = ws_buf_head(&reader->in);
    size_t have = ws_buf_len(&reader->in), header;
    if (reader->in_frame || reader->opcode || reader->expect_masked || reader->done || reader->hook.note) return false;
    if (have < 2 || (at[0] != (FIN | WS_OPCODE_TEXT) && at[0] != (FIN | WS_OPCODE_BINARY))) return false;
    int64_t length = short_length(reader, at, have, &header);
    if (length < 0) return false;
    if (at[0] == (FIN | WS_OPCODE_TEXT) && !ws_utf8_valid(at + header, (size_t)length)) return false;
    reader->frames++;
    ws_buf_consume(&reader->in, header);
    reader->used = (size_t)length;
    *incoming = (ws_incoming){.opcode = at[0] & 0xF, .data = at + header, .len = (size_t)length};
    return true;
}

int32_t ws_reader_next(ws_reader* reader, ws_incoming* incoming, ws_error* error) {
    drop_handed_out(reader);
    if (take_whole(reader, incoming)) return STEP_EVENT;
    int32_t step = STEP_ON;
    while (step == STEP_ON && !reader->done) {
        if (!reader->in_frame) {
            step = read_header(reader, error);
        } else if (ws_frame_is_control(reader->frame.opcode)) {
            step = read_control(reader, incoming, error);
        } else {
            step = read_data(reader, incoming, error);
        }
    }
    if (step < 0) reader->done = true;
    return step == STEP_ON ? STEP_MORE : step;
}
