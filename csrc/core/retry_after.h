/* When to try again (RFC 9110 10.2.3). */
#ifndef WS_CORE_RETRY_AFTER_H
#define WS_CORE_RETRY_AFTER_H

#include "core/http1.h"

enum { WS_RETRY_AFTER_MAX = 31536000 }; /* seconds; more than a year is a year */

/*
 * The seconds that Retry-After asks to wait: a number, or until a date in the preferred form (RFC 9110 5.6.7), where
 * `now` is in seconds since the epoch. False if it is missing or malformed.
 */
bool ws_http_retry_after(const ws_http_head* head, int64_t now, int64_t* seconds);

#endif
