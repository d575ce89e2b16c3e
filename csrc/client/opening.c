#include "client/opening.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/poll.h"
#include "net/sys.h"
#include "net/tcp.h"

enum { ATTEMPT_TIMEOUT = 5000 }; /* ms for an address where the opening itself has no deadline */

int32_t ws_opening_start(ws_opening* opening, const char* host, uint16_t port, int64_t deadline, ws_error* error) {
    *opening = (ws_opening){.host = host, .port = port, .deadline = deadline, .fd = -1};
    return ws_resolve_start(&opening->job, host, port, error);
}

/* 1 when the addresses are there, 0 while they are not. */
static int32_t resolve(ws_opening* opening, ws_error* error) {
    int32_t rc = ws_resolve_result(opening->job, &opening->addresses, &opening->count, error);
    if (rc == 0) return 0;
    ws_resolve_drop(opening->job);
    opening->job = NULL;
    opening->generation++;
    return rc;
}

/* An equal share of the time that is left for each address that is left. */
static int64_t share(const ws_opening* opening, int64_t now) {
    int64_t addresses = (int64_t)(opening->count - opening->next) + 1;
    if (opening->deadline == INT64_MAX) return now + ATTEMPT_TIMEOUT;
    return now + (opening->deadline - now) / addresses;
}

static void end_attempt(ws_opening* opening, int os_error) {
    if (opening->fd >= 0) ws_tcp_close(opening->fd);
    opening->fd = -1;
    opening->os_error = os_error;
    opening->generation++;
}

/* Begin with the next address that does not fail at once; false if none is left. */
static bool next_attempt(ws_opening* opening, int64_t now) {
    while (opening->next < opening->count) {
        intptr_t fd = ws_tcp_connect(&opening->addresses[opening->next++]);
        if (fd >= 0) {
            opening->fd = fd;
            opening->generation++;
            opening->attempt_deadline = share(opening, now);
            return true;
        }
        opening->os_error = (int)-fd;
    }
    return false;
}

static int32_t none_left(ws_opening* opening, ws_error* error) {
    char reason[128], where[128];
    error->os_error = opening->os_error;
    return ws_error_set(error, WS_ERR_CONNECT, "cannot connect to %s port %u: %s (tried %zu address%s, last %s)",
                        opening->host, opening->port, ws_sys_error_text(opening->os_error, reason, sizeof reason),
                        opening->count, opening->count == 1 ? "" : "es",
                        ws_address_text(&opening->addresses[opening->count - 1], where, sizeof where));
}

static bool decided(intptr_t fd) {
    ws_poll_item item = {.fd = fd, .events = WS_POLL_WRITE};
    return ws_poll_few(&item, 1, 0) > 0;
}

/* Look at the attempt going on; true if it succeeded, and if it failed it is ended. */
static bool attempt_done(ws_opening* opening, int64_t now) {
    if (decided(opening->fd)) {
        int rc = ws_tcp_connect_result(opening->fd);
        if (rc == 0) return true;
        end_attempt(opening, -rc);
    } else if (now >= opening->attempt_deadline && opening->next < opening->count) {
        end_attempt(opening, ETIMEDOUT);
    }
    return false;
}

int32_t ws_opening_step(ws_opening* opening, int64_t now, intptr_t* fd, ws_error* error) {
    if (opening->job) {
        int32_t rc = resolve(opening, error);
        if (rc <= 0) return rc;
    }
    if (opening->fd >= 0 && attempt_done(opening, now)) {
        *fd = opening->fd;
        opening->fd = -1;
        return 1;
    }
    if (opening->fd < 0 && !next_attempt(opening, now)) return none_left(opening, error);
    return 0;
}

ws_interest ws_opening_interest(const ws_opening* opening) {
    if (opening->job) return (ws_interest){ws_resolve_fd(opening->job), WS_WANT_READ, opening->generation};
    return (ws_interest){opening->fd, WS_WANT_WRITE, opening->generation};
}

int64_t ws_opening_deadline(const ws_opening* opening) {
    if (opening->job) return ws_resolve_fd(opening->job) < 0 ? 0 : INT64_MAX;
    if (opening->fd < 0) return 0;
    return opening->next < opening->count ? opening->attempt_deadline : INT64_MAX;
}

const char* ws_opening_text(const ws_opening* opening, char* buf, size_t size) {
    char where[128];
    if (opening->job || opening->next == 0) {
        snprintf(buf, size, "resolving %s", opening->host);
    } else {
        snprintf(buf, size, "connecting to %s",
                 ws_address_text(&opening->addresses[opening->next - 1], where, sizeof where));
    }
    return buf;
}

void ws_opening_free(ws_opening* opening) {
    ws_resolve_drop(opening->job);
    if (opening->fd >= 0) ws_tcp_close(opening->fd);
    free(opening->addresses);
    *opening = (ws_opening){.fd = -1};
}
