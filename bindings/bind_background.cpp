// Driven in the background: by the I/O thread alone, or with callbacks that the dispatcher calls.
//
// While Python code runs, what lies on the dispatcher's stack has no destructor that touches Python: a thread may be
// ended in there when the interpreter ends.
#include "binding.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "dispatcher.hpp"
#include "receiving.hpp"

enum { TURN_MESSAGES = 256, TURN_MS = 1 }; // of one connection before the next one's turn

static Dispatcher* dispatcher = nullptr; // never freed: its thread may be given up, or another process's

// ---- calling

// The exception that was raised goes to on_raise, and what that raises to sys.unraisablehook.
static void report(Client& client, PyObject* connection) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject* result = PyObject_CallFunctionObjArgs(client.on_raise.ptr(), connection, value, nullptr);
    if (!result) PyErr_WriteUnraisable(client.on_raise.ptr());
    Py_XDECREF(result);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
}

// callable(connection, argument), or without the argument if that is NULL. Takes the reference to it.
static void call(Client& client, const py::object& callable, PyObject* connection, PyObject* argument) {
    if (!callable.is_none()) {
        PyObject* arguments[] = {nullptr, connection, argument};
        size_t count = (argument ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET;
        PyObject* result = PyObject_Vectorcall(callable.ptr(), arguments + 1, count, nullptr);
        if (!result) report(client, connection);
        Py_XDECREF(result);
    }
    Py_XDECREF(argument);
}

// ---- one batch

// An event that is the engine's no more.
struct Item {
    wsEventType type;
    PyObject* message; // of a message
};

static std::vector<Item> take_items(Client& client, const Batch& batch, PyObject* connection) {
    std::vector<Item> items;
    items.reserve(batch.count);
    for (size_t i = 0; i < batch.count; i++) {
        const wsEvent& event = batch.events[i];
        try {
            items.push_back({event.type, is_message(event) ? to_python(event, std::nullopt).release().ptr() : nullptr});
        } catch (py::error_already_set& error) { // there is no memory for it
            error.restore();
            report(client, connection);
        }
    }
    return items;
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

static void call_for_messages(Client& client, const std::vector<Item>& items, size_t* at, PyObject* connection) {
    if (client.on_messages.is_none()) {
        call(client, client.on_message, connection, items[(*at)++].message);
        return;
    }
    PyObject* list = take_list(items, at);
    if (list) {
        call(client, client.on_messages, connection, list);
    } else {
        report(client, connection);
    }
}

// The dispatcher has one less to serve.
static void leave_dispatcher(Background& background) {
    if (background.entered && background.dispatcher == dispatcher) dispatcher->leave();
    background.entered = false;
}

static void end_with_close(Client& client, PyObject* connection) {
    call(client, client.on_close, connection, nullptr);
    leave_dispatcher(*client.background);
}

// What on_batch does; with the GIL. The callables stay what they are while the connection lives.
static void hand_out(Client& client, const Batch& batch) {
    PyObject* connection = PyWeakref_GetObject(client.connection.ptr()); // kept alive by serve
    std::vector<Item> items = take_items(client, batch, connection);
    batch.release();
    for (size_t at = 0; at < items.size();) {
        if (client.background->dispatcher->stopping) {
            Py_XDECREF(items[at++].message);
        } else if (items[at].message) {
            call_for_messages(client, items, &at, connection);
        } else {
            wsEventType type = items[at++].type;
            if (type == WS_EVENT_OPEN) call(client, client.on_open, connection, nullptr);
            if (type == WS_EVENT_CLOSED) end_with_close(client, connection);
        }
    }
}

// ---- one turn

// The token is taken: its holder is at work, for a moment, and tells when it lets go.
static void await_token(const Client& client) {
    py::gil_scoped_release no_gil;
    ws_inline_turn(client.conn, wsNow() + longest_turn, true);
    stay_if_given_up();
}

// How many events were handed out; 0: there is nothing.
static size_t serve_batch(Client& client) {
    wsEvent events[TURN_MESSAGES];
    for (;;) {
        Token token(client.conn);
        if (token) {
            size_t count = ws_conn_next(client.conn, events, std::min<size_t>(client.max_queue, TURN_MESSAGES));
            if (count) client.on_batch(Batch{events, count, [&token] { token.release(); }});
            return count;
        }
        await_token(client);
    }
}

// What a connection that reconnects has to say.
static void tend(Client& client) {
    if (!ws_session_due(client.conn) || client.on_due.is_none()) return;
    PyObject* result = PyObject_CallNoArgs(client.on_due.ptr());
    if (!result) PyErr_WriteUnraisable(client.on_due.ptr());
    Py_XDECREF(result);
}

static bool serve_client(Client& client) {
    tend(client);
    if (!client.on_batch) return false;
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(TURN_MS);
    for (size_t served = 0; served < TURN_MESSAGES && std::chrono::steady_clock::now() < end;) {
        size_t count = client.background->dispatcher->stopping ? 0 : serve_batch(client);
        if (count == 0) return false;
        served += count;
    }
    return true;
}

// The Connection is kept while it has its turn; with it the client.
static bool serve(Background& background) {
    if (!background.client) return false;
    Client& client = *background.client;
    PyObject* connection = PyWeakref_GetObject(client.connection.ptr());
    if (connection == Py_None) return false;
    Py_INCREF(connection);
    bool more = serve_client(client);
    Py_DECREF(connection);
    return more;
}

// ---- begun and ended

static void at_exit() {
    if (dispatcher) dispatcher->stop();
    py::gil_scoped_release no_gil;
    ws_io_stop(); // before OpenSSL's own end
}

// The parent's thread is not here, unless it is the one that forked: then it ends after this callback.
static void after_fork_in_child() {
    if (dispatcher) dispatcher->stopping = true;
    dispatcher = nullptr;
}

static void prepare_end() {
    static bool prepared = false;
    if (prepared) return;
    py::module_::import("atexit").attr("register")(py::cpp_function(at_exit));
    py::module_::import("os").attr("register_at_fork")(py::arg("after_in_child") =
                                                           py::cpp_function(after_fork_in_child));
    prepared = true;
}

static void add_to_thread(Client& client, void (*on_events)(void*), void* arg) {
    prepare_end();
    int32_t rc = ws_io_add(client.conn, on_events, arg);
    if (rc != WS_OK) raise_error(client, rc, "the connection cannot be driven in the background");
}

static void enter_background(Client& client) {
    if (!dispatcher) dispatcher = new Dispatcher(serve);
    if (!dispatcher->enter()) raise_error(client, WS_ERR_SYSTEM, "there is no thread to be had for the callbacks");
    client.background = std::make_shared<Background>(&client, dispatcher);
}

void leave_background(Client& client) {
    ws_io_remove(client.conn);
    if (!client.background) return;
    client.background->client = nullptr;
    leave_dispatcher(*client.background);
    client.background.reset();
}

static void on_events(void* arg) {
    auto background = static_cast<Background*>(arg);
    background->dispatcher->ready(*background);
}

// Without callbacks; one that reconnects may have something to say all the same.
static void drive(Client& client, const py::object& connection) {
    if (!ws_session_reconnects(client.conn)) {
        add_to_thread(client, nullptr, nullptr);
        return;
    }
    client.connection = py::weakref(connection);
    enter_background(client);
    add_to_thread(client, on_events, client.background.get());
}

static void dispatch(Client& client, const py::object& connection, const py::object& on_message,
                     const py::object& on_messages, const py::object& on_open, const py::object& on_close,
                     const py::object& on_raise, size_t max_queue) {
    if (client.receiving.exchange(true)) raise_error(client, WS_ERR_CONCURRENCY, "another call is receiving");
    client.connection = py::weakref(connection);
    client.on_message = on_message;
    client.on_messages = on_messages;
    client.on_open = on_open;
    client.on_close = on_close;
    client.on_raise = on_raise;
    client.max_queue = max_queue;
    client.on_batch = [&client](const Batch& batch) { hand_out(client, batch); };
    enter_background(client);
    add_to_thread(client, on_events, client.background.get());
}

void bind_background(ClientClass& client) {
    client.def("drive", &drive, py::arg("connection"), "Have the I/O thread drive the connection.");
    client.def("dispatch", &dispatch, py::arg("connection"), py::arg("on_message"), py::arg("on_messages"),
               py::arg("on_open"), py::arg("on_close"), py::arg("on_raise"), py::arg("max_queue"),
               "Have the I/O thread drive the connection, and the dispatcher call back.");
}
