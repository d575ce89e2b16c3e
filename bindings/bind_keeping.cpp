// The keeper: the I/O thread stands in for callers that are busy elsewhere, and wakes an event loop that was.
#include "binding.hpp"

#include "dispatcher.hpp"

Waker::Waker() : waker(ws_waker_new()) {
    if (waker) return;
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
}

static void keep(Client& client, const std::shared_ptr<Waker>& waker, uint64_t number) {
    prepare_end();
    if (waker) client.mark = std::make_unique<Mark>(waker, number);
    int32_t rc =
        waker ? ws_io_keep(client.conn, ws_waker_set, &client.mark->mark) : ws_io_keep(client.conn, nullptr, nullptr);
    if (rc != WS_OK) raise_error(client, rc, "there is no thread to be had that keeps the connection alive");
}

static void leave(Client& client) {
    leave_background(client);
    client.mark.reset();
}

void bind_keeping(py::module_& m, ClientClass& client) {
    py::class_<Waker, std::shared_ptr<Waker>>(m, "Waker", "What wakes an event loop that was busy.")
        .def(py::init<>())
        .def("fileno", [](const Waker& self) { return ws_waker_fd(self.waker); })
        .def("take", [](const Waker& self) { return ws_waker_take(self.waker); });
    client.def("keep", &keep, py::arg("waker") = py::none(), py::arg("number") = 0,
               "Have the I/O thread stand in where the connection's callers are busy.");
    client.def("leave", &leave, "Have the I/O thread let go of the connection.");
}
