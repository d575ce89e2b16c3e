/* core/reader: the same comes out in whatever pieces the bytes come in; and where they are kept. */
#include "support.h"

#include <stdlib.h>

/* However the input is cut, the same events come of it. */
static void assert_cut_does_not_matter(ws_role role, const ws_buf* input, ws_cut cut, const char* expected) {
    char* events = events_of(role == SERVER, &wide_limits, input, cut);
    if (strcmp(events, expected) != 0) {
        fail_msg("first %zu, rest %zu, seed %u:\n%s", cut.first, cut.rest, (unsigned)cut.seed, events);
    }
    free(events);
}

/* All kinds of frames, and a failure or a close at the end. */
static void add_mixture(ws_buf* input, ws_role role, bool broken) {
    add_text(input, role, FIN | 1, "Hello \xe2\x82\xac");
    add_text(input, role, 1, "frag\xf0\x9f");
    add_text(input, role, FIN | 9, "ping");
    add_text(input, role, 0, "\x98\x80");
    add_text(input, role, FIN, "");
    add_text(input, role, FIN | 2, "");
    add_pattern(input, role, FIN | 2, 125, false);
    add_pattern(input, role, FIN | 1, 126, true);
    add_pattern(input, role, 2, 300, false);
    add_text(input, role, FIN | 10, "");
    add_pattern(input, role, FIN, 200, false);
    if (broken) {
        add_text(input, role, FIN | 1, "bad \xed\xa0\x80 text");
    } else {
        add_text(input, role, FIN | 8, "\x0f\xa0 reason");
    }
    put_text(input, "bytes that nobody reads");
}

static void check_every_cut(ws_role role, bool broken) {
    ws_buf input = {0};
    add_mixture(&input, role, broken);
    char* expected = events_of(role == SERVER, &wide_limits, &input, (ws_cut){0});
    assert_non_null(strstr(expected, broken ? "FAILED 1007 UTF8\n" : "CLOSE 4000  reason\n"));
    for (size_t i = 1; i < ws_buf_len(&input); i++) {
        assert_cut_does_not_matter(role, &input, (ws_cut){.first = i}, expected);
        assert_cut_does_not_matter(role, &input, (ws_cut){.rest = i}, expected);
    }
    for (uint32_t seed = 1; seed <= 200; seed++) {
        assert_cut_does_not_matter(role, &input, (ws_cut){.seed = seed}, expected);
    }
    free(expected);
    ws_buf_free(&input);
}

TEST(a_server_reads_the_same_however_the_input_is_cut) {
    check_every_cut(SERVER, false);
    check_every_cut(SERVER, true);
}

TEST(a_client_reads_the_same_however_the_input_is_cut) {
    check_every_cut(CLIENT, false);
    check_every_cut(CLIENT, true);
}

/* Sizes around where a payload is read in place, gathered, or lent its final place. */
static const size_t sizes[] = {1, 4095, 4096, 4097, 8191, 8192, 65535, 65536, 65537, 69632, 131072, 200000};

/* A message of n bytes in `fragments` frames with a ping between them, a short one, the same text again. */
static void add_big(ws_buf* input, ws_role role, size_t n, size_t fragments) {
    for (size_t i = 0; i < fragments; i++) {
        uint8_t fin = i + 1 == fragments ? FIN : 0;
        add_pattern(input, role, fin | (i ? 0 : 2), i ? n / fragments : n - n / fragments * (fragments - 1), false);
        add_text(input, role, FIN | 9, "between");
    }
    add_text(input, role, FIN | 1, "short");
    add_pattern(input, role, FIN | 1, n, true);
    add_text(input, role, FIN | 8, "");
}

static void check_big(ws_role role, size_t n, size_t fragments) {
    static const size_t rests[] = {0, 1000, 4096, 16384, 65536, 65550, 100000};
    ws_buf input = {0};
    add_big(&input, role, n, fragments);
    char* expected = events_of(role == SERVER, &wide_limits, &input, (ws_cut){0});
    assert_non_null(strstr(expected, "TEXT short\n"));
    assert_non_null(strstr(expected, "CLOSE 1005"));
    for (size_t i = 0; i < COUNT(rests); i++) {
        for (size_t first = 1; first <= 16; first++) {
            assert_cut_does_not_matter(role, &input, (ws_cut){.first = first, .rest = rests[i]}, expected);
        }
    }
    for (uint32_t seed = 1; seed <= 5; seed++) {
        assert_cut_does_not_matter(role, &input, (ws_cut){.seed = seed}, expected);
    }
    free(expected);
    ws_buf_free(&input);
}

TEST(big_messages_are_read_the_same_however_they_are_cut) {
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_big(SERVER, sizes[i], 1);
        check_big(CLIENT, sizes[i], 1);
    }
}

TEST(big_fragments_are_read_the_same_however_they_are_cut) {
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_big(SERVER, sizes[i], 3);
    }
}

/* The payload itself, not just the same as in one piece. */
TEST(big_messages_come_out_as_they_went_in) {
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t piece = 1000; piece < 100000; piece *= 8) {
            ws_buf input = {0}, events = {0};
            ws_protocol protocol;
            uint8_t* payload = malloc(sizes[i]);
            assert_non_null(payload);
            fill_pattern(payload, sizes[i], false);
            put_frame(&input, FIN | 2, test_key, payload, sizes[i]);
            init_open(&protocol, true, &wide_limits);
            size_t most = ws_buf_len(&input) - 1;
            ws_buf last = {.data = input.data, .start = most, .end = most + 1};
            input.end = most;
            replay(&protocol, &input, (ws_cut){.first = 10, .rest = piece}, &events);
            assert_int_equal(ws_buf_len(&events), 0);
            uint8_t* at;
            size_t room;
            assert_int_equal(ws_protocol_prepare(&protocol, &at, &room), WS_OK);
            *at = *ws_buf_head(&last);
            ws_protocol_commit(&protocol, 1);
            ws_event event = ws_protocol_next(&protocol);
            assert_int_equal(event.type, WS_PROTOCOL_BINARY);
            assert_int_equal(event.len, sizes[i]);
            assert_memory_equal(event.data, payload, sizes[i]);
            ws_protocol_free(&protocol);
            free(payload);
            ws_buf_free(&input);
        }
    }
}

/* ---- memory ---- */

static void give(ws_reader* reader, const void* bytes, size_t n) {
    uint8_t* at;
    size_t room;
    assert_int_equal(ws_reader_prepare(reader, &at, &room), WS_OK);
    assert_true(room >= n);
    if (n) memcpy(at, bytes, n);
    ws_reader_commit(reader, n);
}

/* Directly into the message as long as at least 4096 bytes are missing, then into the receive buffer. */
TEST(a_big_payload_is_lent_its_final_place) {
    ws_reader reader;
    ws_incoming incoming;
    ws_error error = {0};
    uint8_t* at;
    size_t room;
    ws_reader_init(&reader, false, &wide_limits);
    give(&reader, "\x82\x7f\0\0\0\0\0\x01\0\x01", 10); /* 65537 bytes */
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    assert_int_equal(ws_reader_prepare(&reader, &at, &room), WS_OK);
    assert_int_equal(room, 65536);
    memset(at, 'x', 65537 - 4096);
    ws_reader_commit(&reader, 65537 - 4096);
    assert_int_equal(ws_buf_len(&reader.message), 65537 - 4096);
    give(&reader, "y", 1);
    assert_int_equal(ws_buf_len(&reader.message), 65537 - 4095);
    give(&reader, "z", 1);
    assert_int_equal(ws_buf_len(&reader.message), 65537 - 4095);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    assert_int_equal(ws_buf_len(&reader.message), 65537 - 4094);
    assert_memory_equal(ws_buf_tail(&reader.message) - 3, "xyz", 3);
    ws_reader_free(&reader);
}

TEST(bad_text_is_seen_in_its_final_place) {
    ws_reader reader;
    ws_incoming incoming;
    ws_error error = {0};
    uint8_t* at;
    size_t room;
    ws_reader_init(&reader, false, &wide_limits);
    give(&reader, "\x81\x7f\0\0\0\0\0\x01\0\x01", 10); /* 65537 bytes */
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    assert_int_equal(ws_reader_prepare(&reader, &at, &room), WS_OK);
    memset(at, 0xff, 10);
    ws_reader_commit(&reader, 10);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), WS_ERR_UTF8);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    ws_reader_free(&reader);
    ws_error_clear(&error);
}

TEST(memory_grows_with_what_comes_not_with_what_a_header_claims) {
    static const ws_limits none = {.max_size = UINT64_MAX, .max_fragments = 1000, .max_head = 65536};
    ws_reader reader;
    ws_incoming incoming;
    ws_error error = {0};
    uint8_t* at;
    size_t room;
    ws_reader_init(&reader, false, &none);
    give(&reader, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10); /* 2^63 - 1 bytes */
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    for (size_t got = 0; got < 1 << 20; got += room) {
        assert_int_equal(ws_reader_prepare(&reader, &at, &room), WS_OK);
        assert_true(room <= 2 * (got + 65536));
        ws_reader_commit(&reader, room);
    }
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    ws_reader_free(&reader);
}

TEST(an_idle_reader_gives_its_memory_back) {
    ws_reader reader;
    ws_incoming incoming;
    ws_error error = {0};
    ws_reader_init(&reader, false, &wide_limits);
    give(&reader,
         "\x81\x02hi\x01\x01"
         "a\x80\x01"
         "b",
         10);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 1);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 1);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    ws_reader_trim(&reader);
    assert_int_equal(reader.in.cap + reader.message.cap, 0);
    give(&reader, "\x81\x02ok", 4);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 1);
    assert_memory_equal(incoming.data, "ok", 2);
    ws_reader_free(&reader);
}

TEST(a_reader_inside_a_message_keeps_it_when_trimmed) {
    ws_reader reader;
    ws_incoming incoming;
    ws_error error = {0};
    ws_reader_init(&reader, false, &wide_limits);
    give(&reader, "\x01\x02he\x80\x03l", 7);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 0);
    ws_reader_trim(&reader);
    give(&reader, "lo\x81", 3);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 1);
    assert_int_equal(incoming.len, 5);
    assert_memory_equal(incoming.data, "hello", 5);
    ws_reader_trim(&reader);
    give(&reader, "\x02hi", 3);
    assert_int_equal(ws_reader_next(&reader, &incoming, &error), 1);
    assert_memory_equal(incoming.data, "hi", 2);
    ws_reader_free(&reader);
}

/* A long stream of frames that straddle the buffer's end needs no more than a few receive buffers. */
TEST(the_receive_buffer_does_not_grow_for_ever) {
    ws_protocol protocol;
    ws_buf input = {0}, events = {0};
    init_open(&protocol, true, &wide_limits);
    add_pattern(&input, SERVER, FIN | 2, 60000, false);
    for (uint32_t i = 1; i <= 100; i++) {
        replay(&protocol, &input, (ws_cut){.first = i * 97}, &events);
        ws_buf_free(&events);
    }
    assert_in_range(protocol.reader.in.cap, 65536, 8 * 65536);
    ws_protocol_free(&protocol);
    ws_buf_free(&input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_reads_the_same_however_the_input_is_cut),
        cmocka_unit_test(a_client_reads_the_same_however_the_input_is_cut),
        cmocka_unit_test(big_messages_are_read_the_same_however_they_are_cut),
        cmocka_unit_test(big_fragments_are_read_the_same_however_they_are_cut),
        cmocka_unit_test(big_messages_come_out_as_they_went_in),
        cmocka_unit_test(a_big_payload_is_lent_its_final_place),
        cmocka_unit_test(bad_text_is_seen_in_its_final_place),
        cmocka_unit_test(memory_grows_with_what_comes_not_with_what_a_header_claims),
        cmocka_unit_test(an_idle_reader_gives_its_memory_back),
        cmocka_unit_test(a_reader_inside_a_message_keeps_it_when_trimmed),
        cmocka_unit_test(the_receive_buffer_does_not_grow_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
