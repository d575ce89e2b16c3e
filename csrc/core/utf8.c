#include "core/utf8.h"

#include <string.h>

/* Begin a character at its first byte (Unicode table 3-7: well-formed byte sequences). */
static bool utf8_lead(ws_utf8* state, uint8_t byte) {
    state->lower = 0x80;
    state->upper = 0xBF;
    if (byte < 0x80) return true;
    if (byte < 0xC2 || byte > 0xF4) return false;
    state->need = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0) state->lower = 0xA0; /* overlong below */
    if (byte == 0xED) state->upper = 0x9F; /* surrogates above */
    if (byte == 0xF0) state->lower = 0x90; /* overlong below */
    if (byte == 0xF4) state->upper = 0x8F; /* beyond U+10FFFF above */
    return true;
}

static bool utf8_continue(ws_utf8* state, uint8_t byte) {
    if (byte < state->lower || byte > state->upper) return false;
    state->lower = 0x80;
    state->upper = 0xBF;
    state->need--;
    return true;
}

/* How many of the n bytes, in whole words, are ASCII. */
static size_t utf8_ascii_words(const uint8_t* bytes, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    return i;
}

bool ws_utf8_feed(ws_utf8* state, const uint8_t* bytes, size_t n) {
    for (size_t i = 0; i < n;) {
        if (state->need) {
            if (!utf8_continue(state, bytes[i++])) return false;
            continue;
        }
        i += utf8_ascii_words(bytes + i, n - i);
        if (i < n && !utf8_lead(state, bytes[i++])) return false;
    }
    return true;
}

bool ws_utf8_valid(const uint8_t* bytes, size_t n) {
    ws_utf8 state = {0};
    return ws_utf8_feed(&state, bytes, n) && ws_utf8_complete(&state);
}
