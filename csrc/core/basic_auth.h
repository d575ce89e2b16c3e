/* Credentials of the Basic scheme (RFC 7617): user and password in base64. */
#ifndef WS_CORE_BASIC_AUTH_H
#define WS_CORE_BASIC_AUTH_H

#include "core/buf.h"

/* How many bytes ws_basic_auth_write appends; 0 without a user. */
size_t ws_basic_auth_length(const char* user, const char* password);

/*
 * Append "Basic " and the credentials; there is a user. No password stands for an empty one. Who reserves the
 * room before leaves none of it behind in memory that a growing buffer gives back. 0 or WS_ERR_MEMORY.
 */
int32_t ws_basic_auth_write(const char* user, const char* password, ws_buf* out);

#endif
