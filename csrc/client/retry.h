/* Is another attempt worthwhile, and when: by what went wrong, and by exponential backoff with full jitter. */
#ifndef WS_CLIENT_RETRY_H
#define WS_CLIENT_RETRY_H

#include <stdbool.h>

#include "core/error.h"

/* All in ms. */
typedef struct ws_retry_terms {
    int64_t initial, cap; /* the longest first wait, the longest of all */
    int64_t max_time;     /* without a steady connection, INT64_MAX: no limit */
    int64_t steady;       /* what was open that long is one */
    int32_t max_attempts; /* that fail, 0: no limit */
} ws_retry_terms;

/* The trouble since the last steady connection. */
typedef struct ws_retry {
    int32_t failed; /* attempts, and connections that did not last */
    int64_t since;  /* ms, 0: there is none */
} ws_retry;

/*
 * May what went wrong be right the next time? `error` has code 0 after a closing handshake, and `close_code` is the
 * peer's (1005: an empty close frame). docs/reconnecting.md has the table.
 */
bool ws_retry_worthwhile(const ws_error* error, uint16_t close_code);

/*
 * Another failure at `now`: how long to wait for the next attempt, in ms; -1: no more of them. `opened` is when what
 * failed had been open since (0: never), `retry_after` what the server asks for in ms (-1: nothing), `random` any.
 */
int64_t ws_retry_failed(ws_retry* retry, const ws_retry_terms* terms, int64_t now, int64_t opened, int64_t retry_after,
                        uint64_t random);

#endif
