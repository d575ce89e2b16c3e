/* core/protocol: a client whose upgrade is refused, redirected, or answered with interim responses first. */
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

#define KEY "N/ohPTf6IT03+iE9N/ohPQ==" /* what test_random gives */

/* What a client makes of the input: events, "end" if it takes ws_protocol_end to make FAILED, and what it kept. */
static char* story(const ws_limits* limits, const ws_buf* input, ws_cut cut) {
    ws_protocol client;
    ws_buf events = {0};
    char status[16];
    start_client(&client, limits);
    replay(&client, input, cut, &events);
    if (client.phase == WS_PHASE_BODY) {
        assert_false(ws_protocol_finished(&client));
        assert_int_equal(ws_protocol_end(&client).type, WS_PROTOCOL_FAILED);
        put_text(&events, "END ");
        put_text(&events, wsErrorName(client.error.code));
        put_text(&events, "\n");
    }
    assert_int_equal(ws_protocol_end(&client).type == WS_PROTOCOL_NONE, client.phase == WS_PHASE_FAILED);
    assert_int_equal(ws_protocol_next(&client).type, WS_PROTOCOL_NONE);
    snprintf(status, sizeof status, "%d ", client.error.http_status);
    put_text(&events, status);
    size_t line = ws_buf_len(&client.head) ? strcspn((const char*)ws_buf_head(&client.head), "\r") : 0;
    put(&events, ws_buf_head(&client.head), line);
    put_text(&events, "|");
    put(&events, ws_buf_head(&client.body), ws_buf_len(&client.body));
    put(&events, "", 1);
    ws_protocol_free(&client);
    return (char*)events.data;
}

static void assert_story(const ws_limits* limits, const ws_buf* input, ws_cut cut, const char* expected) {
    char* events = story(limits, input, cut);
    if (strcmp(events, expected) != 0) {
        fail_msg("%.*s: cut %zu %zu: %s", (int)ws_buf_len(input), input->data, cut.first, cut.rest, events);
    }
    free(events);
}

/* At once, byte by byte, and cut at every place. */
static void check(const ws_limits* limits, const char* text, const char* expected) {
    ws_buf input = {0};
    put_text(&input, text);
    assert_story(limits, &input, (ws_cut){0}, expected);
    for (size_t i = 1; i <= ws_buf_len(&input); i++) {
        assert_story(limits, &input, (ws_cut){.first = i}, expected);
        assert_story(limits, &input, (ws_cut){.rest = i}, expected);
    }
    ws_buf_free(&input);
}

typedef struct row {
    const char *text, *expected;
} row;

static const row refusals[] = {
    {"HTTP/1.1 404 N\r\nContent-Length: 5\r\n\r\nhello", "FAILED STATUS\n404 HTTP/1.1 404 N|hello"},
    {"HTTP/1.1 404 N\r\nContent-Length: 5\r\n\r\nhello, world", "FAILED STATUS\n404 HTTP/1.1 404 N|hello"},
    {"HTTP/1.1 404 N\r\nContent-Length: 5\r\n\r\nhel", "END STATUS\n404 HTTP/1.1 404 N|hel"},
    {"HTTP/1.1 404 N\r\nContent-Length: 5\r\n\r\n", "END STATUS\n404 HTTP/1.1 404 N|"},
    {"HTTP/1.1 200 OK\r\n\r\nhello", "END STATUS\n200 HTTP/1.1 200 OK|hello"},
    {"HTTP/1.1 503 S\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
     "FAILED STATUS\n503 HTTP/1.1 503 S|hello!"},
    {"HTTP/1.1 503 S\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n?", "FAILED STATUS\n503 HTTP/1.1 503 S|hello"},
    /* without a body */
    {"HTTP/1.1 403 F\r\nContent-Length: 0\r\n\r\n", "FAILED STATUS\n403 HTTP/1.1 403 F|"},
    {"HTTP/1.1 204 N\r\n\r\n", "FAILED STATUS\n204 HTTP/1.1 204 N|"},
    {"HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", "FAILED STATUS\n304 HTTP/1.1 304 N|"},
    {"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 5\r\n\r\n", "FAILED STATUS\n302 HTTP/1.1 302 F|"},
    {"HTTP/1.1 308 P\r\nLocation: /x\r\nLocation: /y\r\n\r\nhello", "FAILED STATUS\n308 HTTP/1.1 308 P|"},
    /* no redirects */
    {"HTTP/1.1 302 F\r\nContent-Length: 5\r\n\r\nhello", "FAILED STATUS\n302 HTTP/1.1 302 F|hello"},
    {"HTTP/1.1 201 C\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nhello", "FAILED STATUS\n201 HTTP/1.1 201 C|hello"},
    /* a 101 that is wrong has no body either */
    {"HTTP/1.1 101 S\r\nContent-Length: 5\r\n\r\nhello", "FAILED UPGRADE\n0 HTTP/1.1 101 S|"},
};

TEST(a_refusal_is_told_when_its_body_is_there) {
    for (size_t i = 0; i < COUNT(refusals); i++) {
        check(&wide_limits, refusals[i].text, refusals[i].expected);
    }
}

TEST(a_long_body_is_cut_and_not_waited_for) {
    ws_buf input = {0}, expected = {0};
    static uint8_t letters[200000];
    fill_pattern(letters, sizeof letters, true);
    put_text(&input, "HTTP/1.1 500 I\r\n\r\n");
    put(&input, letters, sizeof letters);
    put_text(&expected, "FAILED STATUS\n500 HTTP/1.1 500 I|");
    put(&expected, letters, WS_BODY_MAX);
    put(&expected, "", 1);
    for (size_t rest = 0; rest < 20000; rest = rest * 3 + 1) {
        assert_story(&wide_limits, &input, (ws_cut){.rest = rest}, (const char*)expected.data);
    }
    ws_buf_free(&input);
    ws_buf_free(&expected);
}

#define HINTS "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

TEST(interim_responses_are_skipped) {
    static const row rows[] = {
        {HINTS CONTINUE "HTTP/1.1 404 N\r\nContent-Length: 2\r\n\r\nok", "FAILED STATUS\n404 HTTP/1.1 404 N|ok"},
        {"HTTP/1.1 102 P\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 N\r\n\r\n", "FAILED STATUS\n204 HTTP/1.1 204 N|"},
        {HINTS "SSH", "FAILED HTTP\n0 |"},
        {HINTS "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "FAILED HTTP\n0 HTTP/1.1 200 OK|"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(&wide_limits, rows[i].text, rows[i].expected);
    }
}

TEST(behind_interim_responses_a_connection_opens) {
    ws_buf input = {0};
    put_text(&input, CONTINUE HINTS);
    assert_int_equal(ws_handshake_write_response((ws_slice){KEY, WS_KEY_SIZE}, NULL, NULL, &input), WS_OK);
    add_text(&input, CLIENT, FIN | 1, "one");
    for (size_t i = 0; i <= ws_buf_len(&input); i++) {
        ws_protocol client;
        ws_buf events = {0};
        start_client(&client, &wide_limits);
        replay(&client, &input, i ? (ws_cut){.first = i} : (ws_cut){.rest = 1}, &events);
        put(&events, "", 1);
        assert_string_equal((const char*)events.data, "OPEN \nTEXT one\n");
        assert_memory_equal(ws_buf_head(&client.head), "HTTP/1.1 101 ", 13);
        ws_buf_free(&events);
        ws_protocol_free(&client);
    }
    ws_buf_free(&input);
}

TEST(interim_responses_count_into_max_head) {
    ws_limits limits = wide_limits;
    static const char text[] = HINTS CONTINUE "HTTP/1.1 204 N\r\n\r\n";
    limits.max_head = sizeof text - 1;
    check(&limits, text, "FAILED STATUS\n204 HTTP/1.1 204 N|");
    limits.max_head--;
    check(&limits, text, "FAILED HEAD_TOO_BIG\n0 |");
}

TEST(endless_interim_responses_are_given_up) {
    ws_buf input = {0};
    while (ws_buf_len(&input) < 100000) {
        put_text(&input, CONTINUE);
    }
    assert_story(&wide_limits, &input, (ws_cut){0}, "FAILED HEAD_TOO_BIG\n0 |");
    assert_story(&wide_limits, &input, (ws_cut){.rest = 1}, "FAILED HEAD_TOO_BIG\n0 |");
    ws_buf_free(&input);
}

/* ---- the wrong protocol ---- */

static void assert_text(const char* bytes, size_t n, const char* expected) {
    ws_protocol client;
    ws_buf events = {0};
    start_client(&client, &wide_limits);
    receive(&client, bytes, n, &events);
    assert_int_equal(client.error.code, WS_ERR_HTTP);
    assert_string_equal(ws_error_text(&client.error), expected);
    ws_buf_free(&events);
    ws_protocol_free(&client);
}

TEST(a_server_that_speaks_tls_is_told_apart) {
    static const char alert[] = "\x15\x03\x01\x00\x02\x02\x46", hello[] = "\x16\x03\x03\x00\x7a";
    for (size_t n = 1; n < sizeof alert; n++) {
        assert_text(alert, n, "the peer speaks TLS there: use wss://");
    }
    assert_text(hello, sizeof hello - 1, "the peer speaks TLS there: use wss://");
    assert_text("\x14\x03\x01", 3, "the peer does not speak HTTP/1.1");
    assert_text("\x17\x03\x01", 3, "the peer does not speak HTTP/1.1");
    assert_text("SSH-2.0", 7, "the peer does not speak HTTP/1.1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_told_when_its_body_is_there),
        cmocka_unit_test(a_long_body_is_cut_and_not_waited_for),
        cmocka_unit_test(interim_responses_are_skipped),
        cmocka_unit_test(behind_interim_responses_a_connection_opens),
        cmocka_unit_test(interim_responses_count_into_max_head),
        cmocka_unit_test(endless_interim_responses_are_given_up),
        cmocka_unit_test(a_server_that_speaks_tls_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
