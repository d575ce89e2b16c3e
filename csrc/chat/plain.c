#include "chat/plain.h"

#include <string.h>

typedef struct slice {
    const char* at;
    size_t n;
} slice;

/* What has been read already: another one of the same name is for the JSON library. */
enum { USER = 1, NAME = 2, MESSAGE = 4, TEXT = 8, TEXT_LEN = 16, INFO = 32 };

typedef struct reader {
    const char* at;
    const char* end;
    ws_plain* plain;
    unsigned seen;
} reader;

static void skip_space(reader* r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* The next thing is this character: pass it, and the white space around it. */
static bool pass(reader* r, char wanted) {
    skip_space(r);
    if (r->at == r->end || *r->at != wanted) return false;
    r->at++;
    skip_space(r);
    return true;
}

/* Might one of these eight bytes end a string or be forbidden there: a quote, a backslash, a control character? */
static bool is_special(uint64_t eight) {
    const uint64_t ones = UINT64_MAX / 255, quote = eight ^ ones * '"', backslash = eight ^ ones * '\\';
    uint64_t high = (eight - ones * 0x20) & ~eight;
    high |= (quote - ones) & ~quote;
    high |= (backslash - ones) & ~backslash;
    return (high & ones * 0x80) != 0;
}

/* A string without escapes (RFC 8259 section 7). */
static bool read_string(reader* r, slice* string) {
    if (r->at == r->end || *r->at != '"') return false;
    string->at = ++r->at;
    for (uint64_t eight; r->end - r->at >= 8; r->at += 8) {
        memcpy(&eight, r->at, 8);
        if (is_special(eight)) break;
    }
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (uint8_t)*r->at >= 0x20)
        r->at++;
    string->n = (size_t)(r->at - string->at);
    return r->at < r->end && *r->at++ == '"';
}

/* An integer from 0 to INT32_MAX (RFC 8259 section 6). What goes on behind it is no separator, and so noticed there. */
static bool read_integer(reader* r, int32_t* value) {
    const char* first = r->at;
    int64_t sum = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - first < 10)
        sum = sum * 10 + (*r->at++ - '0');
    size_t digits = (size_t)(r->at - first);
    *value = (int32_t)sum;
    return digits > 0 && (*first != '0' || digits == 1) && sum <= INT32_MAX;
}

static bool is(slice key, const char* name) {
    return key.n == strlen(name) && memcmp(key.at, name, key.n) == 0;
}

/* The first member of that name? */
static bool first(reader* r, unsigned which) {
    bool is_first = !(r->seen & which);
    r->seen |= which;
    return is_first;
}

typedef bool read_member(reader* r, slice key);

static bool read_object(reader* r, read_member* member) {
    if (!pass(r, '{')) return false;
    do {
        slice key;
        if (!read_string(r, &key) || !pass(r, ':') || !member(r, key)) return false;
    } while (pass(r, ','));
    return pass(r, '}');
}

static bool read_user(reader* r, slice key) {
    slice name;
    if (!is(key, "name") || !first(r, NAME) || !read_string(r, &name)) return false;
    r->plain->name = name.at;
    r->plain->name_len = name.n;
    return true;
}

static bool read_message(reader* r, slice key) {
    slice text;
    int32_t not_believed;
    if (is(key, "text_len")) return first(r, TEXT_LEN) && read_integer(r, &not_believed);
    if (is(key, "info")) return first(r, INFO) && read_integer(r, &r->plain->info);
    if (!is(key, "text") || !first(r, TEXT) || !read_string(r, &text)) return false;
    r->plain->text = text.at;
    r->plain->text_len = text.n;
    return true;
}

static bool read_envelope(reader* r, slice key) {
    if (is(key, "user")) return first(r, USER) && read_object(r, read_user);
    return is(key, "message") && first(r, MESSAGE) && read_object(r, read_message);
}

bool ws_plain_read(ws_plain* plain, const char* json, size_t n) {
    if (n == 0) return false;
    *plain = (ws_plain){0};
    reader r = {.at = json, .end = json + n, .plain = plain};
    return read_object(&r, read_envelope) && r.at == r.end && (r.seen & NAME) && (r.seen & TEXT);
}
