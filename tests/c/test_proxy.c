/* core/proxy: what is said to HTTP and SOCKS5 proxies, and what each of their answers leads to, in any pieces. */
#include "core/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/http1.h"
#include "support.h"

static const ws_proxy_target by_name = {.host = "example.com", .port = 443};
static const ws_proxy_target by_ipv4 = {.host = "192.0.2.7", .port = 80, .address_len = 4, .address = {192, 0, 2, 7}};
static const ws_proxy_target by_ipv6 = {
    .host = "2001:db8::7", .ipv6 = true, .port = 9000, .address_len = 16, .address = {0x20, 1, 0x0d, 0xb8, [15] = 7}};

/* A dialog: what the proxy is, what it says in its turns, and how that is cut. */
typedef struct dialog {
    const char* url;
    const ws_proxy_target* target;
    const void* turns[4];
    size_t lengths[4];
    size_t first, rest; /* bytes of the first piece, and of those after it; 0: to the end of the turn */
    bool ends;          /* the stream ends after it */
} dialog;

#define TURN(i, text) .turns[i] = (text), .lengths[i] = sizeof(text) - 1

/* What came of it; free with forget. */
typedef struct outcome {
    int32_t rc;
    ws_error error;
    ws_buf said;
    ws_proxy proxy;
} outcome;

static void write_all(ws_proxy* proxy, ws_buf* said, size_t piece) {
    size_t len;
    for (const uint8_t* bytes; bytes = ws_proxy_output(proxy, &len), len;) {
        size_t n = piece && piece < len ? piece : len;
        put(said, bytes, n);
        ws_proxy_written(proxy, n);
    }
}

static void begin(const dialog* d, outcome* out) {
    ws_proxy_url url;
    *out = (outcome){0};
    if (ws_proxy_url_parse(&url, d->url, &out->error)) fail_msg("%s: %s", d->url, ws_error_text(&out->error));
    if (ws_proxy_start(&out->proxy, &url, d->target, "agent/1", &out->error)) fail_msg("start");
    ws_proxy_url_free(&url);
}

/* Bytes of the heap, so that reading beyond them is noticed. */
static int32_t feed(outcome* out, const uint8_t* bytes, size_t n) {
    uint8_t* copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    int32_t rc = ws_proxy_feed(&out->proxy, copy, n, &out->error);
    free(copy);
    return rc;
}

static outcome run(const dialog* d) {
    outcome out;
    size_t piece = d->first;
    begin(d, &out);
    write_all(&out.proxy, &out.said, d->rest);
    for (size_t turn = 0; turn < COUNT(d->turns); turn++) {
        for (size_t at = 0; at < d->lengths[turn];) {
            size_t left = d->lengths[turn] - at;
            size_t n = piece && piece < left ? piece : left;
            out.rc = feed(&out, (const uint8_t*)d->turns[turn] + at, n);
            at += n;
            piece = piece && piece > n ? piece - n : d->rest;
        }
        write_all(&out.proxy, &out.said, d->rest);
    }
    if (d->ends) out.rc = ws_proxy_end(&out.proxy, &out.error);
    return out;
}

static void forget(outcome* out) {
    ws_proxy_free(&out->proxy);
    ws_buf_free(&out->said);
    ws_error_clear(&out->error);
}

static void check_same(const dialog* d, const outcome* whole) {
    outcome cut = run(d);
    if (cut.rc != whole->rc || strcmp(ws_error_text(&cut.error), ws_error_text(&whole->error)) != 0)
        fail_msg("%s; %s", ws_error_text(&cut.error), ws_error_text(&whole->error));
    assert_int_equal(cut.error.os_error, whole->error.os_error);
    assert_int_equal(cut.error.http_status, whole->error.http_status);
    assert_int_equal(ws_buf_len(&cut.said), ws_buf_len(&whole->said));
    assert_memory_equal(ws_buf_head(&cut.said), ws_buf_head(&whole->said), ws_buf_len(&whole->said));
    forget(&cut);
}

/* The outcome, which is the same wherever the answer is cut in two, and in pieces of every length. */
static outcome run_all_ways(dialog d) {
    size_t total = 0;
    outcome whole = run(&d);
    for (size_t i = 0; i < COUNT(d.turns); i++) {
        total += d.lengths[i];
    }
    for (size_t n = 1; n <= total; n++) {
        d.first = n;
        d.rest = 0;
        check_same(&d, &whole);
        d.rest = n;
        check_same(&d, &whole);
    }
    return whole;
}

static void assert_said(const outcome* out, const void* expected, size_t n) {
    assert_int_equal(ws_buf_len(&out->said), n);
    assert_memory_equal(ws_buf_head(&out->said), expected, n);
}

#define ASSERT_SAID(out, text) assert_said(out, text, sizeof(text) - 1)

/* It fails with this code, and a text that names the proxy and has this in it. */
static void assert_fails(dialog d, int32_t code, const char* text) {
    outcome out = run_all_ways(d);
    const char* said = ws_error_text(&out.error);
    if (out.rc != code || out.error.code != code) fail_msg("%d: %s", out.rc, said);
    if (!strstr(said, text) || !strstr(said, "proxy p:") || strstr(said, "secret")) fail_msg("%s: %s", text, said);
    assert_int_equal(feed(&out, (const uint8_t*)"x", 1), code);
    assert_int_equal(ws_proxy_end(&out.proxy, &out.error), code);
    forget(&out);
}

static void assert_stands(dialog d) {
    outcome out = run_all_ways(d);
    if (out.rc != 1) fail_msg("%d: %s", out.rc, ws_error_text(&out.error));
    assert_int_equal(feed(&out, (const uint8_t*)"", 0), 1);
    forget(&out);
}

/* ---- HTTP ---- */

#define HTTP_DIALOG(text) ((dialog){"http://p", &by_name, TURN(0, text)})
#define LOGIN_DIALOG(text) ((dialog){"http://user:secret@p", &by_name, TURN(0, text)})
#define OK_HEAD "HTTP/1.1 200 OK\r\n\r\n"

TEST(connect_asks_for_the_target) {
    outcome out = run_all_ways(HTTP_DIALOG(OK_HEAD));
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: agent/1\r\n\r\n");
    forget(&out);
    out = run(&(dialog){"https://p", &by_ipv6, TURN(0, OK_HEAD)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "CONNECT [2001:db8::7]:9000 HTTP/1.1\r\nHost: [2001:db8::7]:9000\r\nUser-Agent: agent/1\r\n\r\n");
    forget(&out);
}

static void assert_authorization(const char* url, const char* expected) {
    outcome out = run(&(dialog){url, &by_ipv4, TURN(0, OK_HEAD)});
    char request[2000];
    snprintf(request, sizeof request,
             "CONNECT 192.0.2.7:80 HTTP/1.1\r\nHost: 192.0.2.7:80\r\n"
             "Proxy-Authorization: Basic %s\r\nUser-Agent: agent/1\r\n\r\n",
             expected);
    assert_said(&out, request, strlen(request));
    forget(&out);
}

TEST(user_and_password_go_by_the_basic_scheme) {
    assert_authorization("http://Aladdin:open%20sesame@p", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 2 */
    assert_authorization("http://test:123%C2%A3@p", "dGVzdDoxMjPCow==");                    /* RFC 7617 2.1 */
    assert_authorization("http://u@p", "dTo=");
    assert_authorization("http://u:@p", "dTo=");
    assert_authorization("http://:x@p", "Ong=");
}

TEST(without_a_user_agent_there_is_none) {
    static const char* const none[] = {NULL, ""};
    for (size_t i = 0; i < COUNT(none); i++) {
        ws_proxy_url url = {.kind = WS_PROXY_HTTP, .host = (char*)"p", .port = 80};
        ws_error error = {0};
        ws_proxy proxy;
        size_t len;
        assert_int_equal(ws_proxy_start(&proxy, &url, &by_name, none[i], &error), WS_OK);
        ws_proxy_output(&proxy, &len);
        assert_int_equal(len, strlen("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"));
        ws_proxy_free(&proxy);
    }
}

TEST(every_2xx_is_a_tunnel) {
    assert_stands(HTTP_DIALOG(OK_HEAD));
    assert_stands(HTTP_DIALOG("HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n"));
    assert_stands(HTTP_DIALOG("HTTP/1.1 200\r\n\r\n"));
    assert_stands(HTTP_DIALOG("HTTP/1.1 204 No Content\r\n\r\n"));
    assert_stands(HTTP_DIALOG("HTTP/1.1 299 \r\n\r\n"));
    assert_stands(HTTP_DIALOG("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

TEST(an_interim_answer_comes_before_the_one_that_counts) {
    assert_stands(HTTP_DIALOG("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_HEAD));
    assert_fails(HTTP_DIALOG("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n"), WS_ERR_PROXY_STATUS, "HTTP 403");
    assert_fails(HTTP_DIALOG("HTTP/1.1 100 Continue\r\n\r\nnonsense"), WS_ERR_PROXY_HTTP, "does not speak HTTP");
    assert_fails(HTTP_DIALOG("HTTP/1.1 101 Switching\r\n\r\n"), WS_ERR_PROXY_STATUS, "HTTP 101 Switching");
}

TEST(every_other_status_is_a_refusal) {
    for (int status = 100; status < 1000; status++) {
        char text[40];
        snprintf(text, sizeof text, "HTTP/1.1 %d Reason\r\n\r\n", status);
        outcome out = run(&(dialog){"http://p", &by_name, .turns[0] = text, .lengths[0] = strlen(text)});
        bool interim = status < 200 && status != 101;
        int32_t expected = interim ? 0 : status / 100 == 2 ? 1 : WS_ERR_PROXY_STATUS;
        if (out.rc != expected) fail_msg("%d: %d", status, out.rc);
        if (out.rc < 0) assert_int_equal(out.error.http_status, status);
        forget(&out);
    }
}

TEST(a_refusal_says_what_to_do) {
    static const char denied[] = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                                 "Content-Length: 5\r\n\r\nhello";
    assert_fails((dialog){"http://p", &by_name, TURN(0, denied)}, WS_ERR_PROXY_STATUS,
                 "proxy p:80 refused the tunnel to example.com:443 with HTTP 407 Proxy Authentication Required: it "
                 "wants a user and a password");
    assert_fails((dialog){"https://user:secret@p", &by_ipv6, TURN(0, denied)}, WS_ERR_PROXY_STATUS,
                 "proxy p:443 refused the tunnel to [2001:db8::7]:9000 with HTTP 407 Proxy Authentication Required: it "
                 "does not take the user and password");
    assert_fails(HTTP_DIALOG("HTTP/1.0 403\r\n\r\n"), WS_ERR_PROXY_STATUS, "HTTP 403: its rules");
    assert_fails(HTTP_DIALOG("HTTP/1.0 405 Not Allowed\r\n\r\n"), WS_ERR_PROXY_STATUS, "it makes no tunnels");
    assert_fails(HTTP_DIALOG("HTTP/1.0 501 Not Implemented\r\n\r\n"), WS_ERR_PROXY_STATUS, "it makes no tunnels");
    assert_fails(HTTP_DIALOG("HTTP/1.1 502 Bad Gateway\r\n\r\n"), WS_ERR_PROXY_STATUS, "does not reach");
    assert_fails(HTTP_DIALOG("HTTP/1.1 503 x\r\n\r\n"), WS_ERR_PROXY_STATUS, "does not reach");
    assert_fails(HTTP_DIALOG("HTTP/1.0 500 Unable to connect\r\n\r\n"), WS_ERR_PROXY_STATUS,
                 "perhaps it does not reach");
    assert_fails(HTTP_DIALOG("HTTP/1.0 401 Unauthorized\r\n\r\n"), WS_ERR_PROXY_STATUS, "HTTP 401 Unauthorized");
    assert_fails(LOGIN_DIALOG("HTTP/1.0 401 Unauthorized\r\n\r\n"), WS_ERR_PROXY_STATUS, "does not take the user and");
    assert_fails(HTTP_DIALOG("HTTP/1.1 504 x\r\n\r\n"), WS_ERR_PROXY_STATUS, "does not reach");
    assert_fails(LOGIN_DIALOG("HTTP/1.1 418 A Teapot\r\n\r\n"), WS_ERR_PROXY_STATUS, "HTTP 418 A Teapot");
}

TEST(a_long_reason_is_cut) {
    char text[300], reason[203] = " ";
    memset(reason + 1, 'r', 201);
    snprintf(text, sizeof text, "HTTP/1.1 400%s\r\n\r\n", reason);
    outcome out = run(&(dialog){"http://p", &by_name, .turns[0] = text, .lengths[0] = strlen(text)});
    assert_null(strstr(ws_error_text(&out.error), reason));
    reason[201] = '\0';
    assert_non_null(strstr(ws_error_text(&out.error), reason));
    forget(&out);
}

TEST(the_head_of_a_refusal_is_kept) {
    static const char head[] = "HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
    outcome out = run_all_ways(HTTP_DIALOG("HTTP/1.1 100 Wait\r\n\r\nHTTP/1.0 407 No\r\n"
                                           "Proxy-Authenticate: Basic realm=\"x\"\r\n\r\nbody"));
    ws_http_head parsed;
    size_t len, count;
    const char* kept = ws_proxy_head(&out.proxy, &len);
    assert_int_equal(len, sizeof head - 1);
    assert_memory_equal(kept, head, len);
    assert_null(ws_http_parse_proxy_response(&parsed, kept, len));
    assert_true(ws_slice_equal(*ws_http_header_value(&parsed, "proxy-authenticate", &count), "Basic realm=\"x\""));
    forget(&out);
}

TEST(without_a_head_there_is_none) {
    size_t len;
    outcome out = run(&HTTP_DIALOG("HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 407"));
    assert_int_equal(out.rc, 0);
    assert_null(ws_proxy_head(&out.proxy, &len));
    assert_int_equal(len, 0);
    forget(&out);
}

TEST(what_is_no_http_is_told) {
    assert_fails(HTTP_DIALOG("SSH-2.0-OpenSSH_9.2\r\n"), WS_ERR_PROXY_HTTP, "does not speak HTTP");
    assert_fails(HTTP_DIALOG("HTTP/2.0 200 OK\r\n\r\n"), WS_ERR_PROXY_HTTP, "does not speak HTTP");
    assert_fails(HTTP_DIALOG("HTTP/1.2 200 OK\r\n\r\n"), WS_ERR_PROXY_HTTP, "does not speak HTTP");
    assert_fails(HTTP_DIALOG("\x05\xff"), WS_ERR_PROXY_HTTP, "is it a SOCKS proxy?");
    assert_fails(HTTP_DIALOG("\x15\x03\x01"), WS_ERR_PROXY_HTTP, "https://");
    assert_fails(HTTP_DIALOG("\x16\x03\x01"), WS_ERR_PROXY_HTTP, "https://");
    assert_fails(HTTP_DIALOG("HTTP/1.1 2x0 OK\r\n\r\n"), WS_ERR_PROXY_HTTP, "no HTTP answer");
    assert_fails(HTTP_DIALOG("HTTP/1.1 099 OK\r\n\r\n"), WS_ERR_PROXY_HTTP, "no HTTP answer");
    assert_fails(HTTP_DIALOG("HTTP/1.1 200 OK\r\nBad header: x\r\n\r\n"), WS_ERR_PROXY_HTTP, "malformed header line");
}

TEST(bytes_behind_the_head_of_a_tunnel_are_refused) {
    assert_fails(HTTP_DIALOG(OK_HEAD "x"), WS_ERR_PROXY_HTTP, "more than the answer");
    assert_fails(HTTP_DIALOG(OK_HEAD OK_HEAD), WS_ERR_PROXY_HTTP, "more than the answer");
}

TEST(an_answer_before_the_request_makes_no_tunnel) {
    for (int refusal = 0; refusal < 2; refusal++) {
        const char* text = refusal ? "HTTP/1.1 503 Busy\r\n\r\n" : OK_HEAD;
        outcome out;
        begin(&HTTP_DIALOG(""), &out);
        ws_proxy_written(&out.proxy, 10);
        out.rc = feed(&out, (const uint8_t*)text, strlen(text));
        assert_int_equal(out.rc, refusal ? WS_ERR_PROXY_STATUS : WS_ERR_PROXY_HTTP);
        forget(&out);
    }
}

/* A head of n bytes, then `behind` more. */
static int32_t run_head(size_t n, size_t behind, size_t rest, size_t* kept) {
    ws_buf text = {0};
    put_text(&text, "HTTP/1.1 200 OK\r\nX: ");
    assert_int_equal(ws_buf_reserve(&text, n + behind), WS_OK);
    memset(text.data + text.end, 'a', n + behind - text.end);
    text.end = n + behind;
    memcpy(text.data + n - 4, "\r\n\r\n", 4);
    outcome out = run(
        &(dialog){"http://p", &by_name, .turns[0] = text.data, .lengths[0] = text.end, .first = rest, .rest = rest});
    int32_t rc = out.rc;
    *kept = out.proxy.in.cap;
    forget(&out);
    ws_buf_free(&text);
    return rc;
}

TEST(a_head_has_at_most_65536_bytes_and_no_more_is_kept) {
    static const size_t pieces[] = {0, 1, 1000, 65535, 65536, 65537};
    size_t kept;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_int_equal(run_head(65536, 0, pieces[i], &kept), 1);
        assert_int_equal(run_head(65536, 1, pieces[i], &kept), WS_ERR_PROXY_HTTP);
        assert_int_equal(run_head(65537, 0, pieces[i], &kept), WS_ERR_PROXY_HTTP);
        assert_int_equal(run_head(1 << 20, 0, pieces[i], &kept), WS_ERR_PROXY_HTTP);
        assert_true(kept <= 131072);
    }
}

TEST(interim_answers_count_too) {
    static const char wait[] = "HTTP/1.1 100 Continue\r\n\r\n";
    outcome out;
    begin(&HTTP_DIALOG(""), &out);
    write_all(&out.proxy, &out.said, 0);
    for (size_t sent = 0; sent + sizeof wait - 1 < WS_PROXY_MAX_HEAD; sent += sizeof wait - 1) {
        assert_int_equal(feed(&out, (const uint8_t*)wait, sizeof wait - 1), 0);
    }
    assert_int_equal(feed(&out, (const uint8_t*)wait, sizeof wait - 1), WS_ERR_PROXY_HTTP);
    assert_true(out.proxy.in.cap <= 131072);
    forget(&out);
}

static void assert_ends(dialog whole) {
    for (size_t turn = 0; turn < COUNT(whole.turns); turn++) {
        for (size_t n = 0; n < whole.lengths[turn]; n++) {
            dialog d = {whole.url, whole.target, .ends = true};
            memcpy(d.turns, whole.turns, sizeof d.turns);
            memcpy(d.lengths, whole.lengths, turn * sizeof *d.lengths);
            d.lengths[turn] = n;
            assert_fails(d, WS_ERR_PROXY, "closed the connection before the tunnel to ");
        }
    }
}

TEST(an_end_before_the_tunnel_is_told) {
    const char* hint = "stood: are scheme and port of its URL right?"; /* of one that said nothing */
    assert_fails((dialog){"http://p", &by_name, .ends = true}, WS_ERR_PROXY, hint);
    assert_fails((dialog){"socks5h://p", &by_name, .ends = true}, WS_ERR_PROXY, hint);
    assert_ends(HTTP_DIALOG("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n"));
    assert_ends((dialog){"socks5h://u:p@p", &by_name, TURN(0, "\5\2"), TURN(1, "\1\0"), TURN(2, "\5\0\0\3\4name\0\0")});
}

/* ---- SOCKS5 ---- */

#define BOUND "\5\0\0\1\0\0\0\0\0\0"

TEST(socks_asks_for_an_address_or_a_name) {
    outcome out = run_all_ways((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"), TURN(1, BOUND)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "\5\1\0"
                      "\5\1\0\1\xc0\0\2\7\0\x50");
    forget(&out);
    out = run_all_ways((dialog){"socks5://p", &by_ipv6, TURN(0, "\5\0"), TURN(1, BOUND)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "\5\1\0"
                      "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x23\x28");
    forget(&out);
    out = run_all_ways((dialog){"socks5h://p", &by_name, TURN(0, "\5\0"), TURN(1, BOUND)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "\5\1\0"
                      "\5\1\0\3\x0b"
                      "example.com\1\xbb");
    forget(&out);
    out = run(&(dialog){"socks5h://p", &by_ipv4, TURN(0, "\5\0"), TURN(1, BOUND)});
    ASSERT_SAID(&out, "\5\1\0"
                      "\5\1\0\1\xc0\0\2\7\0\x50");
    forget(&out);
}

TEST(socks_logs_in_if_it_is_asked_to) {
    outcome out =
        run_all_ways((dialog){"socks5h://user:secret@p", &by_name, TURN(0, "\5\2"), TURN(1, "\1\0"), TURN(2, BOUND)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "\5\2\0\2"
                      "\1\4user\6secret"
                      "\5\1\0\3\x0b"
                      "example.com\1\xbb");
    forget(&out);
    out = run_all_ways((dialog){"socks5h://user:secret@p", &by_name, TURN(0, "\5\0"), TURN(1, BOUND)});
    assert_int_equal(out.rc, 1);
    ASSERT_SAID(&out, "\5\2\0\2"
                      "\5\1\0\3\x0b"
                      "example.com\1\xbb");
    forget(&out);
}

TEST(the_longest_names_fit) {
    char host[256], url[800];
    memset(host, 'h', 255);
    host[255] = '\0';
    snprintf(url, sizeof url, "socks5h://%0255d:%0255d@%s", 1, 2, host);
    outcome out = run_all_ways(
        (dialog){url, &(ws_proxy_target){.host = host, .port = 1}, TURN(0, "\5\2"), TURN(1, "\1\0"), TURN(2, BOUND)});
    assert_int_equal(out.rc, 1);
    assert_int_equal(ws_buf_len(&out.said), 4 + 3 + 255 + 255 + 5 + 255 + 2);
    forget(&out);
}

TEST(bound_addresses_of_all_types_are_skipped) {
    static uint8_t name[4 + 1 + 255 + 2] = {5, 0, 0, 3, 255};
    assert_stands((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"), TURN(1, "\5\0\0\1\x7f\0\0\1\x12\x34")});
    assert_stands((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"),
                           TURN(1, "\5\0\0\4"
                                   "0123456789abcdef"
                                   "\x12\x34")});
    assert_stands((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"), TURN(1, "\5\0\0\3\0\0\0")});
    assert_stands((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"), .turns[1] = name, .lengths[1] = sizeof name});
    assert_stands((dialog){"socks5://p", &by_ipv4, TURN(0, "\5\0"), TURN(1, "\5\0\x99\3\1x\0\0")});
    static const uint8_t types[] = {0, 2, 5, 255};
    for (size_t i = 0; i < COUNT(types); i++) {
        uint8_t bytes[20] = {5, 0, 0, types[i]};
        dialog d = {"socks5://p", &by_ipv4, TURN(0, "\5\0"), .turns[1] = bytes, .lengths[1] = sizeof bytes};
        assert_fails(d, WS_ERR_PROXY, "address of a type");
    }
}

TEST(every_reply_of_socks_is_told_in_words) {
    static const struct {
        const char* text;
        int os_error;
    } known[] = {{"", 0},
                 {"general failure (SOCKS reply 1)", 0},
                 {"its rules do not allow that (SOCKS reply 2)", 0},
                 {"network unreachable (SOCKS reply 3)", ENETUNREACH},
                 {"host unreachable (SOCKS reply 4)", EHOSTUNREACH},
                 {"connection refused (SOCKS reply 5)", ECONNREFUSED},
                 {"time to live expired on the way (SOCKS reply 6)", 0},
                 {"it does not know the command CONNECT (SOCKS reply 7)", 0},
                 {"it does not know this type of address (SOCKS reply 8)", 0}};
    for (unsigned code = 1; code < 256; code++) {
        uint8_t bytes[] = {5, (uint8_t)code, 0, 1, 0, 0, 0, 0, 0, 0};
        char text[100];
        snprintf(text, sizeof text, "unknown failure (SOCKS reply %u)", code);
        dialog d = {"socks5h://user:secret@p", &by_name, TURN(0, "\5\0"), .turns[1] = bytes, .lengths[1] = 2};
        assert_fails(d, WS_ERR_PROXY, code < COUNT(known) ? known[code].text : text);
        d.lengths[1] = sizeof bytes;
        outcome out = run(&d);
        assert_non_null(strstr(ws_error_text(&out.error), "proxy p:1080 does not connect to example.com:443: "));
        assert_int_equal(out.error.os_error, code < COUNT(known) ? known[code].os_error : 0);
        forget(&out);
    }
}

TEST(what_is_no_socks_is_told) {
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, http)}, WS_ERR_PROXY, "is it an HTTP proxy?");
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\4\0")}, WS_ERR_PROXY, "does not speak SOCKS5");
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\0\x5a")}, WS_ERR_PROXY, "does not speak SOCKS5");
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\5\0"), TURN(1, http)}, WS_ERR_PROXY, "HTTP proxy?");
    assert_fails((dialog){"socks5h://u:secret@p", &by_name, TURN(0, "\5\2"), TURN(1, "\5\0")}, WS_ERR_PROXY,
                 "does not speak SOCKS5");
}

TEST(only_what_looks_like_http_is_taken_for_it) {
    outcome out = run(&(dialog){"socks5h://p", &by_name, TURN(0, "\4\0")});
    assert_string_equal(ws_error_text(&out.error), "proxy p:1080 does not speak SOCKS5");
    forget(&out);
}

TEST(what_can_go_wrong_with_logging_in) {
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\5\xff")}, WS_ERR_PROXY, "nobody in without a login");
    assert_fails((dialog){"socks5h://u:secret@p", &by_name, TURN(0, "\5\xff")}, WS_ERR_PROXY, "none of the ways");
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\5\2")}, WS_ERR_PROXY, "was not offered");
    assert_fails((dialog){"socks5h://u:secret@p", &by_name, TURN(0, "\5\1")}, WS_ERR_PROXY, "was not offered");
    assert_fails((dialog){"socks5h://u:secret@p", &by_name, TURN(0, "\5\2"), TURN(1, "\1\1")}, WS_ERR_PROXY,
                 "does not take the user and password");
    assert_fails((dialog){"socks5h://u:secret@p", &by_name, TURN(0, "\5\2"), TURN(1, "\1\xff")}, WS_ERR_PROXY,
                 "does not take the user and password");
}

TEST(more_than_an_answer_of_socks_is_refused) {
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\5\0"), TURN(1, BOUND "x")}, WS_ERR_PROXY, "more than");
    assert_fails((dialog){"socks5h://p", &by_name, TURN(0, "\5\0" BOUND)}, WS_ERR_PROXY, "before it was asked");
    assert_fails((dialog){"socks5h://u:p@p", &by_name, TURN(0, "\5\2\1\0")}, WS_ERR_PROXY, "before it was asked");
    assert_fails((dialog){"socks5h://u:p@p", &by_name, TURN(0, "\5\2"), TURN(1, "\1\0" BOUND)}, WS_ERR_PROXY,
                 "before it was asked");
}

TEST(an_answer_before_the_greeting_is_refused) {
    outcome out;
    begin(&(dialog){"socks5h://p", &by_name, TURN(0, "")}, &out);
    ws_proxy_written(&out.proxy, 2);
    assert_int_equal(feed(&out, (const uint8_t*)"\5", 1), WS_ERR_PROXY);
    assert_non_null(strstr(ws_error_text(&out.error), "before it was asked"));
    forget(&out);
}

TEST(a_flood_is_not_kept) {
    static uint8_t flood[1 << 20] = {5, 0};
    outcome out = run(&(dialog){"socks5h://p", &by_name, .turns[0] = flood, .lengths[0] = sizeof flood});
    assert_int_equal(out.rc, WS_ERR_PROXY);
    assert_true(out.proxy.in.cap <= 1024);
    forget(&out);
}

/* ---- both ---- */

static int32_t start_with(ws_proxy_kind kind, ws_proxy_target target) {
    ws_proxy_url url = {.kind = kind, .host = (char*)"p", .port = 80};
    ws_proxy proxy;
    ws_error error = {0};
    int32_t rc = ws_proxy_start(&proxy, &url, &target, NULL, &error);
    ws_proxy_free(&proxy);
    ws_error_clear(&error);
    return rc;
}

TEST(a_target_that_cannot_be_is_refused) {
    char host[257];
    memset(host, 'h', sizeof host);
    host[256] = '\0';
    assert_int_equal(start_with(WS_PROXY_HTTP, (ws_proxy_target){.host = host + 1, .port = 1}), WS_OK);
    assert_int_equal(start_with(WS_PROXY_HTTP, (ws_proxy_target){.host = host, .port = 1}), WS_ERR_ARGUMENT);
    assert_int_equal(start_with(WS_PROXY_SOCKS5H, (ws_proxy_target){.host = host, .port = 1}), WS_ERR_ARGUMENT);
    assert_int_equal(start_with(WS_PROXY_HTTP, (ws_proxy_target){.host = "", .port = 1}), WS_ERR_ARGUMENT);
    assert_int_equal(start_with(WS_PROXY_SOCKS5, by_name), WS_ERR_ARGUMENT);
    assert_int_equal(start_with(WS_PROXY_SOCKS5H, (ws_proxy_target){.host = "h", .address_len = 5}), WS_ERR_ARGUMENT);
}

TEST(nothing_more_is_said_after_a_failure) {
    size_t len;
    outcome out;
    begin(&HTTP_DIALOG(""), &out);
    ws_proxy_written(&out.proxy, 10);
    assert_int_equal(feed(&out, (const uint8_t*)"?", 1), WS_ERR_PROXY_HTTP);
    ws_proxy_output(&out.proxy, &len);
    assert_int_equal(len, 0);
    forget(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_asks_for_the_target),
        cmocka_unit_test(user_and_password_go_by_the_basic_scheme),
        cmocka_unit_test(without_a_user_agent_there_is_none),
        cmocka_unit_test(every_2xx_is_a_tunnel),
        cmocka_unit_test(an_interim_answer_comes_before_the_one_that_counts),
        cmocka_unit_test(every_other_status_is_a_refusal),
        cmocka_unit_test(a_refusal_says_what_to_do),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(the_head_of_a_refusal_is_kept),
        cmocka_unit_test(without_a_head_there_is_none),
        cmocka_unit_test(what_is_no_http_is_told),
        cmocka_unit_test(bytes_behind_the_head_of_a_tunnel_are_refused),
        cmocka_unit_test(an_answer_before_the_request_makes_no_tunnel),
        cmocka_unit_test(a_head_has_at_most_65536_bytes_and_no_more_is_kept),
        cmocka_unit_test(interim_answers_count_too),
        cmocka_unit_test(an_end_before_the_tunnel_is_told),
        cmocka_unit_test(socks_asks_for_an_address_or_a_name),
        cmocka_unit_test(socks_logs_in_if_it_is_asked_to),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(bound_addresses_of_all_types_are_skipped),
        cmocka_unit_test(every_reply_of_socks_is_told_in_words),
        cmocka_unit_test(what_is_no_socks_is_told),
        cmocka_unit_test(only_what_looks_like_http_is_taken_for_it),
        cmocka_unit_test(what_can_go_wrong_with_logging_in),
        cmocka_unit_test(more_than_an_answer_of_socks_is_refused),
        cmocka_unit_test(an_answer_before_the_greeting_is_refused),
        cmocka_unit_test(a_flood_is_not_kept),
        cmocka_unit_test(a_target_that_cannot_be_is_refused),
        cmocka_unit_test(nothing_more_is_said_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
