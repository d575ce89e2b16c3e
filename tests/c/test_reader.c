/* core/reader: frames in, messages out, and every way to break the protocol. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_events_with(ws_role role, const ws_limits* limits, ws_buf* input, const char* expected) {
    char* events = events_of(role == SERVER, limits, input, (ws_cut){0});
    assert_string_equal(events, expected);
    free(events);
    ws_buf_free(input);
}

/* What the reader makes of the input; frees it. */
static void assert_events(ws_role role, ws_buf* input, const char* expected) {
    assert_events_with(role, &wide_limits, input, expected);
}

/* ---- messages ---- */

TEST(the_examples_of_the_rfc_unmasked) {
    static const uint8_t bytes[] = {0x81, 0x05, 'H', 'e', 'l',  'l',  'o', 0x01, 0x03, 'H', 'e', 'l',
                                    0x80, 0x02, 'l', 'o', 0x89, 0x05, 'H', 'e',  'l',  'l', 'o'};
    ws_buf input = {0};
    put(&input, bytes, sizeof bytes);
    assert_events(CLIENT, &input, "TEXT Hello\nTEXT Hello\nPING Hello\n");
}

TEST(the_examples_of_the_rfc_masked) {
    static const uint8_t bytes[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
                                    0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    ws_buf input = {0};
    put(&input, bytes, sizeof bytes);
    assert_events(SERVER, &input, "TEXT Hello\nPONG Hello\n");
}

TEST(empty_messages_are_messages) {
    ws_buf input = {0};
    add_text(&input, CLIENT, FIN | 1, "");
    add_text(&input, CLIENT, FIN | 2, "");
    add_text(&input, CLIENT, 1, "");
    add_text(&input, CLIENT, FIN, "");
    add_text(&input, CLIENT, FIN | 9, "");
    assert_events(CLIENT, &input, "TEXT \nBINARY \nTEXT \nPING \n");
}

TEST(fragments_make_one_message) {
    ws_buf input = {0};
    add_text(&input, SERVER, 2, "one ");
    add_text(&input, SERVER, 0, "");
    add_text(&input, SERVER, 0, "two ");
    add_text(&input, SERVER, FIN, "three");
    add_text(&input, SERVER, FIN | 1, "next");
    assert_events(SERVER, &input, "BINARY one two three\nTEXT next\n");
}

TEST(control_frames_may_stand_between_fragments) {
    ws_buf input = {0};
    add_text(&input, SERVER, 1, "one ");
    add_text(&input, SERVER, FIN | 9, "ping");
    add_text(&input, SERVER, 0, "two ");
    add_text(&input, SERVER, FIN | 10, "pong");
    add_text(&input, SERVER, FIN | 10, "");
    add_text(&input, SERVER, FIN, "three");
    assert_events(SERVER, &input, "PING ping\nPONG pong\nPONG \nTEXT one two three\n");
}

TEST(a_close_between_fragments_ends_everything) {
    ws_buf input = {0};
    add_text(&input, SERVER, 1, "one ");
    add_text(&input, SERVER, FIN | 8, "\x03\xe8");
    add_text(&input, SERVER, FIN, "two");
    assert_events(SERVER, &input, "CLOSE 1000 \n");
}

TEST(a_character_may_lie_across_fragments) {
    ws_buf input = {0};
    add_text(&input, CLIENT, 1, "\xf0\x9f");
    add_text(&input, CLIENT, FIN | 9, "\xff");
    add_text(&input, CLIENT, 0, "\x98");
    add_text(&input, CLIENT, FIN, "\x80");
    assert_events(CLIENT, &input, "PING \xff\nTEXT \xf0\x9f\x98\x80\n");
}

TEST(binary_messages_are_not_validated) {
    ws_buf input = {0};
    add_text(&input, CLIENT, FIN | 2, "\xff\xfe");
    add_text(&input, CLIENT, 2, "\xed");
    add_text(&input, CLIENT, FIN, "\xa0");
    assert_events(CLIENT, &input, "BINARY \xff\xfe\nBINARY \xed\xa0\n");
}

/* ---- broken frames ---- */

typedef struct broken_frame {
    const char* bytes;
    size_t size;
} broken_frame;

#define BROKEN(text)                                                                                                   \
    { text, sizeof(text) - 1 }

/* Each must fail with this error, with nothing before it and nothing after it, in the client's role. */
static void assert_all_fail(const broken_frame* rows, size_t count, const char* expected) {
    for (size_t i = 0; i < count; i++) {
        ws_buf input = {0};
        put(&input, rows[i].bytes, rows[i].size);
        add_text(&input, CLIENT, FIN | 1, "never seen");
        char* events = events_of(false, &wide_limits, &input, (ws_cut){0});
        if (strcmp(events, expected) != 0) fail_msg("row %zu: %s", i, events);
        free(events);
        ws_buf_free(&input);
    }
}

TEST(each_reserved_bit_is_refused) {
    static const broken_frame rows[] = {BROKEN("\xc1\x00"),     BROKEN("\xa1\x00"), BROKEN("\x91\x00"),
                                        BROKEN("\xf1\x00"),     BROKEN("\xc9\x00"), BROKEN("\x98\x00"),
                                        BROKEN("\xc1\x05Hello")};
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(each_reserved_opcode_is_refused) {
    static const broken_frame rows[] = {
        BROKEN("\x83\x00"), BROKEN("\x84\x00"), BROKEN("\x85\x00"), BROKEN("\x86\x00"),
        BROKEN("\x87\x00"), BROKEN("\x8b\x00"), BROKEN("\x8c\x00"), BROKEN("\x8d\x00"),
        BROKEN("\x8e\x00"), BROKEN("\x8f\x00"), BROKEN("\x03\x00"), BROKEN("\x0b\x00"),
    };
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(fragmented_control_frames_are_refused) {
    static const broken_frame rows[] = {BROKEN("\x08\x00"), BROKEN("\x09\x00"), BROKEN("\x0a\x00"),
                                        BROKEN("\x09\x01x")};
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(a_control_frame_has_at_most_125_bytes) {
    static const uint8_t opcodes[] = {9, 10};
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        char expected[200], payload[126];
        ws_buf good = {0}, bad = {0};
        memset(payload, 'x', 125);
        payload[125] = '\0';
        snprintf(expected, sizeof expected, "%s %s\n", opcodes[i] == 9 ? "PING" : "PONG", payload);
        add_text(&good, SERVER, FIN | opcodes[i], payload);
        assert_events(SERVER, &good, expected);
        add_pattern(&bad, SERVER, FIN | opcodes[i], 126, true);
        assert_events(SERVER, &bad, "FAILED 1002 PROTOCOL\n");
    }
}

TEST(a_close_frame_has_at_most_125_bytes) {
    char expected[200], payload[128] = "\x03\xe8";
    ws_buf good = {0}, bad = {0};
    memset(payload + 2, 'x', 125);
    put_frame(&good, FIN | 8, NULL, payload, 125);
    snprintf(expected, sizeof expected, "CLOSE 1000 %.123s\n", payload + 2);
    assert_events(CLIENT, &good, expected);
    put_frame(&bad, FIN | 8, NULL, payload, 126);
    assert_events(CLIENT, &bad, "FAILED 1002 PROTOCOL\n");
}

TEST(lengths_in_a_longer_form_are_refused) {
    static const broken_frame rows[] = {
        BROKEN("\x82\x7e\x00\x00"),
        BROKEN("\x82\x7e\x00\x7d"),
        BROKEN("\x89\x7e\x00\x05Hello"),
        BROKEN("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05Hello"),
        BROKEN("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
    };
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(a_length_with_the_top_bit_is_refused) {
    static const broken_frame rows[] = {BROKEN("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
                                        BROKEN("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff")};
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(a_continuation_needs_a_message) {
    static const broken_frame rows[] = {BROKEN("\x80\x00"), BROKEN("\x00\x00"), BROKEN("\x80\x01x")};
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
    ws_buf input = {0};
    add_text(&input, CLIENT, FIN | 1, "whole");
    add_text(&input, CLIENT, FIN, "more");
    assert_events(CLIENT, &input, "TEXT whole\nFAILED 1002 PROTOCOL\n");
}

TEST(a_message_needs_the_one_before_to_end) {
    static const broken_frame rows[] = {BROKEN("\x01\x00\x81\x00"), BROKEN("\x01\x00\x82\x00"),
                                        BROKEN("\x02\x01x\x01\x00"), BROKEN("\x02\x00\x00\x00\x82\x00")};
    assert_all_fail(rows, COUNT(rows), "FAILED 1002 PROTOCOL\n");
}

TEST(a_masked_frame_from_a_server_is_refused) {
    ws_buf data = {0}, control = {0};
    put_frame(&data, FIN | 1, test_key, "x", 1);
    assert_events(CLIENT, &data, "FAILED 1002 PROTOCOL\n");
    put_frame(&control, FIN | 9, test_key, "", 0);
    assert_events(CLIENT, &control, "FAILED 1002 PROTOCOL\n");
}

TEST(an_unmasked_frame_from_a_client_is_refused) {
    ws_buf data = {0}, control = {0};
    put_frame(&data, FIN | 1, NULL, "x", 1);
    assert_events(SERVER, &data, "FAILED 1002 PROTOCOL\n");
    put_frame(&control, FIN | 9, NULL, "", 0);
    assert_events(SERVER, &control, "FAILED 1002 PROTOCOL\n");
}

TEST(bad_utf8_in_text_is_refused) {
    static const broken_frame rows[] = {
        BROKEN("\x81\x01\x80"),         BROKEN("\x81\x03\xed\xa0\x80"),  BROKEN("\x81\x02\xc3("),
        BROKEN("\x81\x01\xc3"), /* ends inside a character */
        BROKEN("\x01\x01\xff\x80\x00"), BROKEN("\x01\x01\xc3\x80\x01x"), BROKEN("\x01\x02\xe2\x82\x00\x00\x80\x00"),
    };
    assert_all_fail(rows, COUNT(rows), "FAILED 1007 UTF8\n");
}

TEST(bad_utf8_is_noticed_before_the_frame_ends) {
    ws_buf input = {0};
    put(&input, "\x81\x7d\x61\xff", 4); /* 2 of 125 bytes */
    assert_events(CLIENT, &input, "FAILED 1007 UTF8\n");
}

TEST(a_message_after_one_with_multibyte_characters_starts_afresh) {
    ws_buf input = {0};
    add_text(&input, CLIENT, FIN | 1, "\xc3\xa9");
    add_text(&input, CLIENT, FIN | 1, "\xa9");
    assert_events(CLIENT, &input, "TEXT \xc3\xa9\nFAILED 1007 UTF8\n");
}

/* ---- close frames ---- */

static void assert_close(const char* payload, size_t n, const char* expected) {
    ws_buf input = {0};
    put_frame(&input, FIN | 8, test_key, payload, n);
    assert_events(SERVER, &input, expected);
}

TEST(a_close_frame_may_be_empty) {
    assert_close("", 0, "CLOSE 1005 \n");
}

TEST(a_close_frame_has_a_whole_code) {
    assert_close("\x03", 1, "FAILED 1002 PROTOCOL\n");
    ws_buf input = {0};
    put(&input, "\x88\x01\x03\xe8", 4); /* the byte behind it would make 1000 of it */
    assert_events(CLIENT, &input, "FAILED 1002 PROTOCOL\n");
}

TEST(a_close_frame_has_a_code_and_a_reason) {
    assert_close("\x03\xe8", 2, "CLOSE 1000 \n");
    assert_close("\x03\xe9going \xe2\x82\xac", 11, "CLOSE 1001 going \xe2\x82\xac\n");
}

TEST(a_reason_that_is_no_utf8_is_refused) {
    assert_close("\x03\xe8\xff", 3, "FAILED 1007 UTF8\n");
    assert_close("\x03\xe8ok\xe2\x82", 6, "FAILED 1007 UTF8\n");
}

/* RFC 6455 7.4, and 1012 to 1014 of the registry. */
static bool may_be_sent(unsigned code) {
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < COUNT(good); i++) {
        if (code == good[i]) return true;
    }
    return code / 1000 == 3 || code / 1000 == 4;
}

TEST(every_code_is_judged_as_the_rfc_does) {
    for (unsigned code = 0; code <= 65535; code++) {
        if (ws_close_code_ok((uint16_t)code) != may_be_sent(code)) fail_msg("%u", code);
    }
}

TEST(a_close_frame_with_a_code_that_may_not_be_sent_is_refused) {
    static const uint16_t codes[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < COUNT(codes); i++) {
        char payload[] = {(char)(codes[i] >> 8), (char)codes[i]};
        assert_close(payload, 2, "FAILED 1002 PROTOCOL\n");
    }
}

TEST(a_close_frame_hands_each_class_of_codes_out) {
    assert_close("\x03\xf3", 2, "CLOSE 1011 \n");
    assert_close("\x0b\xb8", 2, "CLOSE 3000 \n");
    assert_close("\x0f\x9f", 2, "CLOSE 3999 \n");
    assert_close("\x0f\xa0", 2, "CLOSE 4000 \n");
    assert_close("\x13\x87", 2, "CLOSE 4999 \n");
}

TEST(after_a_close_frame_nothing_is_read) {
    ws_buf input = {0};
    add_text(&input, CLIENT, FIN | 8, "");
    add_text(&input, CLIENT, FIN | 1, "late");
    put(&input, "\xff\xff\xff", 3);
    assert_events(CLIENT, &input, "CLOSE 1005 \n");
}

/* ---- limits ---- */

static const ws_limits tight = {.max_size = 1000, .max_fragments = 3, .max_head = 65536};

TEST(a_message_of_max_size_is_taken_and_one_byte_more_is_not) {
    ws_buf good = {0}, bad = {0};
    add_pattern(&good, SERVER, FIN | 2, 1000, false);
    char* events = events_of(true, &tight, &good, (ws_cut){0});
    assert_memory_equal(events, "BINARY 1000 bytes", 17);
    free(events);
    ws_buf_free(&good);
    add_pattern(&bad, SERVER, FIN | 2, 1001, false);
    assert_events_with(SERVER, &tight, &bad, "FAILED 1009 TOO_BIG\n");
}

TEST(fragments_count_together) {
    ws_buf good = {0}, bad = {0};
    add_pattern(&good, SERVER, 2, 600, false);
    add_pattern(&good, SERVER, FIN, 400, false);
    add_text(&good, SERVER, FIN | 1, "and the next starts at none");
    char* events = events_of(true, &tight, &good, (ws_cut){0});
    assert_memory_equal(events, "BINARY 1000 bytes", 17);
    assert_non_null(strstr(events, "\nTEXT and the next starts at none\n"));
    free(events);
    ws_buf_free(&good);
    add_pattern(&bad, SERVER, 2, 600, false);
    add_pattern(&bad, SERVER, 0, 401, false);
    assert_events_with(SERVER, &tight, &bad, "FAILED 1009 TOO_BIG\n");
}

TEST(too_big_is_noticed_at_the_header) {
    ws_buf input = {0};
    put(&input, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
    assert_events_with(CLIENT, &tight, &input, "FAILED 1009 TOO_BIG\n");
}

TEST(too_big_tells_both_figures) {
    ws_reader reader;
    ws_error error = {0};
    ws_incoming incoming;
    uint8_t* at;
    size_t room;
    ws_reader_init(&reader, false, &tight);
    assert_int_equal(ws_reader_prepare(&reader, &at, &room), WS_OK);
    memcpy(at, "\x82\x7e\x04\x00", 4);
    ws_reader_commit(&reader, 4);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), WS_ERR_TOO_BIG);
    assert_int_equal(error.size, 1024);
    assert_int_equal(error.max_size, 1000);
    ws_error_clear(&error);
    ws_reader_free(&reader);
}

TEST(control_frames_do_not_count_into_the_size) {
    static const ws_limits tiny = {.max_size = 2, .max_fragments = 2, .max_head = 100};
    ws_buf input = {0};
    add_text(&input, SERVER, 1, "a");
    add_text(&input, SERVER, FIN | 9, "ping of 16 bytes");
    add_text(&input, SERVER, FIN | 9, "another one");
    add_text(&input, SERVER, FIN, "b");
    assert_events_with(SERVER, &tiny, &input, "PING ping of 16 bytes\nPING another one\nTEXT ab\n");
}

TEST(a_message_of_max_fragments_is_taken_and_one_more_is_not) {
    ws_buf good = {0}, bad = {0};
    for (int i = 0; i < 2; i++) {
        add_text(&good, SERVER, 2, "1");
        add_text(&good, SERVER, 0, "2");
        add_text(&good, SERVER, FIN, "3");
    }
    assert_events_with(SERVER, &tight, &good, "BINARY 123\nBINARY 123\n");
    add_text(&bad, SERVER, 2, "1");
    add_text(&bad, SERVER, 0, "");
    add_text(&bad, SERVER, 0, "");
    add_text(&bad, SERVER, FIN, "");
    assert_events_with(SERVER, &tight, &bad, "FAILED 1009 TOO_MANY_FRAGMENTS\n");
}

/* ---- told of frames ---- */

static void append_frame(void* arg, const ws_frame* frame, const uint8_t* payload) {
    char line[64];
    snprintf(line, sizeof line, "%u%s%s %d %.*s\n", frame->opcode, frame->fin ? " fin" : "", frame->rsv ? " rsv" : "",
             (int)frame->length, payload ? (int)frame->length : 1, payload ? (const char*)payload : "-");
    put_text(arg, line);
}

/* Data frames when their header is there, control frames when they are complete; what is refused is not told. */
TEST(who_wants_to_know_is_told_of_each_frame) {
    ws_protocol protocol;
    ws_buf input = {0}, events = {0}, told = {0};
    init_open(&protocol, true, &wide_limits);
    protocol.reader.hook = (ws_frame_hook){append_frame, &told};
    add_text(&input, SERVER, 1, "one ");
    add_text(&input, SERVER, FIN | 9, "ping");
    add_text(&input, SERVER, FIN, "two");
    add_text(&input, SERVER, FIN | 2, "");
    add_text(&input, SERVER, FIN | 10, "");
    add_text(&input, SERVER, FIN | 3, "reserved");
    replay(&protocol, &input, (ws_cut){.first = 3, .rest = 1}, &events);
    put(&told, "", 1);
    assert_string_equal((char*)ws_buf_head(&told), "1 4 -\n9 fin 4 ping\n0 fin 3 -\n2 fin 0 -\n10 fin 0 \n");
    ws_protocol_free(&protocol);
    ws_buf_free(&input);
    ws_buf_free(&events);
    ws_buf_free(&told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_unmasked),
        cmocka_unit_test(the_examples_of_the_rfc_masked),
        cmocka_unit_test(empty_messages_are_messages),
        cmocka_unit_test(fragments_make_one_message),
        cmocka_unit_test(control_frames_may_stand_between_fragments),
        cmocka_unit_test(a_close_between_fragments_ends_everything),
        cmocka_unit_test(a_character_may_lie_across_fragments),
        cmocka_unit_test(binary_messages_are_not_validated),
        cmocka_unit_test(each_reserved_bit_is_refused),
        cmocka_unit_test(each_reserved_opcode_is_refused),
        cmocka_unit_test(fragmented_control_frames_are_refused),
        cmocka_unit_test(a_control_frame_has_at_most_125_bytes),
        cmocka_unit_test(a_close_frame_has_at_most_125_bytes),
        cmocka_unit_test(lengths_in_a_longer_form_are_refused),
        cmocka_unit_test(a_length_with_the_top_bit_is_refused),
        cmocka_unit_test(a_continuation_needs_a_message),
        cmocka_unit_test(a_message_needs_the_one_before_to_end),
        cmocka_unit_test(a_masked_frame_from_a_server_is_refused),
        cmocka_unit_test(an_unmasked_frame_from_a_client_is_refused),
        cmocka_unit_test(bad_utf8_in_text_is_refused),
        cmocka_unit_test(bad_utf8_is_noticed_before_the_frame_ends),
        cmocka_unit_test(a_message_after_one_with_multibyte_characters_starts_afresh),
        cmocka_unit_test(a_close_frame_may_be_empty),
        cmocka_unit_test(a_close_frame_has_a_whole_code),
        cmocka_unit_test(a_close_frame_has_a_code_and_a_reason),
        cmocka_unit_test(a_reason_that_is_no_utf8_is_refused),
        cmocka_unit_test(every_code_is_judged_as_the_rfc_does),
        cmocka_unit_test(a_close_frame_with_a_code_that_may_not_be_sent_is_refused),
        cmocka_unit_test(a_close_frame_hands_each_class_of_codes_out),
        cmocka_unit_test(after_a_close_frame_nothing_is_read),
        cmocka_unit_test(a_message_of_max_size_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(fragments_count_together),
        cmocka_unit_test(too_big_is_noticed_at_the_header),
        cmocka_unit_test(too_big_tells_both_figures),
        cmocka_unit_test(control_frames_do_not_count_into_the_size),
        cmocka_unit_test(a_message_of_max_fragments_is_taken_and_one_more_is_not),
        cmocka_unit_test(who_wants_to_know_is_told_of_each_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
