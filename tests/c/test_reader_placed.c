/* core/reader: big messages that are received straight into the caller's memory. */
#include "support.h"

enum { SIZE = 200000 };

static uint8_t payload[SIZE], place[SIZE + 1];

/* An open connection's reader, the bytes of the peer that it has yet to get, and what it says of them. */
typedef struct feed {
    ws_reader reader;
    ws_buf input;
    ws_incoming incoming;
    ws_error error;
} feed;

static void start(feed* f, ws_role role) {
    *f = (feed){0};
    fill_pattern(payload, sizeof payload, false);
    memset(place, 0xee, sizeof place);
    ws_reader_init(&f->reader, role == SERVER, &wide_limits);
}

static void end(feed* f) {
    ws_reader_free(&f->reader);
    ws_buf_free(&f->input);
    ws_error_clear(&f->error);
}

/* Feed at most `n` bytes: as many as there is room for. */
static int32_t feed_some(feed* f, size_t n) {
    uint8_t* at;
    size_t room;
    assert_int_equal(ws_reader_prepare(&f->reader, &at, &room), WS_OK);
    n = n < room ? n : room;
    n = n < ws_buf_len(&f->input) ? n : ws_buf_len(&f->input);
    memcpy(at, ws_buf_head(&f->input), n);
    ws_buf_consume(&f->input, n);
    ws_reader_commit(&f->reader, n);
    return ws_reader_next(&f->reader, &f->incoming, &f->error);
}

/* Feed in such pieces until something comes out, placing as soon as that is possible. How often it was. */
static int feed_placing(feed* f, size_t piece) {
    int placed = 0;
    while (feed_some(f, piece) == 0) {
        size_t coming = ws_reader_coming(&f->reader);
        if (!coming) continue;
        assert_int_equal(coming, SIZE);
        ws_reader_place(&f->reader, place);
        placed++;
    }
    return placed;
}

static void check_placed(ws_role role, size_t piece) {
    feed f;
    start(&f, role);
    put_frame(&f.input, FIN | 2, role == SERVER ? test_key : NULL, payload, SIZE);
    add_text(&f.input, role, FIN | 1, "next");
    assert_int_equal(feed_placing(&f, piece), 1);
    assert_ptr_equal(f.incoming.data, place);
    assert_int_equal(f.incoming.len, SIZE);
    assert_memory_equal(place, payload, SIZE);
    assert_int_equal(place[SIZE], 0xee);
    memset(place, 0, sizeof place); /* it is ours again */
    while (ws_reader_next(&f.reader, &f.incoming, &f.error) == 0) {
        feed_some(&f, piece);
        if (f.incoming.len == 4) break;
    }
    assert_int_equal(f.incoming.len, 4);
    assert_memory_equal(f.incoming.data, "next", 4);
    assert_false(f.reader.placed);
    end(&f);
}

TEST(a_big_binary_message_comes_into_the_callers_memory) {
    static const size_t pieces[] = {1, 3, 997, 4096, 65535, 65536, 70000, SIZE};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        check_placed(CLIENT, pieces[i]);
        check_placed(SERVER, pieces[i]);
    }
}

/* Once it has a place, the rest is read there, all at once if it is there. */
TEST(the_rest_is_lent_in_the_callers_memory) {
    feed f;
    uint8_t* at;
    size_t room;
    start(&f, CLIENT);
    put_frame(&f.input, FIN | 2, NULL, payload, SIZE);
    assert_int_equal(feed_some(&f, 50010), 0);
    ws_reader_place(&f.reader, place);
    assert_memory_equal(place, payload, 50000);
    assert_int_equal(ws_reader_prepare(&f.reader, &at, &room), WS_OK);
    assert_ptr_equal(at, place + 50000);
    assert_int_equal(room, SIZE - 50000);
    end(&f);
}

/* So many bytes of one message with this head: what could be placed of it. */
static size_t coming_of(uint8_t first, size_t size, size_t fed) {
    feed f;
    start(&f, CLIENT);
    fill_pattern(payload, size, first == (FIN | 1));
    put_frame(&f.input, first, NULL, payload, size);
    f.input.end = f.input.start + fed;
    while (ws_buf_len(&f.input)) {
        assert_int_equal(feed_some(&f, fed), 0);
    }
    size_t coming = ws_reader_coming(&f.reader);
    end(&f);
    return coming;
}

TEST(only_a_whole_big_binary_message_has_a_place) {
    assert_int_equal(coming_of(FIN | 2, SIZE, 0), 0);
    assert_int_equal(coming_of(FIN | 2, SIZE, 9), 0); /* of the header's ten bytes */
    assert_int_equal(coming_of(FIN | 2, SIZE, 10000), SIZE);
    assert_int_equal(coming_of(FIN | 1, SIZE, 10000), 0);
    assert_int_equal(coming_of(2, SIZE, 10000), 0);
    assert_int_equal(coming_of(FIN | 2, 65536, 10000), 0);
    assert_int_equal(coming_of(FIN | 2, 65537, 10000), 65537);
}

TEST(the_last_fragment_of_a_message_has_none) {
    feed f;
    start(&f, CLIENT);
    add_text(&f.input, CLIENT, 2, "one ");
    put_frame(&f.input, FIN, NULL, payload, SIZE);
    assert_int_equal(feed_some(&f, 10000), 0);
    assert_int_equal(ws_reader_coming(&f.reader), 0);
    end(&f);
}

/* Memory is made for 64 times what has come at the most. */
TEST(a_mere_claim_has_no_place) {
    assert_int_equal(coming_of(FIN | 2, SIZE, 10 + SIZE / 64 - 1), 0);
    assert_int_equal(coming_of(FIN | 2, SIZE, 10 + SIZE / 64), SIZE);
}

TEST(what_is_not_finished_is_let_go_of) {
    feed f;
    start(&f, CLIENT);
    put_frame(&f.input, FIN | 2, NULL, payload, SIZE);
    feed_some(&f, 100000);
    ws_reader_place(&f.reader, place);
    feed_some(&f, 50000);
    assert_true(f.reader.placed);
    assert_int_equal(ws_reader_coming(&f.reader), 0);
    ws_reader_trim(&f.reader);
    assert_true(f.reader.placed);
    end(&f); /* place is static: to free it would be seen */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_big_binary_message_comes_into_the_callers_memory),
        cmocka_unit_test(the_rest_is_lent_in_the_callers_memory),
        cmocka_unit_test(only_a_whole_big_binary_message_has_a_place),
        cmocka_unit_test(the_last_fragment_of_a_message_has_none),
        cmocka_unit_test(a_mere_claim_has_no_place),
        cmocka_unit_test(what_is_not_finished_is_let_go_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
