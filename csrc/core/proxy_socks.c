#include "core/proxy_socks.h"

#include <errno.h>
#include <string.h>

enum { SOCKS_VERSION = 5, LOGIN_VERSION = 1 };
enum { METHOD_NONE = 0, METHOD_LOGIN = 2, METHOD_NO_ACCEPTABLE = 0xFF };
enum { COMMAND_CONNECT = 1 };
enum { ADDRESS_IPV4 = 1, ADDRESS_NAME = 3, ADDRESS_IPV6 = 4 };

static void put_byte(ws_buf* out, size_t value) {
    uint8_t byte = (uint8_t)value;
    ws_buf_append(out, &byte, 1);
}

static void put_counted(ws_buf* out, const char* text) {
    put_byte(out, strlen(text));
    ws_buf_append_text(out, text);
}

/* The methods we know, as a list with its length (RFC 1928 3). */
static void write_methods(ws_buf* out, bool login) {
    put_byte(out, SOCKS_VERSION);
    put_byte(out, login ? 2 : 1);
    put_byte(out, METHOD_NONE);
    if (login) put_byte(out, METHOD_LOGIN);
}

static void write_login(ws_buf* out, const ws_proxy_url* url) { /* RFC 1929 2 */
    put_byte(out, LOGIN_VERSION);
    put_counted(out, url->user);
    put_counted(out, url->password);
}

static void write_connect(ws_buf* out, const ws_proxy_target* target) { /* RFC 1928 4 */
    put_byte(out, SOCKS_VERSION);
    put_byte(out, COMMAND_CONNECT);
    put_byte(out, 0);
    if (target->address_len) {
        put_byte(out, target->address_len == 4 ? ADDRESS_IPV4 : ADDRESS_IPV6);
        ws_buf_append(out, target->address, target->address_len);
    } else {
        put_byte(out, ADDRESS_NAME);
        put_counted(out, target->host);
    }
    put_byte(out, target->port >> 8);
    put_byte(out, target->port & 0xFF);
}

int32_t ws_proxy_socks_start(ws_proxy* proxy, const ws_proxy_url* url, const ws_proxy_target* target) {
    enum { LONGEST = 4 + (3 + 255 + 255) + (5 + 255 + 2) };
    ws_buf* out = &proxy->out;
    if (ws_buf_reserve(out, LONGEST)) return WS_ERR_MEMORY;
    write_methods(out, proxy->has_login);
    proxy->turn = ws_buf_len(out);
    if (proxy->has_login) write_login(out, url);
    proxy->login = ws_buf_len(out) - proxy->turn;
    write_connect(out, target);
    proxy->step = WS_PROXY_STEP_METHOD;
    return WS_OK;
}

static int32_t fail(const ws_proxy* proxy, ws_error* error, const char* what) {
    return ws_error_set(error, WS_ERR_PROXY, "proxy %s %s", proxy->proxy, what);
}

/* Are `need` bytes of an answer there, which begins with this version? 1, 0, or WS_ERR_PROXY. */
static int32_t have(const ws_proxy* proxy, uint8_t version, size_t need, ws_error* error) {
    size_t n = ws_buf_len(&proxy->in);
    if (n == 0) return 0;
    uint8_t first = ws_buf_head(&proxy->in)[0];
    if (first != version && first == 'H') return fail(proxy, error, "does not speak SOCKS5: is it an HTTP proxy?");
    if (first != version) return fail(proxy, error, "does not speak SOCKS5");
    if (proxy->turn) return fail(proxy, error, "answered before it was asked");
    return n >= need;
}

/* Without a login in `out`, or with one that nobody wants, the request is next. */
static void turn_to_request(ws_proxy* proxy) {
    proxy->turn = ws_buf_len(&proxy->out);
    proxy->step = WS_PROXY_STEP_REPLY;
}

/* version, method (RFC 1928 3) */
static int32_t take_method(ws_proxy* proxy, ws_error* error) {
    int32_t rc = have(proxy, SOCKS_VERSION, 2, error);
    if (rc != 1) return rc;
    uint8_t method = ws_buf_head(&proxy->in)[1];
    ws_buf_consume(&proxy->in, 2);
    if (method == METHOD_NONE) {
        ws_buf_consume(&proxy->out, proxy->login);
        turn_to_request(proxy);
    } else if (method == METHOD_LOGIN && proxy->has_login) {
        proxy->turn = proxy->login;
        proxy->step = WS_PROXY_STEP_LOGIN;
    } else if (method == METHOD_NO_ACCEPTABLE) {
        return fail(proxy, error,
                    proxy->has_login ? "takes none of the ways to log in that were offered"
                                     : "lets nobody in without a login: write user and password into its URL");
    } else {
        return fail(proxy, error, "chose an authentication method that was not offered");
    }
    return 0;
}

/* version, status (RFC 1929 2) */
static int32_t take_verdict(ws_proxy* proxy, ws_error* error) {
    int32_t rc = have(proxy, LOGIN_VERSION, 2, error);
    if (rc != 1) return rc;
    if (ws_buf_head(&proxy->in)[1] != 0) return fail(proxy, error, "does not take the user and password in its URL");
    ws_buf_consume(&proxy->in, 2);
    turn_to_request(proxy);
    return 0;
}

typedef struct failure {
    const char* text;
    int os_error;
} failure;

static int32_t refused(const ws_proxy* proxy, uint8_t code, ws_error* error) {
    static const failure failures[] = {
        /* RFC 1928 6 */
        [1] = {"general failure", 0},
        [2] = {"its rules do not allow that", 0},
        [3] = {"network unreachable", ENETUNREACH},
        [4] = {"host unreachable", EHOSTUNREACH},
        [5] = {"connection refused", ECONNREFUSED},
        [6] = {"time to live expired on the way", 0},
        [7] = {"it does not know the command CONNECT", 0},
        [8] = {"it does not know this type of address", 0},
    };
    const failure* known = code && code < sizeof failures / sizeof failures[0] ? &failures[code] : NULL;
    error->os_error = known ? known->os_error : 0;
    return ws_error_set(error, WS_ERR_PROXY, "proxy %s does not connect to %s: %s (SOCKS reply %u)", proxy->proxy,
                        proxy->target, known ? known->text : "unknown failure", code);
}

/* How many bytes the address in a reply has, its type and its port apart; -1 for a type that is none (RFC 1928 5). */
static int bound_length(const uint8_t* reply) {
    switch (reply[3]) {
    case ADDRESS_IPV4:
        return 4;
    case ADDRESS_IPV6:
        return 16;
    case ADDRESS_NAME:
        return 1 + reply[4];
    default:
        return -1;
    }
}

/* version, reply, 0, type, address, port: where the proxy connected from, which is of no use to us (RFC 1928 6) */
static int32_t take_reply(ws_proxy* proxy, ws_error* error) {
    int32_t rc = have(proxy, SOCKS_VERSION, 2, error); /* some say why they fail, and no more */
    if (rc != 1) return rc;
    const uint8_t* reply = ws_buf_head(&proxy->in);
    if (reply[1] != 0) return refused(proxy, reply[1], error);
    if (ws_buf_len(&proxy->in) < 5) return 0;
    int length = bound_length(reply);
    if (length < 0) return fail(proxy, error, "gave an address of a type that does not exist");
    size_t n = 4 + (size_t)length + 2;
    if (ws_buf_len(&proxy->in) < n) return 0;
    ws_buf_consume(&proxy->in, n);
    return 1;
}

int32_t ws_proxy_socks_step(ws_proxy* proxy, ws_error* error) {
    int32_t rc = 0;
    if (proxy->step == WS_PROXY_STEP_METHOD) rc = take_method(proxy, error);
    if (!rc && proxy->step == WS_PROXY_STEP_LOGIN) rc = take_verdict(proxy, error);
    if (!rc && proxy->step == WS_PROXY_STEP_REPLY) rc = take_reply(proxy, error);
    return rc;
}
