#include "core/mask.h"

#include <string.h>

void ws_mask_copy(uint8_t* to, const uint8_t* from, size_t n, const uint8_t key[4], uint64_t offset) {
    uint8_t turned[8]; /* the key twice, turned to where this piece begins */
    for (size_t i = 0; i < 8; i++) {
        turned[i] = key[(offset + i) & 3];
    }
    uint64_t wide;
    memcpy(&wide, turned, 8);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++) {
        to[i] = from[i] ^ turned[i & 3];
    }
}
