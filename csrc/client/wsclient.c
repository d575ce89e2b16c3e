/* The chat client of the public header: five functions and their helpers on top of a connection driven inline. */
#include <wsclient/wsclient.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/envelope.h"
#include "client/engine.h"
#include "core/error.h"
#include "net/thread.h"

enum {
    OPEN_TIMEOUT = 10000, /* ms */
    LISTEN_TIMEOUT = 100,
    WRITE_TIMEOUT = 30000,
    CLOSE_TIMEOUT = 2000,
};

struct wsJson {
    ws_envelope envelope;
};

/* What wsClient.impl points to. */
typedef struct chat {
    wsConn* conn;
    ws_mutex mutex; /* guards name and error, which sending threads touch */
    char* name;
    ws_error error;
    void* callback;
    int32_t type;
    bool delivering;
    bool deinit; /* wsDeinitClient was called in a callback */
} chat;

static chat* chat_of(const wsClient* client) {
    chat* self = client ? client->impl : NULL;
    return self && !self->deinit ? self : NULL;
}

/* Make `code` and its text what wsLastError tells. */
static int32_t fail(chat* self, int32_t code, const char* text) {
    ws_mutex_lock(&self->mutex);
    ws_error_clear(&self->error);
    ws_error_set(&self->error, code, "%s", text && *text ? text : wsErrorString(code));
    ws_mutex_unlock(&self->mutex);
    return code;
}

/* A code that came from the connection: its own words where it has some. */
static int32_t fail_conn(chat* self, int32_t code) {
    ws_failure failure;
    ws_conn_failure(self->conn, &failure);
    return fail(self, code, failure.code == code ? failure.text : NULL);
}

/* ---- opening ---- */

/* An IPv6 literal stands in brackets in a URL. */
static int32_t new_conn(chat* self, const char* ip, const char* port) {
    char url[512], text[512];
    if (!ip || !port) return fail(self, WS_ERR_ARGUMENT, "the host or the port is NULL");
    const char* form = strchr(ip, ':') ? "ws://[%s]:%s/" : "ws://%s:%s/";
    if (snprintf(url, sizeof url, form, ip, port) >= (int)sizeof url) {
        return fail(self, WS_ERR_ARGUMENT, "the host or the port is too long");
    }
    wsOptions options = {
        .size = sizeof options, .url = url, .openTimeout = OPEN_TIMEOUT, .closeTimeout = CLOSE_TIMEOUT};
    int32_t rc = ws_conn_new(&options, &self->conn, text, sizeof text);
    return rc ? fail(self, rc, text) : WS_OK;
}

static int32_t wait_until_open(chat* self) {
    while (wsConnState(self->conn) == WS_STATE_CONNECTING) {
        int32_t rc = ws_inline_turn(self->conn, INT64_MAX, INT64_MAX, false); /* the connection has its own deadline */
        if (rc && rc != WS_ERR_INTERRUPTED) return fail(self, rc, NULL);
    }
    ws_failure failure;
    ws_conn_failure(self->conn, &failure);
    return failure.code ? fail(self, failure.code, failure.text) : WS_OK;
}

static int32_t send_envelope(wsClient* client, const char* text, int32_t info) {
    chat* self = client->impl;
    ws_buf json = {0};
    ws_mutex_lock(&self->mutex);
    int32_t rc = ws_envelope_write(self->name, text, info, &json);
    ws_mutex_unlock(&self->mutex);
    if (!rc) rc = ws_buf_append(&json, "", 1);
    rc = rc ? fail(self, rc, NULL) : wsSendMessage(client, (const char*)ws_buf_head(&json));
    ws_buf_free(&json);
    return rc;
}

static int32_t announce(wsClient* client) {
    return send_envelope(client, "", WS_INFO_CHANGE_USERNAME | WS_INFO_NO_BROADCAST);
}

static int32_t take_name(chat* self, const char* username) {
    if (!username || !ws_envelope_name_ok(username)) {
        return fail(self, WS_ERR_USERNAME, "a user name is 1 to 128 bytes of UTF-8 without control characters");
    }
    char* name = strdup(username);
    if (!name) return fail(self, WS_ERR_MEMORY, NULL);
    ws_mutex_lock(&self->mutex);
    free(self->name);
    self->name = name;
    ws_mutex_unlock(&self->mutex);
    return WS_OK;
}

static void chat_free(chat* self) {
    wsConnFree(self->conn);
    ws_error_clear(&self->error);
    ws_mutex_free(&self->mutex);
    free(self->name);
    free(self);
}

static chat* chat_new(void) {
    chat* self = calloc(1, sizeof *self);
    if (self && ws_mutex_init(&self->mutex)) {
        free(self);
        return NULL;
    }
    return self;
}

int32_t wsInitClient(wsClient* client, const char* ip, const char* port, const char* username) {
    if (!client) return WS_ERR_ARGUMENT;
    chat* before = client->impl;
    if (before && (before->delivering || (before->conn && wsConnState(before->conn) != WS_STATE_CLOSED))) {
        return WS_ERR_STATE;
    }
    if (before) chat_free(before);
    chat* self = client->impl = chat_new();
    if (!self) return WS_ERR_MEMORY;
    int32_t rc = take_name(self, username);
    if (!rc) rc = new_conn(self, ip, port);
    if (!rc) rc = wait_until_open(self);
    return rc ? rc : announce(client);
}

/* ---- sending ---- */

/* Queue the message, waiting for room if need be. */
static int32_t queue_message(wsConn* conn, const char* message, int64_t deadline, ws_ticket* ticket) {
    for (;;) {
        int32_t rc = ws_conn_send(conn, WS_TEXT, message, strlen(message), ticket);
        if (rc != WS_ERR_QUEUE_FULL) return rc;
        rc = ws_inline_turn(conn, deadline, INT64_MAX, false);
        if (rc && rc != WS_ERR_INTERRUPTED) return rc;
    }
}

/* Wait until it is written. A torn frame cannot be mended: when time is up in the middle of one, the connection fails.
 */
static int32_t await_written(wsConn* conn, int64_t deadline, const ws_ticket* ticket) {
    int32_t rc = WS_OK, written = 0;
    while ((written = ws_conn_written(conn, ticket)) == 0 && (rc == WS_OK || rc == WS_ERR_INTERRUPTED)) {
        rc = ws_inline_turn(conn, deadline, INT64_MAX, false);
    }
    if (written) return written > 0 ? WS_OK : written;
    if (!ws_conn_withdraw(conn, ticket)) ws_conn_fail(conn, WS_ERR_WRITE_TIMEOUT, wsErrorString(WS_ERR_WRITE_TIMEOUT));
    return rc;
}

int32_t wsSendMessage(wsClient* client, const char* message) {
    chat* self = chat_of(client);
    if (!self || !self->conn) return WS_ERR_STATE;
    if (!message) return fail(self, WS_ERR_ARGUMENT, "the message is NULL");
    ws_ticket ticket;
    int64_t deadline = wsNow() + WRITE_TIMEOUT;
    int32_t rc = queue_message(self->conn, message, deadline, &ticket);
    if (!rc) rc = await_written(self->conn, deadline, &ticket);
    if (rc == WS_ERR_RECEIVE_TIMEOUT) rc = WS_ERR_WRITE_TIMEOUT;
    return rc ? fail_conn(self, rc) : WS_OK;
}

int32_t wsSendChat(wsClient* client, const char* text, int32_t info) {
    chat* self = chat_of(client);
    if (!self || !self->conn) return WS_ERR_STATE;
    if (!text || info < 0) return fail(self, WS_ERR_ARGUMENT, "the text is NULL or info is negative");
    return send_envelope(client, text, info);
}

int32_t wsChangeUsername(wsClient* client, const char* username) {
    chat* self = chat_of(client);
    if (!self || !self->conn) return WS_ERR_STATE;
    int32_t rc = take_name(self, username);
    return rc ? rc : announce(client);
}

/* ---- listening ---- */

int32_t wsSetOnMessageCallback(wsClient* client, void* functionPtr, int32_t type) {
    chat* self = chat_of(client);
    if (!self) return WS_ERR_STATE;
    if (type != WS_CALLBACK_JSON && type != WS_CALLBACK_RAW) return fail(self, WS_ERR_ARGUMENT, "type must be 0 or 1");
    self->callback = functionPtr;
    self->type = type;
    return WS_OK;
}

static void deliver_json(wsClient* client, const char* text, size_t n, time_t received) {
    chat* self = client->impl;
    wsJson json;
    ws_error error = {0};
    if (ws_envelope_parse(&json.envelope, text, n, &error) == WS_OK) {
        wsJsonCallback callback;
        memcpy(&callback, &self->callback, sizeof callback); /* ISO C has no cast from void* to a function */
        callback(client, &json, received);
        ws_envelope_free(&json.envelope);
    }
    ws_error_clear(&error);
}

static void deliver_raw(wsClient* client, const char* text, time_t received) {
    chat* self = client->impl;
    wsRawCallback callback;
    memcpy(&callback, &self->callback, sizeof callback);
    callback(client, text, received);
}

/* Hand one text to the callback. It is a copy: the callback may do whatever it likes with the connection. */
static int32_t deliver(wsClient* client, const wsEvent* event) {
    chat* self = client->impl;
    if (event->type != WS_EVENT_TEXT || !self->callback) return WS_OK;
    char* text = malloc(event->length + 1);
    if (!text) return fail(self, WS_ERR_MEMORY, NULL);
    memcpy(text, event->data, event->length);
    text[event->length] = '\0';
    self->delivering = true;
    if (self->type == WS_CALLBACK_JSON) {
        deliver_json(client, text, event->length, (time_t)event->received);
    } else {
        deliver_raw(client, text, (time_t)event->received);
    }
    self->delivering = false;
    free(text);
    return WS_OK;
}

/* Deliver what has arrived; *any if that was something. */
static int32_t deliver_all(wsClient* client, bool* any) {
    chat* self = client->impl;
    wsEvent event;
    int32_t rc = WS_OK;
    while (!rc && !self->deinit && wsConnNext(self->conn, &event)) {
        *any = *any || event.type == WS_EVENT_TEXT;
        rc = deliver(client, &event);
    }
    if (!rc && !self->deinit && wsConnState(self->conn) == WS_STATE_CLOSED) {
        ws_failure failure;
        ws_conn_failure(self->conn, &failure);
        rc = failure.code ? failure.code : WS_ERR_CLOSED;
        fail_conn(self, rc);
    }
    return rc;
}

static int32_t listen_once(wsClient* client) {
    chat* self = client->impl;
    int64_t deadline = wsNow() + LISTEN_TIMEOUT;
    bool any = false;
    int32_t rc = deliver_all(client, &any);
    while (!rc && !any && !self->deinit) {
        rc = ws_inline_turn(self->conn, deadline, INT64_MAX, true);
        if (rc == WS_ERR_INTERRUPTED) return WS_OK;
        if (!rc) rc = deliver_all(client, &any);
    }
    return rc == WS_ERR_RECEIVE_TIMEOUT ? WS_OK : rc;
}

int32_t wsClientListen(wsClient* client) {
    chat* self = chat_of(client);
    if (!self || !self->conn) return WS_ERR_STATE;
    if (self->delivering) return fail(self, WS_ERR_CONCURRENCY, "wsClientListen was called inside a callback");
    int32_t rc = listen_once(client);
    if (!self->deinit) return rc;
    self->deinit = false;
    return wsDeinitClient(client);
}

/* ---- the end ---- */

int32_t wsDeinitClient(wsClient* client) {
    if (!client) return WS_ERR_ARGUMENT;
    chat* self = client->impl;
    if (!self) return WS_OK;
    if (self->delivering) {
        self->deinit = true;
        return WS_OK;
    }
    if (self->conn) wsConnClose(self->conn, 1000, NULL);
    while (self->conn && wsConnState(self->conn) != WS_STATE_CLOSED) {
        int32_t rc = ws_inline_turn(self->conn, INT64_MAX, INT64_MAX, false); /* closing has its own deadline */
        if (rc && rc != WS_ERR_INTERRUPTED) wsConnAbort(self->conn);
    }
    client->impl = NULL;
    chat_free(self);
    return WS_OK;
}

const char* wsLastError(const wsClient* client) {
    chat* self = client ? client->impl : NULL;
    return self ? ws_error_text(&self->error) : "";
}

const char* wsJsonUserName(const wsJson* message) {
    return message->envelope.name;
}

const char* wsJsonText(const wsJson* message) {
    return message->envelope.text;
}

size_t wsJsonTextLength(const wsJson* message) {
    return message->envelope.text_len;
}

int32_t wsJsonInfo(const wsJson* message) {
    return message->envelope.info;
}
