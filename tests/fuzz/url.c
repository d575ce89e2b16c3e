/* Any text is refused with a text, or its parts written together again are the same URL. */
#include "core/url.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

static void write_and_parse(const ws_url* url) {
    ws_buf out = {0};
    ws_url again;
    ws_error error = {0};
    MUST(!ws_buf_append_text(&out, url->secure ? "wss://" : "ws://") && !ws_url_write_host(url, &out));
    MUST(!ws_buf_append_text(&out, url->target) && !ws_buf_append(&out, "", 1));
    MUST(ws_url_parse(&again, (const char*)out.data, &error) == WS_OK);
    MUST(again.secure == url->secure && again.ipv6 == url->ipv6 && again.port == url->port);
    MUST(strcmp(again.host, url->host) == 0 && strcmp(again.target, url->target) == 0);
    ws_url_free(&again);
    ws_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ws_url url;
    ws_error error = {0};
    char* text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    int32_t rc = ws_url_parse(&url, text, &error);
    free(text);
    MUST(rc == error.code && (!rc || *ws_error_text(&error)));
    if (!rc) {
        MUST(*url.host && url.port && url.target[0] == '/');
        write_and_parse(&url);
    }
    ws_url_free(&url);
    ws_error_clear(&error);
    return 0;
}
