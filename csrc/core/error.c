#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

typedef struct ws_error_row {
    int32_t code;
    int32_t fault;
    const char* name;
    const char* text;
} ws_error_row;

static const ws_error_row rows[] = {
#define WS_ERROR_ROW(name, code, fault, text) {code, WS_FAULT_##fault, #name, text},
    WS_ERROR_TABLE(WS_ERROR_ROW)
#undef WS_ERROR_ROW
};

static const ws_error_row* error_row(int32_t code) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return NULL;
}

const char* wsErrorString(int32_t code) {
    const ws_error_row* row = error_row(code);
    if (row) return row->text;
    return code == WS_OK ? "no error" : "unknown error";
}

const char* wsErrorName(int32_t code) {
    const ws_error_row* row = error_row(code);
    if (row) return row->name;
    return code == WS_OK ? "OK" : "UNKNOWN";
}

int32_t wsErrorFault(int32_t code) {
    const ws_error_row* row = error_row(code);
    return row ? row->fault : 0;
}

/* Peers' words may be in the text: take out what could forge a line of a log or break a decoder. */
static void make_printable(char* text) {
    bool utf8 = ws_utf8_valid((const uint8_t*)text, strlen(text));
    for (unsigned char* c = (unsigned char*)text; *c; c++) {
        if (*c < ' ' || *c == 0x7F || (*c > 0x7F && !utf8)) *c = '?';
    }
}

int32_t ws_error_set(ws_error* error, int32_t code, const char* format, ...) {
    if (error->code) return code;
    error->code = code;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    error->text = n > 0 ? malloc((size_t)n + 1) : NULL;
    if (error->text) {
        vsnprintf(error->text, (size_t)n + 1, format, again);
        make_printable(error->text);
    }
    va_end(again);
    va_end(args);
    return code;
}

const char* ws_error_text(const ws_error* error) {
    if (error->text) return error->text;
    return error->code ? wsErrorString(error->code) : "";
}

void ws_error_clear(ws_error* error) {
    free(error->text);
    *error = (ws_error){0};
}
