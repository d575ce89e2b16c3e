/* What the URLs of servers and of proxies share: [user[:password]@]host[:port] (RFC 3986 3.2). */
#ifndef WS_CORE_AUTHORITY_H
#define WS_CORE_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parts of an authority; the strings are on the heap and NUL-terminated. */
typedef struct ws_authority {
    char *user, *password; /* percent-decoded; NULL: none */
    char* host;            /* 1 to 255 characters, an IPv6 literal without its brackets */
    bool ipv6;
    uint16_t port; /* stays what it was where none is named */
} ws_authority;

/*
 * Take from[0..n) apart; the last '@' separates, for people forget to encode it in passwords. 0, WS_ERR_MEMORY, or
 * WS_ERR_URL with what is wrong in *why (static text); parts may be set all the same. Refused: a malformed escape or a
 * control character behind one in user and password, an '@' with nothing before it.
 */
int32_t ws_authority_parse(ws_authority* authority, const char* from, size_t n, const char** why);

/* host, host:port or [ipv6]:port alone, in the same way. */
int32_t ws_authority_parse_place(ws_authority* authority, const char* from, size_t n, const char** why);

/* What may not stand anywhere in a URL of `n` bytes, in words; NULL if it has nothing of that. */
const char* ws_authority_forbidden(const char* text, size_t n);

/* A new string of from[0..n); NULL without memory. */
char* ws_authority_copy(const char* from, size_t n);

/* Write over a secret and free it; NULL is fine. */
void ws_authority_wipe(char* secret);

#endif
