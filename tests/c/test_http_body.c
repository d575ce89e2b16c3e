/* core/http_body: what of the bytes behind a head is the body, and where it ends, whole and cut at every place. */
#include "core/http_body.h"

#include <stdio.h>
#include <stdlib.h>

#include "support.h"

enum { NONE = -1, MORE = 0, DONE = 1 };

/* Begin with a head with this status and these lines. */
static bool start(ws_http_body* body, const char* status, const char* lines) {
    static ws_http_head head;
    ws_buf text = {0};
    put_text(&text, "HTTP/1.1 ");
    put_text(&text, status);
    put_text(&text, " X\r\n");
    put_text(&text, lines);
    put_text(&text, "\r\n");
    assert_null(ws_http_parse_response(&head, (const char*)text.data, ws_buf_len(&text)));
    bool follows = ws_http_body_start(body, &head);
    ws_buf_free(&text);
    return follows;
}

/* Feed it in a first piece and pieces of `rest` bytes, each in memory of its own, so that reading on is noticed. */
static int32_t feed(ws_http_body* body, const ws_buf* bytes, size_t first, size_t rest, ws_buf* out) {
    int32_t rc = MORE;
    for (size_t at = 0, piece = first; at < ws_buf_len(bytes) && rc == MORE; piece = rest) {
        size_t n = piece < ws_buf_len(bytes) - at ? piece : ws_buf_len(bytes) - at;
        uint8_t* exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, ws_buf_head(bytes) + at, n);
        rc = ws_http_body_take(body, exact, n, out);
        free(exact);
        at += n;
    }
    return rc;
}

/* All at once, byte by byte, and cut in two at every place it is the same. */
static void check(const char* lines, const ws_buf* bytes, int32_t expected, const char* kept, size_t kept_len) {
    size_t n = ws_buf_len(bytes);
    for (size_t i = 0; i <= n; i++) {
        ws_http_body body;
        ws_buf out = {0};
        assert_true(start(&body, "404", lines));
        int32_t rc = feed(&body, bytes, i ? i : 1, i ? n : 1, &out);
        bool same = ws_buf_len(&out) == kept_len && (!kept_len || memcmp(out.data, kept, kept_len) == 0);
        if (rc != expected || !same) {
            fail_msg("%s%.*s: cut at %zu: %d, %.*s", lines, (int)n, bytes->data, i, (int)rc, (int)ws_buf_len(&out),
                     out.data);
        }
        ws_buf_free(&out);
    }
}

typedef struct row {
    const char *lines, *bytes;
    int32_t expected;
    const char* kept;
} row;

#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const row rows[] = {
    {"Content-Length: 5\r\n", "hello", DONE, "hello"},
    {"Content-Length: 5\r\n", "hell", MORE, "hell"},
    {"Content-Length: 5\r\n", "hello, world", DONE, "hello"},
    {"content-length: 0005\r\n", "hello, world", DONE, "hello"},
    {"Content-Length: 18446744073709551617\r\n", "hello", MORE, "hello"},
    {"", "hello", MORE, "hello"},
    {"Content-Length: x\r\n", "hello", MORE, "hello"},
    {"Content-Length: :\r\n", "hello, world", MORE, "hello, world"}, /* the characters before 0 and behind 9 */
    {"Content-Length: 1/\r\n", "hello, world", MORE, "hello, world"},
    {"Content-Length: -1\r\n", "hello", MORE, "hello"},
    {"Content-Length: +1\r\n", "hello", MORE, "hello"},
    {"Content-Length:\r\n", "hello", MORE, "hello"},
    {"Content-Length: 1\r\nContent-Length: 2\r\n", "hello", MORE, "hello"},
    {"Content-Length: 2\r\n" CHUNKED, "5\r\nhello\r\n0\r\n", DONE, "hello"},
    {"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n", "hello", MORE, "hello"},
    {"Transfer-Encoding: gzip, Chunked\r\n", "5\r\nhello\r\n0\r\n", DONE, "hello"},
    {"Transfer-Encoding: gzip\r\n" CHUNKED, "5\r\nhello\r\n0\r\n", DONE, "hello"},
    {"Transfer-Encoding: chunked, ,\r\n", "5\r\nhello\r\n0\r\n", DONE, "hello"},
    {CHUNKED "Transfer-Encoding: gzip\r\n", "5\r\n", MORE, "5\r\n"},
    {CHUNKED, "5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n", DONE, "hello, world"},
    {CHUNKED, "05\r\nhello\r\n00000000000000000000\r\n", DONE, "hello"},
    {CHUNKED, "00000000000000000000000005\r\nhello\r\n0\r\n", DONE, "hello"},
    {CHUNKED, "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", DONE, "01234567890123456789a"},
    {CHUNKED, "5;x=\"y;z\"\r\nhello\r\n5 ; x\r\nthere\r\n0;x\r\n", DONE, "hellothere"},
    {CHUNKED, "5\t\r\nhello\r\n0\r\n", DONE, "hello"},
    {CHUNKED, "5\r\nhello\r\n0\r", MORE, "hello"},
    {CHUNKED, "5\r\nhello\r\n5", MORE, "hello"},
    {CHUNKED, "5\r\nhel", MORE, "hel"},
    {CHUNKED, "ffffffffffffffffffffffff\r\nhel", MORE, "hel"},
    {CHUNKED, "10000000000000000\r\nhel", MORE, "hel"},
    {CHUNKED, "0\r\n", DONE, ""},
    /* malformed: what came before is all */
    {CHUNKED, "\r\nhello", DONE, ""},
    {CHUNKED, "x\r\nhello", DONE, ""},
    {CHUNKED, " 5\r\nhello", DONE, ""},
    {CHUNKED, "-5\r\nhello", DONE, ""},
    {CHUNKED, ";5\r\nhello", DONE, ""},
    {CHUNKED, "5x\r\nhello", DONE, ""},
    {CHUNKED, "0x5\r\nhello", DONE, ""},
    {CHUNKED, "5\nhello", DONE, ""},
    {CHUNKED, "5;x\nhello", DONE, ""},
    {CHUNKED, "5\r\rhello", DONE, ""},
    {CHUNKED, "5\r\nhello5\r\nhello", DONE, "hello"},
    {CHUNKED, "5\r\nhello\n5\r\nhello", DONE, "hello"},
    {CHUNKED, "5\r\nhello\r5\r\nhello", DONE, "hello"},
    {CHUNKED, "5\r\nhello\r\n\r\nhello", DONE, "hello"},
};

TEST(a_body_ends_where_its_head_says) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        ws_buf bytes = {0};
        put_text(&bytes, rows[i].bytes);
        check(rows[i].lines, &bytes, rows[i].expected, rows[i].kept, strlen(rows[i].kept));
        ws_buf_free(&bytes);
    }
}

TEST(some_answers_have_no_body) {
    ws_http_body body;
    assert_false(start(&body, "204", "Content-Length: 5\r\n"));
    assert_false(start(&body, "304", CHUNKED));
    assert_false(start(&body, "101", ""));
    assert_false(start(&body, "404", "Content-Length: 0\r\n"));
    assert_false(start(&body, "404", "Content-Length: 000\r\n"));
    assert_true(start(&body, "205", "Content-Length: 5\r\n"));
    assert_true(start(&body, "500", ""));
}

/* `n` bytes of the pattern, behind this. */
static void put_pattern(ws_buf* out, const char* before, size_t n) {
    uint8_t* bytes = malloc(n);
    assert_non_null(bytes);
    fill_pattern(bytes, n, true);
    put_text(out, before);
    put(out, bytes, n);
    free(bytes);
}

TEST(the_first_8192_bytes_are_kept) {
    static char pattern[WS_BODY_MAX];
    static const char* const starts[][2] = {
        {"", ""}, {"Content-Length: 100000\r\n", ""}, {CHUNKED, "fffff\r\n"}, {"Content-Length: 8192\r\n", ""}};
    fill_pattern((uint8_t*)pattern, sizeof pattern, true);
    for (size_t i = 0; i < COUNT(starts); i++) {
        ws_buf less = {0}, enough = {0}, more = {0};
        put_pattern(&less, starts[i][1], WS_BODY_MAX - 1);
        check(starts[i][0], &less, MORE, pattern, WS_BODY_MAX - 1);
        put_pattern(&enough, starts[i][1], WS_BODY_MAX);
        check(starts[i][0], &enough, DONE, pattern, WS_BODY_MAX);
        put_pattern(&more, starts[i][1], WS_BODY_MAX + 500);
        check(starts[i][0], &more, DONE, pattern, WS_BODY_MAX);
        ws_buf_free(&less);
        ws_buf_free(&enough);
        ws_buf_free(&more);
    }
}

TEST(many_small_chunks_add_up) {
    static char expected[WS_BODY_MAX];
    ws_buf bytes = {0}, out = {0};
    ws_http_body body;
    memset(expected, 'x', sizeof expected);
    for (int i = 0; i < WS_BODY_MAX + 10; i++) {
        put_text(&bytes, "1\r\nx\r\n");
    }
    assert_true(start(&body, "404", CHUNKED));
    assert_int_equal(feed(&body, &bytes, 7, 7, &out), DONE);
    assert_int_equal(ws_buf_len(&out), WS_BODY_MAX);
    assert_memory_equal(out.data, expected, WS_BODY_MAX);
    ws_buf_free(&bytes);
    ws_buf_free(&out);
}

TEST(an_endless_line_of_a_chunk_ends_the_body) {
    static const char* const starts[] = {"5;", "0", "5 "};
    static const char fills[] = {'x', '0', ' '};
    for (size_t i = 0; i < COUNT(starts); i++) {
        ws_buf bytes = {0};
        put_text(&bytes, starts[i]);
        while (ws_buf_len(&bytes) < 4096) {
            put(&bytes, &fills[i], 1);
        }
        check(CHUNKED, &bytes, MORE, "", 0);
        put(&bytes, &fills[i], 1);
        check(CHUNKED, &bytes, DONE, "", 0);
        ws_buf_free(&bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_ends_where_its_head_says),
        cmocka_unit_test(some_answers_have_no_body),
        cmocka_unit_test(the_first_8192_bytes_are_kept),
        cmocka_unit_test(many_small_chunks_add_up),
        cmocka_unit_test(an_endless_line_of_a_chunk_ends_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
