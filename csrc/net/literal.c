#include "net/literal.h"

#include <arpa/inet.h>

size_t ws_literal_bytes(const char* host, uint8_t bytes[16]) {
    if (inet_pton(AF_INET6, host, bytes) == 1) return 16;
    return inet_aton(host, (struct in_addr*)bytes) ? 4 : 0;
}
