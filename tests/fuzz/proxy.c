/* Any bytes from a proxy, in any pieces, lead to the same verdict and the same output; no text tells a secret. */
#include "core/proxy.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

/* The first byte: the kind in two bits, then these. Four more say where our output is written, and how to cut. */
enum { LOGIN = 4, LITERAL = 8, ENDS = 16, HEADER = 5 };

typedef struct verdict {
    int32_t rc;
    ws_error error;
    ws_buf said;
    size_t head; /* the length of the one that was kept */
} verdict;

static ws_proxy_url url_of(uint8_t switches) {
    return (ws_proxy_url){.kind = (ws_proxy_kind)(WS_PROXY_HTTP + (switches & 3)),
                          .host = (char*)"p",
                          .port = 1080,
                          .user = switches & LOGIN ? (char*)"user" : NULL,
                          .password = switches & LOGIN ? (char*)"secret" : NULL};
}

static ws_proxy_target target_of(uint8_t switches) {
    bool address = switches & LITERAL || (switches & 3) + WS_PROXY_HTTP == WS_PROXY_SOCKS5;
    return (ws_proxy_target){.host = "h", .port = 443, .address_len = address ? 4 : 0, .address = {192, 0, 2, 1}};
}

static void write_all(ws_proxy* proxy, ws_buf* said) {
    size_t len;
    const uint8_t* bytes = ws_proxy_output(proxy, &len);
    MUST(ws_buf_append(said, bytes, len) == WS_OK);
    ws_proxy_written(proxy, len);
    ws_proxy_output(proxy, &len);
    MUST(len == 0);
}

/* From single bytes to more than a head may have. */
static size_t next_piece(uint32_t* seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 8) % (UINT32_C(1) << (*seed >> 28) % 5 * 4);
}

/* Feed bytes of a turn in pieces, each of its own memory, so that reading beyond it is noticed. */
static void feed(ws_proxy* proxy, const uint8_t* bytes, size_t n, uint32_t* seed, verdict* out) {
    while (n) {
        size_t piece = *seed ? next_piece(seed) : n;
        piece = piece < n ? piece : n;
        uint8_t* copy = malloc(piece);
        memcpy(copy, bytes, piece);
        int32_t before = out->rc;
        out->rc = ws_proxy_feed(proxy, copy, piece, &out->error);
        MUST(before >= 0 || out->rc == before);
        MUST(proxy->in.cap <= 2 * WS_PROXY_MAX_HEAD);
        free(copy);
        bytes += piece;
        n -= piece;
    }
}

/* data[1..3] are where our output is written: that many bytes after the last time, and once before the first. */
static verdict decide(const uint8_t* data, size_t size, uint32_t seed) {
    ws_proxy proxy;
    verdict out = {0};
    ws_proxy_url url = url_of(data[0]);
    ws_proxy_target target = target_of(data[0]);
    MUST(ws_proxy_start(&proxy, &url, &target, "agent", &out.error) == WS_OK);
    const uint8_t *at = data + HEADER, *end = data + size;
    for (size_t turn = 1; turn <= 3; turn++) {
        size_t left = (size_t)(end - at), n = data[turn] < left ? data[turn] : left;
        write_all(&proxy, &out.said);
        feed(&proxy, at, n, &seed, &out);
        at += n;
    }
    write_all(&proxy, &out.said);
    feed(&proxy, at, (size_t)(end - at), &seed, &out);
    if (data[0] & ENDS) out.rc = ws_proxy_end(&proxy, &out.error);
    ws_proxy_head(&proxy, &out.head);
    ws_proxy_free(&proxy);
    return out;
}

static void check(const verdict* out) {
    MUST(out->rc <= 1 && (out->rc < 0 ? out->rc : 0) == out->error.code);
    MUST((out->rc == WS_ERR_PROXY_STATUS) == (out->error.http_status != 0));
    MUST(out->rc < 0 ? *ws_error_text(&out->error) != '\0' : !out->error.os_error);
}

static void forget(verdict* out) {
    ws_buf_free(&out->said);
    ws_error_clear(&out->error);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < HEADER) return 0;
    verdict whole = decide(data, size, 0), cut = decide(data, size, 1 + data[4]);
    check(&whole);
    MUST(whole.rc == cut.rc && whole.head == cut.head);
    MUST(whole.error.os_error == cut.error.os_error && whole.error.http_status == cut.error.http_status);
    MUST(strcmp(ws_error_text(&whole.error), ws_error_text(&cut.error)) == 0);
    MUST(ws_buf_len(&whole.said) == ws_buf_len(&cut.said));
    MUST(memcmp(ws_buf_head(&whole.said), ws_buf_head(&cut.said), ws_buf_len(&whole.said)) == 0);
    bool told = strstr(ws_error_text(&whole.error), "secret");
    MUST(!told || memmem(data, size, "secret", 6)); /* a proxy may say so itself */
    forget(&whole);
    forget(&cut);
    return 0;
}
