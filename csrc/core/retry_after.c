#include "core/retry_after.h"

#include <string.h>

/* text[0..n) as a decimal number, -1 if it is none; it stops growing above the bound. */
static int64_t number(const char* text, size_t n) {
    int64_t value = n ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        if (value <= WS_RETRY_AFTER_MAX) value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Which of the names of three letters, in a row in `names`, is it? -1: none. */
static int name_index(const char* text, const char* names) {
    for (int i = 0; names[i * 3]; i++) {
        if (memcmp(text, names + i * 3, 3) == 0) return i;
    }
    return -1;
}

/* Days since 1970-01-01; the month counts from 0 (January). */
static int64_t days(int64_t year, int64_t month, int64_t day) {
    static const int16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t years = month < 2 ? year - 1 : year; /* whose leap days have been */
    return 365 * (year - 1970) + (years / 4 - years / 100 + years / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400) +
           before[month] + day - 1;
}

/* Every place of a pattern but the letters in it stands for itself. */
static bool fits(const char* text, const char* pattern) {
    for (; *pattern; text++, pattern++) {
        bool letter = *pattern >= 'a' && *pattern <= 'z';
        if (!letter && *text != *pattern) return false;
    }
    return true;
}

/* IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT"; false if it is none. */
static bool parse_date(ws_slice slice, int64_t* epoch) {
    const char* text = slice.at;
    if (slice.len != 29 || !fits(text, "ddd, dd mmm yyyy hh:mm:ss GMT")) return false;
    int month = name_index(text + 8, "JanFebMarAprMayJunJulAugSepOctNovDec");
    int64_t day = number(text + 5, 2), year = number(text + 12, 4);
    int64_t hour = number(text + 17, 2), minute = number(text + 20, 2), second = number(text + 23, 2);
    if (name_index(text, "SunMonTueWedThuFriSat") < 0 || month < 0 || day < 1 || year < 0) return false;
    if (hour < 0 || minute < 0 || second < 0 || hour > 23 || minute > 59 || second > 60) return false;
    int64_t next = month < 11 ? days(year, month + 1, 1) : days(year + 1, 0, 1);
    int64_t date = days(year, month, day);
    *epoch = ((date * 24 + hour) * 60 + minute) * 60 + second;
    return date < next;
}

bool ws_http_retry_after(const ws_http_head* head, int64_t now, int64_t* seconds) {
    size_t count;
    int64_t epoch;
    const ws_slice* value = ws_http_header_value(head, "Retry-After", &count);
    if (!value) return false;
    int64_t wait = number(value->at, value->len);
    if (wait < 0) {
        if (!parse_date(*value, &epoch)) return false;
        wait = epoch > now ? epoch - now : 0;
    }
    *seconds = wait < WS_RETRY_AFTER_MAX ? wait : WS_RETRY_AFTER_MAX;
    return true;
}
