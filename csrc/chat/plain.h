/*
 * Envelopes as nearly every program writes them, read in place and in one go. Which ones that are: the known members,
 * each once, and no escapes in strings. All others, right or wrong, are left to a JSON library. Pure.
 */
#ifndef WS_CHAT_PLAIN_H
#define WS_CHAT_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The strings lie in the JSON: not terminated, without control characters, and as good UTF-8 as that is. */
typedef struct ws_plain {
    const char* name;
    const char* text;
    size_t name_len;
    size_t text_len; /* counted */
    int32_t info;
} ws_plain;

/* True: these `n` bytes are an envelope, if they are UTF-8, and it says so. False: only a JSON library can tell. */
bool ws_plain_read(ws_plain* plain, const char* json, size_t n);

#ifdef __cplusplus
}
#endif

#endif
