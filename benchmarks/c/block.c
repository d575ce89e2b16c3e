#include "block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "wire.h"

enum { FRAMES = 256, BLOCK = 256 * 1024, WINDOW_BITS = 12 };

static uint32_t draw(uint32_t* seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static size_t trades(char* to, size_t size, uint32_t* seed) {
    size_t len = 0;
    while (len < size) {
        char trade[160];
        int more =
            snprintf(trade, sizeof trade,
                     "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":%u,\"p\":\"431%02u.%02u\",\"q\":\"0.%04u\",\"m\":%s},",
                     1700000000u + draw(seed) % 100000, draw(seed) % 100, draw(seed) % 100, draw(seed) % 10000,
                     draw(seed) & 1 ? "true" : "false");
        size_t part = (size_t)more < size - len ? (size_t)more : size - len;
        memcpy(to + len, trade, part);
        len += part;
    }
    return size;
}

static size_t payload_make(char* to, Kind kind, size_t size, uint32_t* seed) {
    if (kind == KIND_JSON) return trades(to, size, seed);
    size_t start = 0;
    if (kind == KIND_ENVELOPE)
        start = (size_t)sprintf(to, "{\"user\": {\"name\": \"user%u\"}, \"message\": {\"text\": \"", draw(seed) % 1000);
    for (size_t i = 0; i < size; i++)
        to[start + i] = (char)('a' + i % 26);
    if (kind != KIND_ENVELOPE) return size;
    return start + size + (size_t)sprintf(to + start + size, "\", \"text_len\": %zu, \"info\": 0}}", size);
}

/* One message compressed, without the four bytes that RFC 7692 7.2.1 leaves out. */
static size_t compress_message(z_stream* z, uint8_t* to, size_t room, char* from, size_t len, int flush) {
    z->next_in = (Bytef*)from;
    z->avail_in = (uInt)len;
    z->next_out = to;
    z->avail_out = (uInt)room;
    if (deflate(z, flush) != Z_OK || z->avail_in || !z->avail_out) die("deflate");
    return room - z->avail_out - 4;
}

Block block_make(Kind kind, size_t size, int compressed) {
    size_t most = size + 256, frames = BLOCK / most;
    frames = frames < 1 ? 1 : frames > FRAMES ? FRAMES : frames;
    Block block = {malloc(frames * (2 * most + HEAD_MAX)), malloc(frames * sizeof(size_t)), frames};
    char* payload = malloc(most);
    z_stream z = {0};
    if (!block.bytes || !block.ends || !payload) die("malloc");
    if (compressed && deflateInit2(&z, 6, Z_DEFLATED, -WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) die("deflateInit2");
    uint8_t first = FIN | (kind == KIND_BINARY ? OP_BINARY : OP_TEXT) | (compressed ? RSV1 : 0);
    uint8_t* packed = malloc(2 * most);
    uint32_t seed = 1;
    size_t end = 0;
    for (size_t i = 0; i < frames; i++) {
        size_t len = payload_make(payload, kind, size, &seed);
        const void* data = payload;
        if (compressed) {
            /* The last one lets go of the window, so that the first can follow. */
            len = compress_message(&z, packed, 2 * most, payload, len, i + 1 < frames ? Z_SYNC_FLUSH : Z_FULL_FLUSH);
            data = packed;
        }
        end += frame_write(block.bytes + end, first, len, NULL);
        memcpy(block.bytes + end, data, len);
        block.ends[i] = end += len;
    }
    if (compressed) deflateEnd(&z);
    free(packed);
    free(payload);
    return block;
}

void block_free(Block* block) {
    free(block->bytes);
    free(block->ends);
    *block = (Block){0};
}

uint64_t block_bytes(const Block* block, uint64_t count) {
    uint64_t rounds = count / block->frames, rest = count % block->frames;
    return rounds * block->ends[block->frames - 1] + (rest ? block->ends[rest - 1] : 0);
}
