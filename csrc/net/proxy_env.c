#include "net/proxy_env.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/literal.h"

enum { NAME_SIZE = 16, ENTRY_SIZE = 320 }; /* of a variable; of an entry of no_proxy: a host, brackets and a port */

typedef struct target {
    const char* host;
    size_t host_len; /* dots at the end left out: they say only that the name is absolute */
    uint16_t port;
    uint8_t address[16];
    size_t address_len; /* of a literal; 0: a name */
} target;

/* ---- no_proxy ---- */

/* Is the target that domain or below it? */
static bool in_domain(const target* to, const char* domain, size_t n) {
    if (to->address_len || n == 0 || n > to->host_len) return false;
    const char* end = to->host + to->host_len - n;
    return strncasecmp(end, domain, n) == 0 && (end == to->host || end[-1] == '.');
}

static bool is_loopback(const target* to) {
    static const uint8_t one[16] = {[15] = 1};
    if (to->address_len == 4) return to->address[0] == 127;
    if (to->address_len == 16) return memcmp(to->address, one, 16) == 0;
    return in_domain(to, "localhost", 9);
}

/* Decimal, up to `most`; -1 if it is not. */
static long number(const char* text, long most) {
    long value = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        value = value * 10 + (*text - '0');
        if (value > most) return -1;
    }
    return value;
}

/* address/bits (RFC 4632 3.1, RFC 4291 2.3); `slash` is where it is cut. */
static bool in_network(const target* to, char* entry, char* slash) {
    uint8_t network[16];
    *slash = '\0';
    size_t n = ws_literal_bytes(entry, network);
    long bits = number(slash + 1, (long)n * 8);
    if (n == 0 || n != to->address_len || bits < 0) return false;
    size_t whole = (size_t)bits / 8;
    unsigned rest = (unsigned)bits % 8;
    if (memcmp(network, to->address, whole) != 0) return false;
    return rest == 0 || (network[whole] ^ to->address[whole]) >> (8 - rest) == 0;
}

/* The port at the end of an entry, NULL if it names none; the host is cut off before it, and out of its brackets. */
static const char* cut_port(char** entry) {
    char* colon = strchr(*entry, ':');
    if (**entry == '[') {
        char* end = strchr(*entry, ']');
        if (!end) return NULL;
        ++*entry;
        *end = '\0';
        return end[1] == ':' ? end + 2 : NULL;
    }
    if (!colon || strchr(colon + 1, ':')) return NULL; /* an IPv6 literal without brackets */
    *colon = '\0';
    return colon + 1;
}

static bool matches(const target* to, char* entry) {
    uint8_t address[16];
    char* slash = strchr(entry, '/');
    if (strcmp(entry, "*") == 0) return true;
    if (slash) return in_network(to, entry, slash);
    const char* port = cut_port(&entry);
    if (port && number(port, 65535) != to->port) return false;
    size_t n = ws_literal_bytes(entry, address);
    if (n) return n == to->address_len && memcmp(address, to->address, n) == 0;
    if (entry[0] == '*' && entry[1] == '.') entry++;
    entry += strspn(entry, ".");
    n = strlen(entry);
    while (n && entry[n - 1] == '.') {
        n--;
    }
    return in_domain(to, entry, n);
}

/* Does the list have the target in it? What is malformed in it matches nothing. */
static bool listed(const target* to, const char* list) {
    static const char between[] = ", \t";
    char entry[ENTRY_SIZE];
    for (list += strspn(list, between); *list; list += strspn(list, between)) {
        size_t n = strcspn(list, between);
        if (n < sizeof entry) {
            memcpy(entry, list, n);
            entry[n] = '\0';
            if (matches(to, entry)) return true;
        }
        list += n;
    }
    return false;
}

/* ---- the variables ---- */

static void to_capitals(char* name) {
    for (; *name; name++) {
        if (*name >= 'a' && *name <= 'z') *name = (char)(*name - 'a' + 'A');
    }
}

/*
 * The value of a variable, in small letters or else in capitals, and into `name` how it is written; NULL if both are
 * empty. A CGI program has the header "Proxy" of whoever called it in HTTP_PROXY.
 */
static const char* value_of(ws_getenv look_up, const char* lower, char name[NAME_SIZE]) {
    strcpy(name, lower);
    const char* value = look_up(name);
    if (value && *value) return value;
    to_capitals(name);
    if (strcmp(name, "HTTP_PROXY") == 0 && look_up("REQUEST_METHOD")) return NULL;
    value = look_up(name);
    return value && *value ? value : NULL;
}

static const char* first_value(ws_getenv look_up, bool secure, char name[NAME_SIZE]) {
    static const char* const plain[] = {"ws_proxy", "socks_proxy", "https_proxy", "http_proxy", "all_proxy", NULL};
    static const char* const tls[] = {"wss_proxy", "socks_proxy", "https_proxy", "all_proxy", NULL};
    for (const char* const* at = secure ? tls : plain; *at; at++) {
        const char* value = value_of(look_up, *at, name);
        if (value) return value;
    }
    return NULL;
}

static target target_of(const char* host, uint16_t port) {
    target to = {.host = host, .host_len = strlen(host), .port = port};
    to.address_len = ws_literal_bytes(host, to.address);
    while (to.host_len && host[to.host_len - 1] == '.') {
        to.host_len--;
    }
    return to;
}

static bool goes_direct(ws_getenv look_up, const target* to) {
    char name[NAME_SIZE];
    if (is_loopback(to)) return true;
    const char* list = value_of(look_up, "no_proxy", name);
    return list && listed(to, list);
}

int32_t ws_proxy_choose(ws_getenv look_up, bool secure, const char* host, uint16_t port, ws_proxy_url* url,
                        ws_error* error) {
    char name[NAME_SIZE];
    ws_error wrong = {0};
    *url = (ws_proxy_url){0};
    const char* value = first_value(look_up, secure, name);
    const target to = target_of(host, port);
    if (!value || goes_direct(look_up, &to)) return 0;
    int32_t rc = ws_proxy_url_parse(url, value, &wrong);
    if (rc) ws_error_set(error, rc, "environment variable %s: %s", name, ws_error_text(&wrong));
    ws_error_clear(&wrong);
    return rc ? rc : 1;
}

int32_t ws_proxy_from_env(bool secure, const char* host, uint16_t port, ws_proxy_url* url, ws_error* error) {
    return ws_proxy_choose(getenv, secure, host, port, url, error);
}
