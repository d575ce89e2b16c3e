/* From addresses to one connection: the order, the delays by a clock of the test's own, and what is left over. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/race.h"

enum { DEADLINE = 10000, DELAY = 250, FILLERS = 4 };

static int open_descriptors(void) {
    DIR* folder = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(folder)) {
        n++;
    }
    closedir(folder);
    return n;
}

static ws_address address(const char* host, uint16_t port) {
    ws_address found;
    assert_true(ws_address_literal(&found, host, port));
    return found;
}

static ws_address address_of(int fd) {
    ws_address found;
    assert_int_equal(ws_tcp_local(fd, &found), 0);
    return found;
}

static int bound(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ws_address any = address("127.0.0.1", 0);
    assert_int_equal(bind(fd, (const struct sockaddr*)&any.storage, any.len), 0);
    return fd;
}

/* An address that never answers: its queue is full. */
typedef struct hole {
    int listener;
    intptr_t fillers[FILLERS];
    ws_address address;
} hole;

static hole dig(void) {
    hole made = {.listener = bound()};
    assert_int_equal(listen(made.listener, 0), 0);
    made.address = address_of(made.listener);
    for (int i = 0; i < FILLERS; i++) {
        made.fillers[i] = ws_tcp_connect(&made.address, NULL);
        assert_true(made.fillers[i] >= 0);
    }
    return made;
}

static void fill_up(hole* made) {
    close(made->listener);
    for (int i = 0; i < FILLERS; i++) {
        ws_tcp_close(made->fillers[i]);
    }
}

static ws_race start(const ws_address* addresses, size_t count, const ws_tcp_options* options) {
    ws_race race;
    ws_error error = {0};
    ws_address* copy = malloc(count * sizeof *copy);
    memcpy(copy, addresses, count * sizeof *copy);
    assert_int_equal(ws_race_start(&race, copy, count, options, &error), WS_OK);
    return race;
}

static int32_t step(ws_race* race, int64_t now, intptr_t* fd) {
    ws_error error = {0};
    int32_t rc = ws_race_step(race, now, "chat.example", 80, fd, &error);
    assert_string_equal(ws_error_text(&error), "");
    return rc;
}

/* Wait for what the race says, the clock standing still. */
static void await(const ws_race* race) {
    ws_poll_item item;
    item.fd = ws_race_fd(race, &item.events);
    assert_int_equal(ws_poll_few(&item, 1, DEADLINE), 1);
}

/* To the end, the clock standing still: what comes next comes because something was decided. */
static int32_t run(ws_race* race, int64_t now, intptr_t* fd, ws_error* error) {
    int32_t rc;
    while ((rc = ws_race_step(race, now, "chat.example", 80, fd, error)) == 0) {
        await(race);
    }
    return rc;
}

/* The winner must be the address. */
static void finish(ws_race* race, int64_t now, const ws_address* wanted) {
    intptr_t fd;
    ws_address remote;
    ws_error error = {0};
    char a[160], b[160];
    assert_int_equal(run(race, now, &fd, &error), 1);
    assert_int_equal(ws_tcp_remote(fd, &remote), 0);
    assert_string_equal(ws_address_text(&remote, a, sizeof a), ws_address_text(wanted, b, sizeof b));
    ws_tcp_close(fd);
    ws_race_free(race);
}

/* ---- the order ---- */

/* "41 42 61": IPv4 and IPv6 addresses, each with a port to be known by. */
static void check_order(const char* given, const char* wanted) {
    ws_address addresses[8] = {0};
    size_t n = 0;
    char tried[64] = "";
    for (const char* at = given; *at; at += at[2] ? 3 : 2) {
        addresses[n++] = address(*at == '4' ? "127.0.0.1" : "::1", (uint16_t)(at[1] - '0'));
    }
    ws_race race = start(addresses, n, NULL);
    for (size_t i = 0; i < race.count; i++) {
        bool v4 = race.addresses[i].storage.ss_family == AF_INET;
        unsigned port = ntohs(((const struct sockaddr_in*)&race.addresses[i].storage)->sin_port);
        snprintf(tried + strlen(tried), sizeof tried - strlen(tried), "%s%c%u", i ? " " : "", v4 ? '4' : '6', port);
    }
    assert_string_equal(tried, wanted);
    ws_race_free(&race);
}

TEST(the_families_take_turns) {
    check_order("41", "41");
    check_order("61 62 41", "61 41 62");
    check_order("41 61 62", "41 61 62");
    check_order("61 62 63 41 42", "61 41 62 42 63");
    check_order("41 42 43 44 61", "41 61 42 43 44");
    check_order("61 41 42 62 43", "61 41 62 42 43");
    check_order("41 42 43", "41 42 43");
}

/* ---- one after the other ---- */

TEST(after_a_refusal_the_next_comes_at_once) {
    uint16_t port = 0;
    int refusing = bound(), before = open_descriptors();
    intptr_t listener = ws_tcp_listen("127.0.0.2", &port);
    ws_address addresses[] = {address_of(refusing), address_of(refusing), address("127.0.0.2", port)};
    ws_race race = start(addresses, 3, NULL);
    finish(&race, 0, &addresses[2]);
    ws_tcp_close(listener);
    assert_int_equal(open_descriptors(), before);
    close(refusing);
}

TEST(after_a_silent_one_the_next_comes_with_a_delay) {
    uint16_t port = 0;
    hole silent = dig();
    int before = open_descriptors();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[] = {silent.address, address("127.0.0.1", port)};
    ws_race race = start(addresses, 2, NULL);
    assert_int_equal(step(&race, 1000, &fd), 0);
    assert_int_equal(ws_race_deadline(&race), 1000 + DELAY);
    uint32_t generation = race.generation;
    assert_int_equal(step(&race, 1000 + DELAY - 1, &fd), 0);
    assert_int_equal(race.running, 1);
    assert_int_equal(race.generation, generation);
    assert_int_equal(step(&race, 1000 + DELAY, &fd), 0);
    assert_int_equal(race.running, 2);
    assert_int_not_equal(race.generation, generation); /* another descriptor stands for both */
    finish(&race, 1000 + DELAY, &addresses[1]);
    ws_tcp_close(listener);
    assert_int_equal(open_descriptors(), before);
    fill_up(&silent);
}

/* The silent one refuses after all, before the delay is over. */
TEST(after_a_late_refusal_the_next_comes_at_once) {
    uint16_t port = 0;
    hole silent = dig();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[] = {silent.address, address("127.0.0.1", port)};
    ws_race race = start(addresses, 2, NULL);
    assert_int_equal(step(&race, 0, &fd), 0);
    fill_up(&silent); /* its next SYN, a second later, meets nobody */
    await(&race);
    assert_int_equal(step(&race, 0, &fd), 0);
    assert_int_equal(race.running, 1);
    finish(&race, 0, &addresses[1]);
    ws_tcp_close(listener);
}

/* The same, while an earlier one is still silent. */
TEST(a_refusal_does_not_wait_for_a_silent_one) {
    uint16_t port = 0;
    hole silent = dig();
    int refusing = bound();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[] = {silent.address, address_of(refusing), address("127.0.0.1", port)};
    ws_race race = start(addresses, 3, NULL);
    assert_int_equal(step(&race, 0, &fd), 0);
    finish(&race, DELAY, &addresses[2]);
    ws_tcp_close(listener);
    close(refusing);
    fill_up(&silent);
}

TEST(the_first_can_still_win) {
    uint16_t port = 0;
    hole silent = dig();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[] = {address("127.0.0.1", port), silent.address};
    ws_race race = start(addresses, 2, NULL);
    assert_int_equal(step(&race, 0, &fd), 0);
    finish(&race, DELAY, &addresses[0]); /* it is looked at before the second begins */
    ws_tcp_close(listener);
    fill_up(&silent);
}

/* ---- none, and many ---- */

TEST(when_all_refuse_all_are_named) {
    int refusing[3] = {bound(), bound(), bound()};
    ws_address addresses[4] = {[3] = address("::1", 1)};
    ws_tcp_options v4_only = {.local = address("127.0.0.1", 0)};
    char where[160];
    for (int i = 0; i < 3; i++) {
        addresses[i] = address_of(refusing[i]);
    }
    int before = open_descriptors();
    ws_race race = start(addresses, 4, &v4_only);
    intptr_t fd;
    ws_error error = {0};
    assert_int_equal(run(&race, 0, &fd, &error), WS_ERR_CONNECT);
    assert_int_equal(fd, -1);
    const char* text = ws_error_text(&error);
    assert_ptr_equal(strstr(text, "cannot connect to chat.example port 80: "), text);
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(text, ws_address_text(&addresses[i], where, sizeof where)));
    }
    assert_non_null(strstr(text, "[::1] port 1: Address family not supported"));
    ws_error_clear(&error);
    ws_race_free(&race);
    assert_int_equal(open_descriptors(), before);
    for (int i = 0; i < 3; i++) {
        close(refusing[i]);
    }
}

TEST(more_names_than_a_text_has_room_for) {
    ws_address addresses[200];
    int refusing = bound();
    for (size_t i = 0; i < COUNT(addresses); i++) {
        addresses[i] = address_of(refusing);
    }
    ws_race race = start(addresses, COUNT(addresses), NULL);
    intptr_t fd;
    ws_error error = {0};
    assert_int_equal(run(&race, 0, &fd, &error), WS_ERR_CONNECT);
    assert_int_equal(error.os_error, ECONNREFUSED);
    assert_int_equal(race.next, COUNT(addresses));
    ws_error_clear(&error);
    ws_race_free(&race);
    close(refusing);
}

TEST(a_unix_socket_is_named_by_its_path) {
    ws_address none;
    intptr_t fd;
    ws_error error = {0};
    assert_true(ws_address_unix(&none, "/nowhere/chat.sock"));
    ws_race race = start(&none, 1, NULL);
    assert_int_equal(ws_race_step(&race, 0, "chat.example", 80, &fd, &error), WS_ERR_CONNECT);
    assert_string_equal(ws_error_text(&error),
                        "cannot connect to unix socket /nowhere/chat.sock: No such file or directory");
    ws_error_clear(&error);
    ws_race_free(&race);
}

TEST(the_oldest_makes_way) {
    uint16_t port = 0;
    hole silent = dig();
    int before = open_descriptors();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[WS_RACE_MAX + 5];
    size_t last = COUNT(addresses) - 1;
    for (size_t i = 0; i < last; i++) {
        addresses[i] = silent.address;
    }
    addresses[last] = address("127.0.0.1", port);
    ws_race race = start(addresses, COUNT(addresses), NULL);
    int64_t now = 0;
    for (size_t i = 0; i <= last; i++) {
        assert_int_equal(step(&race, now, &fd), 0);
        assert_int_equal(race.running, i < WS_RACE_MAX ? i + 1 : WS_RACE_MAX);
        assert_int_equal(race.attempts[race.running - 1].address, i);
        assert_true(open_descriptors() <= before + 1 + WS_RACE_MAX + 1); /* the listener, the attempts, the set */
        now = ws_race_deadline(&race);
    }
    assert_int_equal(now, INT64_MAX);
    assert_int_equal(race.results[0], ETIMEDOUT);
    finish(&race, (int64_t)last * DELAY, &addresses[last]);
    ws_tcp_close(listener);
    assert_int_equal(open_descriptors(), before);
    fill_up(&silent);
}

TEST(given_up_in_the_middle_nothing_is_left) {
    hole silent = dig();
    int before = open_descriptors();
    ws_address addresses[] = {silent.address, silent.address, silent.address, silent.address};
    for (int steps = 0; steps < 6; steps++) {
        ws_race race = start(addresses, 4, NULL);
        intptr_t fd;
        for (int i = 0; i < steps; i++) {
            assert_int_equal(step(&race, i * DELAY, &fd), 0);
        }
        ws_race_free(&race);
        assert_int_equal(open_descriptors(), before);
    }
    fill_up(&silent);
}

/* ---- out of descriptors ---- */

/* Leave room for so many more. */
static struct rlimit leave(int descriptors) {
    struct rlimit was, now;
    int taken[8], last = 0;
    for (int i = 0; i < descriptors; i++) {
        last = taken[i] = dup(0);
    }
    for (int i = 0; i < descriptors; i++) {
        close(taken[i]);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    now = (struct rlimit){(rlim_t)last + 1, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    return was;
}

TEST(without_a_descriptor_for_the_set_it_looks_now_and_then) {
    uint16_t port = 0;
    hole silent = dig();
    intptr_t fd, listener = ws_tcp_listen("127.0.0.1", &port);
    ws_address addresses[] = {silent.address, address("127.0.0.1", port)};
    ws_race race = start(addresses, 2, NULL);
    struct rlimit was = leave(2);
    assert_int_equal(step(&race, 0, &fd), 0);
    assert_int_equal(step(&race, DELAY, &fd), 0);
    assert_null(race.set);
    assert_int_equal(race.running, 2);
    assert_int_equal(ws_race_deadline(&race), 2 * DELAY); /* though no address is left to begin with */
    ws_poll_item item = {.fd = race.attempts[1].fd, .events = WS_POLL_WRITE};
    assert_int_equal(ws_poll_few(&item, 1, DEADLINE), 1);
    assert_int_equal(step(&race, 2 * DELAY, &fd), 1);
    setrlimit(RLIMIT_NOFILE, &was);
    ws_tcp_close(fd);
    ws_race_free(&race);
    ws_tcp_close(listener);
    fill_up(&silent);
}

TEST(without_a_descriptor_at_all_it_says_so) {
    ws_address addresses[] = {address("127.0.0.1", 1), address("127.0.0.1", 2)};
    ws_race race = start(addresses, 2, NULL);
    int last = dup(0);
    close(last);
    struct rlimit was, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){(rlim_t)last, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    intptr_t fd;
    ws_error error = {0};
    assert_int_equal(ws_race_step(&race, 0, "chat.example", 80, &fd, &error), WS_ERR_CONNECT);
    setrlimit(RLIMIT_NOFILE, &was);
    assert_int_equal(error.os_error, EMFILE);
    ws_error_clear(&error);
    ws_race_free(&race);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_families_take_turns),
        cmocka_unit_test(after_a_refusal_the_next_comes_at_once),
        cmocka_unit_test(after_a_silent_one_the_next_comes_with_a_delay),
        cmocka_unit_test(after_a_late_refusal_the_next_comes_at_once),
        cmocka_unit_test(a_refusal_does_not_wait_for_a_silent_one),
        cmocka_unit_test(the_first_can_still_win),
        cmocka_unit_test(when_all_refuse_all_are_named),
        cmocka_unit_test(more_names_than_a_text_has_room_for),
        cmocka_unit_test(a_unix_socket_is_named_by_its_path),
        cmocka_unit_test(the_oldest_makes_way),
        cmocka_unit_test(given_up_in_the_middle_nothing_is_left),
        cmocka_unit_test(without_a_descriptor_for_the_set_it_looks_now_and_then),
        cmocka_unit_test(without_a_descriptor_at_all_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
