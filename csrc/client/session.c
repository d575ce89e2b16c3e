/* From one transport to the next: pauses, questions, attempts. What is sent is in session_send.c. */
#include "client/session.h"

#include <stdlib.h>
#include <string.h>

#include "client/conn.h"
#include "core/utf8.h"
#include "net/sys.h"

/* ---- made and freed ---- */

static int64_t or_default(int64_t value, int64_t fallback) {
    return value < 0 ? INT64_MAX : value ? value : fallback;
}

static void read_terms(ws_session_terms* terms, const wsReconnect* options) {
    terms->retry = (ws_retry_terms){
        .initial = or_default(options->initialDelay, 500),
        .cap = or_default(options->maxDelay, 30000),
        .max_time = or_default(options->maxTime, 900000),
        .steady = or_default(options->steadyAfter, 10000),
        .max_attempts = options->maxAttempts,
    };
    terms->at_most_once = options->atMostOnce;
    terms->max_messages = options->outboxMessages ? options->outboxMessages : 16384;
    terms->max_bytes = options->outboxBytes ? options->outboxBytes : (size_t)16 << 20;
    terms->asks = (uint32_t)options->asks;
    terms->ask_timeout = or_default(options->askTimeout, 10000);
}

static int32_t copy_greeting(ws_session* session, const wsReconnect* options, ws_error* error) {
    for (size_t i = 0; i < options->greetingCount; i++) {
        const wsMessage* message = &options->greeting[i];
        bool known = message->type == WS_TEXT || message->type == WS_BINARY;
        if (!known || (!message->data && message->length)) {
            return ws_error_set(error, WS_ERR_ARGUMENT, "a greeting is a text or binary message");
        }
        if (message->type == WS_TEXT && !ws_utf8_valid(message->data, message->length)) {
            return ws_error_set(error, WS_ERR_UTF8, "a greeting that is text must be UTF-8");
        }
        if (!ws_outbox_add(&session->greeting, message->type, message->data, message->length)) {
            return ws_error_set(error, WS_ERR_MEMORY, "no memory for the greeting");
        }
    }
    return WS_OK;
}

int32_t ws_session_new(const wsReconnect* options, ws_session** session, ws_error* error) {
    if (!options->enabled) return WS_OK;
    if (options->maxAttempts < 0 || (options->greetingCount && !options->greeting)) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "bad options for reconnecting");
    }
    *session = calloc(1, sizeof **session);
    if (!*session) return ws_error_set(error, WS_ERR_MEMORY, "no memory for reconnecting");
    read_terms(&(*session)->terms, options);
    return copy_greeting(*session, options, error);
}

static void free_headers(ws_request* request) {
    ws_headers_free((wsHeader*)request->headers, request->header_count);
}

void ws_session_free(ws_session* session) {
    if (!session) return;
    ws_outbox_free(&session->greeting);
    ws_outbox_free(&session->outbox);
    ws_outbox_free(&session->lost);
    free(session->lent);
    free(session->answer_text);
    ws_inbox_free(&session->held);
    ws_tls_info_free(session->tls_before);
    free_headers(&session->request);
    free(session);
}

/* ---- telling ---- */

/* What retry and on_down are told: by then the next attempt may have begun. */
static void note_down(wsConn* conn) {
    ws_down* down = &conn->session->down;
    ws_failure_of(&conn->failure, &down->failure);
    ws_conn_copy_ending(conn, &down->close);
    down->opened = conn->session->opened != 0;
}

static void ask(wsConn* conn, ws_session_phase phase) {
    ws_session* session = conn->session;
    session->phase = phase;
    session->until = ws_conn_after(ws_sys_now(), session->terms.ask_timeout);
    session->answered = false;
    ws_conn_tell(conn, WS_DUE_ASK);
}

/* ---- down ---- */

static bool worthwhile(const wsConn* conn) {
    if (conn->failure.code == WS_ERR_HTTP && conn->session->cut_off) return true;
    return ws_retry_worthwhile(&conn->failure, conn->ending.received);
}

/* The limits are reached: say so after what went wrong. */
static void say_given_up(wsConn* conn, int64_t now) {
    const ws_retry* retry = &conn->session->retry;
    ws_error said = {.code = WS_OK};
    const char* why = conn->failure.code ? ws_error_text(&conn->failure) : "the server closed the connection";
    ws_error_set(&said, conn->failure.code ? conn->failure.code : WS_ERR_LOST,
                 "%s; given up after %d failures in %.3g s (reconnect)", why, (int)retry->failed,
                 (double)(now - retry->since) / 1e3);
    free(conn->failure.text);
    conn->failure.text = said.text;
    conn->failure.code = said.code;
}

/* Pause until the next attempt. False: there will be none. */
static bool plan(wsConn* conn) {
    ws_session* session = conn->session;
    int64_t now = ws_sys_now();
    uint64_t random = 0;
    int64_t after = ws_conn_retry_after(conn);
    ws_sys_random((uint8_t*)&random, sizeof random);
    int64_t wait = ws_retry_failed(&session->retry, &session->terms.retry, now, session->opened,
                                   after < 0 ? -1 : after * 1000, random);
    if (wait < 0) {
        say_given_up(conn, now);
        return false;
    }
    session->phase = WS_SESSION_PAUSE;
    session->down.pause = wait;
    session->until = now + wait;
    ws_conn_tell(conn, WS_DUE_DOWN);
    return true;
}

/* What of the old transport must not be in the way of the next; why it fell stays to be looked at. */
static void clean_up(wsConn* conn) {
    conn->state = WS_STATE_CONNECTING;
    conn->started = conn->refused = conn->lingering = false;
    conn->unparsed = conn->write_broken = false;
    conn->aborted = false;
    conn->deadline = INT64_MAX;
    ws_error_clear(&conn->write_failure);
}

/* What was held back stands before what came for on_open. */
static void join_inboxes(wsConn* conn) {
    ws_inbox_append(&conn->session->held, &conn->inbox);
    conn->inbox = conn->session->held;
    conn->session->held = (ws_inbox){0};
}

bool ws_session_fell(wsConn* conn) {
    ws_session* session = conn->session;
    if (session->phase == WS_SESSION_ASKING_OPEN) join_inboxes(conn);
    session->gate_open = false;
    session->phase = WS_SESSION_ATTEMPT;
    if (session->stopped) {
        ws_session_give_up(conn);
        return false;
    }
    ws_session_rewind(conn);
    note_down(conn);
    bool asks = session->terms.asks & WS_ASK_RETRY;
    if (asks) ask(conn, WS_SESSION_ASKING_RETRY);
    if (!asks && (!worthwhile(conn) || !plan(conn))) {
        session->stopped = true;
        ws_session_give_up(conn);
        return false;
    }
    clean_up(conn);
    return true;
}

void ws_session_stop(wsConn* conn) {
    ws_session* session = conn->session;
    session->stopped = true;
    if (!ws_session_down(conn)) return;
    ws_error_clear(&conn->failure); /* it is not what ends it */
    ws_conn_forget_ending(conn);
}

/* ---- up again ---- */

/* As it was before the first attempt. */
static int32_t reset(wsConn* conn) {
    ws_session* session = conn->session;
    conn->asked = session->has_request ? &session->request : &conn->settings->request;
    ws_error_clear(&conn->failure);
    ws_conn_forget_ending(conn);
    memset(conn->spent, 0, sizeof conn->spent);
    ws_tls_info_free(session->tls_before);
    session->tls_before = conn->tls_info;
    conn->tls_info = NULL;
    conn->keepalive = (ws_keepalive){0};
    session->cut_off = false;
    session->opened = 0;
    session->epoch++;
    ws_redirects_free(conn->redirects);
    conn->redirects = NULL;
    return ws_conn_start_protocol(conn);
}

static void attempt(wsConn* conn) {
    ws_conn_lock(conn);
    conn->session->phase = WS_SESSION_ATTEMPT;
    ws_error error = {.code = reset(conn)};
    ws_conn_unlock(conn);
    if (error.code) ws_conn_finish(conn, &error);
}

/* Greet, whatever the gate: on every connection the same. 0 or a code. */
static int32_t greet(wsConn* conn) {
    int32_t rc = WS_OK;
    for (const ws_letter* letter = conn->session->greeting.first; letter && !rc; letter = letter->next) {
        uint8_t opcode = letter->type & WS_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
        rc = ws_writer_message(&conn->protocol.writer, opcode, letter->data, letter->length, WS_COMPRESS_AUTO);
    }
    return rc;
}

/* A connection that is not greeted is none: break it off. */
static void break_off(wsConn* conn, int32_t code) {
    ws_error error = {.code = code};
    ws_conn_set_failure(conn, &error);
    conn->aborted = true;
}

static void open_gate(wsConn* conn) {
    ws_session* session = conn->session;
    session->phase = WS_SESSION_ATTEMPT;
    session->opened = ws_sys_now();
    session->gate_open = true;
    if (session->epoch) session->reconnects++;
    conn->deadline = INT64_MAX;
    conn->state = WS_STATE_OPEN;
    ws_conn_tell(conn, WS_DUE_OPENED);
}

bool ws_session_upgraded(wsConn* conn) {
    ws_session* session = conn->session;
    int32_t rc = greet(conn);
    if (rc) {
        break_off(conn, rc);
        return false;
    }
    if (!(session->terms.asks & WS_ASK_OPEN)) {
        open_gate(conn);
        return true;
    }
    session->held = conn->inbox;
    conn->inbox = (ws_inbox){0};
    ask(conn, WS_SESSION_ASKING_OPEN);
    conn->deadline = INT64_MAX; /* of opening: that is over */
    return false;
}

/* ---- steps ---- */

bool ws_session_pauses(const wsConn* conn) {
    return conn->session->phase != WS_SESSION_ATTEMPT;
}

bool ws_session_down(const wsConn* conn) {
    return ws_session_pauses(conn) && conn->session->phase != WS_SESSION_ASKING_OPEN;
}

/* The answer to what was asked, or no answer in time. False: not yet. */
static bool answered(wsConn* conn, int64_t now, int32_t* answer) {
    ws_session* session = conn->session;
    ws_conn_lock(conn);
    bool given = session->answered;
    *answer = given ? session->answer : WS_ANSWER_NONE;
    session->answered = false;
    ws_conn_unlock(conn);
    return given || now >= session->until;
}

static void decide(wsConn* conn, int32_t answer) {
    ws_conn_lock(conn);
    bool go_on = answer == WS_ANSWER_NONE ? worthwhile(conn) : answer == WS_ANSWER_YES;
    go_on = go_on && plan(conn);
    conn->session->stopped |= !go_on;
    if (!go_on) conn->session->phase = WS_SESSION_ATTEMPT;
    ws_conn_unlock(conn);
    if (!go_on) ws_conn_finish(conn, NULL);
}

/* The program's part has failed: so has the attempt. */
static void fail(wsConn* conn, const char* text) {
    ws_error error = {0};
    ws_session* session = conn->session;
    ws_conn_lock(conn);
    ws_error_clear(&conn->failure);
    ws_error_set(&error, WS_ERR_ON_OPEN, session->answer_text ? "%s: %s" : "%s", text, session->answer_text);
    free(session->answer_text);
    session->answer_text = NULL;
    ws_conn_unlock(conn);
    ws_conn_finish(conn, &error);
    ws_error_clear(&error);
}

static void go_on_with_headers(wsConn* conn, int32_t answer) {
    if (answer == WS_ANSWER_YES) {
        attempt(conn);
    } else {
        fail(conn, answer == WS_ANSWER_NO ? "the headers of a new attempt were refused by the program"
                                          : "the headers of a new attempt were not there in time");
    }
}

static void go_on_open(wsConn* conn, int32_t answer) {
    static const wsEvent opened = {.type = WS_EVENT_OPEN};
    if (answer != WS_ANSWER_YES) {
        fail(conn, answer == WS_ANSWER_NO ? "on_open raised" : "on_open did not return in time");
        return;
    }
    ws_conn_lock(conn);
    join_inboxes(conn);
    open_gate(conn);
    ws_conn_write_out(conn);
    ws_conn_wake_waiters(conn);
    ws_conn_unlock(conn);
    ws_inbox_push(&conn->inbox, &opened); /* without memory it is only not told */
}

bool ws_session_step(wsConn* conn, int64_t now) {
    ws_session* session = conn->session;
    int32_t answer;
    if (session->phase == WS_SESSION_PAUSE) {
        if (now < session->until) return false;
        if (session->terms.asks & WS_ASK_HEADERS) {
            ws_conn_lock(conn);
            ask(conn, WS_SESSION_ASKING_HEADERS);
            ws_conn_unlock(conn);
        } else {
            attempt(conn);
        }
        return true;
    }
    ws_session_phase asking = session->phase;
    if (!answered(conn, now, &answer)) return false;
    if (asking == WS_SESSION_ASKING_RETRY) decide(conn, answer);
    if (asking == WS_SESSION_ASKING_HEADERS) go_on_with_headers(conn, answer);
    if (asking == WS_SESSION_ASKING_OPEN) go_on_open(conn, answer);
    return true;
}

/* ---- asked from outside ---- */

static _Thread_local bool ahead;

void ws_session_go_ahead(bool on_open) {
    ahead = on_open;
}

bool ws_session_is_ahead(void) {
    return ahead;
}

bool ws_session_holds_back(const wsConn* conn) {
    return conn->session->phase == WS_SESSION_ASKING_OPEN && !ahead;
}

bool ws_session_reconnects(const wsConn* conn) {
    return conn->session != NULL;
}

void ws_session_down_info(wsConn* conn, ws_down* down) {
    *down = (ws_down){0};
    if (!conn->session) return;
    ws_conn_lock(conn);
    *down = conn->session->down;
    ws_conn_unlock(conn);
}

/* With the mutex. */
static int32_t asked(const wsConn* conn) {
    static const int32_t asks[] = {[WS_SESSION_ASKING_RETRY] = WS_ASK_RETRY,
                                   [WS_SESSION_ASKING_HEADERS] = WS_ASK_HEADERS,
                                   [WS_SESSION_ASKING_OPEN] = WS_ASK_OPEN};
    bool asking = conn->session && !conn->session->answered && conn->state == WS_STATE_CONNECTING;
    return asking ? asks[conn->session->phase] : 0;
}

int32_t wsConnAsked(wsConn* conn) {
    ws_conn_lock(conn);
    int32_t ask = asked(conn);
    ws_conn_unlock(conn);
    return ask;
}

int32_t wsConnAnswer(wsConn* conn, int32_t ask, int32_t answer) {
    return ws_session_answer(conn, ask, answer, NULL);
}

/* With the mutex. */
static void take_answer(wsConn* conn, int32_t answer, const char* text) {
    ws_session* session = conn->session;
    free(session->answer_text);
    session->answer_text = text ? strdup(text) : NULL;
    session->answer = answer;
    session->answered = true;
    ws_conn_wake_waiters(conn);
    ws_conn_call_driver(conn);
}

int32_t ws_session_answer(wsConn* conn, int32_t ask, int32_t answer, const char* text) {
    ws_conn_lock(conn);
    bool asking = ask && asked(conn) == ask;
    if (asking) take_answer(conn, answer, text);
    ws_conn_unlock(conn);
    return asking ? WS_OK : WS_ERR_STATE;
}

/* On error they are what they were. */
static int32_t set_headers(wsConn* conn, const wsHeader* given, size_t count, ws_error* error) {
    ws_session* session = conn->session;
    ws_request request = conn->settings->request;
    wsHeader* headers;
    int32_t rc = ws_headers_copy(&headers, given, count);
    request.headers = headers;
    request.header_count = count;
    if (!rc) rc = ws_handshake_check_request(&request, error);
    if (rc) {
        free_headers(&request);
        return rc;
    }
    free_headers(&session->request);
    session->request = request;
    session->has_request = true;
    return WS_OK;
}

int32_t wsConnSetHeaders(wsConn* conn, const wsHeader* headers, size_t count) {
    ws_error error = {0};
    ws_conn_lock(conn);
    bool asking = asked(conn) == WS_ASK_HEADERS;
    int32_t rc = asking ? set_headers(conn, headers, count, &error) : WS_ERR_STATE;
    ws_conn_unlock(conn);
    ws_error_clear(&error);
    return rc;
}
