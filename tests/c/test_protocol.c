/* core/protocol: both roles, from the handshake to the close, back to back and against peers that misbehave. */
#include "support.h"

/* ---- two protocols, back to back ---- */

typedef struct ws_pair {
    ws_protocol client, server;
    ws_buf client_events, server_events;
} ws_pair;

static void start_pair(ws_pair* pair) {
    *pair = (ws_pair){0};
    start_client(&pair->client, &wide_limits);
    ws_protocol_init_server(&pair->server, &wide_limits);
}

static void free_pair(ws_pair* pair) {
    ws_protocol_free(&pair->client);
    ws_protocol_free(&pair->server);
    ws_buf_free(&pair->client_events);
    ws_buf_free(&pair->server_events);
}

/* Carry at most `portion` bytes over; false if there was nothing. */
static bool carry(ws_protocol* from, ws_protocol* to, size_t portion, ws_buf* events) {
    size_t len;
    const uint8_t* bytes = ws_writer_output(&from->writer, &len);
    size_t n = len < portion ? len : portion;
    receive(to, bytes, n, events);
    ws_writer_written(&from->writer, n);
    return n > 0;
}

/* Until neither has anything to say. */
static void converse(ws_pair* pair, size_t portion) {
    while (carry(&pair->client, &pair->server, portion, &pair->server_events) |
           carry(&pair->server, &pair->client, portion, &pair->client_events)) {
    }
}

static void assert_text(ws_buf* buf, const char* expected) {
    put(buf, "", 1);
    assert_string_equal((const char*)buf->data, expected);
    ws_buf_free(buf);
}

static void open_pair(ws_pair* pair) {
    start_pair(pair);
    converse(pair, 4096);
    assert_text(&pair->server_events, "REQUEST \n");
    assert_text(&pair->client_events, "OPEN \n");
}

static void say(ws_protocol* protocol, const char* text) {
    assert_int_equal(ws_writer_message(&protocol->writer, WS_OPCODE_TEXT, text, strlen(text), WS_COMPRESS_AUTO), WS_OK);
}

static const size_t portions[] = {1, 2, 3, 7, 4096};

TEST(a_conversation_is_the_same_in_every_portion) {
    static uint8_t big[70000];
    fill_pattern(big, sizeof big, true);
    for (size_t i = 0; i < COUNT(portions); i++) {
        ws_pair pair;
        start_pair(&pair);
        converse(&pair, portions[i]);
        say(&pair.client, "from the client");
        say(&pair.server, "from the server");
        assert_int_equal(ws_writer_control(&pair.client.writer, WS_OPCODE_PING, "p", 1), WS_OK);
        assert_int_equal(ws_writer_fragment(&pair.server.writer, WS_OPCODE_TEXT, "in ", 3, false, WS_COMPRESS_AUTO),
                         WS_OK);
        assert_int_equal(ws_writer_fragment(&pair.server.writer, WS_OPCODE_TEXT, "two", 3, true, WS_COMPRESS_AUTO),
                         WS_OK);
        assert_int_equal(ws_writer_message(&pair.client.writer, WS_OPCODE_BINARY, big, sizeof big, WS_COMPRESS_AUTO),
                         WS_OK);
        converse(&pair, portions[i]);
        assert_int_equal(ws_writer_close(&pair.client.writer, 1000, "bye", 3), WS_OK);
        converse(&pair, portions[i]);
        assert_text(&pair.server_events, "REQUEST \nTEXT from the client\nPING p\n"
                                         "BINARY 70000 bytes, sum 888262c580d0c07d\nCLOSE 1000 bye\n");
        assert_text(&pair.client_events, "OPEN \nTEXT from the server\nTEXT in two\nPONG p\nCLOSE 1000 \n");
        free_pair(&pair);
    }
}

/* ---- the closing handshake ---- */

TEST(a_close_by_the_client_is_answered_with_its_code) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(ws_writer_close(&pair.client.writer, 4321, "why", 3), WS_OK);
    assert_false(ws_protocol_finished(&pair.server));
    converse(&pair, 1);
    assert_text(&pair.server_events, "CLOSE 4321 why\n");
    assert_text(&pair.client_events, "CLOSE 4321 \n");
    assert_true(ws_protocol_finished(&pair.client));
    assert_true(ws_protocol_finished(&pair.server));
    free_pair(&pair);
}

TEST(a_close_by_the_server_is_answered_with_its_code) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(ws_writer_close(&pair.server.writer, 1001, "going", 5), WS_OK);
    converse(&pair, 1);
    assert_text(&pair.client_events, "CLOSE 1001 going\n");
    assert_text(&pair.server_events, "CLOSE 1001 \n");
    assert_true(ws_protocol_finished(&pair.client));
    assert_true(ws_protocol_finished(&pair.server));
    free_pair(&pair);
}

TEST(an_empty_close_is_answered_by_an_empty_one) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(ws_writer_close(&pair.client.writer, 1005, NULL, 0), WS_OK);
    converse(&pair, 4096);
    assert_text(&pair.server_events, "CLOSE 1005 \n");
    assert_text(&pair.client_events, "CLOSE 1005 \n");
    free_pair(&pair);
}

TEST(closes_that_cross_are_not_answered) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(ws_writer_close(&pair.client.writer, 1000, "c", 1), WS_OK);
    assert_int_equal(ws_writer_close(&pair.server.writer, 1001, "s", 1), WS_OK);
    converse(&pair, 4096);
    assert_text(&pair.server_events, "CLOSE 1000 c\n");
    assert_text(&pair.client_events, "CLOSE 1001 s\n");
    free_pair(&pair);
}

TEST(messages_on_their_way_arrive_before_the_close) {
    ws_pair pair;
    open_pair(&pair);
    say(&pair.server, "last words");
    assert_int_equal(ws_writer_close(&pair.client.writer, 1000, NULL, 0), WS_OK);
    converse(&pair, 3);
    assert_text(&pair.client_events, "TEXT last words\nCLOSE 1000 \n");
    free_pair(&pair);
}

/* ---- the opening handshake ---- */

/* Carry everything over and look at no event. */
static void carry_unseen(ws_protocol* from, ws_protocol* to) {
    size_t len, room;
    uint8_t* at;
    const uint8_t* bytes = ws_writer_output(&from->writer, &len);
    assert_int_equal(ws_protocol_prepare(to, &at, &room), WS_OK);
    assert_true(room >= len);
    memcpy(at, bytes, len);
    ws_protocol_commit(to, len);
    ws_writer_written(&from->writer, len);
}

TEST(the_server_chooses_a_subprotocol) {
    ws_pair pair;
    start_pair(&pair);
    carry_unseen(&pair.client, &pair.server);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_REQUEST);
    assert_int_equal(ws_protocol_accept(&pair.server, "v2"), WS_OK);
    converse(&pair, 4096);
    assert_text(&pair.client_events, "OPEN \n");
    assert_int_equal(pair.client.subprotocol, 1);
    free_pair(&pair);
}

TEST(without_a_subprotocol_none_is_chosen) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(pair.client.subprotocol, -1);
    free_pair(&pair);
}

TEST(the_heads_count_into_what_was_queued) {
    ws_pair pair;
    open_pair(&pair);
    assert_int_equal(pair.client.writer.total, ws_buf_len(&pair.server.head));
    assert_int_equal(pair.server.writer.total, ws_buf_len(&pair.client.head));
    free_pair(&pair);
}

TEST(the_heads_are_kept) {
    ws_pair pair;
    open_pair(&pair);
    assert_memory_equal(pair.server.head.data, "GET /chat HTTP/1.1\r\n", 20);
    assert_memory_equal(pair.client.head.data, "HTTP/1.1 101 ", 13);
    free_pair(&pair);
}

TEST(frames_wait_until_the_server_has_accepted) {
    ws_pair pair;
    start_pair(&pair);
    say(&pair.client, "impatient");
    carry_unseen(&pair.client, &pair.server);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_REQUEST);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_NONE);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_OK);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_TEXT);
    free_pair(&pair);
}

TEST(a_refusal_reaches_the_client_with_its_status) {
    ws_pair pair;
    start_pair(&pair);
    carry_unseen(&pair.client, &pair.server);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_REQUEST);
    assert_int_equal(ws_protocol_refuse(&pair.server, 503, "too many connections"), WS_OK);
    assert_true(ws_protocol_finished(&pair.server));
    converse(&pair, 7);
    assert_text(&pair.client_events, "FAILED STATUS\n");
    assert_int_equal(pair.client.error.http_status, 503);
    assert_true(ws_protocol_finished(&pair.client));
    free_pair(&pair);
}

TEST(a_server_accepts_or_refuses_once_and_at_its_time) {
    ws_pair pair;
    start_pair(&pair);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_ERR_STATE);
    carry_unseen(&pair.client, &pair.server);
    ws_protocol_next(&pair.server);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_OK);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_ERR_STATE);
    assert_int_equal(ws_protocol_refuse(&pair.server, 503, ""), WS_ERR_STATE);
    assert_int_equal(ws_protocol_refuse(&pair.client, 503, ""), WS_ERR_STATE);
    free_pair(&pair);
}

TEST(a_refused_client_is_refused_once) {
    ws_pair pair;
    start_pair(&pair);
    carry_unseen(&pair.client, &pair.server);
    ws_protocol_next(&pair.server);
    assert_int_equal(ws_protocol_refuse(&pair.server, 503, ""), WS_OK);
    assert_int_equal(ws_protocol_refuse(&pair.server, 503, ""), WS_ERR_STATE);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_ERR_STATE);
    free_pair(&pair);
}

TEST(a_request_that_may_not_be_written_is_not) {
    static const wsHeader headers[] = {{"X", "a\r\nb"}};
    ws_protocol client;
    size_t len;
    ws_protocol_init_client(&client, &wide_limits, test_random);
    assert_int_equal(ws_protocol_start(&client, &(ws_request){.headers = headers, .header_count = 1}), WS_ERR_ARGUMENT);
    ws_writer_output(&client.writer, &len);
    assert_int_equal(len, 0);
    ws_protocol_free(&client);
}

TEST(without_randomness_there_is_no_request) {
    ws_protocol client;
    size_t len;
    ws_protocol_init_client(&client, &wide_limits, no_random);
    assert_int_equal(ws_protocol_start(&client, &(ws_request){0}), WS_ERR_SYSTEM);
    assert_int_equal(client.error.code, WS_ERR_SYSTEM);
    ws_writer_output(&client.writer, &len);
    assert_int_equal(len, 0);
    ws_protocol_free(&client);
}

/* ---- failures of an open connection ---- */

typedef struct failure {
    const char* bytes; /* from a server */
    size_t size;
    const char* code; /* in the close frame that answers */
    const char* reason;
} failure;

#define FAILURE(bytes, code, reason)                                                                                   \
    { bytes, sizeof(bytes) - 1, code, reason }

static const failure failures[] = {
    FAILURE("\x83\x00", "\x03\xea", "peer broke the protocol: a frame with a reserved opcode"),
    FAILURE("\x81\x80\0\0\0\0", "\x03\xea", "peer broke the protocol: a masked frame from a server"),
    FAILURE("\x81\x01\xff", "\x03\xef", "a text message is not valid UTF-8"),
    FAILURE("\x82\x65", "\x03\xf1", "a message of at least 101 bytes is over max_size, 100 bytes"),
    FAILURE("\x02\x00\x00\x00\x00\x00", "\x03\xf1", "a message of more than max_fragments, 2 frames"),
    FAILURE("\x88\x02\x03\xed", "\x03\xea", "peer broke the protocol: a close frame with a code that may not be sent"),
};

TEST(a_failure_is_answered_by_a_close_frame_with_its_code) {
    static const ws_limits limits = {.max_size = 100, .max_fragments = 2, .max_head = 100};
    for (size_t i = 0; i < COUNT(failures); i++) {
        ws_protocol client;
        ws_buf events = {0}, payload = {0}, expected = {0};
        size_t len;
        init_open(&client, false, &limits);
        receive(&client, failures[i].bytes, failures[i].size, &events);
        assert_true(ws_protocol_finished(&client));
        put(&payload, failures[i].code, 2);
        put_text(&payload, failures[i].reason);
        put_frame(&expected, FIN | 8, test_key, payload.data, ws_buf_len(&payload));
        const uint8_t* bytes = ws_writer_output(&client.writer, &len);
        assert_int_equal(len, ws_buf_len(&expected));
        assert_memory_equal(bytes, expected.data, len);
        ws_buf_free(&events);
        ws_buf_free(&payload);
        ws_buf_free(&expected);
        ws_protocol_free(&client);
    }
}

TEST(a_failure_after_our_close_writes_nothing_more) {
    ws_protocol server;
    ws_buf events = {0};
    init_open(&server, true, &wide_limits);
    assert_int_equal(ws_writer_close(&server.writer, 1000, NULL, 0), WS_OK);
    receive(&server, "\x81\x01x", 3, &events);
    assert_text(&events, "FAILED 1002 PROTOCOL\n");
    assert_int_equal(server.writer.total, 4);
    ws_protocol_free(&server);
}

TEST(after_a_failure_nothing_is_read) {
    ws_protocol server;
    ws_buf input = {0}, events = {0};
    init_open(&server, true, &wide_limits);
    put(&input, "\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 14);
    add_text(&input, SERVER, FIN | 1, "never seen");
    replay(&server, &input, (ws_cut){.rest = 20}, &events);
    assert_text(&events, "FAILED 1002 PROTOCOL\n");
    ws_protocol_free(&server);
    ws_buf_free(&input);
}

TEST(a_reason_that_does_not_fit_is_replaced_by_the_tables) {
    for (int n = 123; n <= 124; n++) {
        ws_protocol client;
        init_open(&client, false, &wide_limits);
        ws_error_set(&client.error, WS_ERR_UTF8, "%0*d", n, 0);
        if (n == 123) assert_int_equal(strlen(ws_protocol_failure_reason(&client)), 123);
        if (n == 124) assert_string_equal(ws_protocol_failure_reason(&client), wsErrorString(WS_ERR_UTF8));
        ws_protocol_free(&client);
    }
}

TEST(a_ping_is_answered_by_a_pong_with_its_payload) {
    ws_protocol server;
    ws_buf input = {0}, events = {0};
    size_t len;
    init_open(&server, true, &wide_limits);
    add_text(&input, SERVER, FIN | 9, "payload");
    replay(&server, &input, (ws_cut){.rest = 1}, &events);
    const uint8_t* bytes = ws_writer_output(&server.writer, &len);
    assert_int_equal(len, 9);
    assert_memory_equal(bytes, "\x8a\x07payload", 9);
    ws_buf_free(&input);
    ws_buf_free(&events);
    ws_protocol_free(&server);
}

TEST(messages_and_pongs_are_answered_by_nothing) {
    ws_protocol server;
    ws_buf input = {0}, events = {0};
    init_open(&server, true, &wide_limits);
    add_text(&input, SERVER, FIN | 1, "text");
    add_text(&input, SERVER, FIN | 2, "binary");
    add_text(&input, SERVER, FIN | 10, "pong");
    replay(&server, &input, (ws_cut){0}, &events);
    assert_int_equal(server.writer.total, 0);
    ws_buf_free(&input);
    ws_buf_free(&events);
    ws_protocol_free(&server);
}

/* ---- the stream ends ---- */

/* End the stream of a protocol that has read this; the event must be a failure with this error, answered in silence. */
static void assert_end(ws_protocol* protocol, const char* bytes, size_t n, int32_t error) {
    ws_buf events = {0};
    receive(protocol, bytes, n, &events);
    uint64_t total = protocol->writer.total;
    ws_event event = ws_protocol_end(protocol);
    assert_int_equal(event.type, WS_PROTOCOL_FAILED);
    assert_int_equal(event.code, 0);
    assert_int_equal(protocol->error.code, error);
    assert_true(ws_protocol_finished(protocol));
    assert_int_equal(ws_protocol_next(protocol).type, WS_PROTOCOL_NONE);
    assert_int_equal(ws_protocol_end(protocol).type, WS_PROTOCOL_NONE);
    assert_int_equal(ws_protocol_reply(protocol, &event), WS_OK);
    if (error == WS_ERR_LOST || !protocol->server) assert_int_equal(protocol->writer.total, total);
    ws_buf_free(&events);
    ws_protocol_free(protocol);
}

TEST(a_stream_that_ends_during_the_handshake_is_a_failure) {
    static const char* const answers[] = {"", "HTTP", "HTTP/1.1 101 x\r\nUpgr"};
    static const char* const requests[] = {"", "GET", "GET / HTTP/1.1\r\nHo"};
    for (size_t i = 0; i < 3; i++) {
        ws_protocol client, server;
        start_client(&client, &wide_limits);
        assert_end(&client, answers[i], strlen(answers[i]), WS_ERR_HTTP);
        ws_protocol_init_server(&server, &wide_limits);
        assert_end(&server, requests[i], strlen(requests[i]), WS_ERR_HTTP);
    }
}

TEST(a_stream_that_ends_before_the_server_accepts_is_a_failure) {
    ws_pair pair;
    start_pair(&pair);
    carry_unseen(&pair.client, &pair.server);
    assert_int_equal(ws_protocol_next(&pair.server).type, WS_PROTOCOL_REQUEST);
    assert_int_equal(ws_protocol_end(&pair.server).type, WS_PROTOCOL_FAILED);
    assert_int_equal(ws_protocol_accept(&pair.server, NULL), WS_ERR_STATE);
    free_pair(&pair);
}

TEST(a_stream_that_ends_without_a_close_is_lost) {
    static const char* const beginnings[] = {"",           "\x81", "\x81\x05",    "\x81\x05Hel", "\x81\x05Hello",
                                             "\x01\x02he", "\x88", "\x88\x02\x03"};
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        ws_protocol client;
        init_open(&client, false, &wide_limits);
        assert_end(&client, beginnings[i], strlen(beginnings[i]), WS_ERR_LOST);
    }
}

TEST(a_stream_that_ends_after_our_close_without_theirs_is_lost) {
    ws_protocol client;
    init_open(&client, false, &wide_limits);
    assert_int_equal(ws_writer_close(&client.writer, 1000, NULL, 0), WS_OK);
    assert_end(&client, "", 0, WS_ERR_LOST);
}

TEST(a_stream_that_ends_after_their_close_is_fine) {
    ws_protocol client;
    ws_buf events = {0};
    init_open(&client, false, &wide_limits);
    receive(&client, "\x88\x00", 2, &events);
    assert_int_equal(ws_protocol_end(&client).type, WS_PROTOCOL_NONE);
    assert_int_equal(client.error.code, WS_OK);
    ws_buf_free(&events);
    ws_protocol_free(&client);
}

TEST(a_stream_that_ends_after_a_failure_leaves_it_as_it_is) {
    ws_protocol client;
    ws_buf events = {0};
    init_open(&client, false, &wide_limits);
    receive(&client, "\xff\x00", 2, &events);
    assert_int_equal(ws_protocol_end(&client).type, WS_PROTOCOL_NONE);
    assert_int_equal(client.error.code, WS_ERR_PROTOCOL);
    ws_buf_free(&events);
    ws_protocol_free(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_is_the_same_in_every_portion),
        cmocka_unit_test(a_close_by_the_client_is_answered_with_its_code),
        cmocka_unit_test(a_close_by_the_server_is_answered_with_its_code),
        cmocka_unit_test(an_empty_close_is_answered_by_an_empty_one),
        cmocka_unit_test(closes_that_cross_are_not_answered),
        cmocka_unit_test(messages_on_their_way_arrive_before_the_close),
        cmocka_unit_test(the_server_chooses_a_subprotocol),
        cmocka_unit_test(without_a_subprotocol_none_is_chosen),
        cmocka_unit_test(the_heads_count_into_what_was_queued),
        cmocka_unit_test(the_heads_are_kept),
        cmocka_unit_test(frames_wait_until_the_server_has_accepted),
        cmocka_unit_test(a_refusal_reaches_the_client_with_its_status),
        cmocka_unit_test(a_server_accepts_or_refuses_once_and_at_its_time),
        cmocka_unit_test(a_refused_client_is_refused_once),
        cmocka_unit_test(a_request_that_may_not_be_written_is_not),
        cmocka_unit_test(without_randomness_there_is_no_request),
        cmocka_unit_test(a_failure_is_answered_by_a_close_frame_with_its_code),
        cmocka_unit_test(a_failure_after_our_close_writes_nothing_more),
        cmocka_unit_test(after_a_failure_nothing_is_read),
        cmocka_unit_test(a_reason_that_does_not_fit_is_replaced_by_the_tables),
        cmocka_unit_test(a_ping_is_answered_by_a_pong_with_its_payload),
        cmocka_unit_test(messages_and_pongs_are_answered_by_nothing),
        cmocka_unit_test(a_stream_that_ends_during_the_handshake_is_a_failure),
        cmocka_unit_test(a_stream_that_ends_before_the_server_accepts_is_a_failure),
        cmocka_unit_test(a_stream_that_ends_without_a_close_is_lost),
        cmocka_unit_test(a_stream_that_ends_after_our_close_without_theirs_is_lost),
        cmocka_unit_test(a_stream_that_ends_after_their_close_is_fine),
        cmocka_unit_test(a_stream_that_ends_after_a_failure_leaves_it_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
