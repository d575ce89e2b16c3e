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

/* A Location that is followed leads to a URL that stands for itself, with the credentials where they may go. */
static void resolve(const char* location, size_t n) {
    char host[] = "h", target[] = "/a/b?c", user[] = "u", password[] = "SECRET";
    const ws_url base = {.host = host, .port = 80, .target = target, .user = user, .password = password};
    ws_url to;
    ws_error error = {0};
    int32_t rc = ws_url_resolve(&to, &base, location, n, &error);
    MUST(rc == error.code && (!rc || *ws_error_text(&error)));
    if (!rc) {
        const char* dots = strstr(to.target, "/../");
        const char* query = strchr(to.target, '?');
        MUST(!dots || (query && dots > query)); /* in a query they are no segments */
        MUST(!to.user == !ws_url_same_host(&base, &to) && !to.password == !to.user);
        write_and_parse(&to);
    }
    ws_url_free(&to);
    ws_error_clear(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ws_url url;
    ws_error error = {0};
    char* text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    int32_t rc = ws_url_parse(&url, text, &error);
    char* exact = realloc(text, size ? size : 1); /* reading beyond the end is noticed */
    resolve(exact, size);
    free(exact);
    MUST(rc == error.code && (!rc || *ws_error_text(&error)));
    if (!rc) {
        MUST((url.user || !url.password) && (!url.user || !strchr(url.user, ':')));
        MUST(*url.host && url.port && url.target[0] == '/');
        write_and_parse(&url);
    }
    ws_url_free(&url);
    ws_error_clear(&error);
    return 0;
}
