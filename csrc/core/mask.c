#include "core/mask.h"

#include <string.h>

/* The key, turned to where a piece begins, twice. */
static uint64_t turned(const uint8_t key[4], uint64_t offset) {
    uint8_t four[4] = {key[offset & 3], key[(offset + 1) & 3], key[(offset + 2) & 3], key[(offset + 3) & 3]};
    uint32_t word;
    memcpy(&word, four, 4);
    return (uint64_t)word << 32 | word;
}

static inline void mask_word(uint8_t* to, const uint8_t* from, uint64_t key) {
    uint64_t word;
    memcpy(&word, from, 8);
    word ^= key;
    memcpy(to, &word, 8);
}

void ws_mask_copy(uint8_t* to, const uint8_t* from, size_t n, const uint8_t key[4], uint64_t offset) {
    uint64_t wide = turned(key, offset);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        mask_word(to + i, from + i, wide);
        mask_word(to + i + 8, from + i + 8, wide);
        mask_word(to + i + 16, from + i + 16, wide);
        mask_word(to + i + 24, from + i + 24, wide);
    }
    for (; i + 8 <= n; i += 8) {
        mask_word(to + i, from + i, wide);
    }
    for (; i < n; i++) {
        to[i] = from[i] ^ key[(offset + i) & 3];
    }
}
