/* core/reader with permessage-deflate (RFC 7692): compressed messages in any pieces. */
#include "support.h"

#include <stdlib.h>

enum { RSV1 = 0x40 };

/* Append a frame whose payload is `text` compressed, with `more` bytes behind it. */
static void add_compressed(ws_buf* out, const char* text, const void* more, size_t n) {
    ws_deflater deflater = {.enabled = true, .window_bits = 15};
    ws_buf packed = {0};
    assert_int_equal(ws_deflater_run(&deflater, text, strlen(text), n == 0, &packed), WS_OK);
    put(&packed, more, n);
    put_frame(out, FIN | RSV1 | WS_OPCODE_TEXT, NULL, ws_buf_head(&packed), ws_buf_len(&packed));
    ws_deflater_reset(&deflater);
    ws_buf_free(&packed);
}

/* What a client with compression makes of the input in pieces of `piece` bytes. */
static void assert_events(const ws_buf* input, size_t piece, const ws_limits* limits, const char* expected) {
    ws_protocol client;
    ws_buf events = {0};
    init_open(&client, false, limits);
    client.reader.inflater = (ws_inflater){.enabled = true, .window_bits = 15};
    replay(&client, input, (ws_cut){.rest = piece}, &events);
    put(&events, "", 1);
    assert_string_equal((char*)events.data, expected);
    ws_buf_free(&events);
    ws_protocol_free(&client);
}

static void assert_always(ws_buf* input, const ws_limits* limits, const char* expected) {
    for (size_t piece = 0; piece <= ws_buf_len(input); piece++) {
        assert_events(input, piece, limits, expected);
    }
    ws_buf_free(input);
}

/* The reserved block type 3 (RFC 1951 3.2.3) is no DEFLATE. */
static const uint8_t no_block[] = {0x07};

TEST(compressed_messages_arrive_in_any_pieces) {
    ws_buf input = {0};
    add_compressed(&input, "hello hello hello", NULL, 0);
    add_compressed(&input, "h\xc3\xa4llo", NULL, 0);
    assert_always(&input, &wide_limits, "TEXT hello hello hello\nTEXT h\xc3\xa4llo\n");
}

TEST(an_empty_compressed_message_is_empty) {
    ws_buf input = {0};
    add_compressed(&input, "", NULL, 0);
    put_frame(&input, FIN | RSV1 | WS_OPCODE_BINARY, NULL, "", 1);
    put_frame(&input, RSV1 | WS_OPCODE_TEXT, NULL, "", 0);
    put_frame(&input, FIN, NULL, "", 1);
    assert_always(&input, &wide_limits, "TEXT \nBINARY \nTEXT \n");
}

TEST(what_is_no_deflate_breaks_the_protocol) {
    ws_buf input = {0};
    add_compressed(&input, "good", no_block, 1);
    assert_always(&input, &wide_limits, "FAILED 1002 PROTOCOL\n");
}

TEST(the_first_of_two_faults_counts_in_any_pieces) {
    ws_buf input = {0};
    add_compressed(&input, "bad \xff text", no_block, 1);
    assert_always(&input, &wide_limits, "FAILED 1007 UTF8\n");
}

TEST(bad_text_below_the_limit_is_noticed_before_the_size_above_it) {
    const ws_limits ten = {.max_size = 10, .max_fragments = 10, .max_head = 1000};
    ws_buf bad = {0}, big = {0};
    add_compressed(&bad, "bad \xff text that is longer", NULL, 0);
    assert_always(&bad, &ten, "FAILED 1007 UTF8\n");
    add_compressed(&big, "good text that is longer \xff", NULL, 0);
    assert_always(&big, &ten, "FAILED 1009 TOO_BIG\n");
}

TEST(a_compressed_message_of_max_size_is_taken_and_one_byte_more_is_not) {
    const ws_limits ten = {.max_size = 10, .max_fragments = 10, .max_head = 1000};
    ws_buf good = {0}, bad = {0};
    add_compressed(&good, "aaaaaaaaaa", NULL, 0);
    assert_always(&good, &ten, "TEXT aaaaaaaaaa\n");
    add_compressed(&bad, "aaaaaaaaaaa", NULL, 0);
    assert_always(&bad, &ten, "FAILED 1009 TOO_BIG\n");
}

TEST(only_the_first_frame_of_a_message_says_that_it_is_compressed) {
    ws_buf again = {0}, control = {0};
    put_frame(&again, RSV1 | WS_OPCODE_TEXT, NULL, "", 0);
    put_frame(&again, FIN | RSV1, NULL, "", 1);
    assert_always(&again, &wide_limits, "FAILED 1002 PROTOCOL\n");
    put_frame(&control, FIN | RSV1 | WS_OPCODE_PING, NULL, "", 0);
    assert_always(&control, &wide_limits, "FAILED 1002 PROTOCOL\n");
}

TEST(the_error_of_a_bomb_has_both_figures) {
    const ws_limits ten = {.max_size = 10, .max_fragments = 10, .max_head = 1000};
    ws_protocol client;
    ws_buf input = {0}, events = {0};
    add_compressed(&input, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 0);
    init_open(&client, false, &ten);
    client.reader.inflater = (ws_inflater){.enabled = true, .window_bits = 15};
    replay(&client, &input, (ws_cut){0}, &events);
    assert_int_equal(client.error.size, 11);
    assert_int_equal(client.error.max_size, 10);
    ws_buf_free(&events);
    ws_buf_free(&input);
    ws_protocol_free(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_messages_arrive_in_any_pieces),
        cmocka_unit_test(an_empty_compressed_message_is_empty),
        cmocka_unit_test(what_is_no_deflate_breaks_the_protocol),
        cmocka_unit_test(the_first_of_two_faults_counts_in_any_pieces),
        cmocka_unit_test(bad_text_below_the_limit_is_noticed_before_the_size_above_it),
        cmocka_unit_test(a_compressed_message_of_max_size_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(only_the_first_frame_of_a_message_says_that_it_is_compressed),
        cmocka_unit_test(the_error_of_a_bomb_has_both_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
