/* Any JSON is refused with a text, or what it said comes back when written and parsed; so do any two texts. */
#include "chat/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

static void write_and_parse(const char* name, const char* text, int32_t info) {
    bool valid = ws_utf8_valid((const uint8_t*)name, strlen(name)) && ws_utf8_valid((const uint8_t*)text, strlen(text));
    ws_buf out = {0};
    ws_envelope back;
    ws_error error = {0};
    MUST(ws_envelope_write(name, text, info, &out) == (valid ? WS_OK : WS_ERR_ENVELOPE));
    if (valid) {
        MUST(ws_envelope_parse(&back, (const char*)ws_buf_head(&out), ws_buf_len(&out), &error) == WS_OK);
        MUST(strcmp(back.name, name) == 0 && strcmp(back.text, text) == 0 && back.info == info);
        MUST(back.text_len == strlen(text));
        ws_envelope_free(&back);
    }
    MUST(valid || ws_buf_len(&out) == 0);
    ws_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ws_envelope envelope;
    ws_error error = {0};
    char* text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    write_and_parse(text, text + (strlen(text) < size ? strlen(text) + 1 : size), (int32_t)size);
    char* exact = realloc(text, size ? size : 1); /* reading beyond the end is noticed */
    int32_t rc = ws_envelope_parse(&envelope, exact, size, &error);
    free(exact);
    MUST(rc == error.code && (!rc || *ws_error_text(&error)));
    if (!rc) write_and_parse(envelope.name, envelope.text, envelope.info);
    ws_envelope_free(&envelope);
    ws_error_clear(&error);
    return 0;
}
