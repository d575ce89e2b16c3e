/* What TLS was asked to be: a copy of wsTls, compared as a whole, for option sets that share a context. */
#ifndef WS_NET_TLS_OPTIONS_H
#define WS_NET_TLS_OPTIONS_H

#include <stdbool.h>

#include "core/error.h"

/* Copy with all strings. False without memory; *copy is to be freed in any case. */
bool ws_tls_options_copy(wsTls* copy, const wsTls* options);
bool ws_tls_options_equal(const wsTls* a, const wsTls* b);

/* Check what can be told without a file. WS_ERR_TLS_OPTIONS with a text. */
int32_t ws_tls_options_check(const wsTls* options, ws_error* error);

/* Free the strings of a copy; the key's password is wiped. */
void ws_tls_options_free(wsTls* copy);

/*
 * The next of a comma-separated list at *list, spaces around it taken off, into *item and *len; false at its end. Empty
 * items count.
 */
bool ws_tls_options_next(const char** list, const char** item, size_t* len);

/* A pin ("cert:" or "key:" and 64 hex digits) as the 32 bytes of a SHA-256; false if it is none. */
bool ws_tls_options_pin(const char* text, size_t len, bool* of_key, uint8_t digest[32]);

#endif
