/* core/protocol: the handshake against peers that send anything, in any pieces. */
#include "support.h"

#include <stdlib.h>

#define KEY "N/ohPTf6IT03+iE9N/ohPQ==" /* what test_random gives */
#define REQUEST                                                                                                        \
    "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"      \
    "Sec-WebSocket-Key: " KEY "\r\n"

/* What a new server makes of the input in pieces of this kind, with what it writes behind a line "> ". */
static char* server_events(const ws_limits* limits, const ws_buf* input, ws_cut cut) {
    ws_protocol server;
    ws_buf events = {0};
    size_t len;
    ws_protocol_init_server(&server, limits);
    replay(&server, input, cut, &events);
    const uint8_t* bytes = ws_writer_output(&server.writer, &len);
    put_text(&events, "> ");
    put(&events, bytes, len);
    put(&events, "", 1);
    ws_protocol_free(&server);
    return (char*)events.data;
}

/* The same for a client that has sent its request. */
static char* client_events(const ws_limits* limits, const ws_buf* input, ws_cut cut) {
    ws_protocol client;
    ws_buf events = {0};
    size_t len;
    start_client(&client, limits);
    ws_writer_output(&client.writer, &len);
    ws_writer_written(&client.writer, len);
    replay(&client, input, cut, &events);
    const uint8_t* bytes = ws_writer_output(&client.writer, &len);
    put_text(&events, "> ");
    put(&events, bytes, len);
    put(&events, "", 1);
    ws_protocol_free(&client);
    return (char*)events.data;
}

/* The events must begin like this. */
static void assert_server(const char* text, const char* expected) {
    ws_buf input = {0};
    put_text(&input, text);
    char* events = server_events(&wide_limits, &input, (ws_cut){0});
    if (strncmp(events, expected, strlen(expected)) != 0) fail_msg("%s: %s", text, events);
    free(events);
    ws_buf_free(&input);
}

static void assert_client(const char* text, const char* expected) {
    ws_buf input = {0};
    put_text(&input, text);
    char* events = client_events(&wide_limits, &input, (ws_cut){0});
    if (strcmp(events, expected) != 0) fail_msg("%s: %s", text, events);
    free(events);
    ws_buf_free(&input);
}

TEST(a_bad_request_is_refused_over_http) {
    assert_server("POST / HTTP/1.1\r\n\r\n", "FAILED HTTP\n> HTTP/1.1 405 Method Not Allowed\r\n");
    assert_server("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "FAILED UPGRADE\n> HTTP/1.1 426 Upgrade Required\r\n");
    assert_server("GET / HTTP/1.1\r\n\r\n", "FAILED HEADER\n> HTTP/1.1 400 Bad Request\r\n");
    assert_server("GET / HTTP/1.0\r\n\r\n", "FAILED HTTP\n> HTTP/1.1 400 Bad Request\r\n");
    assert_server(REQUEST "X : y\r\n\r\n", "FAILED HTTP\n> HTTP/1.1 400 Bad Request\r\n");
}

TEST(a_client_that_does_not_speak_http_is_noticed_at_once) {
    assert_server("\x16\x03\x01", "FAILED HTTP\n> HTTP/1.1 400 ");
    assert_server("{", "FAILED HTTP\n> HTTP/1.1 400 ");
    assert_server("\r", "FAILED HTTP\n> HTTP/1.1 400 ");
    assert_server("GE", "> ");
}

TEST(a_server_that_does_not_speak_http_is_noticed_at_once) {
    assert_client("S", "FAILED HTTP\n> ");
    assert_client("HTTP/1.0", "FAILED HTTP\n> ");
    assert_client("HTTP/2", "FAILED HTTP\n> ");
    assert_client("HTTP/1.1 ", "> ");
}

TEST(a_client_refuses_bad_answers_and_writes_nothing) {
    assert_client("HTTP/1.1 abc\r\n\r\n", "FAILED HTTP\n> ");
    assert_client("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "FAILED STATUS\n> ");
    assert_client("HTTP/1.1 101 x\r\n\r\n", "FAILED UPGRADE\n> ");
    assert_client("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                  "FAILED ACCEPT\n> ");
    assert_client("HTTP/1.1 101 x\r\nX: y\r\n folded\r\n\r\n", "FAILED HTTP\n> ");
}

/* The request, padded to n bytes. */
static void put_request(ws_buf* input, size_t n) {
    put_text(input, REQUEST "X: ");
    while (ws_buf_len(input) + 4 < n) {
        put_text(input, "x");
    }
    put_text(input, "\r\n\r\n");
    assert_int_equal(ws_buf_len(input), n);
}

static const ws_limits small_head = {.max_size = 100, .max_fragments = 10, .max_head = 1000};

TEST(a_head_of_max_head_bytes_is_taken_and_one_byte_more_is_not) {
    for (size_t rest = 0; rest < 2; rest++) {
        ws_buf good = {0}, bad = {0};
        put_request(&good, 1000);
        char* events = server_events(&small_head, &good, (ws_cut){.rest = rest});
        assert_memory_equal(events, "REQUEST \n> HTTP/1.1 101 ", 24);
        free(events);
        put_request(&bad, 1001);
        events = server_events(&small_head, &bad, (ws_cut){.rest = rest});
        assert_memory_equal(events, "FAILED HEAD_TOO_BIG\n> HTTP/1.1 431 ", 35);
        free(events);
        ws_buf_free(&good);
        ws_buf_free(&bad);
    }
}

TEST(an_endless_head_is_given_up_after_max_head_bytes) {
    ws_buf input = {0};
    put_request(&input, 1100);
    input.end = 1000;
    char* events = server_events(&small_head, &input, (ws_cut){.rest = 1});
    assert_string_equal(events, "> ");
    free(events);
    input.end = 1001;
    events = server_events(&small_head, &input, (ws_cut){.rest = 1});
    assert_memory_equal(events, "FAILED HEAD_TOO_BIG\n", 20);
    free(events);
    ws_buf_free(&input);
}

TEST(what_follows_a_head_does_not_count_into_it) {
    ws_buf input = {0};
    put_request(&input, 1000);
    add_text(&input, SERVER, FIN | 1, "at once");
    char* events = server_events(&small_head, &input, (ws_cut){0});
    assert_memory_equal(events, "REQUEST \nTEXT at once\n", 22);
    free(events);
    ws_buf_free(&input);
}

/* Whatever the pieces: the same events, the same bytes written. */
static void assert_cut_does_not_matter(bool server, const ws_buf* input) {
    char* (*make)(const ws_limits*, const ws_buf*, ws_cut) = server ? server_events : client_events;
    char* expected = make(&wide_limits, input, (ws_cut){0});
    assert_non_null(strstr(expected, server ? "REQUEST \nTEXT one\nPING two\nCLOSE 1000 three\n> "
                                            : "OPEN \nTEXT one\nPING two\nCLOSE 1000 three\n> "));
    for (size_t i = 1; i < ws_buf_len(input) * 2; i++) {
        size_t n = i / 2 + 1;
        ws_cut cut = i % 2 ? (ws_cut){.first = n} : (ws_cut){.rest = n};
        char* events = make(&wide_limits, input, cut);
        if (strcmp(events, expected) != 0) fail_msg("first %zu, rest %zu: %s", cut.first, cut.rest, events);
        free(events);
    }
    for (uint32_t seed = 1; seed <= 300; seed++) {
        char* events = make(&wide_limits, input, (ws_cut){.seed = seed});
        if (strcmp(events, expected) != 0) fail_msg("seed %u: %s", (unsigned)seed, events);
        free(events);
    }
    free(expected);
}

static void put_frames(ws_buf* input, ws_role role) {
    add_text(input, role, FIN | 1, "one");
    add_text(input, role, FIN | 9, "two");
    add_text(input, role, FIN | 8, "\x03\xe8three");
}

TEST(a_server_is_the_same_however_head_and_frames_are_cut) {
    ws_buf input = {0};
    put_text(&input, REQUEST "\r\n");
    put_frames(&input, SERVER);
    assert_cut_does_not_matter(true, &input);
    ws_buf_free(&input);
}

TEST(a_client_is_the_same_however_head_and_frames_are_cut) {
    ws_buf input = {0};
    ws_slice key = {KEY, WS_KEY_SIZE};
    assert_int_equal(ws_handshake_write_response(key, NULL, NULL, &input), WS_OK);
    put_frames(&input, CLIENT);
    assert_cut_does_not_matter(false, &input);
    ws_buf_free(&input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_request_is_refused_over_http),
        cmocka_unit_test(a_client_that_does_not_speak_http_is_noticed_at_once),
        cmocka_unit_test(a_server_that_does_not_speak_http_is_noticed_at_once),
        cmocka_unit_test(a_client_refuses_bad_answers_and_writes_nothing),
        cmocka_unit_test(a_head_of_max_head_bytes_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(an_endless_head_is_given_up_after_max_head_bytes),
        cmocka_unit_test(what_follows_a_head_does_not_count_into_it),
        cmocka_unit_test(a_server_is_the_same_however_head_and_frames_are_cut),
        cmocka_unit_test(a_client_is_the_same_however_head_and_frames_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
