/* IP literals. */
#ifndef WS_NET_LITERAL_H
#define WS_NET_LITERAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The address in network order of a host (without brackets) that is a literal rather than a name, as the resolver
 * tells them apart: 127.1 is one too. Its length, 4 or 16; 0 for a name.
 */
size_t ws_literal_bytes(const char* host, uint8_t bytes[16]);

#endif
