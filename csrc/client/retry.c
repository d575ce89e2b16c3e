#include "client/retry.h"

#include <errno.h>

/* ---- whether ---- */

/* Refused for a time, or by something between that cannot reach the server now (RFC 9110 15.5, 15.6; RFC 6585 4). */
static bool status_passes(int status) {
    static const int passing[] = {408, 421, 423, 425, 429, 500, 502, 503, 504, 507};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        if (status == passing[i]) return true;
    }
    return status >= 520; /* a CDN cannot reach the server behind it */
}

/* RFC 6455 7.4.1 and the IANA registry: these say that the same would happen again. */
static bool close_passes(uint16_t code) {
    static const uint16_t lasting[] = {1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003};
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        if (code == lasting[i]) return false;
    }
    return true;
}

/* What a network or a server that is down for a while makes the system say, and what it says when it lacks something.
 */
static bool system_passes(int os_error) {
    switch (os_error) {
    case EACCES:
    case EPERM:
    case EINVAL:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return false;
    default:
        return true;
    }
}

bool ws_retry_worthwhile(const ws_error* error, uint16_t close_code) {
    switch (error->code) {
    case WS_OK:
        return close_passes(close_code);
    case WS_ERR_RESOLVE:
    case WS_ERR_LOST:
    case WS_ERR_OPEN_TIMEOUT:
    case WS_ERR_WRITE_TIMEOUT:
    case WS_ERR_PING_TIMEOUT:
    case WS_ERR_CLOSE_TIMEOUT:
    case WS_ERR_ON_OPEN:
        return true;
    case WS_ERR_CONNECT:
    case WS_ERR_SYSTEM:
        return system_passes(error->os_error);
    case WS_ERR_TLS:
    case WS_ERR_PROXY:
        return error->os_error != 0; /* cut off, not refused */
    case WS_ERR_STATUS:
    case WS_ERR_PROXY_STATUS:
        return status_passes(error->http_status);
    default:
        return false;
    }
}

/* ---- when ---- */

static int64_t longest(const ws_retry_terms* terms, int32_t failed) {
    int64_t wait = terms->initial;
    while (--failed > 0 && wait < terms->cap) {
        wait *= 2;
    }
    return wait < terms->cap ? wait : terms->cap;
}

int64_t ws_retry_failed(ws_retry* retry, const ws_retry_terms* terms, int64_t now, int64_t opened, int64_t retry_after,
                        uint64_t random) {
    if (opened && now - opened >= terms->steady) *retry = (ws_retry){0};
    if (!retry->since) retry->since = now;
    retry->failed++;
    if (terms->max_attempts && retry->failed >= terms->max_attempts) return -1;
    int64_t wait = (int64_t)(random % (uint64_t)(longest(terms, retry->failed) + 1));
    if (wait < retry_after) wait = retry_after;
    bool in_time = terms->max_time == INT64_MAX || now + wait - retry->since <= terms->max_time;
    return in_time ? wait : -1;
}
