/* Opening a connection: dialled by net/dial, upgraded by the protocol, all within open_timeout. */
#include <stdlib.h>

#include "client/conn.h"
#include "net/proxy_env.h"
#include "net/sys.h"

/* ---- what is dialled ---- */

/* The proxy for this server; NULL for none. */
static int32_t choose_proxy(wsConn* conn, const ws_proxy_url** proxy, ws_error* error) {
    const ws_url* url = ws_conn_url(conn);
    *proxy = conn->settings->proxy.host ? &conn->settings->proxy : NULL;
    if (!conn->settings->proxy_from_env) return WS_OK;
    int32_t rc = ws_proxy_from_env(url->secure, url->host, url->port, &conn->opening->env_proxy, error);
    if (rc == 1) *proxy = &conn->opening->env_proxy;
    return rc < 0 ? rc : WS_OK;
}

static int32_t make_plan(wsConn* conn, ws_error* error) {
    const ws_settings* settings = conn->settings;
    const ws_url* url = ws_conn_url(conn);
    const ws_proxy_url* proxy;
    int32_t rc = choose_proxy(conn, &proxy, error);
    bool named = settings->server_hostname && !conn->asked->foreign; /* the name is that of the URL's host */
    conn->opening->plan = (ws_dial_plan){
        .host = url->host,
        .ipv6 = url->ipv6,
        .port = url->port,
        .unix_path = settings->unix_path,
        .tcp = settings->tcp,
        .proxy = proxy,
        .user_agent = settings->request.user_agent,
        .tls = url->secure ? settings->tls : NULL,
        .server_name = named ? settings->server_hostname : url->host,
        .proxy_tls = settings->proxy_tls,
    };
    return rc;
}

void ws_conn_stop_dialling(wsConn* conn) {
    ws_opening* opening = conn->opening;
    if (!opening) return;
    conn->opening = NULL;
    ws_dial_free(&opening->dial);
    ws_proxy_url_free(&opening->env_proxy);
    free(opening);
}

/* Begin; the times of dials before, which redirects have led away from, are added to. */
static int32_t dial(wsConn* conn, ws_error* error) {
    ws_conn_stop_dialling(conn);
    ws_opening* opening = conn->opening = calloc(1, sizeof *opening);
    if (!opening) return ws_error_set(error, WS_ERR_MEMORY, "no memory for connecting");
    opening->dial.phase = WS_DIAL_DONE;
    int32_t rc = make_plan(conn, error);
    if (!rc) rc = ws_dial_start(&opening->dial, &opening->plan, conn->spent, error);
    opening->dial.generation = conn->generation + 1;
    return rc;
}

/* The first step: its time is when the clock of open_timeout starts. */
static int32_t start(wsConn* conn, int64_t now, ws_error* error) {
    ws_conn_lock(conn);
    conn->deadline = ws_conn_after(now, conn->settings->open_timeout);
    ws_conn_unlock(conn);
    conn->started = true;
    return dial(conn, error);
}

/* ---- a step ---- */

void ws_conn_note_times(wsConn* conn) {
    if (conn->transport.ops) {
        conn->spent[WS_DIAL_DONE] += ws_sys_nanos() - conn->upgrade_began;
    } else if (conn->opening) {
        ws_dial_times(&conn->opening->dial, conn->spent);
    }
}

static void connected(wsConn* conn, const ws_transport* transport) {
    ws_conn_lock(conn);
    ws_conn_note_times(conn);
    conn->transport = *transport;
    conn->generation = conn->opening->dial.generation + 1;
    conn->upgrade_began = ws_sys_nanos();
    ws_conn_write_out(conn);
    ws_conn_unlock(conn);
    ws_conn_stop_dialling(conn);
}

/* What the proxy answered is what the error is about. */
static void keep_proxy_head(wsConn* conn) {
    size_t len;
    const char* head = ws_dial_proxy_head(&conn->opening->dial, &len);
    if (head) ws_buf_append(&conn->protocol.head, head, len);
}

static void failed(wsConn* conn, const ws_error* error) {
    if (error->code == WS_ERR_PROXY_STATUS) keep_proxy_head(conn);
    ws_conn_finish(conn, error);
}

bool ws_conn_open_step(wsConn* conn, int64_t now) {
    ws_transport transport;
    ws_error error = {0};
    int32_t rc = conn->started ? WS_OK : start(conn, now, &error);
    if (!rc) rc = ws_dial_step(&conn->opening->dial, now, &transport, &error);
    if (rc == 1) connected(conn, &transport);
    if (rc < 0) failed(conn, &error);
    ws_error_clear(&error);
    return rc != 0;
}

/* ---- another answer than an upgrade ---- */

/* Ask again, elsewhere. What says who we are stays with the host it was given for. */
static void set_request(wsConn* conn) {
    ws_request* request = &conn->redirects->request;
    *request = *conn->asked;
    request->url = &conn->redirects->url;
    request->cookies = &conn->redirects->cookies;
    request->foreign = !ws_url_same_host(&conn->settings->url, request->url);
    conn->asked = request;
}

static int32_t ask_again(wsConn* conn, ws_error* error) {
    set_request(conn);
    ws_conn_lock(conn);
    ws_conn_note_times(conn);
    if (conn->io) ws_io_unwatch(conn->io);
    conn->transport.ops->close(&conn->transport);
    conn->transport.ops = NULL;
    conn->write_broken = false;
    ws_error_clear(&conn->write_failure);
    int32_t rc = ws_conn_start_protocol(conn);
    ws_conn_unlock(conn);
    return rc ? rc : dial(conn, error);
}

bool ws_conn_redirected(wsConn* conn) {
    size_t len = ws_buf_len(&conn->protocol.head);
    const char* head = (const char*)ws_buf_head(&conn->protocol.head);
    ws_error error = {0};
    if (conn->protocol.error.code != WS_ERR_STATUS) return false;
    if (!conn->redirects) conn->redirects = calloc(1, sizeof *conn->redirects);
    int32_t rc = !conn->redirects ? WS_ERR_MEMORY
                                  : ws_redirects_follow(conn->redirects, ws_conn_url(conn), head, len,
                                                        conn->settings->max_redirects, &error);
    bool redirected = rc != 0;
    if (rc == 1) rc = ask_again(conn, &error);
    if (rc < 0) {
        error.code = rc;
        ws_conn_finish(conn, &error);
    }
    ws_error_clear(&error);
    return redirected;
}

enum { BODY_TIMEOUT = 1000 }; /* ms for the body of a refusal */

void ws_conn_await_body(wsConn* conn) {
    if (conn->refused) return;
    conn->refused = true;
    int64_t deadline = ws_sys_now() + BODY_TIMEOUT;
    ws_conn_lock(conn);
    if (deadline < conn->deadline) conn->deadline = deadline;
    ws_conn_unlock(conn);
}

/* ---- out of time ---- */

void ws_conn_open_timed_out(wsConn* conn) {
    ws_error error = {0};
    if (conn->refused) {
        ws_conn_finish(conn, &conn->protocol.error); /* that much of the body will do */
        return;
    }
    char phase[256];
    ws_error_set(&error, WS_ERR_OPEN_TIMEOUT, "not open within open_timeout, %lld ms: still %s",
                 (long long)conn->settings->open_timeout,
                 conn->transport.ops ? "waiting for the server's answer to the upgrade"
                                     : ws_dial_text(&conn->opening->dial, phase, sizeof phase));
    ws_conn_finish(conn, &error);
    ws_error_clear(&error);
}
