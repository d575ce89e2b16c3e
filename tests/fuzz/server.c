/* Any bytes from a client, in any pieces, make the same events and output, or one clean error. */
#include "streams.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz_streams(SERVER, data, size);
    return 0;
}
