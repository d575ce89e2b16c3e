/* client/trace: frames are kept in order until they are taken, and of too many the newest. */
#include "client/trace.h"
#include "support.h"

static void note(ws_trace* trace, uint64_t length) {
    ws_frame frame = {.fin = true, .opcode = WS_OPCODE_BINARY, .length = length};
    ws_trace_note(trace, true, 1.5, &frame, NULL);
}

TEST(what_was_noted_is_taken_once) {
    ws_trace* trace = ws_trace_new();
    ws_frame ping = {.opcode = WS_OPCODE_PING, .fin = true, .length = 4};
    ws_frame text = {.opcode = WS_OPCODE_TEXT, .rsv = WS_FRAME_RSV1, .length = 70000};
    ws_traced out[3];
    ws_trace_note(trace, true, 1.5, &ping, (const uint8_t*)"ping");
    ws_trace_note(trace, false, 2.5, &text, NULL);
    assert_int_equal(ws_trace_take(trace, out, COUNT(out)), 2);
    assert_true(out[0].sent && out[0].fin && !out[0].rsv1 && out[0].time == 1.5);
    assert_int_equal(out[0].opcode, WS_OPCODE_PING);
    assert_int_equal(out[0].length, 4);
    assert_int_equal(out[0].payload_length, 4);
    assert_memory_equal(out[0].payload, "ping", 4);
    assert_true(!out[1].sent && !out[1].fin && out[1].rsv1 && out[1].time == 2.5);
    assert_int_equal(out[1].length, 70000);
    assert_int_equal(out[1].payload_length, 0);
    assert_int_equal(ws_trace_take(trace, out, COUNT(out)), 0);
    ws_trace_free(trace);
}

TEST(of_too_many_the_newest_are_kept) {
    ws_trace* trace = ws_trace_new();
    ws_traced out[100];
    uint64_t next = 7;
    for (uint64_t i = 0; i < WS_TRACE_FRAMES + 7; i++) {
        note(trace, i);
    }
    assert_int_equal(ws_trace_missed(trace), 7);
    for (size_t n; (n = ws_trace_take(trace, out, COUNT(out))) > 0;) {
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(out[i].length, next++);
        }
    }
    assert_int_equal(next, WS_TRACE_FRAMES + 7);
    note(trace, next);
    assert_int_equal(ws_trace_take(trace, out, 1), 1);
    assert_int_equal(out[0].length, next);
    assert_int_equal(ws_trace_missed(trace), 7);
    ws_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_is_taken_once),
        cmocka_unit_test(of_too_many_the_newest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
