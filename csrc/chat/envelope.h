/* The chat envelope (docs/protocol.md): JSON text <-> struct. Pure. The same verdicts as python/wsclient/_codec.py. */
#ifndef WS_CHAT_ENVELOPE_H
#define WS_CHAT_ENVELOPE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/error.h"

enum {
    WS_NAME_MAX = 128,      /* bytes of a user name */
    WS_ENVELOPE_DEPTH = 64, /* nesting of arrays and objects */
};

#define WS_NAME_ANONYMOUS "Anonym" /* who has not announced a name */

/* The strings are NUL-terminated and contain no NUL. Owned; free with ws_envelope_free. */
typedef struct ws_envelope {
    char* name;
    char* text;
    size_t text_len; /* counted */
    int32_t info;
} ws_envelope;

/*
 * Parse `n` bytes of JSON. 0; WS_ERR_ENVELOPE with a text that says what is malformed; WS_ERR_MEMORY. Unknown members
 * are ignored; missing `info` is 0; `text_len` must be an integer if present and is otherwise not believed.
 */
int32_t ws_envelope_parse(ws_envelope* envelope, const char* json, size_t n, ws_error* error);

/*
 * Append the JSON of a message to `out`; WS_ERR_ENVELOPE if a string is no UTF-8 or `info` is negative, WS_ERR_MEMORY.
 */
int32_t ws_envelope_write(const char* name, const char* text, int32_t info, ws_buf* out);

void ws_envelope_free(ws_envelope* envelope);

/* May this be a user's name: 1 to WS_NAME_MAX bytes of UTF-8 without control characters (C0, DEL, C1)? */
bool ws_envelope_name_ok(const char* name);

#endif
