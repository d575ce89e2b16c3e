/* TLS over a transport that splits, blocks and breaks where the test wants it. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#include "net/tls.h"
#include "tls_pair.h"

static test_certificate ours;
static const int32_t versions[] = {WS_TLS_1_2, WS_TLS_1_3};

static ws_tls_context* serving(const test_certificate* certificate) {
    ws_tls_context* context;
    ws_error error = {0};
    assert_int_equal(ws_tls_context_server(certificate->file, certificate->key, &context, &error), WS_OK);
    return context;
}

static wsTls trusting(int32_t version) {
    return (wsTls){.caFile = ours.file, .minVersion = version, .maxVersion = version, .noResumption = 1};
}

static void open_pair(tls_pair* pair, int32_t version) {
    wsTls options = trusting(version);
    tls_pair_open(pair, &options, serving(&ours), "chat.example");
}

static void send_all(ws_transport* from, ws_transport* to, size_t n) {
    ws_buf got = {0};
    uint8_t* bytes = malloc(n);
    fill_pattern(bytes, n, false);
    tls_pair_send(from, to, bytes, n, &got);
    assert_memory_equal(ws_buf_head(&got), bytes, n);
    ws_buf_free(&got);
    free(bytes);
}

/* The transport says -EPROTO, and why. */
static void check_broken(ws_transport* transport, int32_t code, const char* words) {
    uint8_t byte;
    ws_error error = {0};
    assert_int_equal(transport->ops->read(transport, &byte, 1), -EPROTO);
    transport->ops->explain(transport, &error);
    assert_int_equal(error.code, code);
    if (!strstr(ws_error_text(&error), words)) fail_msg("%s", ws_error_text(&error));
    ws_error_clear(&error);
    assert_int_equal(transport->ops->write(transport, &byte, 1), -EPROTO);
    assert_false(transport->ops->unsent(transport));
}

/* ---- split and blocked ---- */

static void split(int32_t version, size_t client_piece, size_t server_piece) {
    tls_pair pair;
    wsTls options = trusting(version);
    tls_pair_start(&pair, &options, serving(&ours), "chat.example");
    pair.below_client.piece = client_piece;
    pair.below_server.piece = server_piece;
    assert_true(tls_pair_shake(&pair));
    for (size_t n = 1; n < 20000; n = n * 7 + 3) {
        send_all(&pair.client, &pair.server, n);
        send_all(&pair.server, &pair.client, n);
    }
    pair.client.ops->shutdown(&pair.client);
    tls_pair_free(&pair);
}

TEST(split_and_blocked_at_every_byte) {
    static const size_t pieces[] = {1, 2, 3, 5, 6, 64, 1000, 0};
    for (size_t v = 0; v < COUNT(versions); v++) {
        for (size_t i = 0; i < COUNT(pieces); i++) {
            split(versions[v], pieces[i], pieces[i]);
            split(versions[v], pieces[i], 0);
            split(versions[v], 0, pieces[i]);
        }
    }
}

TEST(much_more_than_a_record) {
    tls_pair pair;
    for (size_t v = 0; v < COUNT(versions); v++) {
        open_pair(&pair, versions[v]);
        send_all(&pair.client, &pair.server, 1000000);
        pair.below_client.capacity = pair.below_server.capacity = 5000;
        send_all(&pair.client, &pair.server, 200000);
        send_all(&pair.server, &pair.client, 200000);
        tls_pair_free(&pair);
    }
}

/* What is taken is taken for good: it goes out once, and nothing goes before it. */
TEST(what_is_blocked_is_unsent) {
    tls_pair pair;
    uint8_t first[5000], second[300];
    ws_buf got = {0};
    memset(first, 'a', sizeof first);
    memset(second, 'b', sizeof second);
    open_pair(&pair, WS_TLS_1_3);
    assert_int_equal(tls_pair_drain(&pair.client, &got), -EAGAIN);
    assert_false(pair.client.ops->unsent(&pair.client));
    pair.below_client.capacity = 1000;
    assert_int_equal(pair.client.ops->write(&pair.client, first, sizeof first), sizeof first);
    memset(first, 'x', sizeof first); /* it is the caller's again */
    assert_int_equal(ws_buf_len(&pair.to_server), 1000);
    for (int i = 0; i < 3; i++) {
        assert_true(pair.client.ops->unsent(&pair.client));
        assert_int_equal(pair.client.ops->write(&pair.client, NULL, 0), -EAGAIN);
        assert_int_equal(pair.client.ops->write(&pair.client, second, sizeof second), -EAGAIN);
    }
    send_all(&pair.server, &pair.client, 3000); /* the other direction goes on */
    pair.below_client.capacity = 0;
    assert_int_equal(pair.client.ops->write(&pair.client, NULL, 0), 0);
    assert_false(pair.client.ops->unsent(&pair.client));
    assert_int_equal(pair.client.ops->write(&pair.client, second, sizeof second), sizeof second);
    assert_int_equal(tls_pair_drain(&pair.server, &got), -EAGAIN);
    assert_int_equal(ws_buf_len(&got), 5300);
    for (size_t i = 0; i < 5300; i++) {
        assert_int_equal(ws_buf_head(&got)[i], i < 5000 ? 'a' : 'b');
    }
    ws_buf_free(&got);
    tls_pair_free(&pair);
}

/* As few writes as that makes, but what is taken cannot be taken back: so much and no more. */
TEST(a_few_records_go_out_together) {
    tls_pair pair;
    static uint8_t bytes[100000];
    open_pair(&pair, WS_TLS_1_3);
    int before = pair.below_client.writes;
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), 65536);
    assert_int_equal(pair.below_client.writes - before, 1);
    assert_false(pair.client.ops->unsent(&pair.client));
    assert_int_equal(pair.client.ops->write(&pair.client, bytes + 65536, sizeof bytes - 65536), sizeof bytes - 65536);
    assert_int_equal(pair.below_client.writes - before, 2);
    tls_pair_free(&pair);
}

TEST(records_that_are_blocked_together_are_unsent_together) {
    tls_pair pair;
    static uint8_t bytes[100000];
    ws_buf got = {0};
    open_pair(&pair, WS_TLS_1_3);
    pair.below_client.capacity = 40000; /* in the third record */
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), 65536);
    assert_true(pair.client.ops->unsent(&pair.client));
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), -EAGAIN);
    tls_pair_drain(&pair.server, &got);
    assert_int_equal(pair.client.ops->write(&pair.client, NULL, 0), 0);
    assert_int_equal(tls_pair_drain(&pair.server, &got), -EAGAIN);
    assert_int_equal(ws_buf_len(&got), 65536);
    ws_buf_free(&got);
    tls_pair_free(&pair);
}

TEST(a_socket_that_breaks_under_several_records_is_broken) {
    tls_pair pair;
    static uint8_t bytes[100000];
    open_pair(&pair, WS_TLS_1_3);
    pair.below_client.write_error = EPIPE;
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), -EPIPE);
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, 1), -EPIPE);
    tls_pair_free(&pair);
}

/* Whoever reads less than there is must know that there is more, for the descriptor may say nothing any more. */
static void check_ready(int32_t version, size_t piece, bool goodbye) {
    tls_pair pair;
    uint8_t bytes[64] = {0};
    size_t total = 0;
    ssize_t n = 0;
    open_pair(&pair, version);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), sizeof bytes);
    }
    if (goodbye) pair.client.ops->shutdown(&pair.client);
    pair.below_client.shut = false; /* TCP stays open */
    while (pair.server.ops->ready_now(&pair.server) || test_end_readable(&pair.below_server)) {
        n = pair.server.ops->read(&pair.server, bytes, piece);
        if (n <= 0) break;
        total += (size_t)n;
    }
    assert_int_equal(total, 3 * sizeof bytes);
    if (goodbye) {
        assert_int_equal(n, 0);
    } else {
        assert_false(pair.server.ops->ready_now(&pair.server));
    }
    tls_pair_free(&pair);
}

TEST(what_is_inside_is_announced) {
    static const size_t pieces[] = {1, 63, 64};
    for (size_t v = 0; v < COUNT(versions); v++) {
        for (size_t i = 0; i < COUNT(pieces); i++) {
            check_ready(versions[v], pieces[i], false);
            check_ready(versions[v], pieces[i], true);
        }
    }
}

/* One read takes the data, and finds that what comes behind it is wrong. */
TEST(an_error_behind_data_is_announced) {
    tls_pair pair;
    uint8_t bytes[64] = {0};
    open_pair(&pair, WS_TLS_1_3);
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, 8), 8);
    put_text(&pair.to_server, "this is not of TLS");
    assert_int_equal(pair.server.ops->read(&pair.server, bytes, sizeof bytes), 8);
    assert_true(pair.server.ops->ready_now(&pair.server));
    check_broken(&pair.server, WS_ERR_TLS, "TLS with a client failed: what came is not of TLS");
    tls_pair_free(&pair);
}

/* ---- the end ---- */

TEST(a_goodbye_ends_one_direction) {
    tls_pair pair;
    uint8_t bytes[16];
    ws_buf got = {0};
    for (size_t v = 0; v < COUNT(versions); v++) {
        open_pair(&pair, versions[v]);
        assert_int_equal(pair.client.ops->write(&pair.client, (const uint8_t*)"last", 4), 4);
        pair.client.ops->shutdown(&pair.client);
        assert_true(pair.below_client.shut);
        pair.client.ops->shutdown(&pair.client); /* again: nothing */
        assert_int_equal(tls_pair_drain(&pair.server, &got), 0);
        assert_int_equal(ws_buf_len(&got), 4);
        assert_int_equal(pair.server.ops->read(&pair.server, bytes, sizeof bytes), 0);
        if (versions[v] == WS_TLS_1_3) send_all(&pair.server, &pair.client, 100); /* RFC 8446 6.1 */
        ws_buf_free(&got);
        tls_pair_free(&pair);
    }
}

TEST(a_goodbye_waits_for_what_is_unsent) {
    tls_pair pair;
    static uint8_t bytes[16384];
    ws_buf got = {0};
    open_pair(&pair, WS_TLS_1_3);
    pair.below_client.capacity = 100;
    assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), sizeof bytes);
    pair.client.ops->shutdown(&pair.client);
    assert_false(pair.below_client.shut);
    assert_true(pair.client.ops->unsent(&pair.client));
    while (pair.client.ops->unsent(&pair.client)) {
        pair.client.ops->write(&pair.client, NULL, 0);
        tls_pair_drain(&pair.server, &got);
    }
    assert_int_equal(tls_pair_drain(&pair.server, &got), 0);
    assert_int_equal(ws_buf_len(&got), sizeof bytes);
    ws_buf_free(&got);
    tls_pair_free(&pair);
}

TEST(without_a_goodbye_it_was_cut_off) {
    tls_pair pair;
    ws_buf got = {0};
    for (size_t v = 0; v < COUNT(versions); v++) {
        open_pair(&pair, versions[v]);
        assert_int_equal(tls_pair_drain(&pair.client, &got), -EAGAIN);
        pair.below_server.shut = true;
        check_broken(&pair.client, WS_ERR_TLS, "TLS with chat.example port 443 failed: the stream was cut off");
        pair.below_server.shut = false;
        tls_pair_free(&pair);
    }
    ws_buf_free(&got);
}

TEST(closing_says_goodbye_and_breaking_off_does_not) {
    tls_pair pair;
    ws_buf got = {0};
    open_pair(&pair, WS_TLS_1_3);
    pair.client.ops->close(&pair.client);
    assert_null(pair.client.ops);
    assert_true(pair.below_client.closed);
    assert_int_equal(tls_pair_drain(&pair.server, &got), 0);
    tls_pair_free(&pair);
    open_pair(&pair, WS_TLS_1_3);
    pair.client.ops->reset_on_close(&pair.client);
    assert_true(pair.below_client.reset);
    size_t before = ws_buf_len(&pair.to_server);
    pair.client.ops->close(&pair.client);
    assert_int_equal(ws_buf_len(&pair.to_server), before);
    tls_pair_free(&pair);
    ws_buf_free(&got);
}

/* At any point of the handshake closing frees all, and says nothing that the peer could take for an end. */
TEST(given_up_in_the_middle_of_the_handshake) {
    for (int turns = 0; turns < 40; turns++) {
        tls_pair pair;
        wsTls options = trusting(versions[turns % 2]);
        tls_pair_start(&pair, &options, serving(&ours), "chat.example");
        pair.below_client.piece = pair.below_server.piece = 200;
        for (int i = 0; i < turns; i++) {
            assert_true(ws_tls_handshake(&pair.client, &pair.client_error) >= 0);
            assert_true(ws_tls_handshake(&pair.server, &pair.server_error) >= 0);
        }
        tls_pair_free(&pair);
    }
}

/* ---- broken below ---- */

TEST(a_lost_connection_says_so) {
    tls_pair pair;
    ws_buf got = {0};
    open_pair(&pair, WS_TLS_1_3);
    assert_int_equal(tls_pair_drain(&pair.client, &got), -EAGAIN);
    pair.below_client.read_error = ECONNRESET;
    check_broken(&pair.client, WS_ERR_LOST, "connection to chat.example port 443 lost: Connection reset by peer");
    tls_pair_free(&pair);
    ws_buf_free(&got);
}

TEST(a_handshake_that_is_cut_is_a_failure_of_tls) {
    tls_pair pair;
    wsTls options = trusting(0);
    for (int cut = 0; cut < 2; cut++) {
        tls_pair_start(&pair, &options, serving(&ours), "chat.example");
        assert_int_equal(ws_tls_handshake(&pair.client, &pair.client_error), 0);
        if (cut) {
            pair.below_server.shut = true;
        } else {
            pair.below_client.read_error = ECONNRESET;
        }
        assert_int_equal(ws_tls_handshake(&pair.client, &pair.client_error), WS_ERR_TLS);
        assert_int_equal(pair.client_error.os_error, cut ? 0 : ECONNRESET);
        assert_non_null(strstr(ws_error_text(&pair.client_error), cut ? "cut off" : "Connection reset by peer"));
        tls_pair_free(&pair);
    }
}

/* A peer that listens no more may have said why. */
TEST(what_a_peer_said_is_read_after_writing_failed) {
    tls_pair pair;
    ws_buf got = {0};
    open_pair(&pair, WS_TLS_1_3);
    assert_int_equal(pair.server.ops->write(&pair.server, (const uint8_t*)"why", 3), 3);
    pair.below_client.write_error = EPIPE;
    assert_int_equal(pair.client.ops->write(&pair.client, (const uint8_t*)"x", 1), -EPIPE);
    assert_int_equal(pair.client.ops->write(&pair.client, NULL, 0), -EPIPE);
    assert_false(pair.client.ops->unsent(&pair.client));
    assert_int_equal(tls_pair_drain(&pair.client, &got), -EAGAIN);
    assert_int_equal(ws_buf_len(&got), 3);
    assert_memory_equal(ws_buf_head(&got), "why", 3);
    ws_buf_free(&got);
    tls_pair_free(&pair);
}

/* A byte that was changed on the way, wherever it stands. */
TEST(what_was_tampered_with_is_refused) {
    tls_pair pair;
    ws_buf got = {0};
    uint8_t bytes[20] = {0};
    for (size_t v = 0; v < COUNT(versions); v++) {
        for (size_t at = 0; at < 30; at++) {
            open_pair(&pair, versions[v]);
            assert_int_equal(pair.client.ops->write(&pair.client, bytes, sizeof bytes), sizeof bytes);
            ws_buf_head(&pair.to_server)[at] ^= 0x40;
            pair.below_client.shut = true; /* a length that is wrong may ask for more than comes */
            ssize_t n = tls_pair_drain(&pair.server, &got);
            assert_int_equal(n, -EPROTO);
            assert_int_equal(ws_buf_len(&got), 0);
            pair.below_client.shut = false;
            tls_pair_free(&pair);
        }
    }
}

/* Of the server's first flight: never through, never hanging, always with words. */
TEST(a_handshake_that_was_tampered_with_is_refused) {
    for (size_t at = 0; at < 900; at += 7) {
        tls_pair pair;
        wsTls options = trusting(versions[at % 2]);
        ws_error error = {0};
        tls_pair_start(&pair, &options, serving(&ours), "chat.example");
        assert_int_equal(ws_tls_handshake(&pair.client, &error), 0);
        assert_int_equal(ws_tls_handshake(&pair.server, &error), 0);
        if (at >= ws_buf_len(&pair.to_client)) {
            tls_pair_free(&pair);
            break;
        }
        ws_buf_head(&pair.to_client)[at] ^= 0x01;
        int32_t client = ws_tls_handshake(&pair.client, &pair.client_error);
        int32_t server = ws_tls_handshake(&pair.server, &pair.server_error);
        if (client == 0 && server == 0) { /* it waits for more than there is: let it end */
            pair.below_server.shut = true;
            client = ws_tls_handshake(&pair.client, &pair.client_error);
        }
        assert_true(client < 0 || server < 0);
        assert_true(client >= 0 || *ws_error_text(&pair.client_error));
        pair.below_server.shut = false;
        tls_pair_free(&pair);
    }
}

static int make(void** state) {
    (void)state;
    test_certificate_make(&ours, "chat.example,ip:127.0.0.1");
    return 0;
}

static int clean_up(void** state) {
    (void)state;
    test_certificate_remove(&ours);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_and_blocked_at_every_byte),
        cmocka_unit_test(much_more_than_a_record),
        cmocka_unit_test(what_is_blocked_is_unsent),
        cmocka_unit_test(a_few_records_go_out_together),
        cmocka_unit_test(records_that_are_blocked_together_are_unsent_together),
        cmocka_unit_test(a_socket_that_breaks_under_several_records_is_broken),
        cmocka_unit_test(what_is_inside_is_announced),
        cmocka_unit_test(an_error_behind_data_is_announced),
        cmocka_unit_test(a_goodbye_ends_one_direction),
        cmocka_unit_test(a_goodbye_waits_for_what_is_unsent),
        cmocka_unit_test(without_a_goodbye_it_was_cut_off),
        cmocka_unit_test(closing_says_goodbye_and_breaking_off_does_not),
        cmocka_unit_test(given_up_in_the_middle_of_the_handshake),
        cmocka_unit_test(a_lost_connection_says_so),
        cmocka_unit_test(a_handshake_that_is_cut_is_a_failure_of_tls),
        cmocka_unit_test(what_a_peer_said_is_read_after_writing_failed),
        cmocka_unit_test(what_was_tampered_with_is_refused),
        cmocka_unit_test(a_handshake_that_was_tampered_with_is_refused),
    };
    return cmocka_run_group_tests(tests, make, clean_up);
}
