/* The header Retry-After (RFC 9110 10.2.3). */
#ifndef WS_CORE_RETRY_AFTER_H
#define WS_CORE_RETRY_AFTER_H

#include "core/http1.h"

enum { WS_RETRY_AFTER_MAX = 365 * 24 * 3600 }; /* seconds; what is longer counts as that */

/*
 * How many seconds from now on does the server want to be left alone: 0 to WS_RETRY_AFTER_MAX into *seconds. `now` is
 * in seconds since 1970-01-01T00:00Z. False if there is no such header, or several, or it is neither a number of
 * seconds nor a date in the format IMF-fixdate (RFC 9110 5.6.7; the obsolete formats are not read).
 */
bool ws_http_retry_after(const ws_http_head* head, int64_t now, int64_t* seconds);

#endif
