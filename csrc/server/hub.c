#include "server/hub.h"

#include <string.h>

void ws_hub_join(ws_hub_member* member) {
    strcpy(member->name, WS_NAME_ANONYMOUS);
}

/* Write what goes out: the name the server holds, so that nobody speaks as somebody else, and no instructions. */
static int32_t write_outgoing(const char* name, const ws_envelope* in, ws_hub_verdict* verdict, ws_error* error) {
    int32_t failed = ws_envelope_write(name, in->text, 0, &verdict->json);
    if (failed) return ws_error_set(error, failed, "cannot write the envelope: %s", wsErrorString(failed));
    size_t n = ws_buf_len(&verdict->json);
    if (n <= WS_HUB_MAX_MESSAGE) return WS_OK;
    ws_buf_free(&verdict->json);
    return ws_error_set(error, WS_ERR_TOO_BIG, "sent on it would have %zu bytes, %d are allowed", n,
                        WS_HUB_MAX_MESSAGE);
}

static int32_t judge(ws_hub_member* sender, const ws_envelope* in, ws_hub_verdict* verdict, ws_error* error) {
    bool rename = in->info & WS_INFO_CHANGE_USERNAME;
    bool others = !(in->info & WS_INFO_NO_BROADCAST), back = in->info & WS_INFO_SEND_BACK;
    if (rename && !ws_envelope_name_ok(in->name)) {
        return ws_error_set(error, WS_ERR_USERNAME, "a user name is 1 to %d bytes without control characters",
                            WS_NAME_MAX);
    }
    const char* name = rename ? in->name : sender->name;
    if (others || back) {
        int32_t failed = write_outgoing(name, in, verdict, error);
        if (failed) return failed;
    }
    verdict->to_others = others;
    verdict->to_sender = back;
    verdict->renamed = rename;
    if (rename) strcpy(sender->name, in->name); /* fits: the name is fine */
    return WS_OK;
}

int32_t ws_hub_judge(ws_hub_member* sender, const char* text, size_t n, ws_hub_verdict* verdict, ws_error* error) {
    *verdict = (ws_hub_verdict){0};
    ws_envelope in;
    int32_t failed = ws_envelope_parse(&in, text, n, error);
    if (failed) return failed;
    failed = judge(sender, &in, verdict, error);
    ws_envelope_free(&in);
    return failed;
}
