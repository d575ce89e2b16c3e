/* Frames made beforehand, which a flood repeats. */
#ifndef BENCH_BLOCK_H
#define BENCH_BLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    KIND_BINARY,  /* the alphabet, in binary frames */
    KIND_TEXT,    /* the alphabet, in text frames */
    KIND_JSON,    /* market data, in text frames */
    KIND_ENVELOPE /* messages of the chat protocol, in text frames */
} Kind;

typedef struct {
    uint8_t* bytes;
    size_t* ends; /* where each frame ends */
    size_t frames;
} Block;

/* Makes at least one and up to 256 frames, of `size` bytes of payload each (an envelope: of text); compressed with a
 * window of 2 to the power of 12 (RFC 7692), such that the block can follow itself, if `deflate`. */
Block block_make(Kind kind, size_t size, int deflate);
void block_free(Block* block);

/* How many bytes `count` frames of the block, repeated, are. */
uint64_t block_bytes(const Block* block, uint64_t count);

#endif
