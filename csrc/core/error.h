/* What went wrong, with its words. The codes and their texts are the table in <wsclient/wsclient.h>. */
#ifndef WS_CORE_ERROR_H
#define WS_CORE_ERROR_H

#include <wsclient/wsclient.h>

/* One failure. `text` is on the heap, NULL when none was made (or no memory was left): use ws_error_text. */
typedef struct ws_error {
    int32_t code;
    int os_error;      /* errno, 0 if the system had no part in it */
    int http_status;   /* WS_ERR_STATUS */
    uint64_t size;     /* WS_ERR_TOO_BIG: what came ... */
    uint64_t max_size; /* ... and what is allowed */
    char* text;
} ws_error;

/*
 * Record `code` with a printf-made text and return it; an empty text is none. The first error stays: a second call
 * changes nothing. Control characters in the text become "?", and if it is not UTF-8, so does all that is not ASCII.
 */
int32_t ws_error_set(ws_error* error, int32_t code, const char* format, ...) __attribute__((format(printf, 3, 4)));

/* The text, or the table's for the code; "" when there is no error. */
const char* ws_error_text(const ws_error* error);

/* Forget the error and free its text. */
void ws_error_clear(ws_error* error);

#endif
