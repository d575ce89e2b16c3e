/* Masking of payloads (RFC 6455 5.3). */
#ifndef WS_CORE_MASK_H
#define WS_CORE_MASK_H

#include <stddef.h>
#include <stdint.h>

/*
 * to[i] = from[i] XOR key[(offset + i) % 4] for n bytes; `offset` is how much of the payload came before. `to` may be
 * `from`; otherwise they must not overlap.
 */
void ws_mask_copy(uint8_t* to, const uint8_t* from, size_t n, const uint8_t key[4], uint64_t offset);

#endif
