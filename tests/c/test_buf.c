/* core/buf: a queue of bytes. */
#include "support.h"

static void assert_holds(const ws_buf* buf, const char* text) {
    assert_int_equal(ws_buf_len(buf), strlen(text));
    assert_memory_equal(ws_buf_head(buf), text, strlen(text));
}

TEST(an_empty_buffer_owns_nothing) {
    ws_buf buf = {0};
    assert_int_equal(ws_buf_len(&buf), 0);
    assert_int_equal(ws_buf_room(&buf), 0);
    assert_null(ws_buf_head(&buf));
    assert_null(ws_buf_tail(&buf));
    ws_buf_free(&buf);
    assert_null(buf.data);
}

TEST(bytes_come_out_in_the_order_they_went_in) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    put(&buf, "def", 3);
    assert_holds(&buf, "abcdef");
    ws_buf_consume(&buf, 2);
    assert_holds(&buf, "cdef");
    put(&buf, "g", 1);
    assert_holds(&buf, "cdefg");
    ws_buf_free(&buf);
}

TEST(append_text_leaves_the_nul_out) {
    ws_buf buf = {0};
    assert_int_equal(ws_buf_append_text(&buf, "word"), WS_OK);
    assert_holds(&buf, "word");
    ws_buf_free(&buf);
}

TEST(appending_nothing_needs_no_memory) {
    ws_buf buf = {0};
    assert_int_equal(ws_buf_append(&buf, NULL, 0), WS_OK);
    assert_int_equal(ws_buf_append_text(&buf, ""), WS_OK);
    assert_null(buf.data);
}

TEST(consuming_more_than_is_there_empties) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    ws_buf_consume(&buf, 4);
    assert_int_equal(ws_buf_len(&buf), 0);
    put(&buf, "d", 1);
    assert_holds(&buf, "d");
    ws_buf_free(&buf);
}

TEST(an_emptied_buffer_keeps_its_memory_up_to_a_limit) {
    ws_buf buf = {0};
    assert_int_equal(ws_buf_reserve(&buf, WS_BUF_KEPT), WS_OK);
    buf.end = WS_BUF_KEPT;
    ws_buf_empty(&buf);
    assert_int_equal(buf.end, 0);
    assert_int_equal(buf.cap, WS_BUF_KEPT);
    assert_int_equal(ws_buf_reserve(&buf, WS_BUF_KEPT + 1), WS_OK);
    ws_buf_empty(&buf);
    assert_int_equal(buf.cap, 0);
}

TEST(big_memory_starts_at_a_page) {
    for (size_t size = 128 * 1024; size < 10000000; size = size * 3 + 1) {
        ws_buf buf = {0};
        assert_int_equal(ws_buf_reserve(&buf, size), WS_OK);
        assert_int_equal((uintptr_t)buf.data % 4096, 0);
        memset(buf.data, 1, buf.cap);
        ws_buf_free(&buf);
    }
}

TEST(an_emptied_buffer_has_all_its_room_again) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    ws_buf_consume(&buf, 3);
    assert_int_equal(ws_buf_room(&buf), buf.cap);
    ws_buf_free(&buf);
}

TEST(reserve_makes_room_behind_the_bytes) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    for (size_t n = 1; n < 5000; n += 333) {
        assert_int_equal(ws_buf_reserve(&buf, n), WS_OK);
        assert_true(ws_buf_room(&buf) >= n);
        memset(ws_buf_tail(&buf), 'x', n);
        assert_holds(&buf, "abc");
    }
    ws_buf_free(&buf);
}

TEST(reserve_of_what_is_there_moves_nothing) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    uint8_t* before = buf.data;
    size_t cap = buf.cap;
    assert_int_equal(ws_buf_reserve(&buf, ws_buf_room(&buf)), WS_OK);
    assert_ptr_equal(buf.data, before);
    assert_int_equal(buf.cap, cap);
    ws_buf_free(&buf);
}

TEST(reserve_uses_the_room_in_front_before_it_grows) {
    ws_buf buf = {0};
    uint8_t bytes[256] = {0};
    put(&buf, bytes, 254);
    put(&buf, "ab", 2);
    ws_buf_consume(&buf, 254);
    assert_int_equal(buf.cap, 256);
    assert_int_equal(ws_buf_reserve(&buf, 254), WS_OK);
    assert_int_equal(buf.cap, 256);
    assert_holds(&buf, "ab");
    assert_int_equal(ws_buf_reserve(&buf, 255), WS_OK);
    assert_true(buf.cap > 256);
    assert_holds(&buf, "ab");
    ws_buf_free(&buf);
}

TEST(reserve_grows_when_the_room_in_front_does_not_suffice) {
    ws_buf buf = {0};
    uint8_t bytes[256] = {0};
    put(&buf, bytes, 254);
    put(&buf, "ab", 2);
    ws_buf_consume(&buf, 254);
    assert_int_equal(ws_buf_reserve(&buf, 255), WS_OK);
    assert_true(ws_buf_room(&buf) >= 255);
    assert_holds(&buf, "ab");
    ws_buf_free(&buf);
}

TEST(a_reserve_that_cannot_be_changes_nothing) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    ws_buf before = buf;
    assert_int_equal(ws_buf_reserve(&buf, SIZE_MAX - 2), WS_ERR_MEMORY);
    assert_int_equal(ws_buf_reserve(&buf, SIZE_MAX), WS_ERR_MEMORY);
    assert_memory_equal(&buf, &before, sizeof buf);
    assert_holds(&buf, "abc");
    ws_buf_free(&buf);
}

TEST(growing_byte_by_byte_moves_the_bytes_seldom) {
    ws_buf buf = {0};
    size_t moves = 0;
    for (size_t i = 0; i < 1 << 20; i++) {
        size_t cap = buf.cap;
        put(&buf, "x", 1);
        moves += buf.cap != cap;
    }
    assert_int_equal(ws_buf_len(&buf), 1 << 20);
    assert_in_range(moves, 1, 20);
    ws_buf_free(&buf);
}

TEST(a_queue_that_is_kept_short_stays_small) {
    ws_buf buf = {0};
    uint8_t bytes[1000] = {0};
    put(&buf, bytes, 500);
    for (size_t i = 0; i < 10000; i++) {
        put(&buf, bytes, 1000);
        ws_buf_consume(&buf, 1000);
    }
    assert_int_equal(ws_buf_len(&buf), 500);
    assert_in_range(buf.cap, 1500, 8000);
    ws_buf_free(&buf);
}

TEST(free_leaves_a_usable_buffer) {
    ws_buf buf = {0};
    put(&buf, "abc", 3);
    ws_buf_free(&buf);
    assert_int_equal(ws_buf_len(&buf), 0);
    assert_null(buf.data);
    put(&buf, "def", 3);
    assert_holds(&buf, "def");
    ws_buf_free(&buf);
}

/* Any mix of appends and consumes: what comes out is what went in. */
TEST(what_fits_has_no_room_and_grows_again) {
    ws_buf buf = {0};
    ws_buf_fit(&buf);
    assert_null(buf.data);
    ws_buf_append_text(&buf, "abc");
    ws_buf_fit(&buf);
    assert_int_equal(ws_buf_room(&buf), 0);
    assert_memory_equal(ws_buf_head(&buf), "abc", 3);
    ws_buf_append_text(&buf, "d");
    assert_memory_equal(ws_buf_head(&buf), "abcd", 4);
    ws_buf_consume(&buf, 4);
    ws_buf_fit(&buf);
    assert_null(buf.data);
}

TEST(a_long_mixture_loses_no_byte) {
    ws_buf buf = {0};
    uint32_t seed = 1, in = 0, out = 0;
    for (size_t i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = (seed >> 12) % 700;
        if (seed >> 31) {
            for (size_t j = 0; j < n; j++) {
                uint8_t byte = (uint8_t)(in++ * 31 >> 3);
                put(&buf, &byte, 1);
            }
        } else {
            n = n < ws_buf_len(&buf) ? n : ws_buf_len(&buf);
            for (size_t j = 0; j < n; j++) {
                assert_int_equal(ws_buf_head(&buf)[j], (uint8_t)(out++ * 31 >> 3));
            }
            ws_buf_consume(&buf, n);
        }
        assert_int_equal(ws_buf_len(&buf), in - out);
    }
    ws_buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_owns_nothing),
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(append_text_leaves_the_nul_out),
        cmocka_unit_test(appending_nothing_needs_no_memory),
        cmocka_unit_test(consuming_more_than_is_there_empties),
        cmocka_unit_test(an_emptied_buffer_keeps_its_memory_up_to_a_limit),
        cmocka_unit_test(big_memory_starts_at_a_page),
        cmocka_unit_test(an_emptied_buffer_has_all_its_room_again),
        cmocka_unit_test(reserve_makes_room_behind_the_bytes),
        cmocka_unit_test(reserve_of_what_is_there_moves_nothing),
        cmocka_unit_test(reserve_uses_the_room_in_front_before_it_grows),
        cmocka_unit_test(reserve_grows_when_the_room_in_front_does_not_suffice),
        cmocka_unit_test(a_reserve_that_cannot_be_changes_nothing),
        cmocka_unit_test(growing_byte_by_byte_moves_the_bytes_seldom),
        cmocka_unit_test(a_queue_that_is_kept_short_stays_small),
        cmocka_unit_test(free_leaves_a_usable_buffer),
        cmocka_unit_test(what_fits_has_no_room_and_grows_again),
        cmocka_unit_test(a_long_mixture_loses_no_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
