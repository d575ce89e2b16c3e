/* Any text is refused as a proxy's URL, or its parts written together again are the same URL. */
#include "core/proxy_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

static bool same(const char* one, const char* other) {
    return !one ? !other : other && strcmp(one, other) == 0;
}

/* Every byte percent-encoded. */
static void write_encoded(ws_buf* out, const char* text) {
    for (const unsigned char* c = (const unsigned char*)text; *c; c++) {
        char code[4];
        snprintf(code, sizeof code, "%%%02x", *c);
        MUST(!ws_buf_append_text(out, code));
    }
}

static void write_and_parse(const ws_proxy_url* url) {
    static const char* const schemes[] = {"", "http", "https", "socks5", "socks5h"};
    char port[8];
    ws_buf out = {0};
    ws_proxy_url again;
    ws_error error = {0};
    snprintf(port, sizeof port, ":%u", url->port);
    MUST(!ws_buf_append_text(&out, schemes[url->kind]) && !ws_buf_append_text(&out, "://"));
    if (url->user) write_encoded(&out, url->user);
    if (url->password) MUST(!ws_buf_append_text(&out, ":"));
    if (url->password) write_encoded(&out, url->password);
    MUST(!ws_buf_append_text(&out, url->user ? "@" : "") && !ws_buf_append_text(&out, url->ipv6 ? "[" : ""));
    MUST(!ws_buf_append_text(&out, url->host) && !ws_buf_append_text(&out, url->ipv6 ? "]" : ""));
    MUST(!ws_buf_append_text(&out, port) && !ws_buf_append(&out, "", 1));
    MUST(ws_proxy_url_parse(&again, (const char*)out.data, &error) == WS_OK);
    MUST(again.kind == url->kind && again.port == url->port && again.ipv6 == url->ipv6);
    MUST(same(again.host, url->host) && same(again.user, url->user) && same(again.password, url->password));
    ws_proxy_url_free(&again);
    ws_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ws_proxy_url url;
    ws_error error = {0};
    char* text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    int32_t rc = ws_proxy_url_parse(&url, text, &error);
    free(text);
    MUST(rc == error.code && (!rc || *ws_error_text(&error)));
    if (!rc) {
        MUST(*url.host && url.port && (url.user || !url.password));
        write_and_parse(&url);
    }
    ws_proxy_url_free(&url);
    ws_error_clear(&error);
    return 0;
}
