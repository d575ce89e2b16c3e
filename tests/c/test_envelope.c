/* The chat envelope: the table of cases that C and Python share, and what is written is what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "chat/envelope.h"

static json_t* table;

static int load_table(void** state) {
    (void)state;
    json_error_t why;
    table = json_load_file(WS_TESTS_DIR "/envelopes.json", 0, &why);
    if (!table) print_error("envelopes.json:%d: %s\n", why.line, why.text);
    return table ? 0 : -1;
}

static int drop_table(void** state) {
    (void)state;
    json_decref(table);
    return 0;
}

static uint8_t from_hex(const char* digits) {
    char byte[3] = {digits[0], digits[1], 0};
    return (uint8_t)strtoul(byte, NULL, 16);
}

/* The bytes of a case, in memory of exactly their size, so that reading beyond them is noticed. */
static char* case_bytes(const json_t* row, size_t* n) {
    const char* json = json_string_value(json_object_get(row, "json"));
    const char* hex = json_string_value(json_object_get(row, "hex"));
    assert_true(json || hex);
    *n = json ? strlen(json) : strlen(hex) / 2;
    char* bytes = malloc(*n ? *n : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *n; i++)
        bytes[i] = json ? json[i] : (char)from_hex(hex + 2 * i);
    return bytes;
}

static bool same(const ws_envelope* got, const json_t* want) {
    return strcmp(got->name, json_string_value(json_object_get(want, "name"))) == 0 &&
           strcmp(got->text, json_string_value(json_object_get(want, "text"))) == 0 &&
           got->text_len == (size_t)json_integer_value(json_object_get(want, "text_len")) &&
           got->info == json_integer_value(json_object_get(want, "info"));
}

static bool verdict_is_right(const json_t* row) {
    size_t n;
    char* bytes = case_bytes(row, &n);
    ws_envelope got;
    ws_error error = {0};
    int32_t rc = ws_envelope_parse(&got, bytes, n, &error);
    const json_t* want = json_object_get(row, "ok");
    bool right = want ? rc == WS_OK && same(&got, want)
                      : rc == WS_ERR_ENVELOPE && error.code == rc && strlen(ws_error_text(&error)) > 0 && !got.name;
    if (!right)
        print_error("%s: rc %d %s\n", json_string_value(json_object_get(row, "name")), rc, ws_error_text(&error));
    ws_envelope_free(&got);
    ws_error_clear(&error);
    free(bytes);
    return right;
}

static void test_every_envelope_of_the_table(void** state) {
    (void)state;
    const json_t* rows = json_object_get(table, "envelopes");
    size_t i, wrong = 0;
    json_t* row;
    assert_true(json_array_size(rows) >= 60);
    json_array_foreach(rows, i, row) wrong += !verdict_is_right(row);
    assert_int_equal(wrong, 0);
}

static void test_no_bytes_at_all(void** state) {
    (void)state;
    ws_envelope got;
    ws_error error = {0};
    assert_int_equal(ws_envelope_parse(&got, NULL, 0, &error), WS_ERR_ENVELOPE);
    ws_error_clear(&error);
}

static void test_every_name_of_the_table(void** state) {
    (void)state;
    const json_t* rows = json_object_get(table, "names");
    size_t i, wrong = 0;
    json_t* row;
    assert_true(json_array_size(rows) >= 20);
    json_array_foreach(rows, i, row) {
        const char* name = json_string_value(json_object_get(row, "name"));
        if (ws_envelope_name_ok(name) == json_is_true(json_object_get(row, "ok"))) continue;
        print_error("wrong about the name \"%s\"\n", name);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void test_a_name_that_is_no_utf8(void** state) {
    (void)state;
    assert_false(ws_envelope_name_ok("a\xff"));
    assert_false(ws_envelope_name_ok("a\xc2"));
}

static void assert_written(const char* name, const char* text, int32_t info, const char* want) {
    ws_buf out = {0};
    assert_int_equal(ws_envelope_write(name, text, info, &out), 0);
    assert_int_equal(ws_buf_len(&out), strlen(want));
    assert_memory_equal(ws_buf_head(&out), want, strlen(want));
    ws_buf_free(&out);
}

static void test_writes_the_order_and_the_length(void** state) {
    (void)state;
    assert_written("u", "hi", 0, "{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\",\"text_len\":2,\"info\":0}}");
    assert_written("", "", INT32_MAX,
                   "{\"user\":{\"name\":\"\"},\"message\":{\"text\":\"\",\"text_len\":0,\"info\":2147483647}}");
}

static void test_writes_non_ascii_as_it_is_and_counts_bytes(void** state) {
    (void)state;
    assert_written("Zoë", "€", 1,
                   "{\"user\":{\"name\":\"Zoë\"},\"message\":{\"text\":\"€\",\"text_len\":3,\"info\":1}}");
}

static void test_what_is_written_can_be_read(void** state) {
    (void)state;
    char text[0x80 + 9], name[] = "\"\\/\n\x01\x7f";
    for (int i = 1; i < 0x80; i++)
        text[i - 1] = (char)i;
    strcpy(text + 0x7F, "é€😀");
    ws_buf out = {0};
    ws_envelope got;
    ws_error error = {0};
    assert_int_equal(ws_envelope_write(name, text, 7, &out), 0);
    assert_int_equal(ws_envelope_parse(&got, (const char*)ws_buf_head(&out), ws_buf_len(&out), &error), 0);
    assert_string_equal(got.name, name);
    assert_string_equal(got.text, text);
    assert_int_equal(got.text_len, strlen(text));
    assert_int_equal(got.info, 7);
    ws_envelope_free(&got);
    ws_buf_free(&out);
}

static void test_appends_and_leaves_what_was_there(void** state) {
    (void)state;
    ws_buf out = {0};
    assert_int_equal(ws_buf_append_text(&out, "before"), 0);
    assert_int_equal(ws_envelope_write("u\xff", "hi", 0, &out), WS_ERR_ENVELOPE);
    assert_int_equal(ws_envelope_write("u", "hi\xc3", 0, &out), WS_ERR_ENVELOPE);
    assert_int_equal(ws_envelope_write("u", "hi", -1, &out), WS_ERR_ENVELOPE);
    assert_int_equal(ws_buf_len(&out), 6);
    assert_int_equal(ws_envelope_write("u", "hi", 0, &out), 0);
    assert_memory_equal(ws_buf_head(&out), "before{\"user\"", 13);
    ws_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_envelope_of_the_table),
        cmocka_unit_test(test_no_bytes_at_all),
        cmocka_unit_test(test_every_name_of_the_table),
        cmocka_unit_test(test_a_name_that_is_no_utf8),
        cmocka_unit_test(test_writes_the_order_and_the_length),
        cmocka_unit_test(test_writes_non_ascii_as_it_is_and_counts_bytes),
        cmocka_unit_test(test_what_is_written_can_be_read),
        cmocka_unit_test(test_appends_and_leaves_what_was_there),
    };
    return cmocka_run_group_tests(tests, load_table, drop_table);
}
