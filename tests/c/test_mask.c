/* core/mask: every length, offset and alignment against the definition in RFC 6455 5.3. */
#include "support.h"

#include "core/mask.h"

enum { LONGEST = 40, PAD = 8 };

static const uint8_t key[4] = {0x12, 0x34, 0x56, 0x9a};

TEST(hello_of_the_rfc) {
    uint8_t out[5];
    ws_mask_copy(out, (const uint8_t*)"Hello", 5, test_key, 0);
    assert_memory_equal(out, "\x7f\x9f\x4d\x51\x58", 5);
}

/* Mask `n` bytes that begin `align` behind a word, and compare with the definition. */
static void check(size_t n, size_t align, uint64_t offset) {
    uint8_t from[LONGEST + 2 * PAD], to[LONGEST + 2 * PAD], expected[LONGEST + 2 * PAD];
    fill_pattern(from, sizeof from, false);
    memset(to, 0xEE, sizeof to);
    memset(expected, 0xEE, sizeof expected);
    for (size_t i = 0; i < n; i++) {
        expected[align + i] = from[align + i] ^ key[(offset + i) % 4];
    }
    ws_mask_copy(to + align, from + align, n, key, offset);
    assert_memory_equal(to, expected, sizeof to);
}

TEST(every_length_offset_and_alignment) {
    for (size_t n = 0; n <= LONGEST; n++) {
        for (size_t align = 0; align < PAD; align++) {
            for (uint64_t offset = 0; offset < 9; offset++) {
                check(n, align, offset);
            }
        }
    }
}

TEST(offsets_beyond_32_bits) {
    for (uint64_t i = 0; i < 4; i++) {
        check(LONGEST, 0, (UINT64_C(1) << 32) + i);
        check(LONGEST, 0, (UINT64_C(1) << 62) + i);
    }
}

TEST(in_place_it_is_the_same) {
    for (size_t n = 0; n <= LONGEST; n++) {
        uint8_t from[LONGEST], to[LONGEST];
        fill_pattern(from, sizeof from, false);
        ws_mask_copy(to, from, n, key, n);
        ws_mask_copy(from, from, n, key, n);
        assert_memory_equal(from, to, n);
    }
}

TEST(masking_twice_gives_the_bytes_back) {
    uint8_t from[LONGEST], to[LONGEST];
    fill_pattern(from, sizeof from, false);
    ws_mask_copy(to, from, LONGEST, key, 3);
    ws_mask_copy(to, to, LONGEST, key, 3);
    assert_memory_equal(to, from, LONGEST);
}

TEST(piece_by_piece_it_is_the_same) {
    uint8_t from[LONGEST], whole[LONGEST], pieces[LONGEST];
    fill_pattern(from, sizeof from, false);
    ws_mask_copy(whole, from, LONGEST, key, 0);
    for (size_t cut = 0; cut <= LONGEST; cut++) {
        ws_mask_copy(pieces, from, cut, key, 0);
        ws_mask_copy(pieces + cut, from + cut, LONGEST - cut, key, cut);
        assert_memory_equal(pieces, whole, LONGEST);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_of_the_rfc),
        cmocka_unit_test(every_length_offset_and_alignment),
        cmocka_unit_test(offsets_beyond_32_bits),
        cmocka_unit_test(in_place_it_is_the_same),
        cmocka_unit_test(masking_twice_gives_the_bytes_back),
        cmocka_unit_test(piece_by_piece_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
