/* Incremental UTF-8 validation (RFC 3629, as RFC 6455 8.1 wants it): no overlong forms, no surrogates, <= U+10FFFF. */
#ifndef WS_CORE_UTF8_H
#define WS_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised it stands between two characters. */
typedef struct ws_utf8 {
    uint8_t need;  /* continuation bytes still to come */
    uint8_t lower; /* bounds of the next one */
    uint8_t upper;
} ws_utf8;

/* Go on with `n` bytes. False as soon as no continuation could make it valid; the state is then useless. */
bool ws_utf8_feed(ws_utf8* state, const uint8_t* bytes, size_t n);

/* True between two characters: a text may end here. */
static inline bool ws_utf8_complete(const ws_utf8* state) {
    return state->need == 0;
}

/* Is this whole piece valid? */
bool ws_utf8_valid(const uint8_t* bytes, size_t n);

#endif
