/* core/error: the table, and errors with their words. */
#include "support.h"

typedef struct row {
    int32_t code;
    int32_t fault;
    const char* name;
    const char* text;
} row;

static const row rows[] = {
#define ROW(name, code, fault, text) {code, WS_FAULT_##fault, #name, text},
    WS_ERROR_TABLE(ROW)
#undef ROW
};

TEST(every_row_of_the_table_is_found_by_its_code) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(wsErrorName(rows[i].code), rows[i].name);
        assert_string_equal(wsErrorString(rows[i].code), rows[i].text);
        assert_int_equal(wsErrorFault(rows[i].code), rows[i].fault);
    }
}

TEST(codes_are_negative_and_each_stands_once) {
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(rows[i].code < 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(rows[i].code, rows[j].code);
        }
    }
}

TEST(codes_that_programs_rely_on_keep_their_numbers) {
    assert_int_equal(WS_ERR_MEMORY, -1);
    assert_int_equal(WS_ERR_ARGUMENT, -2);
    assert_int_equal(WS_ERR_STATE, -3);
    assert_int_equal(WS_ERR_CONNECT, -12);
    assert_int_equal(WS_ERR_CLOSED, -40);
    assert_int_equal(WS_ERR_LOST, -41);
}

TEST(a_number_outside_the_table_is_unknown) {
    assert_string_equal(wsErrorName(-9999), "UNKNOWN");
    assert_string_equal(wsErrorString(-9999), "unknown error");
    assert_int_equal(wsErrorFault(-9999), 0);
    assert_string_equal(wsErrorName(1), "UNKNOWN");
}

TEST(zero_is_no_error) {
    assert_string_equal(wsErrorName(0), "OK");
    assert_string_equal(wsErrorString(0), "no error");
    assert_int_equal(wsErrorFault(0), 0);
}

TEST(set_records_code_and_formatted_text_and_returns_the_code) {
    ws_error error = {0};
    assert_int_equal(ws_error_set(&error, WS_ERR_URL, "%s is %d", "this", 42), WS_ERR_URL);
    assert_int_equal(error.code, WS_ERR_URL);
    assert_string_equal(ws_error_text(&error), "this is 42");
    ws_error_clear(&error);
}

TEST(an_empty_text_leaves_the_tables) {
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_URL, "%s", "");
    assert_string_equal(ws_error_text(&error), wsErrorString(WS_ERR_URL));
    ws_error_clear(&error);
}

TEST(the_first_error_stays) {
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_UTF8, "first");
    assert_int_equal(ws_error_set(&error, WS_ERR_URL, "second"), WS_ERR_URL);
    assert_int_equal(error.code, WS_ERR_UTF8);
    assert_string_equal(ws_error_text(&error), "first");
    ws_error_clear(&error);
}

TEST(a_long_text_is_kept_whole) {
    char text[3001];
    ws_error error = {0};
    memset(text, 'x', 3000);
    text[3000] = '\0';
    ws_error_set(&error, WS_ERR_URL, "%s", text);
    assert_string_equal(ws_error_text(&error), text);
    ws_error_clear(&error);
}

TEST(an_error_without_a_text_has_the_tables) {
    ws_error error = {.code = WS_ERR_LOST};
    assert_string_equal(ws_error_text(&error), "connection was lost without a closing handshake");
}

TEST(no_error_has_an_empty_text) {
    ws_error error = {0};
    assert_string_equal(ws_error_text(&error), "");
}

TEST(clear_forgets_everything) {
    ws_error error = {.os_error = 5, .http_status = 404, .size = 7, .max_size = 6};
    ws_error_set(&error, WS_ERR_STATUS, "gone");
    ws_error_clear(&error);
    ws_error none = {0};
    assert_memory_equal(&error, &none, sizeof none);
    assert_int_equal(ws_error_set(&error, WS_ERR_URL, "again"), WS_ERR_URL);
    assert_string_equal(ws_error_text(&error), "again");
    ws_error_clear(&error);
}

TEST(control_characters_in_a_text_become_question_marks) {
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_STATUS, "peer said %s", "a\r\nb\x1b[0m\x7f");
    assert_string_equal(ws_error_text(&error), "peer said a??b?[0m?");
    ws_error_clear(&error);
}

TEST(a_text_that_is_no_utf8_becomes_ascii) {
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_STATUS, "peer said %s", "caf\xe9");
    assert_string_equal(ws_error_text(&error), "peer said caf?");
    ws_error_clear(&error);
}

TEST(a_text_in_utf8_stays_as_it_is) {
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_STATUS, "%s", "caf\xc3\xa9 \xf0\x9f\x98\x80");
    assert_string_equal(ws_error_text(&error), "caf\xc3\xa9 \xf0\x9f\x98\x80");
    ws_error_clear(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_is_found_by_its_code),
        cmocka_unit_test(codes_are_negative_and_each_stands_once),
        cmocka_unit_test(codes_that_programs_rely_on_keep_their_numbers),
        cmocka_unit_test(a_number_outside_the_table_is_unknown),
        cmocka_unit_test(zero_is_no_error),
        cmocka_unit_test(set_records_code_and_formatted_text_and_returns_the_code),
        cmocka_unit_test(an_empty_text_leaves_the_tables),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(a_long_text_is_kept_whole),
        cmocka_unit_test(an_error_without_a_text_has_the_tables),
        cmocka_unit_test(no_error_has_an_empty_text),
        cmocka_unit_test(clear_forgets_everything),
        cmocka_unit_test(control_characters_in_a_text_become_question_marks),
        cmocka_unit_test(a_text_that_is_no_utf8_becomes_ascii),
        cmocka_unit_test(a_text_in_utf8_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
