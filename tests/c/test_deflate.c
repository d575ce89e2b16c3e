/* core/deflate and what the reader makes of compressed messages (RFC 7692 6, 7.2). */
#include <stdlib.h>
#include <zlib.h>

#include "support.h"

enum { RSV1 = 0x40, TEXT = FIN | RSV1 | WS_OPCODE_TEXT, BINARY = FIN | RSV1 | WS_OPCODE_BINARY };
enum { REST = FIN | WS_OPCODE_CONTINUATION };

#define BYTES(literal) literal, sizeof(literal) - 1
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00" /* RFC 7692 7.2.3.1 */

static const ws_cut cuts[] = {{0}, {1, 1, 0}, {2, 1, 0}, {3, 3, 0}, {0, 0, 7}, {0, 0, 99}};

/* A client that has agreed on compression with widest windows. */
static void init_inflating(ws_protocol* protocol, const ws_limits* limits, bool no_context_takeover) {
    init_open(protocol, false, limits);
    protocol->reader.inflater =
        (ws_inflater){.enabled = true, .no_context_takeover = no_context_takeover, .window_bits = 15};
}

static void add(ws_buf* out, uint8_t first, const void* payload, size_t n) {
    put_frame(out, first, NULL, payload, n);
}

/* The same events in every cut; frees the input. */
static void assert_events_with(ws_buf* input, const ws_limits* limits, bool no_context_takeover, const char* expected) {
    for (size_t i = 0; i < COUNT(cuts); i++) {
        ws_protocol client;
        ws_buf events = {0};
        init_inflating(&client, limits, no_context_takeover);
        replay(&client, input, cuts[i], &events);
        put(&events, "", 1);
        assert_string_equal((char*)ws_buf_head(&events), expected);
        ws_buf_free(&events);
        ws_protocol_free(&client);
    }
    ws_buf_free(input);
}

static void assert_events(ws_buf* input, const char* expected) {
    assert_events_with(input, &wide_limits, false, expected);
}

/* The raw DEFLATE data that zlib makes; `flush` ends it, and the tail that RFC 7692 7.2.1 leaves away is cut off. */
static void squeeze(ws_buf* out, const void* data, size_t n, int flush) {
    z_stream stream = {0};
    size_t room = n + n / 8 + 100;
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(ws_buf_reserve(out, room), WS_OK);
    stream.next_in = (Bytef*)data;
    stream.avail_in = (uInt)n;
    stream.next_out = ws_buf_tail(out);
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, flush), flush == Z_FINISH ? Z_STREAM_END : Z_OK);
    out->end += room - stream.avail_out - (flush == Z_FINISH ? 0 : 4);
    deflateEnd(&stream);
}

static void add_squeezed(ws_buf* out, uint8_t first, const void* data, size_t n) {
    ws_buf payload = {0};
    squeeze(&payload, data, n, Z_SYNC_FLUSH);
    add(out, first, ws_buf_head(&payload), ws_buf_len(&payload));
    ws_buf_free(&payload);
}

/* ---- the examples of RFC 7692 7.2.3, to the byte ---- */

TEST(one_block) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"));
    assert_events(&input, "TEXT Hello\n");
}

TEST(one_block_in_two_fragments) {
    ws_buf input = {0};
    put(&input, BYTES("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"));
    assert_events(&input, "TEXT Hello\n");
}

TEST(a_shared_window) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00"));
    assert_events(&input, "TEXT Hello\nTEXT Hello\n");
}

TEST(a_shared_window_without_context_takeover_is_an_error) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00"));
    assert_events_with(&input, &wide_limits, true, "TEXT Hello\nFAILED 1002 PROTOCOL\n");
}

TEST(a_block_without_compression) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"));
    assert_events(&input, "TEXT Hello\n");
}

TEST(a_block_with_bfinal) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"));
    assert_events(&input, "TEXT Hello\n");
}

TEST(two_blocks_in_one_message) {
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"));
    assert_events(&input, "TEXT Hello\n");
}

TEST(an_empty_fragment) {
    ws_buf input = {0};
    add(&input, RSV1 | WS_OPCODE_TEXT, BYTES(HELLO "\0\0\xff\xff"));
    add(&input, REST, "\0", 1);
    add(&input, TEXT, "\0", 1);
    assert_events(&input, "TEXT Hello\nTEXT \n");
}

static void assert_deflated(ws_deflater* deflater, const char* text, const char* expected, size_t n) {
    ws_buf out = {0};
    assert_int_equal(ws_deflater_run(deflater, text, strlen(text), true, &out), WS_OK);
    assert_int_equal(ws_buf_len(&out), n);
    assert_memory_equal(ws_buf_head(&out), expected, n);
    ws_buf_free(&out);
}

TEST(what_we_send_is_what_the_examples_show) {
    ws_deflater deflater = {.enabled = true, .window_bits = 15};
    assert_deflated(&deflater, "Hello", HELLO, 7);
    assert_deflated(&deflater, "Hello", BYTES("\xf2\x00\x11\x00\x00"));
    assert_deflated(&deflater, "", "\0", 1);
    ws_deflater_reset(&deflater);
    assert_null(deflater.stream);
    assert_deflated(&deflater, "Hello", HELLO, 7);
    ws_deflater_reset(&deflater);
}

TEST(without_context_takeover_every_message_begins_afresh_and_nothing_is_kept) {
    ws_deflater deflater = {.enabled = true, .window_bits = 9, .no_context_takeover = true};
    assert_deflated(&deflater, "Hello", HELLO, 7);
    assert_null(deflater.stream);
    assert_deflated(&deflater, "Hello", HELLO, 7);
    assert_null(deflater.stream);
}

/* ---- blocks and messages ---- */

TEST(bfinal_inside_a_message_does_not_end_it) {
    ws_buf input = {0};
    add(&input, TEXT, BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00" HELLO));
    assert_events(&input, "TEXT HelloHello\n");
}

TEST(bfinal_keeps_the_window) {
    ws_buf input = {0};
    add(&input, TEXT, BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"));
    add(&input, TEXT, BYTES("\xf2\x00\x11\x00\x00"));
    assert_events(&input, "TEXT Hello\nTEXT Hello\n");
}

TEST(bfinal_at_the_very_end_of_a_long_message) {
    static uint8_t data[50000];
    ws_buf input = {0}, payload = {0};
    fill_pattern(data, sizeof data, true);
    squeeze(&payload, data, sizeof data, Z_FINISH);
    put(&payload, "\0", 1);
    add(&input, TEXT, ws_buf_head(&payload), ws_buf_len(&payload));
    add(&input, TEXT, HELLO, 7);
    ws_buf_free(&payload);
    ws_buf plain = {0};
    add(&plain, FIN | WS_OPCODE_TEXT, data, sizeof data);
    add(&plain, FIN | WS_OPCODE_TEXT, "Hello", 5);
    char* expected = events_of(false, &wide_limits, &plain, cuts[0]);
    assert_events(&input, expected);
    free(expected);
    ws_buf_free(&plain);
}

TEST(fragments_may_end_anywhere) {
    for (size_t at = 0; at <= 7; at++) {
        ws_buf input = {0};
        add(&input, RSV1 | WS_OPCODE_TEXT, HELLO, at);
        add(&input, FIN | WS_OPCODE_PING, "between", 7);
        add(&input, WS_OPCODE_CONTINUATION, "", 0);
        add(&input, REST, HELLO + at, 7 - at);
        assert_events(&input, "PING between\nTEXT Hello\n");
    }
}

/* It lacks even the header of the block whose rest RFC 7692 7.2.2 puts back. */
TEST(a_message_that_ends_inside_a_block_spoils_no_later_one_without_context_takeover) {
    ws_buf input = {0};
    add(&input, BINARY, "", 0);
    add(&input, TEXT, HELLO, 7);
    add(&input, TEXT, HELLO, 7);
    assert_events_with(&input, &wide_limits, true, "BINARY \nTEXT Hello\nTEXT Hello\n");
}

TEST(plain_messages_go_between_compressed_ones) {
    ws_buf input = {0};
    add(&input, TEXT, HELLO, 7);
    add(&input, FIN | WS_OPCODE_TEXT, "plain", 5);
    add(&input, WS_OPCODE_TEXT, "also ", 5);
    add(&input, REST, "plain", 5);
    add(&input, TEXT, BYTES("\xf2\x00\x11\x00\x00"));
    assert_events(&input, "TEXT Hello\nTEXT plain\nTEXT also plain\nTEXT Hello\n");
}

/* ---- what is no DEFLATE ---- */

TEST(garbage_is_a_protocol_error) {
    static const struct {
        char payload[64];
        size_t n;
    } cases[] = {
        {BYTES("\x06")},                                 /* a block of the reserved type */
        {BYTES("\xff\xff\xff\xff")},                     /* the same, last */
        {BYTES("\x00\x05\x00\x00\x00Hello")},            /* lengths that are not complements */
        {"\x04", 48},                                    /* a dynamic block without codes: zeros follow */
        {BYTES(HELLO "\x06")},                           /* behind a good block */
        {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x06")}, /* behind a final one */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_buf input = {0};
        add(&input, BINARY, cases[i].payload, cases[i].n);
        add(&input, TEXT, HELLO, 7);
        assert_events(&input, "FAILED 1002 PROTOCOL\n");
    }
}

/* ---- limits ---- */

static const ws_limits tight = {.max_size = 1000, .max_fragments = 3, .max_head = 65536};

TEST(a_bomb_is_refused_before_it_takes_memory) {
    static uint8_t zeros[1 << 20];
    ws_buf input = {0}, events = {0};
    ws_protocol client;
    add_squeezed(&input, BINARY, zeros, sizeof zeros);
    assert_true(ws_buf_len(&input) < 1100);
    init_inflating(&client, &tight, false);
    replay(&client, &input, cuts[0], &events);
    put(&events, "", 1);
    assert_string_equal((char*)ws_buf_head(&events), "FAILED 1009 TOO_BIG\n");
    assert_int_equal(client.error.size, 1001);
    assert_int_equal(client.error.max_size, 1000);
    assert_true(client.reader.message.cap <= 2048);
    ws_buf_free(&events);
    ws_protocol_free(&client);
    assert_events_with(&input, &tight, false, "FAILED 1009 TOO_BIG\n");
}

TEST(max_size_counts_what_comes_out) {
    static uint8_t data[1001];
    for (size_t n = 999; n <= 1001; n++) {
        ws_buf input = {0}, plain = {0};
        add_squeezed(&input, BINARY, data, n);
        add(&plain, FIN | WS_OPCODE_BINARY, data, n);
        char* expected = events_of(false, &tight, &plain, cuts[0]);
        assert_true((n > 1000) == !strcmp(expected, "FAILED 1009 TOO_BIG\n"));
        assert_events_with(&input, &tight, false, expected);
        free(expected);
        ws_buf_free(&plain);
    }
}

TEST(max_size_may_be_less_than_what_is_on_the_wire) {
    ws_limits five = {.max_size = 5, .max_fragments = 3, .max_head = 65536};
    ws_buf input = {0};
    put(&input, BYTES("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"));
    assert_events_with(&input, &five, false, "TEXT Hello\n");
}

TEST(max_size_counts_over_fragments) {
    static uint8_t data[600];
    ws_buf input = {0}, payload = {0};
    squeeze(&payload, data, sizeof data, Z_FULL_FLUSH);
    put(&payload, BYTES("\0\0\xff\xff"));
    add(&input, RSV1 | WS_OPCODE_BINARY, ws_buf_head(&payload), ws_buf_len(&payload));
    add(&input, REST, ws_buf_head(&payload), ws_buf_len(&payload));
    ws_buf_free(&payload);
    assert_events_with(&input, &tight, false, "FAILED 1009 TOO_BIG\n");
}

TEST(without_a_limit_anything_comes_out) {
    static const ws_limits none = {.max_size = UINT64_MAX, .max_fragments = 3, .max_head = 65536};
    static uint8_t zeros[3 << 20];
    ws_buf input = {0}, plain = {0};
    add_squeezed(&input, BINARY, zeros, sizeof zeros);
    add(&plain, FIN | WS_OPCODE_BINARY, zeros, sizeof zeros);
    char* expected = events_of(false, &none, &plain, cuts[0]);
    assert_events_with(&input, &none, false, expected);
    free(expected);
    ws_buf_free(&plain);
}

TEST(fragments_of_compressed_messages_count) {
    ws_buf input = {0};
    add(&input, RSV1 | WS_OPCODE_TEXT, "\xf2", 1);
    for (int i = 0; i < 3; i++) {
        add(&input, WS_OPCODE_CONTINUATION, "", 0);
    }
    assert_events_with(&input, &tight, false, "FAILED 1009 TOO_MANY_FRAGMENTS\n");
}

/* ---- text ---- */

TEST(the_decompressed_text_must_be_utf8) {
    static const struct {
        const char *text, *event;
    } cases[] = {{"gr\xc3\xbc\xc3\x9f", "TEXT gr\xc3\xbc\xc3\x9f\n"},
                 {"\xf0\x9f\x8c\x8d", "TEXT \xf0\x9f\x8c\x8d\n"},
                 {"cut \xf0\x9f\x8c", "FAILED 1007 UTF8\n"},
                 {"\xc0\x80", "FAILED 1007 UTF8\n"},
                 {"\xed\xa0\x80 surrogate", "FAILED 1007 UTF8\n"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_buf input = {0};
        add_squeezed(&input, TEXT, cases[i].text, strlen(cases[i].text));
        assert_events(&input, cases[i].event);
    }
}

TEST(a_character_may_be_split_between_fragments) {
    ws_buf input = {0}, payload = {0};
    squeeze(&payload, "\xc3\xbc\xf0\x9f\x8c\x8d", 6, Z_SYNC_FLUSH);
    add(&input, RSV1 | WS_OPCODE_TEXT, ws_buf_head(&payload), 1);
    for (size_t i = 1; i < ws_buf_len(&payload); i++) {
        add(&input, WS_OPCODE_CONTINUATION, ws_buf_head(&payload) + i, 1);
    }
    add(&input, REST, "", 0);
    ws_buf_free(&payload);
    assert_events(&input, "TEXT \xc3\xbc\xf0\x9f\x8c\x8d\n");
}

TEST(bytes_need_not_be_utf8) {
    ws_buf input = {0};
    add_squeezed(&input, BINARY, "\xc0\x80", 2);
    assert_events(&input, "BINARY \xc0\x80\n");
}

/* A stored block with bad text, then what is no DEFLATE: the first fault counts, however the bytes arrive. */
TEST(bad_text_before_garbage_is_bad_text) {
    ws_buf input = {0};
    add(&input, TEXT, BYTES("\x00\x02\x00\xfd\xff\xc0\x80\x06"));
    assert_events(&input, "FAILED 1007 UTF8\n");
}

TEST(bad_text_before_too_much_is_bad_text) {
    static uint8_t data[5000];
    ws_buf input = {0};
    memset(data, 0xc0, 2);
    add_squeezed(&input, TEXT, data, sizeof data);
    assert_events_with(&input, &tight, false, "FAILED 1007 UTF8\n");
}

/* ---- RSV1 (RFC 7692 6) ---- */

TEST(rsv1_belongs_on_the_first_frame_of_a_message) {
    static const uint8_t firsts[] = {
        FIN | RSV1 | WS_OPCODE_PING, FIN | RSV1 | WS_OPCODE_PONG, FIN | RSV1 | WS_OPCODE_CLOSE,      FIN | RSV1 | 0x3,
        FIN | 0x20 | WS_OPCODE_TEXT, FIN | 0x10 | WS_OPCODE_TEXT, FIN | RSV1 | 0x20 | WS_OPCODE_TEXT};
    for (size_t i = 0; i < COUNT(firsts); i++) {
        ws_buf input = {0};
        add(&input, firsts[i], HELLO, 7);
        assert_events(&input, "FAILED 1002 PROTOCOL\n");
    }
}

TEST(rsv1_on_a_continuation_is_a_protocol_error) {
    ws_buf input = {0};
    add(&input, RSV1 | WS_OPCODE_TEXT, HELLO, 3);
    add(&input, RSV1 | REST, HELLO + 3, 4);
    assert_events(&input, "FAILED 1002 PROTOCOL\n");
}

TEST(rsv1_without_agreement_is_a_protocol_error) {
    ws_buf input = {0};
    add(&input, TEXT, HELLO, 7);
    char* events = events_of(false, &wide_limits, &input, cuts[0]);
    assert_string_equal(events, "FAILED 1002 PROTOCOL\n");
    free(events);
    ws_buf_free(&input);
}

/* ---- memory between messages ---- */

static void read_two_around_a_trim(bool no_context_takeover, const char* second, size_t n) {
    ws_protocol client;
    ws_buf input = {0}, events = {0};
    init_inflating(&client, &wide_limits, no_context_takeover);
    add(&input, TEXT, HELLO, 7);
    replay(&client, &input, cuts[0], &events);
    ws_reader_trim(&client.reader);
    assert_int_equal(client.reader.in.cap, 0);
    assert_int_equal(client.reader.message.cap, 0);
    assert_true((client.reader.inflater.stream == NULL) == no_context_takeover);
    ws_buf_free(&input);
    add(&input, TEXT, second, n);
    replay(&client, &input, cuts[0], &events);
    put(&events, "", 1);
    assert_string_equal((char*)ws_buf_head(&events), "TEXT Hello\nTEXT Hello\n");
    ws_buf_free(&input);
    ws_buf_free(&events);
    ws_protocol_free(&client);
}

TEST(a_trim_keeps_the_window_that_messages_refer_to) {
    read_two_around_a_trim(false, BYTES("\xf2\x00\x11\x00\x00"));
}

TEST(a_trim_keeps_nothing_without_context_takeover) {
    read_two_around_a_trim(true, HELLO, 7);
}

TEST(a_trim_inside_a_message_loses_nothing) {
    for (int afresh = 0; afresh < 2; afresh++) {
        ws_protocol client;
        ws_buf input = {0}, events = {0};
        init_inflating(&client, &wide_limits, afresh);
        add(&input, TEXT, HELLO, 7);
        for (size_t i = 0; i < ws_buf_len(&input); i++) {
            receive(&client, ws_buf_head(&input) + i, 1, &events);
            if (i + 1 < ws_buf_len(&input)) ws_reader_trim(&client.reader);
        }
        put(&events, "", 1);
        assert_string_equal((char*)ws_buf_head(&events), "TEXT Hello\n");
        ws_buf_free(&input);
        ws_buf_free(&events);
        ws_protocol_free(&client);
    }
}

/* ---- windows ---- */

/* Far apart but within the window, so that every reference that is allowed is made. */
TEST(every_window_is_read_back) {
    static uint8_t data[100000];
    for (uint8_t bits = 9; bits <= 15; bits++) {
        ws_deflater deflater = {.enabled = true, .window_bits = bits};
        ws_inflater inflater = {.enabled = true, .window_bits = bits};
        ws_buf packed = {0}, out = {0};
        size_t period = ((size_t)1 << bits) - 262; /* zlib refers back that far at the most */
        uint32_t seed = bits;
        for (size_t i = 0; i < sizeof data; i++) {
            seed = seed * 1664525u + 1013904223u;
            data[i] = i < period ? (uint8_t)(seed >> 24) : data[i - period];
        }
        assert_int_equal(ws_deflater_run(&deflater, data, sizeof data, true, &packed), WS_OK);
        assert_int_equal(ws_inflater_run(&inflater, ws_buf_head(&packed), ws_buf_len(&packed), true, sizeof data, &out),
                         WS_OK);
        assert_int_equal(ws_buf_len(&out), sizeof data);
        assert_memory_equal(ws_buf_head(&out), data, sizeof data);
        ws_deflater_reset(&deflater);
        ws_inflater_free(&inflater);
        ws_buf_free(&packed);
        ws_buf_free(&out);
    }
}

/* Some compressors make 9 of 8, as zlib does. */
TEST(a_window_of_8_bits_is_read) {
    ws_deflater deflater = {.enabled = true, .window_bits = 9};
    ws_inflater inflater = {.enabled = true, .window_bits = 8};
    ws_buf packed = {0}, out = {0};
    char text[400];
    fill_pattern((uint8_t*)text, sizeof text, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_deflater_run(&deflater, text, sizeof text, true, &packed), WS_OK);
        assert_int_equal(ws_inflater_run(&inflater, ws_buf_head(&packed), ws_buf_len(&packed), true, 400, &out), WS_OK);
        assert_int_equal(ws_buf_len(&out), sizeof text);
        assert_memory_equal(ws_buf_head(&out), text, sizeof text);
        ws_buf_free(&packed);
        ws_buf_free(&out);
    }
    ws_deflater_reset(&deflater);
    ws_inflater_free(&inflater);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block),
        cmocka_unit_test(one_block_in_two_fragments),
        cmocka_unit_test(a_shared_window),
        cmocka_unit_test(a_shared_window_without_context_takeover_is_an_error),
        cmocka_unit_test(a_block_without_compression),
        cmocka_unit_test(a_block_with_bfinal),
        cmocka_unit_test(two_blocks_in_one_message),
        cmocka_unit_test(an_empty_fragment),
        cmocka_unit_test(what_we_send_is_what_the_examples_show),
        cmocka_unit_test(without_context_takeover_every_message_begins_afresh_and_nothing_is_kept),
        cmocka_unit_test(bfinal_inside_a_message_does_not_end_it),
        cmocka_unit_test(bfinal_keeps_the_window),
        cmocka_unit_test(bfinal_at_the_very_end_of_a_long_message),
        cmocka_unit_test(fragments_may_end_anywhere),
        cmocka_unit_test(a_message_that_ends_inside_a_block_spoils_no_later_one_without_context_takeover),
        cmocka_unit_test(plain_messages_go_between_compressed_ones),
        cmocka_unit_test(garbage_is_a_protocol_error),
        cmocka_unit_test(a_bomb_is_refused_before_it_takes_memory),
        cmocka_unit_test(max_size_counts_what_comes_out),
        cmocka_unit_test(max_size_may_be_less_than_what_is_on_the_wire),
        cmocka_unit_test(max_size_counts_over_fragments),
        cmocka_unit_test(without_a_limit_anything_comes_out),
        cmocka_unit_test(fragments_of_compressed_messages_count),
        cmocka_unit_test(the_decompressed_text_must_be_utf8),
        cmocka_unit_test(a_character_may_be_split_between_fragments),
        cmocka_unit_test(bytes_need_not_be_utf8),
        cmocka_unit_test(bad_text_before_garbage_is_bad_text),
        cmocka_unit_test(bad_text_before_too_much_is_bad_text),
        cmocka_unit_test(rsv1_belongs_on_the_first_frame_of_a_message),
        cmocka_unit_test(rsv1_on_a_continuation_is_a_protocol_error),
        cmocka_unit_test(rsv1_without_agreement_is_a_protocol_error),
        cmocka_unit_test(a_trim_keeps_the_window_that_messages_refer_to),
        cmocka_unit_test(a_trim_keeps_nothing_without_context_takeover),
        cmocka_unit_test(a_trim_inside_a_message_loses_nothing),
        cmocka_unit_test(every_window_is_read_back),
        cmocka_unit_test(a_window_of_8_bits_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
