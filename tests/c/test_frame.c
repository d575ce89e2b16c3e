/* core/frame: headers bit by bit. */
#include "support.h"

typedef struct example {
    ws_frame frame;
    uint8_t bytes[14];
    size_t size;
} example;

/* The headers of the examples in RFC 6455 5.7. */
static const example examples[] = {
    {{true, 0, WS_OPCODE_TEXT, false, {0}, 5}, {0x81, 0x05}, 2},
    {{true, 0, WS_OPCODE_TEXT, true, {0x37, 0xfa, 0x21, 0x3d}, 5}, {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d}, 6},
    {{false, 0, WS_OPCODE_TEXT, false, {0}, 3}, {0x01, 0x03}, 2},
    {{true, 0, WS_OPCODE_CONTINUATION, false, {0}, 2}, {0x80, 0x02}, 2},
    {{true, 0, WS_OPCODE_PING, false, {0}, 5}, {0x89, 0x05}, 2},
    {{true, 0, WS_OPCODE_PONG, true, {0x37, 0xfa, 0x21, 0x3d}, 5}, {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d}, 6},
    {{true, 0, WS_OPCODE_BINARY, false, {0}, 256}, {0x82, 0x7E, 0x01, 0x00}, 4},
    {{true, 0, WS_OPCODE_BINARY, false, {0}, 65536}, {0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}, 10},
};

static void assert_frame(const ws_frame* frame, const ws_frame* expected) {
    assert_int_equal(frame->fin, expected->fin);
    assert_int_equal(frame->rsv, expected->rsv);
    assert_int_equal(frame->opcode, expected->opcode);
    assert_int_equal(frame->masked, expected->masked);
    assert_true(frame->length == expected->length);
    if (frame->masked) assert_memory_equal(frame->key, expected->key, 4);
}

TEST(the_examples_of_the_rfc_are_decoded) {
    for (size_t i = 0; i < COUNT(examples); i++) {
        ws_frame frame;
        assert_int_equal(ws_frame_decode(&frame, examples[i].bytes, examples[i].size), examples[i].size);
        assert_frame(&frame, &examples[i].frame);
    }
}

TEST(the_examples_of_the_rfc_are_encoded) {
    for (size_t i = 0; i < COUNT(examples); i++) {
        uint8_t bytes[WS_FRAME_MAX_HEADER];
        assert_int_equal(ws_frame_encode(&examples[i].frame, bytes), examples[i].size);
        assert_memory_equal(bytes, examples[i].bytes, examples[i].size);
    }
}

TEST(every_first_byte_is_taken_apart_and_put_together) {
    for (unsigned first = 0; first < 256; first++) {
        uint8_t bytes[2] = {(uint8_t)first, 0}, again[WS_FRAME_MAX_HEADER];
        ws_frame frame;
        assert_int_equal(ws_frame_decode(&frame, bytes, 2), 2);
        ws_frame expected = {first >= 128, first / 16 % 8, first % 16, false, {0}, 0};
        assert_frame(&frame, &expected);
        assert_int_equal(ws_frame_encode(&frame, again), 2);
        assert_memory_equal(again, bytes, 2);
    }
}

typedef struct length_row {
    uint64_t length;
    size_t size; /* of an unmasked header */
} length_row;

static const length_row lengths[] = {
    {0, 2},
    {1, 2},
    {124, 2},
    {125, 2},
    {126, 4},
    {127, 4},
    {128, 4},
    {255, 4},
    {256, 4},
    {65534, 4},
    {65535, 4},
    {65536, 10},
    {65537, 10},
    {UINT64_C(0xFFFFFFFF), 10},
    {UINT64_C(0x100000000), 10},
    {UINT64_C(0x0123456789ABCDEF), 10},
    {INT64_MAX, 10},
};

TEST(every_boundary_of_lengths_makes_the_round_trip) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (int masked = 0; masked <= 1; masked++) {
            uint8_t bytes[WS_FRAME_MAX_HEADER];
            ws_frame frame = {true, 0, WS_OPCODE_BINARY, masked, {9, 8, 7, 6}, lengths[i].length}, again;
            size_t size = lengths[i].size + (masked ? 4 : 0);
            assert_int_equal(ws_frame_encode(&frame, bytes), size);
            assert_int_equal(ws_frame_decode(&again, bytes, size), size);
            assert_frame(&again, &frame);
        }
    }
}

TEST(a_part_of_a_header_needs_more) {
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint8_t bytes[WS_FRAME_MAX_HEADER];
        ws_frame frame = {true, 0, WS_OPCODE_BINARY, true, {9, 8, 7, 6}, lengths[i].length};
        size_t size = ws_frame_encode(&frame, bytes);
        for (size_t n = 0; n < size; n++) {
            assert_int_equal(ws_frame_decode(&frame, bytes, n), 0);
        }
    }
}

TEST(bytes_behind_the_header_are_not_looked_at) {
    const uint8_t bytes[] = {0x82, 0x7E, 0x00, 0x7E, 0xFF, 0xFF};
    ws_frame frame;
    assert_int_equal(ws_frame_decode(&frame, bytes, sizeof bytes), 4);
    assert_int_equal(frame.length, 126);
}

TEST(sixteen_bits_for_up_to_125_are_refused) {
    for (uint8_t length = 0; length <= 125; length++) {
        const uint8_t bytes[] = {0x82, 126, 0, length};
        ws_frame frame;
        assert_int_equal(ws_frame_decode(&frame, bytes, sizeof bytes), -1);
    }
}

TEST(sixty_four_bits_for_up_to_65535_are_refused) {
    static const uint16_t shorter[] = {0, 125, 126, 65534, 65535};
    for (size_t i = 0; i < COUNT(shorter); i++) {
        const uint8_t bytes[] = {0x82, 127, 0, 0, 0, 0, 0, 0, (uint8_t)(shorter[i] >> 8), (uint8_t)shorter[i]};
        ws_frame frame;
        assert_int_equal(ws_frame_decode(&frame, bytes, sizeof bytes), -1);
    }
}

TEST(the_top_bit_of_a_length_is_refused) {
    const uint8_t least[] = {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t most[] = {0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    ws_frame frame;
    assert_int_equal(ws_frame_decode(&frame, least, sizeof least), -1);
    assert_int_equal(ws_frame_decode(&frame, most, sizeof most), -1);
}

TEST(a_wrong_length_in_a_masked_header_is_refused) {
    const uint8_t bytes[] = {0x82, 0x80 | 126, 0, 125, 1, 2, 3, 4};
    ws_frame frame;
    assert_int_equal(ws_frame_decode(&frame, bytes, sizeof bytes), -1);
}

TEST(the_upper_half_of_the_opcodes_is_control) {
    for (uint8_t opcode = 0; opcode < 16; opcode++) {
        assert_int_equal(ws_frame_is_control(opcode), opcode >= 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_decoded),
        cmocka_unit_test(the_examples_of_the_rfc_are_encoded),
        cmocka_unit_test(every_first_byte_is_taken_apart_and_put_together),
        cmocka_unit_test(every_boundary_of_lengths_makes_the_round_trip),
        cmocka_unit_test(a_part_of_a_header_needs_more),
        cmocka_unit_test(bytes_behind_the_header_are_not_looked_at),
        cmocka_unit_test(sixteen_bits_for_up_to_125_are_refused),
        cmocka_unit_test(sixty_four_bits_for_up_to_65535_are_refused),
        cmocka_unit_test(the_top_bit_of_a_length_is_refused),
        cmocka_unit_test(a_wrong_length_in_a_masked_header_is_refused),
        cmocka_unit_test(the_upper_half_of_the_opcodes_is_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
