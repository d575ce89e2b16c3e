#include "core/extension.h"

#include <stdio.h>
#include <string.h>

#define EXTENSIONS "Sec-WebSocket-Extensions"

enum { MIN_BITS = 8, ZLIB_MIN_BITS = 9 /* zlib cannot compress with a window of 256 bytes */ };

/* ---- reading: token *( ";" token [ "=" ( token | quoted-string ) ] ), RFC 6455 9.1 ---- */

/* Walks the text of one header. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor* c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) {
        c->at++;
    }
}

/* The character, blanks around it skipped; false and nothing taken if another one is next. */
static bool take(cursor* c, char wanted) {
    skip_blanks(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    skip_blanks(c);
    return true;
}

static bool is_token_char(char c) {
    char text[2] = {c, '\0'};
    return c && ws_http_name_ok(text);
}

static bool take_token(cursor* c, ws_slice* token) {
    token->at = c->at;
    while (c->at < c->end && is_token_char(*c->at)) {
        c->at++;
    }
    token->len = (size_t)(c->at - token->at);
    return token->len > 0;
}

/* A token, also in quotes: what is quoted must be one, too (RFC 6455 9.1). */
static bool take_value(cursor* c, ws_slice* value) {
    bool quoted = c->at < c->end && *c->at == '"';
    if (quoted) c->at++;
    if (!take_token(c, value)) return false;
    return !quoted || (c->at < c->end && *c->at++ == '"');
}

/* The parameters of one permessage-deflate, as they were written. */
typedef struct parameters {
    ws_deflate_terms terms; /* bits are 0 where none were named */
    bool server_bits, client_bits;
} parameters;

/* 8 to 15 without leading zeros (RFC 7692 7.1.2.1); 0 if not. */
static uint8_t window_bits(ws_slice value) {
    if (value.len == 1 && (value.at[0] == '8' || value.at[0] == '9')) return (uint8_t)(value.at[0] - '0');
    if (value.len == 2 && value.at[0] == '1' && value.at[1] >= '0' && value.at[1] <= '5') {
        return (uint8_t)(10 + value.at[1] - '0');
    }
    return 0;
}

static bool set_flag(bool* flag, bool has_value) {
    bool fine = !*flag && !has_value;
    *flag = true;
    return fine;
}

static bool set_bits(bool* named, uint8_t* bits, const ws_slice* value) {
    bool fine = !*named;
    *named = true;
    *bits = value ? window_bits(*value) : 0;
    return fine && (!value || *bits);
}

/* False for a parameter that is unknown, repeated, or has a value it may not have. */
static bool set_parameter(parameters* p, ws_slice name, const ws_slice* value) {
    if (ws_slice_equal(name, "server_no_context_takeover")) {
        return set_flag(&p->terms.server_no_context_takeover, value);
    }
    if (ws_slice_equal(name, "client_no_context_takeover")) {
        return set_flag(&p->terms.client_no_context_takeover, value);
    }
    if (ws_slice_equal(name, "server_max_window_bits")) {
        return value && set_bits(&p->server_bits, &p->terms.server_max_window_bits, value);
    }
    if (ws_slice_equal(name, "client_max_window_bits")) {
        return set_bits(&p->client_bits, &p->terms.client_max_window_bits, value);
    }
    return false;
}

/* Read one extension. False: the text is malformed. *known: it is permessage-deflate with parameters we understand. */
static bool take_extension(cursor* c, parameters* p, bool* known, ws_slice* name) {
    *p = (parameters){0};
    if (!take_token(c, name)) return false;
    *known = ws_slice_equal(*name, "permessage-deflate");
    while (take(c, ';')) {
        ws_slice parameter, value;
        if (!take_token(c, &parameter)) return false;
        bool has_value = take(c, '=');
        if (has_value && !take_value(c, &value)) return false;
        *known = set_parameter(p, parameter, has_value ? &value : NULL) && *known;
    }
    return true;
}

/* ---- client ---- */

int32_t ws_extension_write_offer(const ws_deflate_terms* wanted, ws_buf* out) {
    char line[256], server_bits[40] = "", client_bits[8] = "";
    if (wanted->server_max_window_bits < WS_MAX_WINDOW_BITS) {
        snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", wanted->server_max_window_bits);
    }
    if (wanted->client_max_window_bits < WS_MAX_WINDOW_BITS) {
        snprintf(client_bits, sizeof client_bits, "=%u", wanted->client_max_window_bits);
    }
    snprintf(line, sizeof line, EXTENSIONS ": permessage-deflate%s%s%s; client_max_window_bits%s\r\n",
             wanted->server_no_context_takeover ? "; server_no_context_takeover" : "",
             wanted->client_no_context_takeover ? "; client_no_context_takeover" : "", server_bits, client_bits);
    return ws_buf_append_text(out, line);
}

static int32_t refuse(ws_error* error, const char* why) {
    return ws_error_set(error, WS_ERR_EXTENSION, "the server's " EXTENSIONS " %s", why);
}

/* Does the answer keep to the offer (RFC 7692 7.1)? */
static int32_t check_terms(const parameters* answer, const ws_deflate_terms* wanted, ws_deflate_terms* terms,
                           ws_error* error) {
    const ws_deflate_terms* got = &answer->terms;
    if (answer->client_bits && !got->client_max_window_bits)
        return refuse(error, "has client_max_window_bits without a value");
    if (answer->server_bits && got->server_max_window_bits > wanted->server_max_window_bits) {
        return refuse(error, "has more server_max_window_bits than were offered");
    }
    if (answer->client_bits && got->client_max_window_bits > wanted->client_max_window_bits) {
        return refuse(error, "has more client_max_window_bits than were offered");
    }
    *terms = *got;
    terms->client_no_context_takeover |= wanted->client_no_context_takeover; /* ours to decide */
    if (!answer->server_bits) terms->server_max_window_bits = WS_MAX_WINDOW_BITS;
    if (!answer->client_bits) terms->client_max_window_bits = wanted->client_max_window_bits;
    return WS_OK;
}

int32_t ws_extension_check_answer(const ws_http_head* head, const ws_deflate_terms* wanted, bool* agreed,
                                  ws_deflate_terms* terms, ws_error* error) {
    size_t count;
    const ws_slice* value = ws_http_header_value(head, EXTENSIONS, &count);
    *agreed = false;
    if (count == 0) return WS_OK;
    if (!wanted) return refuse(error, "names an extension, and none was offered");
    if (!value) return refuse(error, "stands there more than once");
    cursor c = {value->at, value->at + value->len};
    parameters answer;
    ws_slice name;
    bool known;
    if (!take_extension(&c, &answer, &known, &name) || c.at != c.end) return refuse(error, "is malformed");
    if (!known) return refuse(error, "names an extension or a parameter that was not offered");
    *agreed = true;
    return check_terms(&answer, wanted, terms, error);
}

/* ---- server ---- */

static uint8_t fewer(uint8_t a, uint8_t b) {
    return a < b ? a : b;
}

/* What we make of an offer; false if it cannot be met. */
static bool meet(const parameters* offer, const ws_deflate_terms* wanted, ws_deflate_terms* terms) {
    if (offer->server_bits && offer->terms.server_max_window_bits < ZLIB_MIN_BITS) return false;
    *terms = *wanted;
    terms->server_no_context_takeover |= offer->terms.server_no_context_takeover;
    terms->client_no_context_takeover |= offer->terms.client_no_context_takeover;
    if (offer->server_bits) {
        terms->server_max_window_bits = fewer(wanted->server_max_window_bits, offer->terms.server_max_window_bits);
    }
    if (!offer->client_bits) terms->client_max_window_bits = WS_MAX_WINDOW_BITS; /* not ours to set */
    if (offer->terms.client_max_window_bits) {
        terms->client_max_window_bits = fewer(wanted->client_max_window_bits, offer->terms.client_max_window_bits);
    }
    return true;
}

/* At the end of the header or of one of its elements? */
static bool at_end(const cursor* c) {
    return c->at == c->end || *c->at == ',';
}

/* The first offer in one header that can be met. Elements may be empty (RFC 2616 2.1). */
static bool choose_in(ws_slice text, const ws_deflate_terms* wanted, ws_deflate_terms* terms, bool* ask_client) {
    cursor c = {text.at, text.at + text.len};
    do {
        parameters offer;
        ws_slice name;
        bool known = false;
        skip_blanks(&c);
        if (at_end(&c)) continue;
        if (!take_extension(&c, &offer, &known, &name) || !at_end(&c)) return false;
        *ask_client = offer.client_bits;
        if (known && meet(&offer, wanted, terms)) return true;
    } while (take(&c, ','));
    return false;
}

bool ws_extension_choose(const ws_http_head* head, const ws_deflate_terms* wanted, ws_deflate_terms* terms,
                         bool* ask_client) {
    for (size_t i = 0; i < head->count; i++) {
        if (!ws_slice_equal_nocase(head->headers[i].name, EXTENSIONS)) continue;
        if (choose_in(head->headers[i].value, wanted, terms, ask_client)) return true;
    }
    return false;
}

int32_t ws_extension_write_answer(const ws_deflate_terms* terms, bool ask_client, ws_buf* out) {
    char line[256], server_bits[40] = "", client_bits[40] = "";
    if (terms->server_max_window_bits < WS_MAX_WINDOW_BITS) {
        snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", terms->server_max_window_bits);
    }
    if (ask_client && terms->client_max_window_bits < WS_MAX_WINDOW_BITS) {
        snprintf(client_bits, sizeof client_bits, "; client_max_window_bits=%u", terms->client_max_window_bits);
    }
    snprintf(line, sizeof line, EXTENSIONS ": permessage-deflate%s%s%s%s\r\n",
             terms->server_no_context_takeover ? "; server_no_context_takeover" : "",
             terms->client_no_context_takeover ? "; client_no_context_takeover" : "", server_bits, client_bits);
    return ws_buf_append_text(out, line);
}
