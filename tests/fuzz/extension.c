/* Any Sec-WebSocket-Extensions leads to no terms or to ones that may be; our offer and our answer agree on the same. */
#include "core/extension.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    if (!(condition)) abort()

static ws_deflate_terms terms_of(uint8_t flags, uint8_t bits) {
    return (ws_deflate_terms){.server_no_context_takeover = flags & 1,
                              .client_no_context_takeover = flags & 2,
                              .server_max_window_bits = (uint8_t)(9 + (bits & 15) % 7),
                              .client_max_window_bits = (uint8_t)(9 + (bits >> 4) % 7)};
}

/* The header lines as a head; false if they are none. */
static bool parse(ws_http_head* head, ws_buf* text, const void* lines, size_t n) {
    MUST(!ws_buf_append_text(text, "GET / HTTP/1.1\r\n") && !ws_buf_append(text, lines, n));
    MUST(!ws_buf_append_text(text, "\r\n\r\n"));
    return !ws_http_parse_request(head, (const char*)text->data, text->end);
}

static bool bits_ok(uint8_t bits, uint8_t least, uint8_t most) {
    return bits >= least && bits <= most;
}

static void read_anything(const uint8_t* lines, size_t n, const ws_deflate_terms* wanted) {
    ws_http_head head;
    ws_buf text = {0};
    ws_deflate_terms terms;
    ws_error error = {0};
    bool ask, agreed;
    if (parse(&head, &text, lines, n)) {
        if (ws_extension_choose(&head, wanted, &terms, &ask)) {
            MUST(bits_ok(terms.server_max_window_bits, 9, wanted->server_max_window_bits));
            MUST(bits_ok(terms.client_max_window_bits, 8, ask ? wanted->client_max_window_bits : 15));
        }
        int32_t rc = ws_extension_check_answer(&head, wanted, &agreed, &terms, &error);
        MUST(rc == error.code);
        if (!rc && agreed) {
            MUST(bits_ok(terms.server_max_window_bits, 8, 15));
            MUST(bits_ok(terms.client_max_window_bits, 8, wanted->client_max_window_bits));
        }
    }
    ws_error_clear(&error);
    ws_buf_free(&text);
}

static void agree(const ws_deflate_terms* client, const ws_deflate_terms* server) {
    ws_http_head head;
    ws_buf offer = {0}, answer = {0}, text = {0}, back = {0};
    ws_deflate_terms theirs, ours;
    ws_error error = {0};
    bool ask, agreed;
    MUST(!ws_extension_write_offer(client, &offer) && parse(&head, &text, offer.data, offer.end - 2));
    MUST(ws_extension_choose(&head, server, &theirs, &ask) && !ws_extension_write_answer(&theirs, ask, &answer));
    MUST(parse(&head, &back, answer.data, answer.end - 2));
    MUST(!ws_extension_check_answer(&head, client, &agreed, &ours, &error) && agreed);
    MUST(ours.server_no_context_takeover == theirs.server_no_context_takeover);
    MUST(ours.client_no_context_takeover == theirs.client_no_context_takeover);
    MUST(ours.server_max_window_bits == theirs.server_max_window_bits);
    MUST(ours.client_max_window_bits == theirs.client_max_window_bits);
    ws_buf_free(&offer);
    ws_buf_free(&answer);
    ws_buf_free(&text);
    ws_buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    ws_deflate_terms one = terms_of(data[0], data[1]), two = terms_of(data[0] >> 2, data[2]);
    agree(&one, &two);
    read_anything(data + 3, size - 3, &one);
    return 0;
}
