#include "chat/envelope.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chat/plain.h"
#include "core/utf8.h"

static int32_t malformed(ws_error* error, const char* what) {
    return ws_error_set(error, WS_ERR_ENVELOPE, "malformed chat envelope: %s", what);
}

static int32_t no_memory(ws_error* error) {
    return ws_error_set(error, WS_ERR_MEMORY, "no memory for a chat envelope");
}

/* Where the string that begins at json[i] ends, or n if it is not closed. */
static size_t string_end(const char* json, size_t n, size_t i) {
    for (i++; i < n && json[i] != '"'; i++) {
        if (json[i] == '\\') i++;
    }
    return i;
}

/* Deeper than allowed? The JSON library has a limit far beyond ours; what is no JSON at all is its business. */
static bool too_deep(const char* json, size_t n) {
    int depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (json[i] == '"')
            i = string_end(json, n, i);
        else if (json[i] == '{' || json[i] == '[')
            depth++;
        else if (json[i] == '}' || json[i] == ']')
            depth--;
        if (depth > WS_ENVELOPE_DEPTH) return true;
    }
    return false;
}

/* The JSON library's verdict: strict JSON in UTF-8 without NUL, integers of 64 bits, finite reals, last member wins. */
static int32_t parse_json(json_t** root, const char* json, size_t n, ws_error* error) {
    if (n == 0) return malformed(error, "empty");
    if (too_deep(json, n)) return malformed(error, "nested too deeply");
    if (memchr(json, 0, n)) return malformed(error, "a NUL byte"); /* the library overlooks one behind a number */
    json_error_t why;
    *root = json_loadb(json, n, 0, &why);
    if (*root) return WS_OK;
    if (json_error_code(&why) == json_error_out_of_memory) return no_memory(error);
    return malformed(error, why.text);
}

/* The string `member` of the object `owner` of the envelope, NULL if that is not how things are. */
static const json_t* string_in(const json_t* root, const char* owner, const char* member) {
    const json_t* value = json_object_get(json_object_get(root, owner), member);
    return json_is_string(value) ? value : NULL;
}

/* Copy what the parsed JSON says, checking as it goes. What was copied is in the envelope also on failure. */
static int32_t read_members(ws_envelope* envelope, const json_t* root, ws_error* error) {
    const json_t* name = string_in(root, "user", "name");
    const json_t* text = string_in(root, "message", "text");
    if (!name) return malformed(error, "no string user.name");
    if (!text) return malformed(error, "no string message.text");
    const json_t* message = json_object_get(root, "message");
    const json_t* text_len = json_object_get(message, "text_len");
    if (text_len && !json_is_integer(text_len)) return malformed(error, "message.text_len is no integer");
    const json_t* info = json_object_get(message, "info");
    if (info && !json_is_integer(info)) return malformed(error, "message.info is no integer");
    json_int_t bits = json_integer_value(info); /* 0 when it is missing */
    if (bits < 0 || bits > INT32_MAX) return malformed(error, "message.info is out of range");
    envelope->info = (int32_t)bits;
    envelope->text_len = json_string_length(text);
    envelope->name = strdup(json_string_value(name));
    envelope->text = strdup(json_string_value(text));
    return envelope->name && envelope->text ? WS_OK : no_memory(error);
}

/* What most envelopes need no JSON library for. */
static bool is_plain(ws_plain* plain, const char* json, size_t n) {
    return ws_plain_read(plain, json, n) && ws_utf8_valid((const uint8_t*)plain->name, plain->name_len) &&
           ws_utf8_valid((const uint8_t*)plain->text, plain->text_len);
}

static int32_t copy_plain(ws_envelope* envelope, const ws_plain* plain, ws_error* error) {
    envelope->info = plain->info;
    envelope->text_len = plain->text_len;
    envelope->name = strndup(plain->name, plain->name_len);
    envelope->text = strndup(plain->text, plain->text_len);
    return envelope->name && envelope->text ? WS_OK : no_memory(error);
}

/* Any JSON. */
static int32_t read_json(ws_envelope* envelope, const char* json, size_t n, ws_error* error) {
    json_t* root = NULL;
    int32_t failed = parse_json(&root, json, n, error);
    if (!failed) failed = read_members(envelope, root, error);
    json_decref(root);
    return failed;
}

int32_t ws_envelope_parse(ws_envelope* envelope, const char* json, size_t n, ws_error* error) {
    *envelope = (ws_envelope){0};
    ws_plain plain;
    int32_t failed =
        is_plain(&plain, json, n) ? copy_plain(envelope, &plain, error) : read_json(envelope, json, n, error);
    if (failed) ws_envelope_free(envelope);
    return failed;
}

static int append(const char* bytes, size_t n, void* out) {
    return ws_buf_append(out, bytes, n);
}

int32_t ws_envelope_write(const char* name, const char* text, int32_t info, ws_buf* out) {
    size_t text_len = strlen(text);
    if (info < 0 || !ws_utf8_valid((const uint8_t*)name, strlen(name)) ||
        !ws_utf8_valid((const uint8_t*)text, text_len)) {
        return WS_ERR_ENVELOPE;
    }
    json_t* root = json_pack("{s:{s:s},s:{s:s,s:I,s:i}}", "user", "name", name, "message", "text", text, "text_len",
                             (json_int_t)text_len, "info", (int)info);
    if (!root) return WS_ERR_MEMORY;
    size_t before = ws_buf_len(out);
    int failed = json_dump_callback(root, append, out, JSON_COMPACT);
    if (failed) out->end = out->start + before; /* no half envelope */
    json_decref(root);
    return failed ? WS_ERR_MEMORY : WS_OK;
}

void ws_envelope_free(ws_envelope* envelope) {
    free(envelope->name);
    free(envelope->text);
    *envelope = (ws_envelope){0};
}

bool ws_envelope_name_ok(const char* name) {
    size_t n = strlen(name);
    if (n == 0 || n > WS_NAME_MAX || !ws_utf8_valid((const uint8_t*)name, n)) return false;
    for (const uint8_t* at = (const uint8_t*)name; *at; at++) {
        if (*at < 0x20 || *at == 0x7F) return false;   /* C0, DEL */
        if (*at == 0xC2 && at[1] < 0xA0) return false; /* C1: U+0080 to U+009F */
    }
    return true;
}
