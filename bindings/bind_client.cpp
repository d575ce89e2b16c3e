// The class itself: its options, its opening, and what the garbage collector sees of it.
#include "binding.hpp"

#include <memory>
#include <utility>

#include "options.hpp"

static std::unique_ptr<Client> make_client(const std::string& url, const py::kwargs& given) {
    Options options(url, given);
    char text[512];
    wsConn* conn = nullptr;
    int32_t rc = ws_conn_new(&options.engine, &conn, text, sizeof text);
    if (rc != WS_OK) raise_unconnected(url, rc, text);
    return std::make_unique<Client>(conn, url, options.timeouts);
}

static void open_client(Client& client) {
    client.wait_until([&] { return wsConnState(client.conn) != WS_STATE_CONNECTING; }, INT64_MAX);
    if (!ws_conn_opened(client.conn)) raise_end(client);
}

// What the object holds, NULL before its constructor is done. Without a look into pybind11's tables: while the
// collector is at work another thread may be stopped that holds their lock.
static Client* made(PyObject* self) {
    auto value = reinterpret_cast<py::detail::instance*>(self)->get_value_and_holder();
    return value.holder_constructed() ? static_cast<Client*>(value.value_ptr()) : nullptr;
}

// The collector must see the callables: a program's cycles go through them.
static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Client* client = made(self);
    if (!client) return 0;
    for (py::object* object : client->fixed()) {
        if (object) Py_VISIT(object->ptr());
    }
    Py_VISIT(client->on_delivery.visited());
    Py_VISIT(client->on_due.visited());
    Py_VISIT(client->on_news.visited());
    return 0;
}

static int clear(PyObject* self) {
    Client* client = made(self);
    if (!client) return 0;
    for (py::object* object : client->fixed()) {
        if (!object) continue;
        py::object dropped = std::exchange(*object, py::none());
    }
    client->on_delivery.exchange(py::none());
    client->on_due.exchange(py::none());
    client->on_news.exchange(py::none());
    return 0;
}

static void make_collectable(PyHeapTypeObject* heap_type) {
    PyTypeObject* type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = traverse;
    type->tp_clear = clear;
}

ClientClass bind_client(py::module_& m) {
    ClientClass client(m, "WSClient", py::custom_type_setup(make_collectable),
                       "One connection to a WebSocket server (RFC 6455).");
    client.def(py::init(&make_client), py::arg("url"), "Check the options; nothing is connected yet.");
    client.def("open", &open_client, "Connect and upgrade, within open_timeout. Once.");
    return client;
}
