#include "net/race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sys.h"

enum { ATTEMPT_DELAY = 250 }; /* ms (RFC 8305 5) */

/* ---- the order: the families take turns, the one that the system prefers begins (RFC 8305 4) ---- */

static bool is_first_family(const ws_address* addresses, size_t i) {
    return addresses[i].storage.ss_family == addresses[0].storage.ss_family;
}

/* The next at or after *i that is of the first family, or is not. */
static bool seek(const ws_address* addresses, size_t count, size_t* i, bool first) {
    while (*i < count && is_first_family(addresses, *i) != first) {
        ++*i;
    }
    return *i < count;
}

static void interleave(const ws_address* from, ws_address* to, size_t count) {
    size_t first = 0, other = 0;
    for (size_t n = 0; n < count;) {
        if (seek(from, count, &first, true)) to[n++] = from[first++];
        if (seek(from, count, &other, false)) to[n++] = from[other++];
    }
}

int32_t ws_race_start(ws_race* race, ws_address* addresses, size_t count, const ws_tcp_options* options,
                      ws_error* error) {
    *race = (ws_race){.options = options, .count = count};
    race->addresses = malloc(count * sizeof *addresses);
    race->results = calloc(count, sizeof *race->results);
    if (race->addresses) interleave(addresses, race->addresses, count);
    free(addresses);
    if (race->addresses && race->results) return WS_OK;
    return ws_error_set(error, WS_ERR_MEMORY, "no memory for addresses");
}

/* ---- attempts ---- */

static void forget(ws_race* race, size_t i) {
    race->running--;
    memmove(&race->attempts[i], &race->attempts[i + 1], (race->running - i) * sizeof race->attempts[0]);
}

static void end_attempt(ws_race* race, size_t i, int os_error) {
    const ws_race_attempt* attempt = &race->attempts[i];
    if (race->set) ws_poll_remove(race->set, attempt->fd);
    ws_tcp_close(attempt->fd);
    race->results[attempt->address] = os_error;
    forget(race, i);
    race->generation++;
}

static void watch(ws_race* race, size_t i) {
    ws_poll_add(race->set, race->attempts[i].fd, WS_POLL_WRITE, NULL);
}

/* A second attempt: from now on one descriptor stands for all. Without one the next step finds what is decided. */
static void watch_all(ws_race* race) {
    if (race->set) {
        watch(race, race->running - 1);
        return;
    }
    race->set = ws_poll_new();
    race->generation++;
    for (size_t i = 0; race->set && i < race->running; i++) {
        watch(race, i);
    }
}

/* Begin with the next address that does not fail at once. */
static void next_attempt(ws_race* race) {
    while (race->next < race->count) {
        size_t address = race->next++;
        intptr_t fd = ws_tcp_connect(&race->addresses[address], race->options);
        if (fd < 0) {
            race->results[address] = (int)-fd;
            continue;
        }
        if (race->running == WS_RACE_MAX) end_attempt(race, 0, ETIMEDOUT);
        race->attempts[race->running++] = (ws_race_attempt){fd, address};
        race->generation++;
        if (race->running > 1) watch_all(race);
        return;
    }
}

static bool decided(intptr_t fd) {
    ws_poll_item item = {.fd = fd, .events = WS_POLL_WRITE};
    return ws_poll_few(&item, 1, 0) > 0;
}

/* The first attempt that has succeeded; those that have failed are ended. -1: none. */
static intptr_t winner(ws_race* race) {
    for (size_t i = 0; i < race->running;) {
        intptr_t fd = race->attempts[i].fd;
        int rc = decided(fd) ? ws_tcp_connect_result(fd) : -EINPROGRESS;
        if (rc == 0) {
            if (race->set) ws_poll_remove(race->set, fd);
            forget(race, i);
            return fd;
        }
        if (rc == -EINPROGRESS) {
            i++;
        } else {
            end_attempt(race, i, -rc);
            race->next_at = 0;
        }
    }
    return -1;
}

/* ---- the outcome ---- */

/* "[::1] port 80: Connection refused; ..." for every address, cut to what fits. */
static void append_results(const ws_race* race, char* buf, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < race->count && used < size; i++) {
        char where[160], reason[128];
        int n = snprintf(buf + used, size - used, "%s%s: %s", i ? "; " : "",
                         ws_address_text(&race->addresses[i], where, sizeof where),
                         ws_sys_error_text(race->results[i], reason, sizeof reason));
        used += n > 0 ? (size_t)n : 0;
    }
}

static int32_t none_left(const ws_race* race, const char* host, uint16_t port, ws_error* error) {
    char reason[128], results[1024] = "";
    int last = race->results[race->count - 1];
    append_results(race, results, sizeof results);
    error->os_error = last;
    if (race->addresses[0].storage.ss_family == AF_UNIX) {
        return ws_error_set(error, WS_ERR_CONNECT, "cannot connect to %s", results);
    }
    return ws_error_set(error, WS_ERR_CONNECT, "cannot connect to %s port %u: %s (%s)", host, port,
                        ws_sys_error_text(last, reason, sizeof reason), results);
}

int32_t ws_race_step(ws_race* race, int64_t now, const char* host, uint16_t port, intptr_t* fd, ws_error* error) {
    *fd = winner(race);
    if (*fd >= 0) return 1;
    if (race->running == 0 || now >= race->next_at) {
        race->next_at = now + ATTEMPT_DELAY;
        next_attempt(race);
    }
    return race->running ? 0 : none_left(race, host, port, error);
}

intptr_t ws_race_fd(const ws_race* race, uint32_t* events) {
    *events = race->set ? WS_POLL_READ : WS_POLL_WRITE;
    if (race->set) return ws_poll_descriptor(race->set);
    return race->running ? race->attempts[0].fd : -1;
}

int64_t ws_race_deadline(const ws_race* race) {
    bool unwatched = race->running > 1 && !race->set; /* no descriptor was left: look now and then */
    return race->next < race->count || unwatched ? race->next_at : INT64_MAX;
}

const ws_address* ws_race_latest(const ws_race* race) {
    return &race->addresses[race->next ? race->next - 1 : 0];
}

void ws_race_free(ws_race* race) {
    while (race->running) {
        end_attempt(race, 0, ECANCELED);
    }
    ws_poll_free(race->set);
    free(race->addresses);
    free(race->results);
    *race = (ws_race){0};
}
