// What receiving that waits and receiving that does not have in common.
#pragma once

#include "binding.hpp"

enum {
    BATCH = 256, // messages that are handed over at once
    AHEAD = 64,  // messages that are made into objects when one is asked for
};

inline size_t batch_size(const Client& client) {
    return ws_conn_drops(client.conn) ? 1 : BATCH;
}

inline bool is_message(const wsEvent& event) {
    return event.type == WS_EVENT_TEXT || event.type == WS_EVENT_BINARY;
}

// A message as str or bytes: what it is, or what `decode` says.
py::object to_python(Client& client, const wsEvent& event, const std::optional<bool>& decode);

// Messages that are objects, of these events.
std::vector<Delivery> deliveries(Client& client, const wsEvent* events, size_t count,
                                 const std::optional<bool>& decode);

// Nothing more has arrived, but a big message may be on its way: it is received straight into its bytes. With the
// token.
void make_place(Client& client);

// What a look at the connection found.
enum class Found { nothing, message, end };

// What there is becomes objects, undelivered: a batch at most.
Found take_in(Client& client, const std::optional<bool>& decode);

// The next message into *out, without waiting.
Found take_one(Client& client, const std::optional<bool>& decode, Delivery* out);

// Wait for the next message, as long as it takes, as what it is.
py::object receive_next(Client& client);

// How many are meant by max_messages.
size_t at_most(const std::optional<py::ssize_t>& max_messages);

// All that there are into the list, until it has so many.
Found take_all(Client& client, const py::list& messages, size_t most);

// A message and when it came, for Python.
py::tuple event_tuple(const Delivery& delivery);
