/* core/http1: heads of requests and responses, well-formed and not. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static ws_http_head head;

/* A copy that ends where its memory ends, so that reading too far is noticed. */
static char* exact(const char* text, size_t n) {
    char* copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    return copy;
}

static bool parses(bool request, const char* text) {
    size_t n = strlen(text);
    char* copy = exact(text, n);
    const char* wrong = request ? ws_http_parse_request(&head, copy, n) : ws_http_parse_response(&head, copy, n);
    free(copy);
    return wrong == NULL;
}

#define RESPONSE(headers) "HTTP/1.1 101 Switching Protocols\r\n" headers "\r\n"
#define REQUEST(headers) "GET / HTTP/1.1\r\n" headers "\r\n"

TEST(a_response_is_taken_apart) {
    const char* text = RESPONSE("Upgrade: websocket\r\nX: 1\r\n");
    assert_null(ws_http_parse_response(&head, text, strlen(text)));
    assert_int_equal(head.status, 101);
    assert_true(ws_slice_equal(head.reason, "Switching Protocols"));
    assert_int_equal(head.method.len, 0);
    assert_int_equal(head.target.len, 0);
    assert_int_equal(head.count, 2);
    assert_true(ws_slice_equal(head.headers[0].name, "Upgrade"));
    assert_true(ws_slice_equal(head.headers[0].value, "websocket"));
    assert_true(ws_slice_equal(head.headers[1].name, "X"));
    assert_true(ws_slice_equal(head.headers[1].value, "1"));
}

TEST(a_request_is_taken_apart) {
    const char* text = "GET /chat?x=1 HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_null(ws_http_parse_request(&head, text, strlen(text)));
    assert_true(ws_slice_equal(head.method, "GET"));
    assert_true(ws_slice_equal(head.target, "/chat?x=1"));
    assert_int_equal(head.status, 0);
    assert_int_equal(head.reason.len, 0);
    assert_int_equal(head.count, 1);
}

TEST(a_head_may_have_no_header) {
    assert_true(parses(false, RESPONSE("")));
    assert_int_equal(head.count, 0);
    assert_true(parses(true, REQUEST("")));
    assert_int_equal(head.count, 0);
}

TEST(status_lines) {
    static const struct {
        const char* line;
        int status; /* 0: refused */
    } rows[] = {
        {"HTTP/1.1 101 Switching Protocols", 101},
        {"HTTP/1.1 101 ", 101},
        {"HTTP/1.1 101", 101},
        {"HTTP/1.1 100 x", 100},
        {"HTTP/1.1 999 x", 999},
        {"HTTP/1.1 404 caf\xe9", 404},
        {"HTTP/1.1 404 with\ttab", 404},
        {"HTTP/1.1 099 x", 0},
        {"HTTP/1.1 000 x", 0},
        {"HTTP/1.1 10", 0},
        {"HTTP/1.1 1010", 0},
        {"HTTP/1.1 101x", 0},
        {"HTTP/1.1 101\tx", 0},
        {"HTTP/1.1 1:1 x", 0},
        {"HTTP/1.1 1/1 x", 0},
        {"HTTP/1.1 2/1 x", 0},
        {"HTTP/1.1 -10 x", 0},
        {"HTTP/1.1  101 x", 0},
        {"HTTP/1.0 101 x", 0},
        {"HTTP/2.0 101 x", 0},
        {"http/1.1 101 x", 0},
        {" HTTP/1.1 101 x", 0},
        {"HTTP/1.1\t101 x", 0},
        {"HTTP/1.1 101 a\nb", 0},
        {"HTTP/1.1 101 a\rb", 0},
        {"HTTP/1.1 101 a\x01", 0},
        {"HTTP/1.1 101 a\x7f", 0},
        {"", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[80];
        snprintf(text, sizeof text, "%s\r\n\r\n", rows[i].line);
        if (parses(false, text) != (rows[i].status != 0)) fail_msg("%s", rows[i].line);
        if (rows[i].status) assert_int_equal(head.status, rows[i].status);
    }
}

TEST(request_lines) {
    static const struct {
        const char* line;
        bool good;
    } rows[] = {
        {"GET / HTTP/1.1", true},
        {"POST /x HTTP/1.1", true},
        {"GET http://h/x HTTP/1.1", true},
        {"GET / HTTP/1.0", false},
        {"GET / HTTP/1.10", false},
        {"GET / HTTP/1.", false},
        {"GET / http/1.1", false},
        {"GET / HTTP/1.1 ", false},
        {"GET  / HTTP/1.1", false},
        {"GET /  HTTP/1.1", false},
        {"GET  HTTP/1.1", false},
        {"GET HTTP/1.1", false},
        {"GET /", false},
        {"GET", false},
        {" / HTTP/1.1", false},
        {"G(T / HTTP/1.1", false},
        {"GET\t/ HTTP/1.1", false},
        {"GET /a b HTTP/1.1", false},
        {"GET /\x01 HTTP/1.1", false},
        {"GET /\x7f HTTP/1.1", false},
        {"GET /\n HTTP/1.1", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[80];
        snprintf(text, sizeof text, "%s\r\n\r\n", rows[i].line);
        if (parses(true, text) != rows[i].good) fail_msg("%s", rows[i].line);
    }
}

/* Parse a response with this header line (no NUL in it). */
static bool header_parses(const char* line) {
    char text[400];
    snprintf(text, sizeof text, RESPONSE("%s\r\n"), line);
    return parses(false, text);
}

static void assert_value(const char* line, const char* expected) {
    char text[400];
    snprintf(text, sizeof text, RESPONSE("%s\r\n"), line);
    assert_null(ws_http_parse_response(&head, text, strlen(text)));
    assert_int_equal(head.count, 1);
    assert_true(ws_slice_equal(head.headers[0].value, expected));
}

TEST(white_space_around_a_value_is_dropped) {
    assert_value("X:a", "a");
    assert_value("X: a", "a");
    assert_value("X: \t a \t ", "a");
    assert_value("X: a b\tc", "a b\tc");
    assert_value("X:", "");
    assert_value("X:  \t", "");
    assert_value("X: a:b", "a:b");
    assert_value("X::", ":");
}

TEST(a_value_may_have_bytes_outside_ascii) {
    assert_value("X: caf\xe9", "caf\xe9");
    assert_value("X: \x80\xff", "\x80\xff");
}

TEST(a_value_has_no_control_characters) {
    for (int c = 1; c < 256; c++) {
        char line[] = "X: a?b";
        line[4] = (char)c;
        bool good = c == '\t' || (c >= ' ' && c != 0x7F);
        if (header_parses(line) != good) fail_msg("0x%02x", (unsigned)c);
    }
}

TEST(a_nul_in_a_head_is_refused) {
    static const char text[] = RESPONSE("X: a\0b\r\n");
    assert_non_null(ws_http_parse_response(&head, text, sizeof text - 1));
}

TEST(a_name_is_a_token) {
    for (int c = 1; c < 256; c++) {
        char line[] = "A?B: x";
        line[1] = (char)c;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool good = alnum || strchr("!#$%&'*+-.^_`|~", c) || c == ':'; /* "A:B: x" is another header */
        if (header_parses(line) != good) fail_msg("0x%02x", (unsigned)c);
    }
}

TEST(malformed_header_lines_are_refused) {
    static const char* const lines[] = {": x",    "X",   "X : x",  "X\t: x",    " X: x",
                                        "\tX: x", "X x", "X\r: x", "X: a\nY: b"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (header_parses(lines[i])) fail_msg("%s", lines[i]);
    }
}

TEST(folded_lines_are_refused) {
    assert_false(header_parses("X: a\r\n b"));
    assert_false(header_parses("X: a\r\n\tb"));
}

TEST(lines_end_in_cr_and_lf) {
    assert_false(parses(false, "HTTP/1.1 101 x\nX: a\r\n\r\n"));
    assert_false(parses(false, "HTTP/1.1 101 x\r\nX: a\n\r\n"));
    assert_false(parses(false, "HTTP/1.1 101 x\r\nX: a\r\r\n\r\n"));
    assert_false(parses(false, "HTTP/1.1 101 x\r\nX: a\r\n\n"));
    assert_false(parses(false, "HTTP/1.1 101 x\n\n"));
    assert_false(parses(true, "GET / HTTP/1.1\nX: a\r\n\r\n"));
}

TEST(no_beginning_of_a_head_parses) {
    const char* text = RESPONSE("Upgrade: websocket\r\nX: 1\r\n");
    for (size_t n = 0; n < strlen(text); n++) {
        char* copy = exact(text, n);
        assert_non_null(ws_http_parse_response(&head, copy, n));
        free(copy);
    }
}

static bool parses_with_headers(size_t count) {
    ws_buf text = {0};
    put_text(&text, "HTTP/1.1 101 x\r\n");
    for (size_t i = 0; i < count; i++) {
        put_text(&text, "X: y\r\n");
    }
    put_text(&text, "\r\n");
    const char* wrong = ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text));
    ws_buf_free(&text);
    return wrong == NULL;
}

TEST(a_head_has_at_most_128_headers) {
    assert_true(parses_with_headers(127));
    assert_true(parses_with_headers(128));
    assert_int_equal(head.count, 128);
    assert_false(parses_with_headers(129));
}

TEST(the_end_of_a_head_is_found_wherever_it_is_cut) {
    const char* text = RESPONSE("X: 1\r\nY: \r\r\n");
    size_t length = strlen(text);
    char more[100];
    snprintf(more, sizeof more, "%sbytes behind\r\n\r\n", text);
    for (size_t cut = 0; cut <= strlen(more); cut++) {
        size_t scanned = 0;
        size_t found = ws_http_head_length(more, cut, &scanned);
        assert_int_equal(found, cut >= length ? length : 0);
        if (!found) assert_int_equal(ws_http_head_length(more, strlen(more), &scanned), length);
    }
}

TEST(the_end_of_a_head_is_found_byte_by_byte) {
    const char* text = "a\r\n\r\r\nb\r\n\r\n";
    size_t scanned = 0;
    for (size_t n = 0; n < strlen(text); n++) {
        assert_int_equal(ws_http_head_length(text, n, &scanned), 0);
        assert_int_equal(scanned, n);
    }
    assert_int_equal(ws_http_head_length(text, strlen(text), &scanned), strlen(text));
}

TEST(what_can_begin_a_response_is_told_from_what_cannot) {
    static const char start[] = "HTTP/1.1 ";
    for (size_t n = 0; n < sizeof start; n++) {
        assert_true(ws_http_response_prefix(start, n));
    }
    assert_true(ws_http_response_prefix("HTTP/1.1 2xyz", 13));
    for (size_t at = 0; at + 1 < sizeof start; at++) {
        char wrong[] = "HTTP/1.1 ";
        wrong[at] = '?';
        assert_false(ws_http_response_prefix(wrong, at + 1));
        assert_false(ws_http_response_prefix(wrong, sizeof wrong - 1));
    }
}

TEST(what_can_begin_a_request_is_told_from_what_cannot) {
    static const char* const good[] = {"", "G", "GET", "GET ", "GET /\x01", "OPTIONS", "x-y! "};
    static const char* const wrong[] = {" ", " GET", "\x16\x03\x01", "G\x01", "GE\r\n", "\r\n", "{\"a\"", "G\xff"};
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!ws_http_request_prefix(good[i], strlen(good[i]))) fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        if (ws_http_request_prefix(wrong[i], strlen(wrong[i]))) fail_msg("%s", wrong[i]);
    }
}

TEST(a_method_has_at_most_32_characters) {
    char text[33];
    memset(text, 'A', sizeof text);
    assert_true(ws_http_request_prefix(text, 32));
    assert_false(ws_http_request_prefix(text, 33));
}

static void parse_headers(const char* text) {
    assert_null(ws_http_parse_response(&head, text, strlen(text)));
}

TEST(a_header_is_found_by_its_name_in_any_case) {
    size_t count;
    parse_headers(RESPONSE("One: 1\r\ntwo: 2\r\nOneMore: 3\r\n"));
    assert_true(ws_slice_equal(*ws_http_header_value(&head, "oNE", &count), "1"));
    assert_int_equal(count, 1);
    assert_true(ws_slice_equal(*ws_http_header_value(&head, "TWO", &count), "2"));
    assert_null(ws_http_header_value(&head, "Three", &count));
    assert_int_equal(count, 0);
}

TEST(a_header_that_stands_twice_has_no_single_value) {
    size_t count;
    parse_headers(RESPONSE("One: 1\r\ntwo: 2\r\nONE: 1\r\n"));
    assert_null(ws_http_header_value(&head, "one", &count));
    assert_int_equal(count, 2);
}

TEST(a_token_is_found_in_lists_over_several_headers) {
    parse_headers(RESPONSE("C: keep-alive , Upgrade\r\nc:x,,y ,\r\nD: z\r\n"));
    static const char* const in[] = {"keep-alive", "upgrade", "UPGRADE", "x", "Y"};
    static const char* const out[] = {"keep", "upgrad", "upgrades", "keep-alive , Upgrade", "z", "x,"};
    for (size_t i = 0; i < COUNT(in); i++) {
        if (!ws_http_has_token(&head, "c", in[i])) fail_msg("%s", in[i]);
    }
    for (size_t i = 0; i < COUNT(out); i++) {
        if (ws_http_has_token(&head, "c", out[i])) fail_msg("%s", out[i]);
    }
}

TEST(a_list_is_walked_element_by_element) {
    ws_slice list = {" a,b c ,,\td\t", 11}, item;
    static const char* const expected[] = {"a", "b c", "", "d"};
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(ws_http_list_next(&list, &item));
        assert_true(ws_slice_equal(item, expected[i]));
    }
    assert_false(ws_http_list_next(&list, &item));
}

TEST(a_comma_at_the_end_of_a_list_is_followed_by_an_empty_element) {
    ws_slice list = {"a,", 2}, item;
    assert_true(ws_http_list_next(&list, &item));
    assert_true(ws_http_list_next(&list, &item));
    assert_int_equal(item.len, 0);
    assert_false(ws_http_list_next(&list, &item));
}

TEST(slices_are_compared_whole) {
    ws_slice slice = {"AbcX", 3};
    assert_true(ws_slice_equal(slice, "Abc"));
    assert_false(ws_slice_equal(slice, "abc"));
    assert_false(ws_slice_equal(slice, "Ab"));
    assert_false(ws_slice_equal(slice, "AbcX"));
    assert_true(ws_slice_equal_nocase(slice, "aBC"));
    assert_false(ws_slice_equal_nocase(slice, "ab"));
    assert_false(ws_slice_equal_nocase(slice, "abcx"));
    assert_false(ws_slice_equal_nocase(slice, "abd"));
}

TEST(names_that_we_write_are_tokens) {
    static const char* const good[] = {"X", "x-y", "!#$%&'*+-.^_`|~09azAZ"};
    static const char* const bad[] = {"",      "a b", "a:",  "a\r\n", "a\t", "caf\xc3\xa9",
                                      "a\x7f", "(a)", "a/b", "a\"",   "a@"};
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!ws_http_name_ok(good[i])) fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (ws_http_name_ok(bad[i])) fail_msg("%s", bad[i]);
    }
}

TEST(values_that_we_write_cannot_end_the_line) {
    static const char* const good[] = {"", "a", "a b", "a\tb", "caf\xc3\xa9", ":;,\"()"};
    static const char* const bad[] = {" ",    " a",   "a ",    "\ta",   "a\t", "a\r\nb",
                                      "a\nb", "a\rb", "a\x01", "a\x7f", "\x1f"};
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!ws_http_value_ok(good[i])) fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (ws_http_value_ok(bad[i])) fail_msg("%s", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_taken_apart),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_head_may_have_no_header),
        cmocka_unit_test(status_lines),
        cmocka_unit_test(request_lines),
        cmocka_unit_test(white_space_around_a_value_is_dropped),
        cmocka_unit_test(a_value_may_have_bytes_outside_ascii),
        cmocka_unit_test(a_value_has_no_control_characters),
        cmocka_unit_test(a_nul_in_a_head_is_refused),
        cmocka_unit_test(a_name_is_a_token),
        cmocka_unit_test(malformed_header_lines_are_refused),
        cmocka_unit_test(folded_lines_are_refused),
        cmocka_unit_test(lines_end_in_cr_and_lf),
        cmocka_unit_test(no_beginning_of_a_head_parses),
        cmocka_unit_test(a_head_has_at_most_128_headers),
        cmocka_unit_test(the_end_of_a_head_is_found_wherever_it_is_cut),
        cmocka_unit_test(the_end_of_a_head_is_found_byte_by_byte),
        cmocka_unit_test(what_can_begin_a_response_is_told_from_what_cannot),
        cmocka_unit_test(what_can_begin_a_request_is_told_from_what_cannot),
        cmocka_unit_test(a_method_has_at_most_32_characters),
        cmocka_unit_test(a_header_is_found_by_its_name_in_any_case),
        cmocka_unit_test(a_header_that_stands_twice_has_no_single_value),
        cmocka_unit_test(a_token_is_found_in_lists_over_several_headers),
        cmocka_unit_test(a_list_is_walked_element_by_element),
        cmocka_unit_test(a_comma_at_the_end_of_a_list_is_followed_by_an_empty_element),
        cmocka_unit_test(slices_are_compared_whole),
        cmocka_unit_test(names_that_we_write_are_tokens),
        cmocka_unit_test(values_that_we_write_cannot_end_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
