#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const uint8_t test_key[4] = {0x37, 0xfa, 0x21, 0x3d};
const ws_limits wide_limits = {.max_size = 1 << 24, .max_fragments = 1000, .max_head = 65536};

void put(ws_buf* out, const void* bytes, size_t n) {
    assert_int_equal(ws_buf_append(out, bytes, n), WS_OK);
}

void put_text(ws_buf* out, const char* text) {
    put(out, text, strlen(text));
}

static void put_length(ws_buf* out, uint8_t mask_bit, uint64_t len) {
    uint8_t bytes[9] = {mask_bit | (len < 126 ? (uint8_t)len : len < 65536 ? 126 : 127)};
    size_t extra = len < 126 ? 0 : len < 65536 ? 2 : 8;
    for (size_t i = 0; i < extra; i++) {
        bytes[1 + i] = (uint8_t)(len >> 8 * (extra - 1 - i));
    }
    put(out, bytes, 1 + extra);
}

void put_frame(ws_buf* out, uint8_t first, const uint8_t* key, const void* payload, size_t len) {
    put(out, &first, 1);
    put_length(out, key ? 0x80 : 0, len);
    if (key) put(out, key, 4);
    size_t at = ws_buf_len(out);
    put(out, payload, len);
    for (size_t i = 0; key && i < len; i++) {
        ws_buf_head(out)[at + i] ^= key[i % 4];
    }
}

void fill_pattern(uint8_t* to, size_t n, bool text) {
    for (size_t i = 0; i < n; i++) {
        uint8_t value = (uint8_t)(i * 7 + i / 251 + i / 65521);
        to[i] = text ? 'a' + value % 26 : value;
    }
}

void add_text(ws_buf* out, ws_role role, uint8_t first, const char* payload) {
    put_frame(out, first, role == SERVER ? test_key : NULL, payload, strlen(payload));
}

void add_pattern(ws_buf* out, ws_role role, uint8_t first, size_t n, bool text) {
    uint8_t* payload = malloc(n ? n : 1);
    assert_non_null(payload);
    fill_pattern(payload, n, text);
    put_frame(out, first, role == SERVER ? test_key : NULL, payload, n);
    free(payload);
}

bool test_random(uint8_t* out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = test_key[i % 4];
    }
    return true;
}

bool no_random(uint8_t* out, size_t n) {
    (void)out;
    (void)n;
    return false;
}

/* GUARDED accessible bytes, a page in front of them and one behind them that are not. */
static uint8_t* map_guarded(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t* pages = mmap(NULL, GUARDED + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages, page, PROT_NONE), 0);
    assert_int_equal(mprotect(pages + page + GUARDED, page, PROT_NONE), 0);
    return pages + page;
}

void* at_the_end(const void* bytes, size_t n) {
    static uint8_t* guarded;
    if (!guarded) guarded = map_guarded();
    assert_true(n <= GUARDED);
    return memcpy(guarded + GUARDED - n, bytes, n);
}

void* at_the_start(const void* bytes, size_t n) {
    static uint8_t* guarded;
    if (!guarded) guarded = map_guarded();
    assert_true(n <= GUARDED);
    return memcpy(guarded, bytes, n);
}

/* Short payloads as they are, long ones and those with a NUL by length and checksum. */
static void put_payload(ws_buf* events, const uint8_t* data, size_t n) {
    char line[64];
    uint64_t sum = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ data[i]) * UINT64_C(1099511628211);
    }
    bool readable = n <= 125 && !(n && memchr(data, 0, n));
    snprintf(line, sizeof line, " %zu bytes, sum %llx", n, (unsigned long long)sum);
    put_text(events, readable ? " " : line);
    if (readable) put(events, data, n);
}

static void put_event(ws_buf* events, const ws_protocol* protocol, const ws_event* event) {
    static const char* const names[] = {"NONE", "REQUEST", "OPEN", "TEXT", "BINARY", "PING", "PONG", "CLOSE", "FAILED"};
    char code[16] = "";
    put_text(events, names[event->type]);
    if (event->code) snprintf(code, sizeof code, " %u", event->code);
    put_text(events, code);
    if (event->type == WS_PROTOCOL_FAILED) {
        put_text(events, " ");
        put_text(events, wsErrorName(protocol->error.code));
    } else {
        put_payload(events, event->data, event->len);
    }
    put_text(events, "\n");
}

static void drain(ws_protocol* protocol, ws_buf* events) {
    for (ws_event event; (event = ws_protocol_next(protocol)).type != WS_PROTOCOL_NONE;) {
        put_event(events, protocol, &event);
        assert_int_equal(ws_protocol_reply(protocol, &event), WS_OK);
        if (event.type == WS_PROTOCOL_REQUEST) assert_int_equal(ws_protocol_accept(protocol, NULL), WS_OK);
    }
}

void receive(ws_protocol* protocol, const void* bytes, size_t n, ws_buf* events) {
    for (const uint8_t* from = bytes; n > 0;) {
        uint8_t* at;
        size_t room;
        assert_int_equal(ws_protocol_prepare(protocol, &at, &room), WS_OK);
        assert_true(room > 0);
        size_t some = n < room ? n : room;
        memcpy(at, from, some);
        ws_protocol_commit(protocol, some);
        from += some;
        n -= some;
    }
    drain(protocol, events);
}

/* The size of the next piece: by the seed from single bytes to more than a receive buffer. */
static size_t next_piece(ws_cut* cut) {
    if (!cut->seed) return cut->rest ? cut->rest : SIZE_MAX;
    cut->seed = cut->seed * 1664525u + 1013904223u;
    return 1 + (cut->seed >> 8) % (UINT32_C(1) << (cut->seed >> 28) % 4 * 6);
}

void replay(ws_protocol* protocol, const ws_buf* input, ws_cut cut, ws_buf* events) {
    const uint8_t* from = ws_buf_head(input);
    size_t left = ws_buf_len(input);
    size_t piece = cut.first ? cut.first : next_piece(&cut);
    while (left > 0) {
        size_t n = left < piece ? left : piece;
        receive(protocol, from, n, events);
        from += n;
        left -= n;
        piece = next_piece(&cut);
    }
}

void init_open(ws_protocol* protocol, bool server, const ws_limits* limits) {
    if (server) {
        ws_protocol_init_server(protocol, limits);
    } else {
        ws_protocol_init_client(protocol, limits, test_random);
    }
    protocol->phase = WS_PHASE_FRAMES;
}

char* events_of(bool server, const ws_limits* limits, const ws_buf* input, ws_cut cut) {
    ws_protocol protocol;
    ws_buf events = {0};
    init_open(&protocol, server, limits);
    replay(&protocol, input, cut, &events);
    ws_protocol_free(&protocol);
    put(&events, "", 1);
    return (char*)events.data;
}

/* Borrowed until OPEN. */
static const char* const offered[] = {"v1", "v2"};

void start_client(ws_protocol* client, const ws_limits* limits) {
    ws_url url;
    ws_error error = {0};
    ws_protocol_init_client(client, limits, test_random);
    assert_int_equal(ws_url_parse(&url, "ws://h/chat", &error), WS_OK);
    ws_request request = {.url = &url, .subprotocols = offered, .subprotocol_count = 2};
    assert_int_equal(ws_protocol_start(client, &request), WS_OK);
    ws_url_free(&url);
}
