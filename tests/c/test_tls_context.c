/* What TLS connections share and how they are set up: options, contexts, sessions, certificates. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tls_options.h"
#include "tls_pair.h"

static test_certificate ours, other;

static ws_tls_context* serving(const test_certificate* certificate) {
    ws_tls_context* context;
    ws_error error = {0};
    assert_int_equal(ws_tls_context_server(certificate->file, certificate->key, &context, &error), WS_OK);
    return context;
}

static ws_tls_context* get(const wsTls* options) {
    ws_tls_context* context;
    ws_error error = {0};
    assert_int_equal(ws_tls_context_get(options, &context, &error), WS_OK);
    return context;
}

/* ---- options ---- */

TEST(a_list_is_taken_apart) {
    const char *list = " a,, bc ,d e", *item;
    const char* wanted[] = {"a", "", "bc", "d e"};
    size_t len;
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_true(ws_tls_options_next(&list, &item, &len));
        assert_int_equal(len, strlen(wanted[i]));
        assert_memory_equal(item, wanted[i], len);
    }
    assert_false(ws_tls_options_next(&list, &item, &len));
    list = "";
    assert_true(ws_tls_options_next(&list, &item, &len));
    assert_int_equal(len, 0);
    assert_false(ws_tls_options_next(&list, &item, &len));
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

TEST(wrong_options_are_refused) {
    static const wsTls wrong[] = {
        {.minVersion = 0x0301},
        {.maxVersion = 0x0302},
        {.minVersion = 1},
        {.minVersion = WS_TLS_1_3, .maxVersion = WS_TLS_1_2},
        {.keyFile = "key.pem"},
        {.alpn = ""},
        {.alpn = "a,,b"},
        {.alpn = "a,"},
        {.pins = ""},
        {.pins = "cert:" ZEROS ","},
        {.pins = "cert:" ZEROS "0"},
        {.pins = "key:0" ZEROS},
        {.pins = "key" ZEROS},
        {.pins = ":" ZEROS},
        {.pins = "cert:g" ZEROS},
        {.pins = "sha256/" ZEROS},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ws_tls_context* context;
        ws_error error = {0};
        assert_int_equal(ws_tls_context_get(&wrong[i], &context, &error), WS_ERR_TLS_OPTIONS);
        assert_null(context);
        assert_true(*ws_error_text(&error));
        ws_error_clear(&error);
    }
    wsTls right = {.pins = "cert:" ZEROS ", key:" ZEROS, .alpn = "a, b", .minVersion = WS_TLS_1_3};
    ws_tls_context_drop(get(&right));
}

/* Of no field may a difference be overlooked: connections would share what is not theirs. */
TEST(equal_options_share_a_context_and_others_do_not) {
    char name[] = "a"; /* at another place than the literals */
    static const wsTls all[] = {
        {0},
        {.caFile = "a"},
        {.caPath = "a"},
        {.caData = "a"},
        {.systemCaFile = "a"},
        {.certFile = "a"},
        {.certFile = "a", .keyFile = "a"},
        {.keyPassword = "a"},
        {.alpn = "a"},
        {.ciphers = "a"},
        {.ciphersuites = "a"},
        {.pins = "key:" ZEROS},
        {.keyLogFile = "a"},
        {.minVersion = WS_TLS_1_2},
        {.maxVersion = WS_TLS_1_2},
        {.insecure = 1},
        {.noResumption = 1},
        {.caFile = "b"},
        {.caFile = ""},
    };
    ws_tls_context* made[COUNT(all)];
    for (size_t i = 0; i < COUNT(all); i++) {
        made[i] = get(&all[i]);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(made[i], made[k]);
        }
    }
    wsTls same = {.caFile = name};
    ws_tls_context* again = get(&same);
    assert_ptr_equal(again, made[1]);
    ws_tls_context_drop(again);
    for (size_t i = 0; i < COUNT(all); i++) {
        ws_tls_context_drop(made[i]);
    }
}

/* Those that nobody has are kept for a while, the longest unused go first. */
TEST(idle_contexts_are_kept_but_not_all) {
    char names[20][8];
    ws_tls_context* last = NULL;
    wsTls options = {0};
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "ca%d", i);
        options.caFile = names[i];
        last = get(&options);
        ws_tls_context_drop(last);
    }
    ws_tls_context* again = get(&options);
    assert_ptr_equal(again, last);
    ws_tls_context_drop(again);
}

/* ---- files ---- */

static void check_cannot_start(const wsTls* options, const char* name, const char* words) {
    test_end end;
    ws_transport transport = {.fd = 7, .state = &end}, before = transport;
    ws_tls_context* context = get(options);
    ws_tls_server_id id = {name, name, 443};
    ws_error error = {0};
    assert_int_equal(ws_tls_start(&transport, context, &id, &error), WS_ERR_TLS_OPTIONS);
    if (!strstr(ws_error_text(&error), words)) fail_msg("%s", ws_error_text(&error));
    assert_memory_equal(&transport, &before, sizeof before); /* it is still the caller's */
    ws_error_clear(&error);
    ws_tls_context_drop(context);
}

TEST(what_cannot_be_used_is_said_and_the_transport_left_alone) {
    wsTls fine = {.caFile = ours.file};
    check_cannot_start(&(wsTls){.caFile = "/nowhere/ca.pem"}, "a", "/nowhere/ca.pem: No such file");
    check_cannot_start(&(wsTls){.caFile = ours.key}, "a", "it has no certificate in PEM form");
    check_cannot_start(&(wsTls){.caFile = ""}, "a", "no CA certificates in file");
    check_cannot_start(&(wsTls){.caFile = ours.file, .caData = "junk"}, "a", "not in PEM form");
    check_cannot_start(&(wsTls){.insecure = 1, .certFile = "/nowhere/c.pem"}, "a", "/nowhere/c.pem: No such file");
    check_cannot_start(&(wsTls){.insecure = 1, .certFile = ours.file, .keyFile = "/nowhere/k.pem"}, "a",
                       "/nowhere/k.pem: No such file");
    check_cannot_start(&(wsTls){.insecure = 1, .certFile = ours.file, .keyFile = other.key}, "a", other.key);
    check_cannot_start(&(wsTls){.insecure = 1, .ciphers = "NONSENSE"}, "a", "cannot use the ciphers NONSENSE");
    check_cannot_start(&fine, "", "no certificate can be valid for the name \"\"");
    check_cannot_start(&fine, ".chat.example", "no certificate can be valid for the name \".chat.example\"");
}

TEST(a_server_needs_a_certificate_and_its_key) {
    const char* pairs[][2] = {{"/nowhere", ours.key}, {ours.file, "/nowhere"}, {ours.file, other.key}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        ws_tls_context* context;
        ws_error error = {0};
        assert_int_equal(ws_tls_context_server(pairs[i][0], pairs[i][1], &context, &error), WS_ERR_TLS_OPTIONS);
        assert_null(context);
        assert_true(*ws_error_text(&error));
        ws_error_clear(&error);
    }
}

/* ---- certificates ---- */

static void check_name(const char* name, bool right) {
    tls_pair pair;
    wsTls options = {.caFile = ours.file, .noResumption = 1};
    tls_pair_start(&pair, &options, serving(&ours), name);
    if (tls_pair_shake(&pair) != right) fail_msg("%s: %s", name, ws_error_text(&pair.client_error));
    if (!right) {
        assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
        assert_non_null(strstr(ws_error_text(&pair.client_error), "not valid for that name (it is for chat.example, "
                                                                  "*.wild.example, x*.part.example, 127.0.0.1)"));
        assert_int_equal(pair.server_error.code, WS_ERR_TLS);
        assert_non_null(strstr(ws_error_text(&pair.server_error), "it does not accept our certificate"));
    }
    tls_pair_free(&pair);
}

TEST(names) {
    check_name("chat.example", true);
    check_name("CHAT.example", true);
    check_name("chat.example.", true);
    check_name("127.0.0.1", true);
    check_name("a.wild.example", true);
    check_name("127.0.0.2", false);
    check_name("::1", false);
    check_name("chat.example.org", false);
    check_name("achat.example", false);
    check_name("chat", false);
    check_name("wild.example", false);
    check_name("a.b.wild.example", false);
    check_name("xy.part.example", false); /* a wildcard is a whole label (RFC 9525 6.3) */
}

/* The name in the subject does not count, not even where no other name is given (RFC 9525 2). */
TEST(the_subject_is_no_name) {
    tls_pair pair;
    test_certificate nameless;
    test_certificate_make(&nameless, "ip:127.0.0.1");
    wsTls options = {.caFile = nameless.file, .noResumption = 1};
    tls_pair_start(&pair, &options, serving(&nameless), "test");
    assert_false(tls_pair_shake(&pair));
    assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
    tls_pair_free(&pair);
    test_certificate_remove(&nameless);
}

/* What a stranger put into a certificate does not come out as it is. */
TEST(a_hostile_name_is_shown_harmlessly) {
    static const char* const names[] = {"ev\x1b[31mil\r\n.example",
                                        "b\xfc"
                                        "cher.example",
                                        "\xff\xfe\xfd", ""};
    for (size_t i = 0; i < COUNT(names); i++) {
        tls_pair pair;
        test_certificate hostile;
        test_certificate_make(&hostile, names[i]);
        wsTls options = {.caFile = hostile.file, .noResumption = 1};
        tls_pair_start(&pair, &options, serving(&hostile), "chat.example");
        assert_false(tls_pair_shake(&pair));
        assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
        for (const char* c = ws_error_text(&pair.client_error); *c; c++) {
            assert_in_range(*c, ' ', '~');
        }
        tls_pair_free(&pair);
        test_certificate_remove(&hostile);
    }
}

TEST(very_many_names_are_cut) {
    tls_pair pair;
    test_certificate many;
    static char names[40000];
    for (size_t used = 0; used < sizeof names - 40;) {
        used += (size_t)sprintf(names + used, "%sname%zu.of.many.example", used ? "," : "", used);
    }
    test_certificate_make(&many, names);
    wsTls options = {.caFile = many.file, .noResumption = 1};
    tls_pair_start(&pair, &options, serving(&many), "chat.example");
    assert_false(tls_pair_shake(&pair));
    assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
    assert_in_range(strlen(ws_error_text(&pair.client_error)), 500, 2000);
    tls_pair_free(&pair);
    test_certificate_remove(&many);
}

TEST(who_is_not_trusted) {
    tls_pair pair;
    wsTls options = {.caFile = other.file, .noResumption = 1};
    tls_pair_start(&pair, &options, serving(&ours), "chat.example");
    assert_false(tls_pair_shake(&pair));
    assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
    assert_non_null(strstr(ws_error_text(&pair.client_error), "TLS certificate of chat.example is self-signed"));
    tls_pair_free(&pair);
}

/* That the certificate would not do is no news when something else breaks. */
TEST(unverified_the_certificate_is_not_to_blame) {
    tls_pair pair;
    wsTls options = {.insecure = 1};
    uint8_t byte;
    ws_error error = {0};
    tls_pair_open(&pair, &options, serving(&ours), "elsewhere.example");
    put_text(&pair.to_client, "this is not of TLS");
    assert_int_equal(pair.client.ops->read(&pair.client, &byte, 1), -EPROTO);
    pair.client.ops->explain(&pair.client, &error);
    assert_int_equal(error.code, WS_ERR_TLS);
    ws_error_clear(&error);
    tls_pair_free(&pair);
}

TEST(pins_count_verified_or_not) {
    char both[200];
    snprintf(both, sizeof both, "key:%s, %s", ZEROS, ours.pin);
    for (int insecure = 0; insecure < 2; insecure++) {
        tls_pair pair;
        wsTls right = {.caFile = ours.file, .insecure = insecure, .pins = both};
        wsTls wrong = {.caFile = ours.file, .insecure = insecure, .pins = other.pin};
        tls_pair_open(&pair, &right, serving(&ours), "chat.example");
        tls_pair_free(&pair);
        tls_pair_start(&pair, &wrong, serving(&ours), "chat.example");
        assert_false(tls_pair_shake(&pair));
        assert_int_equal(pair.client_error.code, WS_ERR_CERTIFICATE);
        assert_non_null(strstr(ws_error_text(&pair.client_error), ours.pin));
        uint8_t byte = 0;
        assert_int_equal(pair.client.ops->write(&pair.client, &byte, 1), -EPROTO); /* no way round it */
        assert_int_equal(pair.client.ops->read(&pair.client, &byte, 1), -EPROTO);
        tls_pair_free(&pair);
    }
}

/* ---- sessions ---- */

static bool resumed(const tls_pair* pair) {
    wsTlsInfo* info;
    assert_int_equal(ws_tls_look(&pair->client, &info), 0);
    assert_true(info->certificateLength > 0);
    bool was = info->resumed;
    ws_tls_info_free(info);
    return was;
}

/* Open, and read the server's tickets unless `hasty`; is a session taken up? */
static bool open_resumed(tls_pair* pair, const wsTls* options, ws_tls_context* server, const char* name, bool hasty) {
    ws_buf got = {0};
    ws_tls_context_use(server);
    tls_pair_open(pair, options, server, name);
    if (!hasty) assert_int_equal(tls_pair_drain(&pair->client, &got), -EAGAIN);
    return resumed(pair);
}

static bool once(const wsTls* options, ws_tls_context* server, const char* name) {
    tls_pair pair;
    bool was = open_resumed(&pair, options, server, name, false);
    tls_pair_free(&pair);
    return was;
}

TEST(sessions_are_taken_up_by_the_same_alone) {
    for (int32_t version = WS_TLS_1_2; version <= WS_TLS_1_3; version++) {
        ws_tls_context *server = serving(&ours), *another = serving(&ours);
        wsTls options = {.caFile = ours.file, .maxVersion = version};
        wsTls never = {.caFile = ours.file, .maxVersion = version, .noResumption = 1};
        wsTls insecure = {.insecure = 1, .maxVersion = version};
        assert_false(once(&options, server, "chat.example"));
        assert_false(once(&never, server, "chat.example"));
        assert_false(once(&never, server, "chat.example"));
        assert_false(once(&insecure, server, "chat.example"));
        assert_false(once(&options, server, "a.wild.example"));
        assert_true(once(&options, server, "chat.example"));
        assert_true(once(&options, server, "chat.example"));
        assert_false(once(&options, another, "chat.example")); /* which cannot read the ticket: no harm */
        ws_tls_context_drop(server);
        ws_tls_context_drop(another);
    }
}

/* A ticket of TLS 1.3 is used once (RFC 8446 C.4); the server gives two. */
TEST(a_ticket_is_used_once) {
    ws_tls_context* server = serving(&ours);
    wsTls options = {.caFile = ours.file, .minVersion = WS_TLS_1_3, .ciphersuites = "TLS_AES_128_GCM_SHA256"};
    tls_pair pairs[4];
    assert_false(once(&options, server, "chat.example"));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(open_resumed(&pairs[i], &options, server, "chat.example", true), i < 2);
    }
    for (int i = 0; i < 4; i++) {
        tls_pair_free(&pairs[i]);
    }
    ws_tls_context_drop(server);
}

static SSL_SESSION* new_session(int version) {
    SSL_SESSION* session = SSL_SESSION_new();
    assert_int_equal(SSL_SESSION_set_protocol_version(session, version), 1);
    return session;
}

TEST(the_oldest_session_goes) {
    static ws_tls_sessions sessions;
    SSL_SESSION *session = new_session(TLS1_2_VERSION), *taken;
    char name[16];
    assert_int_equal(ws_tls_sessions_init(&sessions), 0);
    for (int i = 0; i < WS_TLS_MAX_SESSIONS + 10; i++) {
        snprintf(name, sizeof name, "server%d", i);
        ws_tls_sessions_keep(&sessions, name, session);
    }
    for (int i = 0; i < WS_TLS_MAX_SESSIONS + 10; i++) {
        snprintf(name, sizeof name, "server%d", i);
        for (int again = 0; again < 2; again++) { /* one of TLS 1.2 stays */
            taken = ws_tls_sessions_take(&sessions, name);
            assert_ptr_equal(taken, i < 10 ? NULL : session);
            SSL_SESSION_free(taken);
        }
    }
    ws_tls_sessions_clear(&sessions);
    assert_null(ws_tls_sessions_take(&sessions, name));
    SSL_SESSION_free(session);
    ws_tls_sessions_free(&sessions);
}

TEST(a_child_has_no_sessions) {
    static ws_tls_sessions sessions;
    SSL_SESSION* session = new_session(TLS1_3_VERSION);
    int status = -1;
    assert_int_equal(ws_tls_sessions_init(&sessions), 0);
    ws_tls_sessions_keep(&sessions, "server", session);
    pid_t child = fork();
    if (child == 0) _exit(ws_tls_sessions_take(&sessions, "server") ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    SSL_SESSION* taken = ws_tls_sessions_take(&sessions, "server");
    assert_ptr_equal(taken, session);
    SSL_SESSION_free(taken);
    assert_null(ws_tls_sessions_take(&sessions, "server"));
    SSL_SESSION_free(session);
    ws_tls_sessions_free(&sessions);
}

static int make(void** state) {
    (void)state;
    test_certificate_make(&ours, "chat.example,*.wild.example,x*.part.example,ip:127.0.0.1");
    test_certificate_make(&other, "other.example");
    return 0;
}

static int clean_up(void** state) {
    (void)state;
    test_certificate_remove(&ours);
    test_certificate_remove(&other);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_taken_apart),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(equal_options_share_a_context_and_others_do_not),
        cmocka_unit_test(idle_contexts_are_kept_but_not_all),
        cmocka_unit_test(what_cannot_be_used_is_said_and_the_transport_left_alone),
        cmocka_unit_test(a_server_needs_a_certificate_and_its_key),
        cmocka_unit_test(names),
        cmocka_unit_test(the_subject_is_no_name),
        cmocka_unit_test(a_hostile_name_is_shown_harmlessly),
        cmocka_unit_test(very_many_names_are_cut),
        cmocka_unit_test(who_is_not_trusted),
        cmocka_unit_test(unverified_the_certificate_is_not_to_blame),
        cmocka_unit_test(pins_count_verified_or_not),
        cmocka_unit_test(sessions_are_taken_up_by_the_same_alone),
        cmocka_unit_test(a_ticket_is_used_once),
        cmocka_unit_test(the_oldest_session_goes),
        cmocka_unit_test(a_child_has_no_sessions),
    };
    return cmocka_run_group_tests(tests, make, clean_up);
}
