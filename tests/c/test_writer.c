/* core/writer: frames out, all or nothing. */
#include "support.h"

/* What is to be written must be exactly this; it is then written, and `expected` emptied. */
static void assert_output(ws_writer* writer, ws_buf* expected) {
    size_t len;
    const uint8_t* bytes = ws_writer_output(writer, &len);
    assert_int_equal(len, ws_buf_len(expected));
    if (len) assert_memory_equal(bytes, ws_buf_head(expected), len);
    ws_writer_written(writer, len);
    ws_buf_free(expected);
}

static void assert_no_output(ws_writer* writer) {
    assert_output(writer, &(ws_buf){0});
}

static int32_t send_text(ws_writer* writer, const char* text) {
    return ws_writer_message(writer, WS_OPCODE_TEXT, text, strlen(text), WS_COMPRESS_AUTO);
}

static int32_t send_part(ws_writer* writer, const char* text, bool final) {
    return ws_writer_fragment(writer, WS_OPCODE_TEXT, text, strlen(text), final, WS_COMPRESS_AUTO);
}

static int32_t answer(ws_writer* writer, const char* payload) {
    return ws_writer_answer_ping(writer, payload, strlen(payload));
}

/* Randomness that fails while it is `exhausted`, and gives another key every time. */
static bool exhausted;
static uint8_t drawn;
static bool moody_random(uint8_t* out, size_t n) {
    memset(out, ++drawn, n);
    return !exhausted;
}

/* ---- frames ---- */

TEST(a_server_sends_the_unmasked_example_of_the_rfc) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(send_text(&writer, "Hello"), WS_OK);
    put(&expected, "\x81\x05Hello", 7);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(a_client_sends_the_masked_example_of_the_rfc) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, test_random);
    assert_int_equal(send_text(&writer, "Hello"), WS_OK);
    put(&expected, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(every_boundary_of_lengths_in_both_roles) {
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, 200000};
    static uint8_t payload[200000];
    fill_pattern(payload, sizeof payload, false);
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        ws_writer writer;
        ws_buf expected = {0};
        size_t n = sizes[i / 2];
        ws_writer_init(&writer, i % 2 ? test_random : NULL);
        assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, payload, n, WS_COMPRESS_AUTO), WS_OK);
        put_frame(&expected, FIN | 2, i % 2 ? test_key : NULL, payload, n);
        assert_output(&writer, &expected);
        ws_writer_free(&writer);
    }
}

TEST(every_frame_has_a_key_of_its_own) {
    ws_writer writer;
    ws_buf expected = {0};
    exhausted = false;
    drawn = 0;
    ws_writer_init(&writer, moody_random);
    assert_int_equal(send_text(&writer, "one"), WS_OK);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, "two", 3), WS_OK);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_OK);
    put_frame(&expected, FIN | 1, (const uint8_t[]){1, 1, 1, 1}, "one", 3);
    put_frame(&expected, FIN | 9, (const uint8_t[]){2, 2, 2, 2}, "two", 3);
    put_frame(&expected, FIN | 8, (const uint8_t[]){3, 3, 3, 3}, "\x03\xe8", 2);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(output_may_be_taken_in_portions) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    assert_int_equal(send_text(&writer, "Hello"), WS_OK);
    for (size_t i = 0; i < 7; i++) {
        size_t len;
        const uint8_t* bytes = ws_writer_output(&writer, &len);
        assert_int_equal(len, 7 - i);
        assert_int_equal(*bytes, "\x81\x05Hello"[i] & 0xFF);
        ws_writer_written(&writer, 1);
    }
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

TEST(total_counts_what_was_ever_queued) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    send_text(&writer, "Hello");
    assert_int_equal(writer.total, 7);
    ws_writer_written(&writer, 7);
    assert_int_equal(writer.total, 7);
    answer(&writer, "");
    assert_int_equal(writer.total, 9);
    ws_writer_free(&writer);
}

TEST(frames_not_written_yet_may_be_taken_back) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    send_text(&writer, "stays");
    send_text(&writer, "goes");
    ws_writer_take_back(&writer, 6);
    assert_int_equal(writer.total, 7);
    assert_int_equal(writer.frames, 1);
    put_frame(&expected, FIN | 1, NULL, "stays", 5);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(a_buffer_of_megabytes_is_given_back_when_all_is_written) {
    static const uint8_t payload[WS_BUF_KEPT + 1];
    ws_writer writer;
    size_t len;
    ws_writer_init(&writer, NULL);
    ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO);
    ws_writer_output(&writer, &len);
    ws_writer_written(&writer, len - 1);
    assert_true(writer.out.cap > 0);
    ws_writer_written(&writer, 1);
    assert_int_equal(writer.out.cap, 0);
    ws_writer_free(&writer);
}

TEST(a_smaller_one_is_kept_until_nothing_is_sent) {
    static const uint8_t payload[100000];
    ws_writer writer;
    size_t len;
    ws_writer_init(&writer, NULL);
    ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO);
    ws_writer_output(&writer, &len);
    const uint8_t* memory = writer.out.data;
    ws_writer_written(&writer, len);
    ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO);
    assert_ptr_equal(ws_writer_output(&writer, &len), memory);
    ws_writer_written(&writer, len);
    ws_writer_trim(&writer);
    assert_int_equal(writer.out.cap, 0);
    ws_writer_free(&writer);
}

/* ---- fragments ---- */

TEST(fragments_are_a_message_and_its_continuations) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(send_part(&writer, "one", false), WS_OK);
    assert_int_equal(send_part(&writer, "", false), WS_OK);
    assert_int_equal(send_part(&writer, "two", true), WS_OK);
    assert_int_equal(send_text(&writer, "next"), WS_OK);
    put(&expected, "\x01\x03one\x00\x00\x80\x03two\x81\x04next", 18);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(no_other_message_begins_inside_a_fragmented_one) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    send_part(&writer, "a", false);
    assert_int_equal(send_text(&writer, "b"), WS_ERR_STATE);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, "b", 1, WS_COMPRESS_AUTO), WS_ERR_STATE);
    assert_int_equal(ws_writer_fragment(&writer, WS_OPCODE_BINARY, "b", 1, true, WS_COMPRESS_AUTO), WS_ERR_STATE);
    assert_int_equal(send_part(&writer, "c", true), WS_OK);
    assert_int_equal(ws_writer_fragment(&writer, WS_OPCODE_BINARY, "d", 1, true, WS_COMPRESS_AUTO), WS_OK);
    put(&expected,
        "\x01\x01"
        "a\x80\x01"
        "c\x82\x01"
        "d",
        9);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(control_frames_go_between_fragments) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    send_part(&writer, "a", false);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, "p", 1), WS_OK);
    assert_int_equal(answer(&writer, "q"), WS_OK);
    assert_int_equal(send_part(&writer, "b", true), WS_OK);
    put(&expected,
        "\x01\x01"
        "a\x89\x01p\x8a\x01q\x80\x01"
        "b",
        12);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

/* ---- text ---- */

TEST(bad_text_is_refused_and_nothing_queued) {
    static const char* const texts[] = {"\xff", "ok\xc3", "\xed\xa0\x80", "\xe2\x82"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        ws_writer writer;
        ws_writer_init(&writer, NULL);
        assert_int_equal(send_text(&writer, texts[i]), WS_ERR_UTF8);
        assert_int_equal(writer.total, 0);
        assert_no_output(&writer);
        assert_int_equal(send_text(&writer, "good"), WS_OK);
        ws_writer_free(&writer);
    }
}

TEST(binary_is_not_validated) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, "\xff", 1, WS_COMPRESS_AUTO), WS_OK);
    ws_writer_free(&writer);
}

TEST(a_character_may_lie_across_fragments) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    assert_int_equal(send_part(&writer, "\xf0\x9f", false), WS_OK);
    assert_int_equal(send_part(&writer, "\x98", false), WS_OK);
    assert_int_equal(send_part(&writer, "\x80", true), WS_OK);
    ws_writer_free(&writer);
}

TEST(a_refused_fragment_leaves_the_message_as_it_was) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(send_part(&writer, "\xc3", false), WS_OK);
    assert_int_equal(send_part(&writer, "x", false), WS_ERR_UTF8);
    assert_int_equal(send_part(&writer, "", true), WS_ERR_UTF8);
    assert_int_equal(send_part(&writer, "\xa9", true), WS_OK);
    put(&expected, "\x01\x01\xc3\x80\x01\xa9", 6);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

/* ---- control frames ---- */

TEST(a_control_frame_takes_125_bytes_and_not_126) {
    static const char payload[126];
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, payload, 126), WS_ERR_ARGUMENT);
    assert_no_output(&writer);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PONG, payload, 125), WS_OK);
    put_frame(&expected, FIN | 10, NULL, payload, 125);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(a_close_frame_has_code_and_reason) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_close(&writer, 4001, "because", 7), WS_OK);
    put(&expected,
        "\x88\x09\x0f\xa1"
        "because",
        11);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(the_code_1005_sends_an_empty_close_frame) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_close(&writer, 1005, "no reason without a code", 5), WS_ERR_ARGUMENT);
    assert_int_equal(ws_writer_close(&writer, 1005, NULL, 0), WS_OK);
    put(&expected, "\x88\x00", 2);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(a_code_that_may_not_be_sent_is_refused) {
    static const uint16_t codes[] = {0, 1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535};
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    for (size_t i = 0; i < COUNT(codes); i++) {
        assert_int_equal(ws_writer_close(&writer, codes[i], NULL, 0), WS_ERR_ARGUMENT);
    }
    assert_no_output(&writer);
    assert_int_equal(send_text(&writer, "still open"), WS_OK);
    ws_writer_free(&writer);
}

TEST(a_reason_takes_123_bytes_and_not_124) {
    char reason[124];
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    memset(reason, 'x', sizeof reason);
    assert_int_equal(ws_writer_close(&writer, 1000, reason, 124), WS_ERR_ARGUMENT);
    assert_no_output(&writer);
    assert_int_equal(ws_writer_close(&writer, 1000, reason, 123), WS_OK);
    assert_int_equal(writer.total, 127);
    ws_writer_free(&writer);
}

TEST(a_reason_is_utf8) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_close(&writer, 1000, "\xff", 1), WS_ERR_ARGUMENT);
    assert_int_equal(ws_writer_close(&writer, 1000, "\xc3", 1), WS_ERR_ARGUMENT);
    assert_int_equal(ws_writer_close(&writer, 1000, "\xc3\xa9", 2), WS_OK);
    ws_writer_free(&writer);
}

TEST(nothing_follows_a_close_frame) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_OK);
    assert_int_equal(send_text(&writer, "late"), WS_ERR_STATE);
    assert_int_equal(send_part(&writer, "late", false), WS_ERR_STATE);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, "late", 4), WS_ERR_STATE);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_ERR_STATE);
    assert_int_equal(answer(&writer, "late"), WS_OK);
    put(&expected, "\x88\x02\x03\xe8", 4);
    assert_output(&writer, &expected);
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

TEST(a_close_frame_may_stand_inside_a_fragmented_message) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    send_part(&writer, "a", false);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_OK);
    assert_int_equal(send_part(&writer, "b", true), WS_ERR_STATE);
    ws_writer_free(&writer);
}

/* ---- pongs ---- */

/* Queue one frame of this many bytes, header included. */
static void put_backlog(ws_writer* writer, ws_buf* expected, size_t n) {
    static const uint8_t payload[8192];
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, payload, n - 4, WS_COMPRESS_AUTO), WS_OK);
    put_frame(expected, FIN | 2, NULL, payload, n - 4);
}

TEST(a_ping_is_answered_at_once_while_little_waits) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    put_backlog(&writer, &expected, 4095);
    assert_int_equal(answer(&writer, "one"), WS_OK);
    put_frame(&expected, FIN | 10, NULL, "one", 3);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(behind_a_backlog_only_the_latest_pong_is_kept) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    put_backlog(&writer, &expected, 4096);
    assert_int_equal(answer(&writer, "the first"), WS_OK);
    assert_int_equal(answer(&writer, "second"), WS_OK);
    assert_int_equal(answer(&writer, "last"), WS_OK);
    assert_int_equal(writer.total, 4096);
    assert_output(&writer, &expected);
    put_frame(&expected, FIN | 10, NULL, "last", 4);
    assert_output(&writer, &expected);
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

TEST(a_pong_that_is_held_may_be_empty) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    put_backlog(&writer, &expected, 5000);
    assert_int_equal(answer(&writer, "not this"), WS_OK);
    assert_int_equal(answer(&writer, ""), WS_OK);
    assert_output(&writer, &expected);
    put_frame(&expected, FIN | 10, NULL, "", 0);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(a_pong_that_is_held_takes_125_bytes) {
    char payload[126] = "";
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    memset(payload, 'x', 125);
    put_backlog(&writer, &expected, 5000);
    assert_int_equal(answer(&writer, payload), WS_OK);
    assert_output(&writer, &expected);
    put_frame(&expected, FIN | 10, NULL, payload, 125);
    assert_output(&writer, &expected);
    ws_writer_free(&writer);
}

TEST(no_pong_overtakes_a_later_one) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    put_backlog(&writer, &expected, 5000);
    assert_int_equal(answer(&writer, "earlier"), WS_OK);
    ws_writer_written(&writer, 4000);
    ws_buf_consume(&expected, 4000);
    assert_int_equal(answer(&writer, "later"), WS_OK);
    put_frame(&expected, FIN | 10, NULL, "later", 5);
    assert_output(&writer, &expected);
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

TEST(a_peer_that_pings_and_never_reads_does_not_make_us_grow) {
    ws_writer writer;
    ws_writer_init(&writer, NULL);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(answer(&writer, "0123456789"), WS_OK);
    }
    assert_true(ws_buf_len(&writer.out) < 4096 + 12);
    ws_writer_free(&writer);
}

TEST(a_held_pong_goes_before_the_close_frame) {
    ws_writer writer;
    ws_buf expected = {0};
    ws_writer_init(&writer, NULL);
    put_backlog(&writer, &expected, 5000);
    assert_int_equal(answer(&writer, "held"), WS_OK);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_OK);
    put_frame(&expected, FIN | 10, NULL, "held", 4);
    put_frame(&expected, FIN | 8, NULL, "\x03\xe8", 2);
    assert_output(&writer, &expected);
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

/* ---- no randomness ---- */

TEST(without_randomness_nothing_is_sent) {
    ws_writer writer;
    ws_writer_init(&writer, no_random);
    assert_int_equal(send_text(&writer, "x"), WS_ERR_SYSTEM);
    assert_int_equal(send_part(&writer, "x", false), WS_ERR_SYSTEM);
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, "x", 1), WS_ERR_SYSTEM);
    assert_int_equal(answer(&writer, "x"), WS_ERR_SYSTEM);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_ERR_SYSTEM);
    assert_int_equal(writer.total, 0);
    assert_no_output(&writer);
    ws_writer_free(&writer);
}

TEST(a_failure_of_randomness_changes_no_state) {
    ws_writer writer;
    exhausted = true;
    ws_writer_init(&writer, moody_random);
    assert_int_equal(send_part(&writer, "\xc3", false), WS_ERR_SYSTEM);
    assert_int_equal(ws_writer_close(&writer, 1000, NULL, 0), WS_ERR_SYSTEM);
    exhausted = false;
    assert_int_equal(send_text(&writer, "a whole message, in an open connection"), WS_OK);
    ws_writer_free(&writer);
}

TEST(a_held_pong_waits_for_randomness) {
    static const uint8_t payload[5000];
    ws_writer writer;
    size_t len;
    exhausted = false;
    ws_writer_init(&writer, moody_random);
    ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO);
    assert_int_equal(answer(&writer, "held"), WS_OK);
    ws_writer_output(&writer, &len);
    ws_writer_written(&writer, len);
    exhausted = true;
    assert_no_output(&writer);
    exhausted = false;
    ws_writer_output(&writer, &len);
    assert_int_equal(len, 6 + 4);
    ws_writer_free(&writer);
}

/* ---- told of frames ---- */

typedef struct told {
    size_t frames;
    ws_frame last;
    char payload[WS_FRAME_MAX_CONTROL + 1]; /* of a control frame, else "-" */
} told;

static void note(void* arg, const ws_frame* frame, const uint8_t* payload) {
    told* to = arg;
    to->frames++;
    to->last = *frame;
    strcpy(to->payload, payload ? "" : "-");
    if (payload) strncat(to->payload, (const char*)payload, (size_t)frame->length);
}

TEST(who_wants_to_know_is_told_of_each_frame) {
    ws_writer writer;
    told to = {0};
    ws_writer_init(&writer, test_random);
    writer.hook = (ws_frame_hook){note, &to};
    assert_int_equal(send_part(&writer, "one ", false), WS_OK);
    assert_int_equal(to.last.opcode, WS_OPCODE_TEXT);
    assert_false(to.last.fin);
    assert_string_equal(to.payload, "-");
    assert_int_equal(ws_writer_control(&writer, WS_OPCODE_PING, "there?", 6), WS_OK);
    assert_int_equal(to.last.opcode, WS_OPCODE_PING);
    assert_string_equal(to.payload, "there?");
    assert_int_equal(send_part(&writer, "two", true), WS_OK);
    assert_true(to.last.fin && to.last.opcode == WS_OPCODE_CONTINUATION && to.last.length == 3);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_TEXT, "\xff", 1, WS_COMPRESS_AUTO), WS_ERR_UTF8);
    assert_int_equal(to.frames, 3);
    ws_writer_free(&writer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_sends_the_unmasked_example_of_the_rfc),
        cmocka_unit_test(a_client_sends_the_masked_example_of_the_rfc),
        cmocka_unit_test(every_boundary_of_lengths_in_both_roles),
        cmocka_unit_test(every_frame_has_a_key_of_its_own),
        cmocka_unit_test(output_may_be_taken_in_portions),
        cmocka_unit_test(total_counts_what_was_ever_queued),
        cmocka_unit_test(frames_not_written_yet_may_be_taken_back),
        cmocka_unit_test(a_buffer_of_megabytes_is_given_back_when_all_is_written),
        cmocka_unit_test(a_smaller_one_is_kept_until_nothing_is_sent),
        cmocka_unit_test(fragments_are_a_message_and_its_continuations),
        cmocka_unit_test(no_other_message_begins_inside_a_fragmented_one),
        cmocka_unit_test(control_frames_go_between_fragments),
        cmocka_unit_test(bad_text_is_refused_and_nothing_queued),
        cmocka_unit_test(binary_is_not_validated),
        cmocka_unit_test(a_character_may_lie_across_fragments),
        cmocka_unit_test(a_refused_fragment_leaves_the_message_as_it_was),
        cmocka_unit_test(a_control_frame_takes_125_bytes_and_not_126),
        cmocka_unit_test(a_close_frame_has_code_and_reason),
        cmocka_unit_test(the_code_1005_sends_an_empty_close_frame),
        cmocka_unit_test(a_code_that_may_not_be_sent_is_refused),
        cmocka_unit_test(a_reason_takes_123_bytes_and_not_124),
        cmocka_unit_test(a_reason_is_utf8),
        cmocka_unit_test(nothing_follows_a_close_frame),
        cmocka_unit_test(a_close_frame_may_stand_inside_a_fragmented_message),
        cmocka_unit_test(a_ping_is_answered_at_once_while_little_waits),
        cmocka_unit_test(behind_a_backlog_only_the_latest_pong_is_kept),
        cmocka_unit_test(a_pong_that_is_held_may_be_empty),
        cmocka_unit_test(a_pong_that_is_held_takes_125_bytes),
        cmocka_unit_test(no_pong_overtakes_a_later_one),
        cmocka_unit_test(a_peer_that_pings_and_never_reads_does_not_make_us_grow),
        cmocka_unit_test(a_held_pong_goes_before_the_close_frame),
        cmocka_unit_test(without_randomness_nothing_is_sent),
        cmocka_unit_test(a_failure_of_randomness_changes_no_state),
        cmocka_unit_test(a_held_pong_waits_for_randomness),
        cmocka_unit_test(who_wants_to_know_is_told_of_each_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
