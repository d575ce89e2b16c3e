// Driven in the background: by the I/O thread alone, or with callbacks that the dispatcher calls.
//
// While Python code runs, what lies on the dispatcher's stack has no destructor that touches Python: a thread may be
// ended in there when the interpreter ends.
#include "binding.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "calling.hpp"
#include "dispatcher.hpp"
#include "receiving.hpp"

enum { TURN_MESSAGES = 256, TURN_MS = 1 }; // of one connection before the next one's turn
enum { MUCH = 32 };                        // messages at a turn with which the dispatcher reads itself

// ---- calling

// Is somebody called for what arrives? If not, it waits.
static bool is_heard(const Background& background) {
    const Client& client = *background.client;
    return background.shared ? client.on_delivery.filled() : client.callbacks != nullptr;
}

// callable(connection, argument), or without the argument if that is NULL. Takes the reference to it.
static void call(Client& client, const py::object& callable, PyObject* connection, PyObject* argument) {
    if (callable.is_none()) {
        Py_XDECREF(argument);
    } else if (!call_with(callable.ptr(), connection, argument)) {
        report(client.callbacks->on_raise, connection);
    }
}

// ---- one batch

// An event that is the engine's no more.
struct Item {
    wsEventType type;
    PyObject* message; // of a message
    double received;
};

static std::vector<Item> take_items(Client& client, const Batch& batch, PyObject* connection) {
    std::vector<Item> items;
    items.reserve(batch.count);
    for (size_t i = 0; i < batch.count; i++) {
        const wsEvent& event = batch.events[i];
        try {
            PyObject* message = is_message(event) ? to_python(client, event, std::nullopt).release().ptr() : nullptr;
            items.push_back({event.type, message, event.received});
        } catch (py::error_already_set& error) { // there is no memory for it
            error.restore();
            report(client.callbacks->on_raise, connection);
        }
    }
    return items;
}

// What a listen that ended by an exception has left, or a callback that was cleared.
static std::vector<Item> take_left(Client& client) {
    std::vector<Item> items;
    items.reserve(client.undelivered.size());
    for (Delivery left; client.undelivered.pop(&left);) {
        items.push_back({WS_EVENT_TEXT, left.message.release().ptr(), left.received});
    }
    return items;
}

static void leave(Client& client, const Item& item) {
    client.undelivered.push({py::reinterpret_steal<py::object>(item.message), item.received});
}

// A list of the messages from `at` on, up to what is none; moves `at`.
static PyObject* take_list(const std::vector<Item>& items, size_t* at) {
    size_t end = *at;
    while (end < items.size() && items[end].message) {
        end++;
    }
    PyObject* list = PyList_New(static_cast<Py_ssize_t>(end - *at));
    for (size_t i = 0; *at < end; i++, ++*at) {
        if (list) {
            PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), items[*at].message);
        } else {
            Py_DECREF(items[*at].message);
        }
    }
    return list;
}

// As listen calls it: on_message(message, received). Without anybody to call it is left.
static void call_as_listen(Client& client, PyObject* connection, const Item& item) {
    PyObject *result = nullptr, *callable = client.on_delivery.get().release().ptr();
    if (callable == Py_None) {
        Py_DECREF(callable);
        return leave(client, item);
    }
    PyObject* arguments[] = {nullptr, item.message, PyFloat_FromDouble(item.received)};
    if (arguments[2]) {
        size_t count = 2 | PY_VECTORCALL_ARGUMENTS_OFFSET;
        result = PyObject_Vectorcall(callable, arguments + 1, count, nullptr);
    }
    if (!result) report(client.callbacks->on_raise, connection);
    Py_XDECREF(result);
    Py_DECREF(callable);
    Py_XDECREF(arguments[2]);
    Py_DECREF(item.message);
}

static void call_for_messages(Client& client, const std::vector<Item>& items, size_t* at, PyObject* connection) {
    if (client.background()->shared) {
        call_as_listen(client, connection, items[(*at)++]);
    } else if (client.callbacks->on_messages.is_none()) {
        call(client, client.callbacks->on_message, connection, items[(*at)++].message);
    } else if (PyObject* list = take_list(items, at)) {
        call(client, client.callbacks->on_messages, connection, list);
    } else {
        report(client.callbacks->on_raise, connection);
    }
}

// The dispatcher has one less to serve.
static void leave_dispatcher(Background& background) {
    Dispatcher* dispatcher = background.dispatcher;
    if (background.entered.exchange(false) && !dispatcher->stopping) dispatcher->leave();
}

static void end_with_close(Client& client, PyObject* connection) {
    call(client, client.callbacks->on_close, connection, nullptr);
    leave_dispatcher(*client.background());
    ws_inline_wake(client.conn); // who waits for the last callback
}

// What comes behind something that was left waits, too.
static void hand_out_items(Client& client, const std::vector<Item>& items, PyObject* connection) {
    for (size_t at = 0; at < items.size();) {
        if (client.background()->dispatcher->stopping) {
            Py_XDECREF(items[at++].message);
        } else if (items[at].message && !client.undelivered.empty()) {
            leave(client, items[at++]);
        } else if (items[at].message) {
            call_for_messages(client, items, &at, connection);
        } else {
            wsEventType type = items[at++].type;
            if (type == WS_EVENT_OPEN) call(client, client.callbacks->on_open, connection, nullptr);
            if (type == WS_EVENT_CLOSED) end_with_close(client, connection);
        }
    }
}

// What on_batch does; with the GIL.
static void hand_out(Client& client, const Batch& batch) {
    PyObject* connection = client.background()->served;
    std::vector<Item> items = take_items(client, batch, connection);
    batch.release();
    hand_out_items(client, items, connection);
}

// ---- one turn

// The token is taken: its holder is at work, for a moment, and tells when it lets go.
static void await_token(const Client& client) {
    unlocked_turn([&client] { return ws_inline_turn(client.conn, INT64_MAX, longest_turn, true); });
}

static size_t most_at_once(const Client& client) {
    size_t most = client.callbacks->on_messages.is_none() ? batch_size(client) : size_t{TURN_MESSAGES};
    return std::min(client.callbacks->max_queue, most);
}

// The next events, read here if this `reads` and there are none. With the token.
static size_t next_events(Client& client, bool reads, wsEvent* events) {
    size_t most = most_at_once(client);
    bool relieves = reads && ws_io_relieve(client.conn);
    size_t count = ws_conn_next(client.conn, events, most);
    if (count || !relieves) return count;
    ws_conn_step(client.conn, wsNow(), 1);
    return ws_conn_next(client.conn, events, most);
}

// Hand out a batch, which is read here if this `reads`. How many events that were; 0: there is nothing.
static size_t serve_batch(Client& client, bool reads) {
    wsEvent events[TURN_MESSAGES];
    for (;;) {
        Token token(client.conn);
        if (token) {
            size_t count = next_events(client, reads, events);
            if (count) client.callbacks->on_batch(Batch{events, count, [&token] { token.release(); }});
            return count;
        }
        await_token(client);
    }
}

// What a connection that reconnects, or is watched, has to say.
static void call_for(const Slot& what) {
    PyObject* callable = what.get().release().ptr();
    PyObject* result = callable == Py_None ? Py_NewRef(Py_None) : PyObject_CallNoArgs(callable);
    if (!result) PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
    Py_DECREF(callable);
}

static void tell(Client& client) {
    if (ws_conn_due(client.conn) & WS_DUE_NEWS) call_for(client.on_news);
}

static void tend(Client& client) {
    tell(client);
    if (ws_conn_due(client.conn) & WS_DUE_TO_DO) call_for(client.on_due);
}

static bool serve_for_a_while(Client& client) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(TURN_MS);
    Background& background = *client.background();
    for (size_t served = 0; served < TURN_MESSAGES && std::chrono::steady_clock::now() < end;) {
        bool over = background.dispatcher->stopping || !is_heard(background);
        size_t count = over ? 0 : serve_batch(client, background.reads);
        if (count == 0) return false;
        served += count;
        background.reads |= served >= MUCH;
    }
    return true;
}

// A turn between those of listen in other threads, which tells when it is done. That may have met the end.
static bool serve_shared(Client& client, PyObject* connection) {
    if (client.receiving.exchange(true)) return false;
    if (!client.undelivered.empty()) hand_out_items(client, take_left(client), connection);
    bool more = serve_for_a_while(client);
    if (!more && client.closed() && client.background()->entered) end_with_close(client, connection);
    client.receiving = false;
    ws_inline_wake(client.conn);
    return more;
}

static bool serve_client(Client& client, PyObject* connection) {
    tend(client);
    if (!is_heard(*client.background())) return false;
    return client.background()->shared ? serve_shared(client, connection) : serve_for_a_while(client);
}

// The I/O thread reads again.
static void resume(Background& background) {
    background.reads = false;
    ws_io_resume(background.client->conn);
}

// The Connection is kept while it has its turn; with it the client.
static bool serve(Background& background) {
    PyObject* connection = background.connection();
    if (!connection) return false;
    background.served = connection;
    background.at_work = true;
    bool more = serve_client(*background.client, connection);
    tell(*background.client); // that may have been its last turn
    if (!more) resume(background);
    background.at_work = false;
    Py_DECREF(connection);
    return more;
}

// ---- begun and ended

// Each interpreter has its own, made with the module. Never freed: its thread may be given up, or another process's.
static const char place[] = "wsclient._core.dispatcher";

static py::dict interpreter_state() {
    return py::reinterpret_borrow<py::dict>(PyInterpreterState_GetDict(PyInterpreterState_Get()));
}

static Dispatcher& dispatcher() {
    return *interpreter_state()[place].cast<py::capsule>().get_pointer<Dispatcher>();
}

static void renew_dispatcher() {
    interpreter_state()[place] = py::capsule(new Dispatcher(serve));
}

static void at_exit() {
    dispatcher().stop();
    if (!dispatcher().in_main()) return; // the I/O thread has others to drive
    Unlocked no_gil;
    ws_io_stop(); // before OpenSSL's own end
}

// The parent's thread is not here, unless it is the one that forked: then it ends after this callback.
static void after_fork_in_child() {
    dispatcher().stopping = true;
    renew_dispatcher();
    dispatcher().end_prepared = true;
}

// Not earlier: a program's exit handler that waits for callbacks shall find that there are none any more.
void prepare_end() {
    if (dispatcher().end_prepared.exchange(true)) return;
    py::module_::import("atexit").attr("register")(py::cpp_function(at_exit));
    py::module_::import("os").attr("register_at_fork")(py::arg("after_in_child") =
                                                           py::cpp_function(after_fork_in_child));
}

static void add_to_thread(Client& client, void (*on_events)(void*), void* arg) {
    prepare_end();
    int32_t rc = ws_io_add(client.conn, on_events, arg);
    if (rc != WS_OK) raise_error(client, rc, "the connection cannot be driven in the background");
}

// What Python has of it is `connection`. Everything that callbacks need is in place: from now on others may see it.
static void enter_background(Client& client, const py::object& connection, bool shared) {
    auto& background = client.own_background; // one that could not be begun is begun again
    if (!background) background = std::make_shared<Background>(&client, &dispatcher(), shared);
    if (!background->dispatcher->enter()) {
        raise_error(client, WS_ERR_SYSTEM, "there is no thread to be had for the callbacks");
    }
    background->entered = true;
    background->refer(connection);
    client.driven_by.store(background.get(), std::memory_order_release);
}

void leave_background(Client& client) {
    ws_io_remove(client.conn);
    Background* background = client.driven_by.exchange(nullptr);
    if (!background) return;
    background->let_go();
    leave_dispatcher(*background);
}

static void on_events(void* arg) {
    auto background = static_cast<Background*>(arg);
    if (is_heard(*background) || ws_conn_due(background->client->conn)) background->ready();
}

static void on_due(void* arg) {
    auto background = static_cast<Background*>(arg);
    if (ws_conn_due(background->client->conn)) background->ready();
}

// Without callbacks; one that reconnects, or is watched, may have something to say all the same.
static void drive(Client& client, const py::object& connection) {
    if (!ws_session_reconnects(client.conn) && !client.watched) {
        add_to_thread(client, nullptr, nullptr);
        return;
    }
    enter_background(client, connection, false);
    add_to_thread(client, on_due, client.background());
}

// Those that all have. What was there stays where it is: it may be in use.
static Callbacks& prepare_callbacks(Client& client, const py::object& on_close, const py::object& on_raise,
                                    size_t max_queue) {
    if (!client.callbacks) client.callbacks = std::make_unique<Callbacks>();
    client.callbacks->on_close = on_close;
    client.callbacks->on_raise = on_raise;
    client.callbacks->max_queue = max_queue;
    client.callbacks->on_batch = [&client](const Batch& batch) { hand_out(client, batch); };
    return *client.callbacks;
}

static void dispatch(Client& client, const py::object& connection, const py::object& on_message,
                     const py::object& on_messages, const py::object& on_open, const py::object& on_close,
                     const py::object& on_raise, size_t max_queue) {
    if (client.receiving.exchange(true)) raise_error(client, WS_ERR_CONCURRENCY, "another call is receiving");
    Callbacks& callbacks = prepare_callbacks(client, on_close, on_raise, max_queue);
    callbacks.on_message = on_message;
    callbacks.on_messages = on_messages;
    callbacks.on_open = on_open;
    enter_background(client, connection, false);
    add_to_thread(client, on_events, client.background());
}

// The dispatcher does what listen does, between its calls.
static void listen_aside(const py::object& self, const py::object& on_close, const py::object& on_raise,
                         size_t max_queue) {
    auto& client = self.cast<Client&>();
    prepare_callbacks(client, on_close, on_raise, max_queue);
    enter_background(client, self, true);
    try {
        add_to_thread(client, on_events, client.background());
    } catch (...) {
        leave_background(client); // listen is as it was
        throw;
    }
    client.background()->ready(); // listen may have left something
}

// The end of the callbacks: of a closed connection, not from within one.
static bool await_callbacks(Client& client, std::optional<double> timeout) {
    Background* background = client.background();
    if (!background || background->dispatcher->is_here()) return true;
    auto over = [&] {
        if (background->dispatcher->stopping) return true;
        bool told = !(ws_conn_due(client.conn) & WS_DUE_NEWS);
        return (!background->entered || (!is_heard(*background) && told)) && !background->at_work;
    };
    bool in_time = client.wait_until(over, deadline_after(timeout));
    if (!is_heard(*background)) leave_dispatcher(*background);
    return in_time;
}

void bind_background(ClientClass& client) {
    renew_dispatcher();
    client.def("drive", &drive, py::arg("connection"), "Have the I/O thread drive the connection.");
    client.def("dispatch", &dispatch, py::arg("connection"), py::arg("on_message"), py::arg("on_messages"),
               py::arg("on_open"), py::arg("on_close"), py::arg("on_raise"), py::arg("max_queue"),
               "Have the I/O thread drive the connection, and the dispatcher call back.");
    client.def(
        "listen_aside", &listen_aside, py::arg("on_close"), py::arg("on_raise"), py::arg("max_queue"),
        "Have the I/O thread drive the connection, and the dispatcher do what listen does while there is a callback.");
    client.def("await_callbacks", &await_callbacks, py::arg("timeout") = py::none(),
               "Wait for the last callback of a closed connection.");
    client.def_property_readonly("calling",
                                 [](const Client& self) { return self.background() && self.background()->is_here(); });
}
