/* What the two protocol targets share: the same input whole and in pieces, and the comparison of what came of it. */
#ifndef WS_TESTS_STREAMS_H
#define WS_TESTS_STREAMS_H

#include "support.h"

/*
 * The input is one byte of switches (see streams.c), two of a seed that says how to cut, and the peer's stream. Aborts
 * unless that stream makes the same events and the same output whole and cut.
 */
void fuzz_streams(ws_role role, const uint8_t* data, size_t size);

#endif
