#include "client/inbox.h"

#include <stdlib.h>
#include <string.h>

struct ws_inbox_item {
    ws_inbox_item* next;
    wsEvent event;
    char data[];
};

static bool is_message(const wsEvent* event) {
    return event->type == WS_EVENT_TEXT || event->type == WS_EVENT_BINARY;
}

/* Only one thread at a time writes them. */
static void add(_Atomic size_t* sum, size_t n) {
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + n, memory_order_relaxed);
}

static void count(ws_inbox* inbox, const wsEvent* event) {
    if (!is_message(event)) return;
    add(&inbox->messages, 1);
    add(&inbox->bytes, sizeof(ws_inbox_item) + event->length);
}

static void discount(ws_inbox* inbox, const wsEvent* event) {
    if (!is_message(event)) return;
    add(&inbox->messages, (size_t)-1);
    add(&inbox->bytes, 0 - (sizeof(ws_inbox_item) + event->length));
}

int32_t ws_inbox_push(ws_inbox* inbox, const wsEvent* event) {
    ws_inbox_item* item = malloc(sizeof *item + event->length);
    if (!item) return WS_ERR_MEMORY;
    item->next = NULL;
    item->event = *event;
    item->event.data = item->data;
    if (event->length) memcpy(item->data, event->data, event->length);
    if (inbox->last) {
        inbox->last->next = item;
    } else {
        inbox->first = item;
    }
    inbox->last = item;
    count(inbox, event);
    return WS_OK;
}

bool ws_inbox_pop(ws_inbox* inbox, wsEvent* event) {
    ws_inbox_item* item = inbox->first;
    if (!item) return false;
    inbox->first = item->next;
    if (!inbox->first) inbox->last = NULL;
    discount(inbox, &item->event);
    item->next = inbox->out;
    inbox->out = item;
    *event = item->event;
    return true;
}

bool ws_inbox_drop(ws_inbox* inbox) {
    ws_inbox_item *before = NULL, *item = inbox->first;
    while (item && !is_message(&item->event)) {
        before = item;
        item = item->next;
    }
    if (!item) return false;
    *(before ? &before->next : &inbox->first) = item->next;
    if (inbox->last == item) inbox->last = before;
    discount(inbox, &item->event);
    free(item);
    return true;
}

static void free_items(ws_inbox_item* item) {
    while (item) {
        ws_inbox_item* next = item->next;
        free(item);
        item = next;
    }
}

void ws_inbox_forget(ws_inbox* inbox) {
    free_items(inbox->out);
    inbox->out = NULL;
}

void ws_inbox_append(ws_inbox* inbox, ws_inbox* from) {
    ws_inbox_forget(from);
    if (!from->first) return;
    if (inbox->last) {
        inbox->last->next = from->first;
    } else {
        inbox->first = from->first;
    }
    inbox->last = from->last;
    add(&inbox->bytes, from->bytes);
    add(&inbox->messages, from->messages);
    *from = (ws_inbox){0};
}

void ws_inbox_free(ws_inbox* inbox) {
    free_items(inbox->out);
    free_items(inbox->first);
    *inbox = (ws_inbox){0};
}
