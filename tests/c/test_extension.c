/* core/extension: what permessage-deflate is offered, chosen, answered and refused (RFC 7692 5, 7.1). */
#include <stdio.h>

#include "core/extension.h"
#include "support.h"

#define NAME "Sec-WebSocket-Extensions: "
#define LINE(text) NAME text "\r\n"

static const ws_deflate_terms widest = {.server_max_window_bits = 15, .client_max_window_bits = 15};

static void assert_written(ws_buf* out, const char* expected) {
    put(out, "", 1);
    assert_string_equal((const char*)ws_buf_head(out), expected);
    ws_buf_free(out);
}

/* ---- the offer ---- */

TEST(the_offer_names_what_is_not_the_default) {
    static const struct {
        ws_deflate_terms wanted;
        const char* line;
    } cases[] = {
        {{false, false, 15, 15}, LINE("permessage-deflate; client_max_window_bits")},
        {{false, false, 15, 9}, LINE("permessage-deflate; client_max_window_bits=9")},
        {{false, false, 9, 15}, LINE("permessage-deflate; server_max_window_bits=9; client_max_window_bits")},
        {{true, false, 15, 15}, LINE("permessage-deflate; server_no_context_takeover; client_max_window_bits")},
        {{false, true, 15, 15}, LINE("permessage-deflate; client_no_context_takeover; client_max_window_bits")},
        {{true, true, 12, 10},
         LINE("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=12; client_max_window_bits=10")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_buf out = {0};
        assert_int_equal(ws_extension_write_offer(&cases[i].wanted, &out), WS_OK);
        assert_written(&out, cases[i].line);
    }
}

/* ---- the server's choice ---- */

/* What a server with these limits answers to a request with these headers; "": it does without. */
static void assert_answer(const char* headers, const ws_deflate_terms* wanted, const char* expected) {
    char text[1024];
    ws_http_head head;
    ws_deflate_terms terms;
    bool ask_client = false;
    ws_buf out = {0};
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", headers);
    assert_null(ws_http_parse_request(&head, text, (size_t)n));
    if (ws_extension_choose(&head, wanted, &terms, &ask_client)) {
        assert_int_equal(ws_extension_write_answer(&terms, ask_client, &out), WS_OK);
    }
    assert_written(&out, expected);
}

typedef struct ws_exchange {
    const char *headers, *answer;
} ws_exchange;

static void assert_answers(const ws_exchange* cases, size_t count, const ws_deflate_terms* wanted) {
    for (size_t i = 0; i < count; i++) {
        assert_answer(cases[i].headers, wanted, cases[i].answer);
    }
}

TEST(an_offer_is_answered_with_its_own_terms) {
    static const ws_exchange cases[] = {
        {LINE("permessage-deflate"), LINE("permessage-deflate")},
        {"sec-websocket-extensions:permessage-deflate\r\n", LINE("permessage-deflate")},
        {LINE("permessage-deflate; client_max_window_bits"), LINE("permessage-deflate")},
        {LINE("permessage-deflate; client_max_window_bits=15"), LINE("permessage-deflate")},
        {LINE("permessage-deflate; client_max_window_bits=10"), LINE("permessage-deflate; client_max_window_bits=10")},
        {LINE("permessage-deflate; client_max_window_bits=8"), LINE("permessage-deflate; client_max_window_bits=8")},
        {LINE("permessage-deflate; server_max_window_bits=15"), LINE("permessage-deflate")},
        {LINE("permessage-deflate; server_max_window_bits=9"), LINE("permessage-deflate; server_max_window_bits=9")},
        {LINE("permessage-deflate; server_no_context_takeover"),
         LINE("permessage-deflate; server_no_context_takeover")},
        {LINE("permessage-deflate; client_no_context_takeover"),
         LINE("permessage-deflate; client_no_context_takeover")},
        {LINE("permessage-deflate\t;\tserver_max_window_bits\t=\t10"),
         LINE("permessage-deflate; server_max_window_bits=10")},
        {LINE("permessage-deflate;server_max_window_bits=\"10\"; client_max_window_bits=\"11\""),
         LINE("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11")},
    };
    assert_answers(cases, COUNT(cases), &widest);
}

TEST(the_servers_own_limits_come_on_top) {
    static const ws_deflate_terms narrow = {true, true, 11, 10};
    static const ws_exchange cases[] = {
        /* The client's window is not the server's to set where the client did not say so (RFC 7692 7.1.2.2). */
        {LINE("permessage-deflate"),
         LINE("permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11")},
        {LINE("permessage-deflate; client_max_window_bits"),
         LINE("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=11; client_max_window_bits=10")},
        {LINE("permessage-deflate; client_max_window_bits=9; server_max_window_bits=15"),
         LINE("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=11; client_max_window_bits=9")},
        {LINE("permessage-deflate; client_max_window_bits=12; server_max_window_bits=9"),
         LINE("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=9; client_max_window_bits=10")},
    };
    assert_answers(cases, COUNT(cases), &narrow);
}

TEST(an_offer_with_a_bad_parameter_is_declined) {
    static const char* const parameters[] = {
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=8", /* zlib cannot: see core/deflate */
        "server_max_window_bits=16",
        "server_max_window_bits=1/",
        "server_max_window_bits=1*",
        "server_max_window_bits=010",
        "server_max_window_bits=09",
        "server_max_window_bits=9x",
        "server_max_window_bits=100",
        "server_max_window_bits=-9",
        "server_max_window_bits=1\"0\"",
        "server_max_window_bits=\"1 0\"",
        "server_max_window_bits=\"10",
        "server_max_window_bits=\"\"",
        "server_max_window_bits=",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits=\"16\"",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"true\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover=true",
        "client_no_context_takeover; client_no_context_takeover",
        "unknown",
        "unknown=1",
        "unknown; client_max_window_bits",
        "server_max_window_bit=10",
        "",
        "; client_max_window_bits",
        "=10",
        "client_max_window_bits garbage",
    };
    for (size_t i = 0; i < COUNT(parameters); i++) {
        char headers[256];
        snprintf(headers, sizeof headers, LINE("permessage-deflate; %s"), parameters[i]);
        assert_answer(headers, &widest, "");
    }
}

TEST(the_first_offer_that_can_be_met_is_taken) {
    static const ws_exchange cases[] = {
        {LINE("permessage-deflate; server_max_window_bits=10, permessage-deflate"),
         LINE("permessage-deflate; server_max_window_bits=10")},
        {LINE("permessage-deflate; server_max_window_bits=8 , permessage-deflate; client_max_window_bits=9"),
         LINE("permessage-deflate; client_max_window_bits=9")},
        {LINE("permessage-deflate; client_max_window_bits=9; unknown, permessage-deflate; client_no_context_takeover"),
         LINE("permessage-deflate; client_no_context_takeover")},
        {LINE("permessage-bzip2, x-webkit-deflate-frame; a=\"b\",permessage-deflate"), LINE("permessage-deflate")},
        {LINE("permessage-deflate; server_max_window_bits=16") LINE("permessage-deflate; server_no_context_takeover"),
         LINE("permessage-deflate; server_no_context_takeover")},
        {LINE("permessage-deflate; server_max_window_bits=9") LINE("permessage-deflate"),
         LINE("permessage-deflate; server_max_window_bits=9")},
        {LINE(", ,permessage-deflate"), LINE("permessage-deflate")}, /* empty elements: RFC 2616 2.1 */
    };
    assert_answers(cases, COUNT(cases), &widest);
}

TEST(without_an_offer_there_is_no_compression) {
    static const char* const headers[] = {
        "",
        LINE(""),
        LINE("permessage-bzip2"),
        LINE("permessage-deflate-2"),
        LINE("\"permessage-deflate\""),
        LINE("permessage-deflate/1"),
        LINE("permessage-deflate permessage-deflate"),
        LINE("=; permessage-deflate"),
    };
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_answer(headers[i], &widest, "");
    }
}

/* ---- the server's answer ---- */

static int32_t read_answer(const char* headers, const ws_deflate_terms* wanted, bool* agreed, ws_deflate_terms* terms) {
    char text[1024];
    ws_http_head head;
    ws_error error = {0};
    int n = snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", headers);
    assert_null(ws_http_parse_response(&head, text, (size_t)n));
    int32_t rc = ws_extension_check_answer(&head, wanted, agreed, terms, &error);
    assert_int_equal(rc, error.code);
    assert_true((rc != 0) == (ws_error_text(&error)[0] != '\0'));
    ws_error_clear(&error);
    return rc;
}

static void assert_terms(const char* headers, const ws_deflate_terms* wanted, ws_deflate_terms expected) {
    bool agreed = false;
    ws_deflate_terms terms = {0};
    assert_int_equal(read_answer(headers, wanted, &agreed, &terms), WS_OK);
    assert_true(agreed);
    assert_int_equal(terms.server_no_context_takeover, expected.server_no_context_takeover);
    assert_int_equal(terms.client_no_context_takeover, expected.client_no_context_takeover);
    assert_int_equal(terms.server_max_window_bits, expected.server_max_window_bits);
    assert_int_equal(terms.client_max_window_bits, expected.client_max_window_bits);
}

TEST(the_answer_sets_the_terms) {
    static const struct {
        const char* headers;
        ws_deflate_terms terms;
    } cases[] = {
        {LINE("permessage-deflate"), {false, false, 15, 15}},
        {LINE("permessage-deflate; server_max_window_bits=8"), {false, false, 8, 15}},
        {LINE("permessage-deflate; client_max_window_bits=8"), {false, false, 15, 8}},
        {LINE("permessage-deflate; client_max_window_bits=\"9\";server_max_window_bits=\"14\""), {false, false, 14, 9}},
        {LINE("permessage-deflate; server_no_context_takeover"), {true, false, 15, 15}},
        {LINE("permessage-deflate; client_no_context_takeover"), {false, true, 15, 15}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_terms(cases[i].headers, &widest, cases[i].terms);
    }
}

TEST(what_the_answer_leaves_open_is_ours_for_our_side_and_the_most_for_theirs) {
    static const ws_deflate_terms narrow = {true, true, 10, 11};
    assert_terms(LINE("permessage-deflate"), &narrow, (ws_deflate_terms){false, true, 15, 11});
    assert_terms(LINE("permessage-deflate; server_no_context_takeover; server_max_window_bits=10"), &narrow,
                 (ws_deflate_terms){true, true, 10, 11});
}

TEST(without_an_answer_there_is_no_compression) {
    bool agreed = true;
    ws_deflate_terms terms;
    assert_int_equal(read_answer("", &widest, &agreed, &terms), WS_OK);
    assert_false(agreed);
    assert_int_equal(read_answer("", NULL, &agreed, &terms), WS_OK);
    assert_false(agreed);
}

static void assert_refused(const char* headers, const ws_deflate_terms* wanted) {
    bool agreed;
    ws_deflate_terms terms;
    assert_int_equal(read_answer(headers, wanted, &agreed, &terms), WS_ERR_EXTENSION);
}

TEST(an_answer_to_no_offer_is_refused) {
    assert_refused(LINE("permessage-deflate"), NULL);
    assert_refused(LINE("something"), NULL);
    assert_refused(LINE("permessage-deflate") LINE("permessage-deflate"), NULL);
}

TEST(an_answer_that_goes_beyond_the_offer_is_refused) {
    static const ws_deflate_terms narrow = {false, false, 10, 11};
    assert_terms(LINE("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"), &narrow, narrow);
    assert_refused(LINE("permessage-deflate; server_max_window_bits=11"), &narrow);
    assert_refused(LINE("permessage-deflate; client_max_window_bits=12"), &narrow);
}

TEST(an_answer_that_is_wrong_is_refused) {
    static const char* const headers[] = {
        LINE(""),
        LINE("permessage-bzip2"),
        LINE("permessage-deflate, permessage-deflate"),
        LINE("permessage-deflate, permessage-bzip2"),
        LINE("permessage-deflate,"),
        LINE("permessage-deflate") LINE("permessage-deflate"),
        LINE("permessage-deflate; unknown"),
        LINE("permessage-deflate; unknown=1"),
        LINE("permessage-deflate; client_max_window_bits"), /* an answer names a value (RFC 7692 7.1.2.2) */
        LINE("permessage-deflate; server_max_window_bits"),
        LINE("permessage-deflate; server_max_window_bits=7"),
        LINE("permessage-deflate; server_max_window_bits=16"),
        LINE("permessage-deflate; client_max_window_bits=7"),
        LINE("permessage-deflate; client_max_window_bits=16"),
        LINE("permessage-deflate; client_max_window_bits=010"),
        LINE("permessage-deflate; client_max_window_bits=10; client_max_window_bits=10"),
        LINE("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"),
        LINE("permessage-deflate; server_no_context_takeover=1"),
        LINE("permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
        LINE("permessage-deflate; client_no_context_takeover=\"\""),
        LINE("permessage-deflate; client_no_context_takeover; client_no_context_takeover"),
        LINE("permessage-deflate;"),
        LINE("permessage-deflate;;"),
        LINE("permessage-deflate=1"),
        LINE("permessage-deflate; server_max_window_bits=\"10"),
        LINE("permessage-deflate garbage"),
    };
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_refused(headers[i], &widest);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_offer_names_what_is_not_the_default),
        cmocka_unit_test(an_offer_is_answered_with_its_own_terms),
        cmocka_unit_test(the_servers_own_limits_come_on_top),
        cmocka_unit_test(an_offer_with_a_bad_parameter_is_declined),
        cmocka_unit_test(the_first_offer_that_can_be_met_is_taken),
        cmocka_unit_test(without_an_offer_there_is_no_compression),
        cmocka_unit_test(the_answer_sets_the_terms),
        cmocka_unit_test(what_the_answer_leaves_open_is_ours_for_our_side_and_the_most_for_theirs),
        cmocka_unit_test(without_an_answer_there_is_no_compression),
        cmocka_unit_test(an_answer_to_no_offer_is_refused),
        cmocka_unit_test(an_answer_that_goes_beyond_the_offer_is_refused),
        cmocka_unit_test(an_answer_that_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
