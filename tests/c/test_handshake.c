/* core/handshake: what both sides write, and every way an answer or a request can be wrong. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static ws_http_head head;

/* ---- keys ---- */

TEST(the_accept_value_of_the_rfc) {
    char accept[WS_ACCEPT_SIZE + 1];
    ws_handshake_accept(accept, KEY, WS_KEY_SIZE);
    assert_string_equal(accept, ACCEPT);
}

TEST(a_key_is_the_base64_of_its_bytes) {
    char key[WS_KEY_SIZE + 1];
    ws_handshake_key(key, (const uint8_t*)"the sample nonce");
    assert_string_equal(key, KEY);
}

TEST(every_byte_of_a_key_counts) {
    char key[] = KEY, accept[WS_ACCEPT_SIZE + 1];
    for (size_t i = 0; i < WS_KEY_SIZE; i++) {
        key[i] ^= 1;
        ws_handshake_accept(accept, key, WS_KEY_SIZE);
        assert_string_not_equal(accept, ACCEPT);
        key[i] ^= 1;
    }
}

/* ---- the client's request ---- */

static void assert_request(const char* url_text, ws_request request, const char* expected) {
    ws_url url;
    ws_error error = {0};
    ws_buf out = {0};
    assert_int_equal(ws_url_parse(&url, url_text, &error), WS_OK);
    request.url = &url;
    assert_int_equal(ws_handshake_check_request(&request, &error), WS_OK);
    assert_int_equal(ws_handshake_write_request(&request, KEY, &out), WS_OK);
    put(&out, "", 1);
    assert_string_equal((const char*)out.data, expected);
    ws_buf_free(&out);
    ws_url_free(&url);
}

TEST(the_smallest_request) {
    assert_request("ws://example.com/chat?x=1", (ws_request){0},
                   "GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
}

TEST(a_header_of_the_callers_takes_the_place_of_ours) {
    static const wsHeader headers[] = {{"user-agent", "mine"}, {"ORIGIN", "http://mine"}};
    ws_request request = {.headers = headers, .header_count = 2, .user_agent = "ours", .origin = "http://ours"};
    assert_request("ws://h/", request,
                   "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
                   "\r\nuser-agent: mine\r\nORIGIN: http://mine\r\n\r\n");
}

TEST(a_request_with_everything) {
    static const wsHeader headers[] = {{"Authorization", "Bearer x"}, {"X-Empty", ""}};
    static const char* const subprotocols[] = {"chat.v2", "chat"};
    ws_request request = {.headers = headers,
                          .header_count = 2,
                          .origin = "http://site",
                          .subprotocols = subprotocols,
                          .subprotocol_count = 2,
                          .user_agent = "test/1"};
    assert_request("ws://[::1]:81", request,
                   "GET / HTTP/1.1\r\nHost: [::1]:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nOrigin: http://site\r\n"
                   "User-Agent: test/1\r\nSec-WebSocket-Protocol: chat.v2, chat\r\nAuthorization: Bearer x\r\n"
                   "X-Empty: \r\n\r\n");
}

TEST(an_empty_user_agent_writes_no_header) {
    assert_request("ws://h", (ws_request){.user_agent = ""},
                   "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
}

/* ---- credentials ---- */

#define HEAD                                                                                                           \
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"          \
    "Sec-WebSocket-Key: " KEY "\r\n"

TEST(user_and_password_of_the_url_are_sent) {
    static const char* const rows[][2] = {
        {"ws://Aladdin:open%20sesame@h", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 2 */
        {"ws://test:123%C2%A3@h", "dGVzdDoxMjPCow=="},                    /* RFC 7617 2.1 */
        {"ws://user@h", "dXNlcjo="},
        {"ws://:x@h", "Ong="},
        {"ws://u:a:b@h", "dTphOmI="},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        ws_buf expected = {0};
        put_text(&expected, HEAD "Authorization: Basic ");
        put_text(&expected, rows[i][1]);
        put(&expected, "\r\n\r\n", 5);
        assert_request(rows[i][0], (ws_request){0}, (const char*)expected.data);
        ws_buf_free(&expected);
    }
}

TEST(a_long_password_is_sent_whole) {
    static char text[3100];
    memcpy(text, "ws://:", 6);
    memset(text + 6, 'x', 3002); /* with the colon 3003 bytes, a thousand times "xxx" behind ":xx" */
    memcpy(text + 3008, "@h", 3);
    ws_buf expected = {0};
    put_text(&expected, HEAD "Authorization: Basic Onh4");
    for (int i = 0; i < 1000; i++) {
        put_text(&expected, "eHh4");
    }
    put(&expected, "\r\n\r\n", 5);
    assert_request(text, (ws_request){0}, (const char*)expected.data);
    ws_buf_free(&expected);
}

TEST(the_callers_authorization_takes_the_place_of_the_urls) {
    static const wsHeader headers[] = {{"authorization", "Bearer x"}};
    assert_request("ws://u:p@h", (ws_request){.headers = headers, .header_count = 1},
                   HEAD "authorization: Bearer x\r\n\r\n");
}

TEST(credentials_do_not_go_to_a_foreign_host) {
    static const wsHeader headers[] = {
        {"AUTHORIZATION", "Bearer x"}, {"X-A", "1"}, {"cookie", "a=1"}, {"Proxy-Authorization", "x"}, {"Cookies", "2"}};
    assert_request("ws://u:p@h", (ws_request){.headers = headers, .header_count = 5, .foreign = true},
                   HEAD "X-A: 1\r\nCookies: 2\r\n\r\n");
    assert_request("ws://u:p@h", (ws_request){.foreign = true}, HEAD "\r\n");
}

/* A store with a=1 for the host h, and b=2 for its path /b. */
static ws_cookies two_cookies(void) {
    static const char text[] = "HTTP/1.1 302 X\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/b\r\n\r\n";
    char host[] = "h", target[] = "/";
    ws_cookies cookies = {0};
    ws_url url = {.host = host, .port = 80, .target = target};
    assert_null(ws_http_parse_response(&head, text, sizeof text - 1));
    assert_int_equal(ws_cookies_take(&cookies, &url, &head), WS_OK);
    return cookies;
}

TEST(cookies_of_the_chain_are_sent_where_they_belong) {
    ws_cookies cookies = two_cookies(), none = {0};
    assert_request("ws://h", (ws_request){.cookies = &cookies}, HEAD "Cookie: a=1\r\n\r\n");
    assert_request("ws://h", (ws_request){.cookies = &cookies, .foreign = true}, HEAD "Cookie: a=1\r\n\r\n");
    assert_request("ws://h", (ws_request){.cookies = &none}, HEAD "\r\n");
    assert_request("ws://i", (ws_request){.cookies = &cookies},
                   "GET / HTTP/1.1\r\nHost: i\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
    assert_request("ws://h/b", (ws_request){.cookies = &cookies},
                   "GET /b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nCookie: b=2; a=1\r\n\r\n");
    ws_cookies_free(&cookies);
}

TEST(there_is_one_cookie_header) {
    static const wsHeader headers[] = {{"Cookie", ""}, {"cookie", "x=1; y=2"}, {"X-A", "1"}, {"COOKIE", "z=3"}};
    ws_cookies cookies = two_cookies();
    ws_request request = {.headers = headers, .header_count = 4};
    assert_request("ws://h", request, HEAD "X-A: 1\r\nCookie: x=1; y=2; z=3\r\n\r\n");
    request.cookies = &cookies;
    assert_request("ws://h", request, HEAD "X-A: 1\r\nCookie: x=1; y=2; z=3; a=1\r\n\r\n");
    request.foreign = true;
    assert_request("ws://h", request, HEAD "X-A: 1\r\nCookie: a=1\r\n\r\n");
    ws_cookies_free(&cookies);
}

/* ---- what may not stand in a request ---- */

static int32_t check_request(const ws_request* request) {
    ws_error error = {0};
    int32_t rc = ws_handshake_check_request(request, &error);
    assert_int_equal(error.code, rc);
    if (rc) assert_true(strlen(ws_error_text(&error)) > 10);
    ws_error_clear(&error);
    return rc;
}

static int32_t check_header(const char* name, const char* value) {
    wsHeader headers[] = {{"X-Good", "1"}, {name, value}};
    return check_request(&(ws_request){.headers = headers, .header_count = 2});
}

TEST(headers_that_the_handshake_writes_are_refused) {
    static const char* const ours[] = {"Host",
                                       "Upgrade",
                                       "Connection",
                                       "Sec-WebSocket-Key",
                                       "Sec-WebSocket-Version",
                                       "Sec-WebSocket-Protocol",
                                       "Sec-WebSocket-Extensions",
                                       "Content-Length",
                                       "Transfer-Encoding",
                                       "hOST"};
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (check_header(ours[i], "x") != WS_ERR_ARGUMENT) fail_msg("%s", ours[i]);
    }
    assert_int_equal(check_header("Hosts", "x"), WS_OK);
}

TEST(a_header_cannot_inject_another) {
    static const char* const values[] = {"a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1",
                                         "a\r\n\r\nGET /"};
    for (size_t i = 0; i < COUNT(values); i++) {
        if (check_header("X", values[i]) != WS_ERR_ARGUMENT) fail_msg("%s", values[i]);
    }
    assert_int_equal(check_header("X: 1\r\nY", "a"), WS_ERR_ARGUMENT);
}

TEST(a_header_needs_a_name_and_a_value) {
    assert_int_equal(check_header("", "x"), WS_ERR_ARGUMENT);
    assert_int_equal(check_header(NULL, "x"), WS_ERR_ARGUMENT);
    assert_int_equal(check_header("X", NULL), WS_ERR_ARGUMENT);
    assert_int_equal(check_header("X", ""), WS_OK);
}

TEST(origin_and_user_agent_cannot_inject_a_header) {
    assert_int_equal(check_request(&(ws_request){.origin = "http://a\r\nX: 1"}), WS_ERR_ARGUMENT);
    assert_int_equal(check_request(&(ws_request){.user_agent = "a\nX: 1"}), WS_ERR_ARGUMENT);
    assert_int_equal(check_request(&(ws_request){.origin = "http://a", .user_agent = "a (b)"}), WS_OK);
}

static int32_t check_subprotocols(const char* first, const char* second) {
    const char* const subprotocols[] = {first, second};
    return check_request(&(ws_request){.subprotocols = subprotocols, .subprotocol_count = 2});
}

TEST(subprotocols_are_tokens) {
    assert_int_equal(check_subprotocols("chat", "chat.v2"), WS_OK);
    assert_int_equal(check_subprotocols("chat", ""), WS_ERR_ARGUMENT);
    assert_int_equal(check_subprotocols("chat", NULL), WS_ERR_ARGUMENT);
    assert_int_equal(check_subprotocols("a b", "chat"), WS_ERR_ARGUMENT);
    assert_int_equal(check_subprotocols("a,b", "chat"), WS_ERR_ARGUMENT);
    assert_int_equal(check_subprotocols("chat", "a\r\nX: 1"), WS_ERR_ARGUMENT);
}

TEST(a_subprotocol_is_offered_once) {
    assert_int_equal(check_subprotocols("chat", "chat"), WS_ERR_ARGUMENT);
    assert_int_equal(check_subprotocols("chat", "Chat"), WS_OK);
}

/* ---- the server's answer ---- */

static const char* const offered[] = {"chat", "chat.v2"};
static int chosen;

/* Check an answer with these lines behind the status line; offered are "chat" and "chat.v2". */
static int32_t check_response_to(const char* status_line, const char* headers, int* status) {
    ws_buf text = {0};
    ws_error error = {0};
    put_text(&text, status_line);
    put_text(&text, headers);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    int32_t rc = ws_handshake_check_response(&head, KEY, offered, 2, &chosen, &error);
    assert_int_equal(error.code, rc);
    *status = error.http_status;
    ws_buf_free(&text);
    ws_error_clear(&error);
    return rc;
}

static int32_t check_response(const char* headers) {
    int status;
    return check_response_to("HTTP/1.1 101 Switching Protocols\r\n", headers, &status);
}

#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPTED "Sec-WebSocket-Accept: " ACCEPT "\r\n"

TEST(a_right_answer_is_taken) {
    assert_int_equal(check_response(UPGRADE CONNECTION ACCEPTED), WS_OK);
    assert_int_equal(chosen, -1);
}

TEST(names_and_tokens_of_an_answer_are_taken_in_any_case) {
    assert_int_equal(
        check_response("UPGRADE: WebSocket\r\nconnection: uPGRADE\r\nSEC-websocket-ACCEPT: " ACCEPT "\r\n"), WS_OK);
}

TEST(connection_may_be_a_list) {
    assert_int_equal(check_response(UPGRADE "Connection: keep-alive, Upgrade\r\n" ACCEPTED), WS_OK);
    assert_int_equal(check_response(UPGRADE "Connection: keep-alive\r\nConnection: Upgrade\r\n" ACCEPTED), WS_OK);
}

TEST(every_other_status_is_a_refusal_with_its_number) {
    static const char* const lines[] = {"HTTP/1.1 100 C\r\n", "HTTP/1.1 102 P\r\n", "HTTP/1.1 200 OK\r\n",
                                        "HTTP/1.1 301 M\r\n", "HTTP/1.1 404 N\r\n", "HTTP/1.1 503\r\n"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        int status;
        assert_int_equal(check_response_to(lines[i], UPGRADE CONNECTION ACCEPTED, &status), WS_ERR_STATUS);
        assert_int_equal(status, atoi(lines[i] + 9));
    }
}

TEST(an_answer_without_the_right_upgrade_is_refused) {
    assert_int_equal(check_response(CONNECTION ACCEPTED), WS_ERR_UPGRADE);
    assert_int_equal(check_response("Upgrade: websockets\r\n" CONNECTION ACCEPTED), WS_ERR_UPGRADE);
    assert_int_equal(check_response("Upgrade: h2c\r\n" CONNECTION ACCEPTED), WS_ERR_UPGRADE);
}

TEST(an_answer_without_the_right_connection_is_refused) {
    assert_int_equal(check_response(UPGRADE ACCEPTED), WS_ERR_UPGRADE);
    assert_int_equal(check_response(UPGRADE "Connection: close\r\n" ACCEPTED), WS_ERR_UPGRADE);
    assert_int_equal(check_response(UPGRADE "Connection: Upgraded\r\n" ACCEPTED), WS_ERR_UPGRADE);
}

TEST(an_answer_without_the_right_accept_is_refused) {
    assert_int_equal(check_response(UPGRADE CONNECTION), WS_ERR_ACCEPT);
    assert_int_equal(check_response(UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n"), WS_ERR_ACCEPT);
    assert_int_equal(check_response(UPGRADE CONNECTION "Sec-WebSocket-Accept: " KEY "\r\n"), WS_ERR_ACCEPT);
    assert_int_equal(check_response(UPGRADE CONNECTION "Sec-WebSocket-Accept: x" ACCEPT "\r\n"), WS_ERR_ACCEPT);
    assert_int_equal(check_response(UPGRADE CONNECTION ACCEPTED ACCEPTED), WS_ERR_ACCEPT);
}

static void assert_accept_text(const char* headers, const char* expected) {
    ws_buf text = {0};
    ws_error error = {0};
    put_text(&text, "HTTP/1.1 101 x\r\n" UPGRADE CONNECTION);
    put_text(&text, headers);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    ws_handshake_check_response(&head, KEY, NULL, 0, &chosen, &error);
    assert_non_null(strstr(ws_error_text(&error), expected));
    ws_buf_free(&text);
    ws_error_clear(&error);
}

TEST(what_is_wrong_with_accept_is_said) {
    assert_accept_text("", "has no Sec-WebSocket-Accept");
    assert_accept_text("Sec-WebSocket-Accept: x\r\n", "has a wrong Sec-WebSocket-Accept");
    assert_accept_text(ACCEPTED ACCEPTED, "has more than one Sec-WebSocket-Accept");
}

TEST(accept_is_compared_exactly) {
    char line[] = "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    ws_buf headers = {0};
    put_text(&headers, UPGRADE CONNECTION);
    put(&headers, line, sizeof line);
    assert_int_equal(check_response((const char*)headers.data), WS_ERR_ACCEPT);
    ws_buf_free(&headers);
}

TEST(the_chosen_subprotocol_is_found_among_the_offered) {
    assert_int_equal(check_response(UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: chat\r\n"), WS_OK);
    assert_int_equal(chosen, 0);
    assert_int_equal(check_response(UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: chat.v2\r\n"), WS_OK);
    assert_int_equal(chosen, 1);
}

TEST(a_subprotocol_that_was_not_offered_is_refused) {
    static const char* const headers[] = {
        UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: other\r\n",
        UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: Chat\r\n",
        UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: chat, chat.v2\r\n",
        UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol:\r\n",
        UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n",
    };
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_int_equal(check_response(headers[i]), WS_ERR_SUBPROTOCOL);
        assert_int_equal(chosen, -1);
    }
}

/* The texts of errors go into logs: a peer's words are cut in them. */
TEST(what_a_server_says_at_length_is_cut_short) {
    static char words[1000];
    static const char* const lines[] = {"HTTP/1.1 403 %s\r\n\r\n", "HTTP/1.1 101 S\r\n" UPGRADE CONNECTION ACCEPTED
                                                                   "Sec-WebSocket-Protocol: %s\r\n\r\n"};
    memset(words, 'x', sizeof words - 1);
    for (size_t i = 0; i < COUNT(lines); i++) {
        char text[1300];
        ws_error error = {0};
        int n = snprintf(text, sizeof text, lines[i], words);
        assert_null(ws_http_parse_response(&head, text, (size_t)n));
        assert_true(ws_handshake_check_response(&head, KEY, offered, 2, &chosen, &error) < 0);
        size_t run = strspn(strchr(ws_error_text(&error), 'x'), "x");
        assert_true(run == (i == 0 ? 200 : 100));
        ws_error_clear(&error);
    }
}

TEST(what_a_refusing_server_says_is_repeated_printably) {
    static const char text[] = "HTTP/1.1 403 caf\xe9 closed\r\n\r\n";
    ws_error error = {0};
    assert_null(ws_http_parse_response(&head, text, sizeof text - 1));
    assert_int_equal(ws_handshake_check_response(&head, KEY, NULL, 0, &chosen, &error), WS_ERR_STATUS);
    assert_non_null(strstr(ws_error_text(&error), "403 caf? closed"));
    ws_error_clear(&error);
}

/* ---- a client's request, as the server sees it ---- */

#define HOST "Host: h\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEYED "Sec-WebSocket-Key: " KEY "\r\n"

/* Check a request with these lines behind the request line; *status is 0 if it is fine. */
static int32_t check_upgrade(const char* request_line, const char* headers, int* status) {
    ws_buf text = {0};
    ws_error error = {0};
    ws_slice key = {NULL, 0};
    put_text(&text, request_line);
    put_text(&text, headers);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_request(&head, (const char*)text.data, ws_buf_len(&text)));
    *status = 0;
    int32_t rc = ws_handshake_check_upgrade(&head, &key, status, &error);
    assert_int_equal(error.code, rc);
    if (!rc) assert_true(ws_slice_equal(key, KEY));
    ws_buf_free(&text);
    ws_error_clear(&error);
    return rc;
}

static void assert_upgrade(const char* headers, int32_t expected, int expected_status) {
    int status;
    assert_int_equal(check_upgrade("GET /chat HTTP/1.1\r\n", headers, &status), expected);
    assert_int_equal(status, expected_status);
}

TEST(a_right_request_is_taken) {
    assert_upgrade(HOST UPGRADE CONNECTION VERSION KEYED, WS_OK, 0);
}

TEST(a_request_is_taken_in_any_case_and_with_lists) {
    assert_upgrade("host: h\r\nUPGRADE: h2c, WebSocket\r\nconnection: keep-alive,uPGRADE\r\n"
                   "sec-websocket-VERSION: 13\r\nSEC-websocket-key: " KEY "\r\n",
                   WS_OK, 0);
}

TEST(a_request_with_another_method_is_refused) {
    static const char* const lines[] = {"POST / HTTP/1.1\r\n", "get / HTTP/1.1\r\n", "GETS / HTTP/1.1\r\n"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        int status;
        assert_int_equal(check_upgrade(lines[i], HOST UPGRADE CONNECTION VERSION KEYED, &status), WS_ERR_HTTP);
        assert_int_equal(status, 405);
    }
}

TEST(a_request_has_one_host) {
    assert_upgrade(UPGRADE CONNECTION VERSION KEYED, WS_ERR_HEADER, 400);
    assert_upgrade(HOST HOST UPGRADE CONNECTION VERSION KEYED, WS_ERR_HEADER, 400);
}

TEST(a_request_without_upgrade_is_told_to_upgrade) {
    assert_upgrade(HOST CONNECTION VERSION KEYED, WS_ERR_UPGRADE, 426);
    assert_upgrade(HOST "Upgrade: h2c\r\n" CONNECTION VERSION KEYED, WS_ERR_UPGRADE, 426);
    assert_upgrade(HOST UPGRADE VERSION KEYED, WS_ERR_UPGRADE, 426);
    assert_upgrade(HOST UPGRADE "Connection: keep-alive\r\n" VERSION KEYED, WS_ERR_UPGRADE, 426);
}

TEST(a_request_of_another_version_is_told_the_right_one) {
    assert_upgrade(HOST UPGRADE CONNECTION KEYED, WS_ERR_HEADER, 426);
    assert_upgrade(HOST UPGRADE CONNECTION KEYED "Sec-WebSocket-Version: 8\r\n", WS_ERR_HEADER, 426);
    assert_upgrade(HOST UPGRADE CONNECTION KEYED "Sec-WebSocket-Version: 130\r\n", WS_ERR_HEADER, 426);
    assert_upgrade(HOST UPGRADE CONNECTION KEYED VERSION VERSION, WS_ERR_HEADER, 426);
}

TEST(a_request_has_one_key) {
    assert_upgrade(HOST UPGRADE CONNECTION VERSION, WS_ERR_HEADER, 400);
    assert_upgrade(HOST UPGRADE CONNECTION VERSION KEYED KEYED, WS_ERR_HEADER, 400);
}

TEST(a_key_is_sixteen_bytes_in_base64) {
    static const char* const keys[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ",    /* without its end */
        "dGhlIHNhbXBsZSBub25jZQ=",   /* with half of it */
        "dGhlIHNhbXBsZSBub25jZQ===", /* with too much */
        "dGhlIHNhbXBsZSBub25jZ===",  /* a character too few */
        "dGhlIHNhbXBsZSBub25jZX8=",  /* 17 bytes */
        "dGhlIHNhbXBsZSBub25jZXh4",  /* 18 bytes */
        "dGhlIHNhbXBsZSBub25=ZQ==",  /* an end in the middle */
        "========================",
        "dGhlIHNhbXBsZSBub2 jZQ==",
        "dGhlIHNhbXBsZSBub2-jZQ==",
        "dGhlIHNhbXBsZSBub2\xe9jZQ==",
        "ZGhlIHNhbXBsZSBub25jZQ==AA==",
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        ws_buf headers = {0};
        put_text(&headers, HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: ");
        put_text(&headers, keys[i]);
        put(&headers, "\r\n", 3);
        assert_upgrade((const char*)headers.data, WS_ERR_HEADER, 400);
        ws_buf_free(&headers);
    }
}

TEST(what_a_client_offers_is_found_in_its_lists) {
    static const char text[] = "GET / HTTP/1.1\r\nSec-WebSocket-Protocol: chat , v2\r\nsec-websocket-protocol:v3\r\n"
                               "Other: v4\r\n\r\n";
    assert_null(ws_http_parse_request(&head, text, sizeof text - 1));
    assert_true(ws_handshake_offers(&head, "chat"));
    assert_true(ws_handshake_offers(&head, "v2"));
    assert_true(ws_handshake_offers(&head, "v3"));
    assert_false(ws_handshake_offers(&head, "Chat"));
    assert_false(ws_handshake_offers(&head, "v"));
    assert_false(ws_handshake_offers(&head, "v4"));
}

/* ---- what the server answers ---- */

TEST(the_answer_is_one_that_the_client_takes) {
    ws_buf out = {0};
    ws_error error = {0};
    assert_int_equal(ws_handshake_write_response((ws_slice){KEY, WS_KEY_SIZE}, "chat.v2", NULL, &out), WS_OK);
    assert_null(ws_http_parse_response(&head, (const char*)out.data, ws_buf_len(&out)));
    assert_int_equal(ws_handshake_check_response(&head, KEY, offered, 2, &chosen, &error), WS_OK);
    assert_int_equal(chosen, 1);
    ws_buf_free(&out);
}

TEST(an_answer_without_a_subprotocol_has_no_header_for_it) {
    ws_buf out = {0};
    assert_int_equal(ws_handshake_write_response((ws_slice){KEY, WS_KEY_SIZE}, NULL, NULL, &out), WS_OK);
    put(&out, "", 1);
    assert_string_equal((const char*)out.data,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n");
    ws_buf_free(&out);
}

static void assert_refusal(int status, const char* reason, const char* header, const char* expected) {
    ws_buf out = {0};
    size_t scanned = 0, count;
    assert_int_equal(ws_handshake_write_refusal(status, "because of this", &out), WS_OK);
    size_t n = ws_http_head_length((const char*)out.data, ws_buf_len(&out), &scanned);
    assert_null(ws_http_parse_response(&head, (const char*)out.data, n));
    assert_int_equal(head.status, status);
    assert_true(ws_slice_equal(head.reason, reason));
    assert_true(ws_slice_equal(*ws_http_header_value(&head, "Connection", &count), "close"));
    assert_true(ws_slice_equal(*ws_http_header_value(&head, "Content-Length", &count), "16"));
    if (header) assert_true(ws_slice_equal(*ws_http_header_value(&head, header, &count), expected));
    assert_int_equal(ws_buf_len(&out) - n, 16);
    assert_memory_equal(out.data + n, "because of this\n", 16);
    ws_buf_free(&out);
}

TEST(a_refusal_is_http_with_its_reason_as_the_body) {
    assert_refusal(400, "Bad Request", NULL, NULL);
    assert_refusal(503, "Service Unavailable", NULL, NULL);
    assert_refusal(431, "Request Header Fields Too Large", NULL, NULL);
    assert_refusal(418, "Refused", NULL, NULL);
}

TEST(a_refusal_says_how_to_do_better) {
    assert_refusal(405, "Method Not Allowed", "Allow", "GET");
    assert_refusal(426, "Upgrade Required", "Upgrade", "websocket");
    assert_refusal(426, "Upgrade Required", "Sec-WebSocket-Version", "13");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_value_of_the_rfc),
        cmocka_unit_test(a_key_is_the_base64_of_its_bytes),
        cmocka_unit_test(every_byte_of_a_key_counts),
        cmocka_unit_test(the_smallest_request),
        cmocka_unit_test(a_header_of_the_callers_takes_the_place_of_ours),
        cmocka_unit_test(a_request_with_everything),
        cmocka_unit_test(an_empty_user_agent_writes_no_header),
        cmocka_unit_test(user_and_password_of_the_url_are_sent),
        cmocka_unit_test(a_long_password_is_sent_whole),
        cmocka_unit_test(the_callers_authorization_takes_the_place_of_the_urls),
        cmocka_unit_test(credentials_do_not_go_to_a_foreign_host),
        cmocka_unit_test(cookies_of_the_chain_are_sent_where_they_belong),
        cmocka_unit_test(there_is_one_cookie_header),
        cmocka_unit_test(headers_that_the_handshake_writes_are_refused),
        cmocka_unit_test(a_header_cannot_inject_another),
        cmocka_unit_test(a_header_needs_a_name_and_a_value),
        cmocka_unit_test(origin_and_user_agent_cannot_inject_a_header),
        cmocka_unit_test(subprotocols_are_tokens),
        cmocka_unit_test(a_subprotocol_is_offered_once),
        cmocka_unit_test(a_right_answer_is_taken),
        cmocka_unit_test(names_and_tokens_of_an_answer_are_taken_in_any_case),
        cmocka_unit_test(connection_may_be_a_list),
        cmocka_unit_test(every_other_status_is_a_refusal_with_its_number),
        cmocka_unit_test(an_answer_without_the_right_upgrade_is_refused),
        cmocka_unit_test(an_answer_without_the_right_connection_is_refused),
        cmocka_unit_test(an_answer_without_the_right_accept_is_refused),
        cmocka_unit_test(what_is_wrong_with_accept_is_said),
        cmocka_unit_test(accept_is_compared_exactly),
        cmocka_unit_test(the_chosen_subprotocol_is_found_among_the_offered),
        cmocka_unit_test(a_subprotocol_that_was_not_offered_is_refused),
        cmocka_unit_test(what_a_server_says_at_length_is_cut_short),
        cmocka_unit_test(what_a_refusing_server_says_is_repeated_printably),
        cmocka_unit_test(a_right_request_is_taken),
        cmocka_unit_test(a_request_is_taken_in_any_case_and_with_lists),
        cmocka_unit_test(a_request_with_another_method_is_refused),
        cmocka_unit_test(a_request_has_one_host),
        cmocka_unit_test(a_request_without_upgrade_is_told_to_upgrade),
        cmocka_unit_test(a_request_of_another_version_is_told_the_right_one),
        cmocka_unit_test(a_request_has_one_key),
        cmocka_unit_test(a_key_is_sixteen_bytes_in_base64),
        cmocka_unit_test(what_a_client_offers_is_found_in_its_lists),
        cmocka_unit_test(the_answer_is_one_that_the_client_takes),
        cmocka_unit_test(an_answer_without_a_subprotocol_has_no_header_for_it),
        cmocka_unit_test(a_refusal_is_http_with_its_reason_as_the_body),
        cmocka_unit_test(a_refusal_says_how_to_do_better),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
