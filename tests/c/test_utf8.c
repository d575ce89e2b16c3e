/* core/utf8: incremental validation against Unicode's table 3-7. */
#include "support.h"

typedef struct sample {
    const char* bytes;
    bool valid;
} sample;

/* The first and last sequence of every line of table 3-7, and the neighbours that are none. */
static const sample samples[] = {
    {"", true},
    {"plain ASCII", true},
    {"\x7f", true},
    {"\x80", false},
    {"\xbf", false},
    {"\xc0\x80", false},
    {"\xc1\xbf", false},
    {"\xc2\x7f", false},
    {"\xc2\x80", true},
    {"\xc2\xc0", false},
    {"\xdf\xbf", true},
    {"\xdf\xc0", false},
    {"\xe0\x80\x80", false},
    {"\xe0\x9f\xbf", false},
    {"\xe0\xa0\x7f", false},
    {"\xe0\xa0\x80", true},
    {"\xe0\xbf\xbf", true},
    {"\xe0\xc0\x80", false},
    {"\xe1\x7f\x80", false},
    {"\xe1\x80\x80", true},
    {"\xec\xbf\xbf", true},
    {"\xec\xc0\xbf", false},
    {"\xed\x80\x80", true},
    {"\xed\x9f\xbf", true},
    {"\xed\xa0\x80", false}, /* U+D800 */
    {"\xed\xbf\xbf", false}, /* U+DFFF */
    {"\xed\xa0\x80\xed\xb0\x80", false},
    {"\xee\x80\x80", true},
    {"\xef\xbf\xbf", true},
    {"\xef\xbb\xbf", true}, /* a byte order mark is a character */
    {"\xf0\x80\x80\x80", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\xf0\x90\x7f\x80", false},
    {"\xf0\x90\x80\x7f", false},
    {"\xf0\x90\x80\x80", true},
    {"\xf0\xbf\xbf\xbf", true},
    {"\xf0\xc0\x80\x80", false},
    {"\xf1\x80\x80\x80", true},
    {"\xf3\xbf\xbf\xbf", true},
    {"\xf4\x80\x80\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"\xf4\x90\x80\x80", false}, /* U+110000 */
    {"\xf5\x80\x80\x80", false},
    {"\xf8\x88\x80\x80\x80", false},
    {"\xfc\x84\x80\x80\x80\x80", false},
    {"\xfe", false},
    {"\xff", false},
    {"\xc3\xa9\xc3", false}, /* ends too early */
    {"\xe2\x82", false},
    {"\xf0\x9f\x98", false},
    {"\xe2\x82\x28", false}, /* goes on too early */
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and more", true},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80 edited", false},
};

TEST(the_boundaries_of_the_table_are_judged_right) {
    for (size_t i = 0; i < COUNT(samples); i++) {
        bool valid = ws_utf8_valid((const uint8_t*)samples[i].bytes, strlen(samples[i].bytes));
        if (valid != samples[i].valid) fail_msg("sample %zu", i);
    }
}

TEST(the_verdict_does_not_depend_on_where_the_text_is_cut) {
    for (size_t i = 0; i < COUNT(samples); i++) {
        const uint8_t* bytes = (const uint8_t*)samples[i].bytes;
        size_t n = strlen(samples[i].bytes);
        for (size_t cut = 0; cut <= n; cut++) {
            ws_utf8 utf8 = {0};
            bool valid = ws_utf8_feed(&utf8, bytes, cut) && ws_utf8_feed(&utf8, bytes + cut, n - cut);
            if ((valid && ws_utf8_complete(&utf8)) != samples[i].valid) fail_msg("sample %zu cut at %zu", i, cut);
        }
    }
}

static size_t encode(uint32_t c, uint8_t to[4]) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) {
        to[i] = 0x80 | (c & 0x3F);
    }
    static const uint8_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    to[0] = (uint8_t)(marks[n] | c);
    return n;
}

TEST(every_character_is_valid_and_no_surrogate_is) {
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        uint8_t bytes[4];
        size_t n = encode(c, bytes);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (ws_utf8_valid(bytes, n) == surrogate) fail_msg("U+%04X", c);
    }
}

TEST(no_beginning_of_a_character_is_complete) {
    static const uint32_t characters[] = {0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF};
    for (size_t i = 0; i < COUNT(characters); i++) {
        uint8_t bytes[4];
        size_t n = encode(characters[i], bytes);
        for (size_t some = 1; some < n; some++) {
            ws_utf8 utf8 = {0};
            assert_true(ws_utf8_feed(&utf8, bytes, some));
            assert_false(ws_utf8_complete(&utf8));
            assert_false(ws_utf8_valid(bytes, some));
        }
    }
}

/* As many sequences as there are characters: none too many is accepted. */
TEST(exactly_1920_pairs_and_61440_triples_are_characters) {
    size_t pairs = 0, triples = 0;
    for (uint32_t i = 0x8000; i <= 0xFFFF; i++) {
        uint8_t bytes[] = {(uint8_t)(i >> 8), (uint8_t)i};
        pairs += ws_utf8_valid(bytes, 2);
    }
    for (uint32_t i = 0xC00000; i <= 0xFFFFFF; i++) {
        uint8_t bytes[] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        if (bytes[2] < 0x80) continue; /* a pair and an ASCII character */
        triples += ws_utf8_valid(bytes, 3);
    }
    assert_int_equal(pairs, 0x800 - 0x80);
    assert_int_equal(triples, 0x10000 - 0x800 - 0x800);
}

TEST(sequences_of_four_are_characters_exactly_up_to_10ffff) {
    for (uint32_t i = 0; i < 16 * 256; i++) {
        uint8_t bytes[] = {(uint8_t)(0xF0 | i >> 8), (uint8_t)i, 0x80, 0xBF};
        uint32_t character = (i >> 8 & 7) << 18 | (i & 0x3F) << 12 | 0x3F;
        bool expected = bytes[0] < 0xF8 && (bytes[1] & 0xC0) == 0x80 && character >= 0x10000 && character <= 0x10FFFF;
        if (ws_utf8_valid(bytes, 4) != expected) fail_msg("f%x %02x", i >> 8, i & 0xFF);
    }
}

TEST(it_fails_at_the_first_byte_that_cannot_be) {
    static const char* const beginnings[] = {"\x80",     "\xc0",     "\xc1",     "\xf5",     "\xff",        "\xe0\x9f",
                                             "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xc2\x20", "\xe1\x80\xc0"};
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        const uint8_t* bytes = (const uint8_t*)beginnings[i];
        size_t n = strlen(beginnings[i]);
        ws_utf8 utf8 = {0};
        if (!ws_utf8_feed(&utf8, bytes, n - 1) || ws_utf8_feed(&utf8, bytes + n - 1, 1)) fail_msg("sample %zu", i);
    }
}

TEST(a_bad_byte_is_found_at_every_place_of_a_long_text) {
    uint8_t text[41];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = 0xFF;
        assert_false(ws_utf8_valid(text, sizeof text));
        assert_true(ws_utf8_valid(text, at));
    }
}

TEST(a_character_is_read_at_every_place_of_a_long_text) {
    uint8_t text[41];
    for (size_t at = 0; at + 4 <= sizeof text; at++) {
        memset(text, 'a', sizeof text);
        memcpy(text + at, "\xf0\x9f\x98\x80", 4);
        assert_true(ws_utf8_valid(text, sizeof text));
        text[at + 3] = 'a';
        assert_false(ws_utf8_valid(text, sizeof text));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boundaries_of_the_table_are_judged_right),
        cmocka_unit_test(the_verdict_does_not_depend_on_where_the_text_is_cut),
        cmocka_unit_test(every_character_is_valid_and_no_surrogate_is),
        cmocka_unit_test(no_beginning_of_a_character_is_complete),
        cmocka_unit_test(exactly_1920_pairs_and_61440_triples_are_characters),
        cmocka_unit_test(sequences_of_four_are_characters_exactly_up_to_10ffff),
        cmocka_unit_test(it_fails_at_the_first_byte_that_cannot_be),
        cmocka_unit_test(a_bad_byte_is_found_at_every_place_of_a_long_text),
        cmocka_unit_test(a_character_is_read_at_every_place_of_a_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
