// Receiving: messages to str and bytes, asked for (recv) or handed to a callback (listen).
#include "receiving.hpp"

#include <algorithm>
#include <utility>

#include "dispatcher.hpp"
#include "fastcall.hpp"

static bool takes_turns(const Client& client) {
    Background* background = client.background();
    return background && background->shared;
}

[[noreturn]] static void raise_taken(const Client& client) {
    if (client.closed()) raise_end(client); // after a fork the other thread is the parent's
    raise_error(client, WS_ERR_CONCURRENCY,
                client.background() && client.callbacks ? "the messages of this connection go to its callbacks"
                                                        : "another call is receiving on this connection");
}

// One thread at a time may receive. The dispatcher is waited for where it takes turns: in vain, this is false.
class Receiving {
  public:
    Receiving(Client& owner, int64_t deadline) : client(owner) {
        auto claim = [this] { return !client.receiving.exchange(true); };
        held = claim();
        if (held) return;
        if (!takes_turns(client) || client.background()->is_here()) raise_taken(client);
        held = client.wait_until(claim, deadline);
    }
    ~Receiving() {
        if (!held) return;
        client.receiving = false;
        if (takes_turns(client)) client.background()->ready();
    }
    Receiving(const Receiving&) = delete;
    Receiving& operator=(const Receiving&) = delete;
    explicit operator bool() const { return held; }

  private:
    Client& client;
    bool held;
};

void make_place(Client& client) {
    size_t length = client.ahead ? 0 : ws_conn_coming(client.conn); // on_open's handle goes before the connection
    if (client.place && !ws_conn_placed(client.conn)) client.place = py::object();
    PyObject* made = length ? PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(length)) : nullptr;
    if (length && !made) PyErr_Clear(); // then the engine finds room for it, or fails for want of it
    if (!made) return;
    client.place = py::reinterpret_steal<py::object>(made);
    ws_conn_place(client.conn, PyBytes_AS_STRING(made));
}

py::object to_python(Client& client, const wsEvent& event, const std::optional<bool>& decode) {
    if (client.place && PyBytes_AS_STRING(client.place.ptr()) == event.data) {
        py::object message = std::exchange(client.place, py::object());
        return decode.value_or(false) ? py::object(message.attr("decode")()) : message;
    }
    auto length = static_cast<Py_ssize_t>(event.length);
    PyObject* made = decode.value_or(event.type == WS_EVENT_TEXT) ? PyUnicode_DecodeUTF8(event.data, length, nullptr)
                                                                  : PyBytes_FromStringAndSize(event.data, length);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

// A message that was made into an object before it was known as which one it is wanted.
static py::object as_wanted(py::object message, const std::optional<bool>& decode) {
    bool is_text = PyUnicode_Check(message.ptr());
    if (!decode || *decode == is_text) return message;
    return message.attr(is_text ? "encode" : "decode")();
}

// One of those that are objects already. False: there is none.
static bool pop(Client& client, const std::optional<bool>& decode, Delivery* out) {
    if (client.undelivered.empty() || !client.undelivered.pop(out)) return false;
    out->message = as_wanted(std::move(out->message), decode);
    return true;
}

std::vector<Delivery> deliveries(Client& client, const wsEvent* events, size_t count,
                                 const std::optional<bool>& decode) {
    std::vector<Delivery> made;
    made.reserve(count);
    for (size_t i = 0; i < count; i++) {
        if (is_message(events[i])) made.push_back({to_python(client, events[i], decode), events[i].received});
    }
    return made;
}

// Several at once, so that the next calls need no token; but what on_open leaves is for others, and what waits in a
// queue that drops may yet be dropped. Texts are made bytes if that is what is wanted; whether bytes are text only the
// one who asks for one of them is told.
Found take_in(Client& client, const std::optional<bool>& decode) {
    const std::optional<bool> as = decode == false ? decode : std::nullopt;
    const size_t most = client.ahead || ws_conn_drops(client.conn) ? 1 : AHEAD;
    wsEvent events[AHEAD];
    Ahead scope(client);
    Token token(client.conn, take_token(client));
    if (!token) return Found::nothing;
    while (size_t count = ws_conn_next(client.conn, events, most)) {
        std::vector<Delivery> found = deliveries(client, events, count, as);
        if (found.empty()) continue;
        client.undelivered.push_all(std::move(found));
        return Found::message;
    }
    make_place(client);
    return client.closed() ? Found::end : Found::nothing;
}

Found take_one(Client& client, const std::optional<bool>& decode, Delivery* out) {
    if (pop(client, decode, out)) return Found::message;
    Found found = take_in(client, decode);
    return found == Found::message && !pop(client, decode, out) ? Found::nothing : found;
}

static Delivery receive_by(Client& client, int64_t deadline, const std::optional<bool>& decode) {
    Delivery next;
    Found found = Found::nothing;
    auto look = [&] {
        found = client.undelivered.empty() ? take_in(client, decode) : Found::message;
        return found != Found::nothing;
    };
    do { // what is called while it waits may raise: only then is it taken
        if (!client.wait_until(look, deadline, true)) raise_error(client, WS_ERR_RECEIVE_TIMEOUT);
        if (found == Found::end) raise_end(client);
    } while (!pop(client, decode, &next));
    return next;
}

static py::object receive(Client& client, const std::optional<double>& timeout, const std::optional<bool>& decode) {
    int64_t deadline = deadline_after(timeout);
    Receiving claim(client, deadline);
    if (!claim) raise_error(client, WS_ERR_RECEIVE_TIMEOUT);
    Delivery next;
    if (pop(client, decode, &next)) return next.message;
    return receive_by(client, deadline, decode).message;
}

py::object receive_next(Client& client) {
    return receive(client, std::nullopt, std::nullopt);
}

struct Recv {
    static constexpr const char* name = "recv";
    static constexpr const char* doc = "recv($self, timeout=None, decode=None)\n--\n\nWait for the next message.";
    static constexpr const char* parameters[] = {"timeout", "decode"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<2>& given) {
        return receive(client, optional_number(given[0]), optional_bool(given[1]));
    }
};

py::tuple event_tuple(const Delivery& delivery) {
    return py::make_tuple(delivery.message, delivery.received);
}

static py::tuple recv_event(Client& client, std::optional<double> timeout) {
    int64_t deadline = deadline_after(timeout);
    Receiving claim(client, deadline);
    if (!claim) raise_error(client, WS_ERR_RECEIVE_TIMEOUT);
    return event_tuple(receive_by(client, deadline, std::nullopt));
}

static void append(const py::list& messages, const py::object& message) {
    if (PyList_Append(messages.ptr(), message.ptr()) != 0) throw py::error_already_set();
}

Found take_all(Client& client, const py::list& messages, size_t most) {
    for (Delivery& next : client.undelivered.take(most - messages.size())) {
        append(messages, next.message);
    }
    wsEvent events[BATCH];
    size_t count = 1;
    Ahead scope(client);
    Token token(client.conn);
    while (token && count && messages.size() < most) {
        count = ws_conn_next(client.conn, events, std::min<size_t>(most - messages.size(), BATCH));
        for (size_t i = 0; i < count; i++) {
            if (is_message(events[i])) append(messages, to_python(client, events[i], std::nullopt));
        }
    }
    if (!messages.empty()) return Found::message;
    if (token) make_place(client);
    return token && client.closed() ? Found::end : Found::nothing;
}

size_t at_most(const std::optional<py::ssize_t>& max_messages) {
    if (max_messages && *max_messages < 1) throw py::value_error("max_messages must be at least 1");
    return max_messages ? static_cast<size_t>(*max_messages) : SIZE_MAX;
}

struct RecvMany {
    static constexpr const char* name = "recv_many";
    static constexpr const char* doc = "recv_many($self, max_messages=None, timeout=None)\n--\n\n"
                                       "Wait for one message, then take all that have arrived.";
    static constexpr const char* parameters[] = {"max_messages", "timeout"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<2>& given) {
        size_t most = at_most(optional_count(given[0]));
        int64_t deadline = deadline_after(optional_number(given[1]));
        Receiving claim(client, deadline);
        if (!claim) raise_error(client, WS_ERR_RECEIVE_TIMEOUT);
        py::list messages;
        auto look = [&] { return take_all(client, messages, most) != Found::nothing; };
        if (!client.wait_until(look, deadline, true)) raise_error(client, WS_ERR_RECEIVE_TIMEOUT);
        if (messages.empty()) raise_end(client);
        return std::move(messages);
    }
};

// ---- the callback ----

// Call it for everything that waits. An exception of its own is reported and stops nothing; one that is meant to end
// the program (KeyboardInterrupt) goes on, and what waits stays for the next time.
static void deliver(Client& client) {
    Delivery next;
    while (client.undelivered.pop(&next)) {
        py::object callback = client.on_delivery.get();
        if (callback.is_none()) continue;
        try {
            callback(next.message, next.received);
        } catch (py::error_already_set& error) {
            if (!error.matches(PyExc_Exception)) throw;
            error.discard_as_unraisable(callback);
        }
    }
}

// Take the GIL once for the whole batch: make the objects, let the engine go on, call.
static void hand_over(Client& client, const Batch& batch) {
    py::gil_scoped_acquire gil;
    client.undelivered.push_all(deliveries(client, batch.events, batch.count, std::nullopt));
    batch.release();
    deliver(client);
}

// Hand a batch of what has arrived to on_batch and add to *handed. Called without the GIL. False if there was nothing.
static bool pump(Client& client, size_t* handed, bool* end) {
    wsEvent events[BATCH];
    Token token(client.conn);
    if (!token) return false;
    size_t count = ws_conn_next(client.conn, events, batch_size(client));
    *handed += static_cast<size_t>(std::count_if(events, events + count, is_message));
    *end = count == 0 && client.closed();
    if (count) hand_over(client, Batch{events, count, [&token] { token.release(); }});
    return count > 0;
}

static size_t listen_to(Client& client, std::optional<double> timeout) {
    int64_t deadline = deadline_after(timeout);
    Receiving claim(client, deadline);
    if (!claim) return 0;
    size_t handed = 0;
    bool end = false;
    deliver(client);
    auto look = [&] {
        Unlocked no_gil;
        while (pump(client, &handed, &end)) {
        }
        return handed || end || client.woken.exchange(false);
    };
    client.wait_until(look, deadline, true);
    if (end && !handed) raise_end(client);
    return handed;
}

static void set_on_message(Client& client, const std::optional<py::function>& callback) {
    client.on_delivery.exchange(callback ? py::object(*callback) : py::none());
    if (callback && takes_turns(client)) client.background()->ready(); // for what has waited
}

static void wake(Client& client) {
    client.woken = true;
    ws_inline_wake(client.conn);
}

void bind_receiving(ClientClass& client) {
    bind_fast<Recv>(client);
    bind_fast<RecvMany>(client);
    client.def("recv_event", &recv_event, py::arg("timeout") = py::none(),
               "Wait for the next message: what it is and when it came.");
    client.def("set_on_message", &set_on_message, py::arg("callback"),
               "Have listen call callback(message, received); None clears it.");
    client.def("listen", &listen_to, py::arg("timeout") = py::none(),
               "Wait for messages and hand all that have arrived to the callback.");
    client.def("wake", &wake, "Make a listen that waits in another thread return.");
}
