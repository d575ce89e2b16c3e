/* The rules of the chat, without a socket: who gets what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/hub.h"

#define NOBODY ""
#define OUT(name, text)                                                                                                \
    "{\"user\":{\"name\":\"" name "\"},\"message\":{\"text\":\"" text "\",\"text_len\":2,\"info\":0}}"

typedef struct outcome {
    int32_t rc;
    bool others, sender, renamed;
    char json[256];
} outcome;

/* What comes of a message with these contents. */
static outcome judge(ws_hub_member* member, const char* name, const char* text, int32_t info) {
    ws_buf in = {0};
    ws_hub_verdict verdict;
    ws_error error = {0};
    assert_int_equal(ws_envelope_write(name, text, info, &in), 0);
    outcome out = {.rc = ws_hub_judge(member, (const char*)ws_buf_head(&in), ws_buf_len(&in), &verdict, &error)};
    out.others = verdict.to_others;
    out.sender = verdict.to_sender;
    out.renamed = verdict.renamed;
    snprintf(out.json, sizeof out.json, "%.*s", (int)ws_buf_len(&verdict.json),
             verdict.json.data ? (const char*)ws_buf_head(&verdict.json) : "");
    assert_true((out.rc != 0) == (strlen(ws_error_text(&error)) > 0));
    ws_error_clear(&error);
    ws_buf_free(&verdict.json);
    ws_buf_free(&in);
    return out;
}

static void assert_outcome(outcome got, bool others, bool sender, bool renamed, const char* json) {
    assert_int_equal(got.rc, 0);
    assert_int_equal(got.others, others);
    assert_int_equal(got.sender, sender);
    assert_int_equal(got.renamed, renamed);
    assert_string_equal(got.json, json);
}

static void test_who_has_not_said_its_name_is_anonymous(void** state) {
    (void)state;
    ws_hub_member member;
    ws_hub_join(&member);
    assert_outcome(judge(&member, "Eve", "hi", 0), true, false, false, OUT("Anonym", "hi"));
}

static void test_the_bits_say_who_gets_it(void** state) {
    (void)state;
    ws_hub_member member;
    ws_hub_join(&member);
    assert_outcome(judge(&member, "x", "hi", 0), true, false, false, OUT("Anonym", "hi"));
    assert_outcome(judge(&member, "x", "hi", 1), false, false, false, NOBODY);
    assert_outcome(judge(&member, "x", "hi", 2), true, true, false, OUT("Anonym", "hi"));
    assert_outcome(judge(&member, "x", "hi", 3), false, true, false, OUT("Anonym", "hi"));
}

static void test_a_new_name_counts_at_once(void** state) {
    (void)state;
    for (int32_t info = 4; info < 8; info++) {
        ws_hub_member member;
        ws_hub_join(&member);
        bool others = !(info & 1), sender = info & 2;
        assert_outcome(judge(&member, "Ann", "hi", info), others, sender, true,
                       others || sender ? OUT("Ann", "hi") : NOBODY);
        assert_string_equal(member.name, "Ann");
        assert_outcome(judge(&member, "Bob", "hi", 0), true, false, false, OUT("Ann", "hi"));
    }
}

static void test_unknown_bits_are_ignored(void** state) {
    (void)state;
    ws_hub_member member;
    ws_hub_join(&member);
    assert_outcome(judge(&member, "x", "hi", 8), true, false, false, OUT("Anonym", "hi"));
    assert_outcome(judge(&member, "x", "hi", INT32_MAX - 4), false, true, false, OUT("Anonym", "hi"));
}

static void assert_name_refused(const char* name) {
    ws_hub_member member;
    ws_hub_join(&member);
    outcome got = judge(&member, name, "hi", WS_INFO_CHANGE_USERNAME);
    assert_int_equal(got.rc, WS_ERR_USERNAME);
    assert_false(got.others || got.sender || got.renamed);
    assert_string_equal(got.json, NOBODY);
    assert_string_equal(member.name, "Anonym");
}

static void test_a_bad_name_changes_nothing_and_goes_to_nobody(void** state) {
    (void)state;
    char longest[WS_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[WS_NAME_MAX + 1] = '\0';
    assert_name_refused("");
    assert_name_refused("a\nb");
    assert_name_refused("\x1b[31m");
    assert_name_refused(longest);
    longest[WS_NAME_MAX] = '\0';
    ws_hub_member member;
    ws_hub_join(&member);
    assert_int_equal(judge(&member, longest, "", 5).rc, 0);
    assert_string_equal(member.name, longest);
}

static void test_a_bad_name_without_a_rename_does_not_matter(void** state) {
    (void)state;
    ws_hub_member member;
    ws_hub_join(&member);
    assert_outcome(judge(&member, "", "hi", 0), true, false, false, OUT("Anonym", "hi"));
}

static void assert_ignored(const char* text, int32_t code) {
    ws_hub_member member;
    ws_hub_verdict verdict;
    ws_error error = {0};
    ws_hub_join(&member);
    assert_int_equal(ws_hub_judge(&member, text, strlen(text), &verdict, &error), code);
    assert_true(strlen(ws_error_text(&error)) > 0);
    assert_false(verdict.to_others || verdict.to_sender || verdict.renamed);
    assert_int_equal(ws_buf_len(&verdict.json), 0);
    assert_string_equal(member.name, "Anonym");
    ws_error_clear(&error);
}

static void test_a_malformed_envelope_goes_to_nobody(void** state) {
    (void)state;
    assert_ignored("hello", WS_ERR_ENVELOPE);
    assert_ignored("{\"user\":{\"name\":\"Ann\"},\"message\":{\"info\":4}}", WS_ERR_ENVELOPE);
}

/* An envelope that fits, and with the server's name for the sender in it does not. */
static void test_what_would_grow_too_long_goes_to_nobody(void** state) {
    (void)state;
    static char text[WS_HUB_MAX_MESSAGE];
    const char* rest = OUT("Anonym", "");
    size_t most = WS_HUB_MAX_MESSAGE - strlen(rest) - strlen("1048507") + 1; /* text_len has more digits than here */
    ws_hub_member member;
    ws_hub_join(&member);
    memset(text, 't', most);
    assert_int_equal(judge(&member, "", text, 0).rc, 0);
    text[most] = 't';
    assert_int_equal(judge(&member, "", text, 0).rc, WS_ERR_TOO_BIG);
    assert_int_equal(judge(&member, "Zoe", text, 5).rc, 0); /* sent on to nobody */
    assert_string_equal(member.name, "Zoe");
    assert_int_equal(judge(&member, "", text, 0).rc, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_not_said_its_name_is_anonymous),
        cmocka_unit_test(test_the_bits_say_who_gets_it),
        cmocka_unit_test(test_a_new_name_counts_at_once),
        cmocka_unit_test(test_unknown_bits_are_ignored),
        cmocka_unit_test(test_a_bad_name_changes_nothing_and_goes_to_nobody),
        cmocka_unit_test(test_a_bad_name_without_a_rename_does_not_matter),
        cmocka_unit_test(test_a_malformed_envelope_goes_to_nobody),
        cmocka_unit_test(test_what_would_grow_too_long_goes_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
