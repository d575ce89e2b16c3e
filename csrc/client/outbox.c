#include "client/outbox.h"

#include <stdlib.h>
#include <string.h>

static void append(ws_outbox* outbox, ws_letter* letter) {
    letter->next = NULL;
    if (outbox->last) {
        outbox->last->next = letter;
    } else {
        outbox->first = letter;
    }
    outbox->last = letter;
    outbox->count++;
    outbox->bytes += letter->length;
    if (!outbox->unsent) outbox->unsent = letter;
}

ws_letter* ws_outbox_take_first(ws_outbox* outbox) {
    ws_letter* letter = outbox->first;
    outbox->first = letter->next;
    if (!outbox->first) outbox->last = NULL;
    if (outbox->unsent == letter) outbox->unsent = letter->next;
    outbox->count--;
    outbox->bytes -= letter->length;
    return letter;
}

ws_letter* ws_outbox_add(ws_outbox* outbox, int32_t type, const void* data, size_t length) {
    ws_letter* letter = malloc(sizeof *letter + length);
    if (!letter) return NULL;
    *letter = (ws_letter){.number = ++outbox->newest, .type = type, .length = length};
    if (length) memcpy(letter->data, data, length);
    append(outbox, letter);
    return letter;
}

void ws_outbox_drop_last(ws_outbox* outbox) {
    ws_letter* last = outbox->last;
    ws_letter* before = NULL;
    for (ws_letter* letter = outbox->first; letter != last; letter = letter->next) {
        before = letter;
    }
    if (before) {
        before->next = NULL;
    } else {
        outbox->first = NULL;
    }
    outbox->last = before;
    if (outbox->unsent == last) outbox->unsent = NULL;
    outbox->count--;
    outbox->bytes -= last->length;
    free(last);
}

void ws_outbox_drop(ws_outbox* outbox, uint64_t up_to) {
    while (outbox->first && outbox->first->number <= up_to) {
        free(ws_outbox_take_first(outbox));
    }
}

void ws_outbox_move_first(ws_outbox* outbox, ws_outbox* to) {
    append(to, ws_outbox_take_first(outbox));
}

void ws_outbox_rewind(ws_outbox* outbox) {
    outbox->unsent = outbox->first;
}

void ws_outbox_free(ws_outbox* outbox) {
    ws_outbox_drop(outbox, UINT64_MAX);
}
