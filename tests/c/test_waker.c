/* What wakes a loop that was busy: marks stand in line once each, and the descriptor says whether there is one. */
#include "client/engine.h"
#include "net/poll.h"
#include "support.h"

enum { MARKS = 3 };

typedef struct rig {
    ws_waker* waker;
    ws_waker_mark marks[MARKS];
} rig;

static void begin(rig* r) {
    r->waker = ws_waker_new();
    assert_non_null(r->waker);
    for (uint64_t i = 0; i < MARKS; i++) {
        r->marks[i] = (ws_waker_mark){.waker = r->waker, .number = i + 1};
    }
}

static bool is_readable(const rig* r) {
    ws_poll_item item = {.fd = ws_waker_fd(r->waker), .events = WS_POLL_READ};
    return ws_poll_few(&item, 1, 0) == 1;
}

TEST(marks_are_taken_in_order_and_once) {
    rig r;
    begin(&r);
    assert_false(is_readable(&r));
    assert_int_equal(ws_waker_take(r.waker), 0);
    ws_waker_set(&r.marks[1]);
    ws_waker_set(&r.marks[0]);
    ws_waker_set(&r.marks[1]);
    assert_int_equal(ws_waker_take(r.waker), 2);
    assert_true(is_readable(&r));
    ws_waker_set(&r.marks[1]);
    assert_int_equal(ws_waker_take(r.waker), 1);
    assert_int_equal(ws_waker_take(r.waker), 2);
    assert_false(is_readable(&r));
    assert_int_equal(ws_waker_take(r.waker), 0);
    ws_waker_free(r.waker);
}

TEST(one_that_is_withdrawn_is_not_taken) {
    for (size_t gone = 0; gone < MARKS; gone++) {
        rig r;
        begin(&r);
        for (size_t i = 0; i < MARKS; i++) {
            ws_waker_set(&r.marks[i]);
        }
        ws_waker_withdraw(&r.marks[gone]);
        ws_waker_withdraw(&r.marks[gone]);
        for (size_t i = 0; i < MARKS; i++) {
            if (i != gone) assert_int_equal(ws_waker_take(r.waker), i + 1);
        }
        assert_int_equal(ws_waker_take(r.waker), 0);
        ws_waker_set(&r.marks[gone]);
        assert_true(is_readable(&r));
        ws_waker_withdraw(&r.marks[gone]);
        assert_false(is_readable(&r));
        ws_waker_free(r.waker);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_taken_in_order_and_once),
        cmocka_unit_test(one_that_is_withdrawn_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
