#include "core/retry_after.h"

#include <string.h>

/* `n` digits at text[0..n); -1 if they are not all digits. */
static int64_t digits(const char* text, size_t n) {
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar; years begin in March, so that leap days come last. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day) {
    if (month <= 2) year--;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t month_number(const char* name) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int64_t i = 0; i < 12; i++) {
        if (memcmp(names + 3 * i, name, 3) == 0) return i + 1;
    }
    return -1;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" as seconds since the epoch; -1 if it has another form. */
static int64_t parse_date(ws_slice text) {
    static const char form[] = "???, ?? ??? ???? ??:??:?? GMT";
    if (text.len != sizeof form - 1) return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (form[i] != '?' && form[i] != text.at[i]) return -1;
    }
    int64_t day = digits(text.at + 5, 2), month = month_number(text.at + 8), year = digits(text.at + 12, 4);
    int64_t hour = digits(text.at + 17, 2), minute = digits(text.at + 20, 2), second = digits(text.at + 23, 2);
    if (day < 1 || day > 31 || month < 0 || year < 1970) return -1;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
    return days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

/* A number of seconds, at most the bound; -1 if it is none. */
static int64_t parse_seconds(ws_slice text) {
    int64_t seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        int64_t digit = digits(text.at + i, 1);
        if (digit < 0) return -1;
        seconds = seconds * 10 + digit;
        if (seconds > WS_RETRY_AFTER_MAX) seconds = WS_RETRY_AFTER_MAX;
    }
    return seconds;
}

bool ws_http_retry_after(const ws_http_head* head, int64_t now, int64_t* seconds) {
    size_t count;
    const ws_slice* value = ws_http_header_value(head, "Retry-After", &count);
    if (!value || value->len == 0) return false;
    int64_t wait = parse_seconds(*value);
    int64_t date = wait < 0 ? parse_date(*value) : 0;
    if (date < 0) return false;
    if (wait < 0) wait = date > now ? date - now : 0;
    *seconds = wait < WS_RETRY_AFTER_MAX ? wait : WS_RETRY_AFTER_MAX;
    return true;
}
