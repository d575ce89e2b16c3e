// The Python module wsclient._core: what it is made of.
#include "binding.hpp"

PYBIND11_MODULE(_core, m, py::mod_gil_not_used(), py::multiple_interpreters::per_interpreter_gil()) {
    m.doc() = "The native half of wsclient: one WebSocket connection, driven by the thread that calls it or in the "
              "background.";
    m.attr("version") = WS_PACKAGE_VERSION;
    bind_errors(m);
    bind_envelopes(m);
    ClientClass client = bind_client(m);
    bind_quick(m);
    bind_sending(client);
    bind_receiving(client);
    bind_closing(client);
    bind_looking(client);
    bind_loop(client);
    bind_background(client);
    bind_keeping(m, client);
    bind_reconnecting(client);
    bind_watching(client);
}
