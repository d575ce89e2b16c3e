/* Which envelopes are read in place, and which are left to the JSON library. */
#include "chat/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* Read it in memory of exactly its size, which stays until the next one, so that reading beyond it is noticed. */
static char* bytes;

static bool reads(ws_plain* plain, const char* json) {
    size_t n = strlen(json);
    free(bytes);
    bytes = memcpy(malloc(n ? n : 1), json, n);
    return ws_plain_read(plain, bytes, n);
}

static int free_bytes(void** state) {
    (void)state;
    free(bytes);
    return 0;
}

static void assert_reads(const char* json, const char* name, const char* text, int32_t info) {
    ws_plain plain;
    assert_true(reads(&plain, json));
    assert_int_equal(plain.name_len, strlen(name));
    assert_memory_equal(plain.name, name, plain.name_len);
    assert_int_equal(plain.text_len, strlen(text));
    assert_memory_equal(plain.text, text, plain.text_len);
    assert_int_equal(plain.info, info);
}

TEST(what_we_write_ourselves) {
    assert_reads("{\"user\":{\"name\":\"Ann\"},\"message\":{\"text\":\"hello, world\",\"text_len\":12,\"info\":5}}",
                 "Ann", "hello, world", 5);
    assert_reads("{\"user\":{\"name\":\"\"},\"message\":{\"text\":\"\",\"text_len\":0,\"info\":2147483647}}", "", "",
                 INT32_MAX);
}

TEST(any_order_and_white_space) {
    assert_reads(" {\t\"message\" :\r\n{ \"info\": 10 , \"text\":\"hi\" } , \"user\": {\"name\" :\"u\"} } \n", "u",
                 "hi", 10);
    assert_reads("{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\"}}", "u", "hi", 0);
}

TEST(utf8_is_left_as_it_is) {
    assert_reads("{\"user\":{\"name\":\"Zoë\"},\"message\":{\"text\":\"世界 in eight and more: \x7f\xff\"}}", "Zoë",
                 "世界 in eight and more: \x7f\xff", 0);
}

/* Some of these are envelopes all the same; that is not for us to say. */
TEST(the_rest_is_left_to_the_library) {
    static const char* const members[] = {
        "\"text\":\"a quote \\\" and more\"",
        "\"text\":\"a line\nand more\"",
        "\"text\":\"1234567\x1f\"",
        "\"text\":\"12345678\x01\"",
        "\"text\":\"a\",\"text\":\"b\"",
        "\"text\":\"a\",\"lang\":\"en\"",
        "\"text\":\"a\",",
        "\"text\":1",
        "\"text\":\"a",
        "\"text\"",
        "\"t\\u0065xt\":\"a\"",
        "",
        "\"info\":1",
        "\"text\":\"a\",\"info\":1,\"info\":1",
        "\"text\":\"a\",\"info\":-1",
        "\"text\":\"a\",\"info\":-0",
        "\"text\":\"a\",\"info\":01",
        "\"text\":\"a\",\"info\":1.0",
        "\"text\":\"a\",\"info\":1e0",
        "\"text\":\"a\",\"info\":",
        "\"text\":\"a\",\"info\":true",
        "\"text\":\"a\",\"info\":2147483648",
        "\"text\":\"a\",\"info\":10000000000",
        "\"text\":\"a\",\"text_len\":18446744073709551617",
        "\"text\":\"a\",\"text_len\":1,\"text_len\":1",
        "\"text\":\"a\" \"info\":1",
        "\"text\":\"a\"}",
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        char json[200];
        ws_plain plain;
        snprintf(json, sizeof json, "{\"user\":{\"name\":\"u\"},\"message\":{%s}}", members[i]);
        if (reads(&plain, json)) fail_msg("read: %s", json);
    }
}

TEST(what_is_no_whole_envelope) {
    static const char whole[] = "{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\",\"info\":0}}";
    ws_plain plain;
    for (size_t n = 0; n < strlen(whole); n++) {
        char part[sizeof whole] = "";
        assert_false(reads(&plain, memcpy(part, whole, n)));
    }
    assert_false(ws_plain_read(&plain, NULL, 0));
    assert_false(reads(&plain, "{\"user\":{\"name\":\"u\"}}"));
    assert_false(reads(&plain, "{\"message\":{\"text\":\"u\"}}"));
    assert_false(reads(&plain, "[{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\"}}]"));
    assert_false(reads(&plain, "{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\"}} x"));
    assert_false(reads(&plain, "{\"user\":{\"name\":\"u\"},\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\"}}"));
    assert_false(reads(&plain, "{\"user\":{\"name\":\"u\"},\"message\":{\"text\":\"hi\"},\"message\":{\"info\":1}}"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_ourselves),   cmocka_unit_test(any_order_and_white_space),
        cmocka_unit_test(utf8_is_left_as_it_is),     cmocka_unit_test(the_rest_is_left_to_the_library),
        cmocka_unit_test(what_is_no_whole_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, free_bytes);
}
