#include "core/writer.h"

#include <string.h>

#include "core/mask.h"
#include "core/reader.h"

enum { FIN = 0x80, RSV1 = 0x40 }; /* in the first byte of a frame */
enum { PONG_BACKLOG = 4096 };     /* bytes waiting beyond which only the latest pong is kept */

void ws_writer_init(ws_writer* writer, ws_random_fn random) {
    *writer = (ws_writer){.random = random};
}

void ws_writer_free(ws_writer* writer) {
    ws_buf_free(&writer->out);
    ws_buf_free(&writer->scratch);
    ws_buf_free(&writer->pong);
    ws_deflater_reset(&writer->deflater);
}

/* Queue one frame, all or nothing. */
static int32_t write_frame(ws_writer* writer, uint8_t first, const void* data, size_t len) {
    ws_frame frame = {.fin = first & FIN,
                      .rsv = first >> 4 & 7,
                      .opcode = first & 0xF,
                      .masked = writer->random != NULL,
                      .length = len};
    if (len > SIZE_MAX - WS_FRAME_MAX_HEADER) return WS_ERR_MEMORY;
    if (frame.masked && !writer->random(frame.key, sizeof frame.key)) return WS_ERR_SYSTEM;
    if (ws_buf_reserve(&writer->out, len + WS_FRAME_MAX_HEADER)) return WS_ERR_MEMORY;
    size_t header = ws_frame_encode(&frame, ws_buf_tail(&writer->out));
    writer->out.end += header;
    if (frame.masked) {
        ws_mask_copy(ws_buf_tail(&writer->out), data, len, frame.key, 0);
    } else if (len) {
        memcpy(ws_buf_tail(&writer->out), data, len);
    }
    writer->out.end += len;
    writer->total += header + len;
    writer->frames++;
    if (writer->hook.note) writer->hook.note(writer->hook.arg, &frame, ws_frame_is_control(frame.opcode) ? data : NULL);
    return WS_OK;
}

static bool wants_compression(const ws_writer* writer, size_t len, ws_compress compress) {
    if (!writer->deflater.enabled || compress == WS_COMPRESS_NO) return false;
    return compress == WS_COMPRESS_YES || len >= writer->threshold;
}

/* Queue a frame whose payload is compressed first. */
static int32_t write_compressed(ws_writer* writer, uint8_t first, const void* data, size_t len) {
    int32_t rc = ws_deflater_run(&writer->deflater, data, len, first & FIN, &writer->scratch);
    if (!rc) rc = write_frame(writer, first, ws_buf_head(&writer->scratch), ws_buf_len(&writer->scratch));
    if (rc) ws_deflater_reset(&writer->deflater); /* the other side will never see what it would refer to */
    ws_buf_empty(&writer->scratch);
    return rc;
}

/* The first byte of the next data frame. */
static uint8_t first_byte(const ws_writer* writer, uint8_t opcode, bool final, bool compressed) {
    uint8_t fin = final ? FIN : 0;
    if (writer->opcode) return fin | WS_OPCODE_CONTINUATION;
    return (uint8_t)(fin | (compressed ? RSV1 : 0) | opcode);
}

int32_t ws_writer_fragment(ws_writer* writer, uint8_t opcode, const void* data, size_t len, bool final,
                           ws_compress compress) {
    if (writer->closed || (writer->opcode && writer->opcode != opcode)) return WS_ERR_STATE;
    ws_utf8 utf8 = writer->utf8;
    if (opcode == WS_OPCODE_TEXT) {
        if (!ws_utf8_feed(&utf8, data, len) || (final && !ws_utf8_complete(&utf8))) return WS_ERR_UTF8;
    }
    bool compressed = writer->opcode ? writer->compressing : wants_compression(writer, len, compress);
    uint8_t first = first_byte(writer, opcode, final, compressed);
    int32_t rc = (compressed ? write_compressed : write_frame)(writer, first, data, len);
    if (rc) return rc;
    writer->opcode = final ? 0 : opcode;
    writer->compressing = compressed;
    writer->utf8 = final ? (ws_utf8){0} : utf8;
    return WS_OK;
}

int32_t ws_writer_message(ws_writer* writer, uint8_t opcode, const void* data, size_t len, ws_compress compress) {
    if (writer->opcode) return WS_ERR_STATE;
    return ws_writer_fragment(writer, opcode, data, len, true, compress);
}

int32_t ws_writer_control(ws_writer* writer, uint8_t opcode, const void* data, size_t len) {
    if (writer->closed) return WS_ERR_STATE;
    if (len > WS_FRAME_MAX_CONTROL) return WS_ERR_ARGUMENT;
    return write_frame(writer, FIN | opcode, data, len);
}

int32_t ws_writer_answer_ping(ws_writer* writer, const void* data, size_t len) {
    if (writer->closed) return WS_OK;
    writer->pong_held = ws_buf_len(&writer->out) >= PONG_BACKLOG; /* else it overtakes one that is held */
    if (!writer->pong_held) return write_frame(writer, FIN | WS_OPCODE_PONG, data, len);
    ws_buf_consume(&writer->pong, ws_buf_len(&writer->pong));
    writer->pong_held = ws_buf_append(&writer->pong, data, len) == WS_OK;
    return writer->pong_held ? WS_OK : WS_ERR_MEMORY;
}

/* Queue the pong that was held back. If that fails it stays held. */
static int32_t release_pong(ws_writer* writer) {
    if (!writer->pong_held) return WS_OK;
    int32_t rc = write_frame(writer, FIN | WS_OPCODE_PONG, ws_buf_head(&writer->pong), ws_buf_len(&writer->pong));
    writer->pong_held = rc != WS_OK;
    if (rc == WS_OK) ws_buf_free(&writer->pong);
    return rc;
}

int32_t ws_writer_close(ws_writer* writer, uint16_t code, const char* reason, size_t len) {
    uint8_t payload[WS_FRAME_MAX_CONTROL] = {(uint8_t)(code >> 8), (uint8_t)code};
    bool empty = code == WS_CODE_NO_STATUS;
    if (writer->closed) return WS_ERR_STATE;
    if (!empty && !ws_close_code_ok(code)) return WS_ERR_ARGUMENT;
    if (len > sizeof payload - 2 || (empty && len)) return WS_ERR_ARGUMENT;
    if (!ws_utf8_valid((const uint8_t*)reason, len)) return WS_ERR_ARGUMENT;
    if (len) memcpy(payload + 2, reason, len);
    int32_t rc = release_pong(writer);
    if (!rc) rc = write_frame(writer, FIN | WS_OPCODE_CLOSE, payload, empty ? 0 : len + 2);
    if (!rc) writer->closed = true;
    return rc;
}

void ws_writer_take_back(ws_writer* writer, size_t n) {
    writer->out.end -= n;
    writer->total -= n;
    writer->frames--;
    ws_deflater_reset(&writer->deflater); /* later messages must not refer to it */
}

const uint8_t* ws_writer_output(ws_writer* writer, size_t* len) {
    if (ws_buf_len(&writer->out) == 0) release_pong(writer); /* failing, it is tried again at the next output */
    *len = ws_buf_len(&writer->out);
    return ws_buf_head(&writer->out);
}

void ws_writer_trim(ws_writer* writer) {
    if (ws_buf_len(&writer->out) == 0) ws_buf_free(&writer->out);
    if (writer->opcode == 0) ws_deflater_reset(&writer->deflater);
    ws_buf_free(&writer->scratch);
}

void ws_writer_written(ws_writer* writer, size_t n) {
    ws_buf_consume(&writer->out, n);
    if (ws_buf_len(&writer->out) == 0) ws_buf_empty(&writer->out);
}
