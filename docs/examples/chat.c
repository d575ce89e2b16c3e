/*
 * A chat client in C: joins, says something, prints what arrives until COUNT messages have come, and leaves.
 *
 *   make && make c-server && ./bin/ws_server 9999
 *   cc docs/examples/chat.c -Icsrc/include -Lbin -lwsclient -Wl,-rpath,$PWD/bin -o chat
 *   ./chat 127.0.0.1 9999 Carol "hello from C" 3
 */
#include <stdio.h>
#include <stdlib.h>

#include <wsclient/wsclient.h>

static void on_message(wsClient* client, const wsJson* message, time_t received) {
    int* left = client->user;
    (void)received;
    printf("%s: %s\n", wsJsonUserName(message), wsJsonText(message));
    fflush(stdout);
    --*left;
}

static int32_t chat(wsClient* client, char** argv) {
    int* left = client->user;
    int32_t error = wsInitClient(client, argv[1], argv[2], argv[3]);
    if (!error) error = wsSetOnMessageCallback(client, (void*)on_message, WS_CALLBACK_JSON);
    if (!error) error = wsSendChat(client, argv[4], WS_INFO_BROADCAST);
    while (!error && *left > 0)
        error = wsClientListen(client);
    return error;
}

int main(int argc, char** argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: %s HOST PORT NAME TEXT COUNT\n", argv[0]);
        return 2;
    }
    int left = atoi(argv[5]);
    wsClient client = {.user = &left};
    int32_t error = chat(&client, argv);
    if (error) fprintf(stderr, "%s: %s\n", wsErrorName(error), wsLastError(&client));
    wsDeinitClient(&client);
    return error ? 1 : 0;
}
