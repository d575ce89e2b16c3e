#include "upgrade.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(const char* path, const char* name) {
    char key[32];
    snprintf(key, sizeof key, "%s=", name);
    const char* at = strstr(path, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void read_path(const char* path, Wish* wish) {
    *wish = (Wish){.count = number(path, "count"), .size = number(path, "size")};
    wish->every = number(path, "every");
    wish->after = number(path, "after");
    wish->deflate = number(path, "deflate") != 0;
    sscanf(path, "/%15[a-z]", wish->name);
    const char* kind = strstr(path, "kind=");
    if (kind) sscanf(kind, "kind=%15[a-z]", wish->kind);
}

static void accept_key(const char* key, char* out) {
    char joined[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int all = snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(joined, (size_t)all, digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char*)out, digest, (int)len);
}

int upgrade(const char* data, size_t len, Wish* wish, char* out) {
    char request[8192], path[256], key[64], accept[64];
    const char* end = memmem(data, len, "\r\n\r\n", 4);
    if (!end) return len < sizeof request ? 0 : -1;
    size_t all = (size_t)(end - data) + 4;
    if (all >= sizeof request) return -1;
    memcpy(request, data, all);
    request[all] = 0;
    const char* header = strcasestr(request, "\r\nSec-WebSocket-Key:");
    if (sscanf(request, "GET %255s", path) != 1 || !header || sscanf(header, "%*[^:]: %63s", key) != 1) return -1;
    read_path(path, wish);
    accept_key(key, accept);
    wish->deflate = wish->deflate && strstr(request, "permessage-deflate");
    /* RFC 7692 7.1.2.2: client_max_window_bits may only be answered where it was offered. */
    const char* bits = strstr(request, "client_max_window_bits") ? "; client_max_window_bits=12" : "";
    sprintf(out,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            "%s\r\n%s%s%s\r\n",
            accept, wish->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12" : "",
            wish->deflate ? bits : "", wish->deflate ? "\r\n" : "");
    return (int)all;
}
