// Reconnecting: what the connection asks of the program, and what it has lost.
#include <vector>

#include "binding.hpp"

static void answer(Client& client, int32_t ask, int32_t answer, const std::optional<std::string>& text) {
    ws_session_answer(client.conn, ask, answer, text ? text->c_str() : nullptr); // too late is no error
}

static void set_headers(Client& client, const std::vector<std::pair<std::string, std::string>>& headers) {
    std::vector<wsHeader> lent;
    lent.reserve(headers.size());
    for (const auto& [name, value] : headers) {
        lent.push_back({name.c_str(), value.c_str()});
    }
    int32_t rc = wsConnSetHeaders(client.conn, lent.data(), lent.size());
    if (rc != WS_OK && rc != WS_ERR_STATE) raise_unconnected(client.url, rc, wsErrorString(rc));
}

static py::list take_lost(Client& client) {
    py::list lost;
    wsMessage message;
    while (wsConnLost(client.conn, &message)) {
        auto data = static_cast<const char*>(message.data);
        if (message.type == WS_TEXT) {
            lost.append(py::str(data, message.length));
        } else {
            lost.append(py::bytes(data, message.length));
        }
    }
    return lost;
}

static double pause_after_loss(const Client& client) {
    ws_down loss;
    ws_session_down_info(client.conn, &loss);
    return static_cast<double>(loss.pause) / 1e3;
}

// Wait until all that was accepted has provably arrived, or is lost. False: not in time.
static bool await_proof(Client& client, std::optional<double> timeout) {
    uint64_t newest = ws_session_newest(client.conn);
    auto decided = [&] { return ws_session_flushed(client.conn, newest) || client.closed(); };
    return client.wait_until(decided, deadline_after(timeout));
}

void bind_reconnecting(ClientClass& client) {
    client.def(
        "ahead", [](const py::object& self) { return std::make_unique<Client>(self); },
        "The same connection for on_open: it sends past the outbox and receives what comes after the opening.");
    client.def(
        "set_on_due", [](Client& self, const py::object& callable) { self.on_due.exchange(callable); },
        py::arg("callable"), "Have callable() called by who waits, when take_due() would say something.");
    client.def(
        "take_due", [](Client& self) { return ws_conn_take_due(self.conn, WS_DUE_TO_DO); },
        "What should be looked after: 1 asked, 2 down, 4 lost.");
    client.def_property_readonly("asked", [](Client& self) { return wsConnAsked(self.conn); });
    client.def("answer", &answer, py::arg("ask"), py::arg("answer"), py::arg("text") = py::none(),
               "Answer what was asked: 0 no, 1 yes, 2 as without asking.");
    client.def("set_headers", &set_headers, py::arg("headers"), "The headers of the next attempt.");
    client.def("take_lost", &take_lost, "Messages that were accepted and are given up.");
    client.def_property_readonly("pause", &pause_after_loss);
    client.def_property_readonly("down_error", &down_exception);
    client.def("await_proof", &await_proof, py::arg("timeout"), "Wait until all that was sent is proved or lost.");
    client.def_property_readonly("newest", [](Client& self) { return ws_session_newest(self.conn); });
    client.def(
        "flushed", [](Client& self, uint64_t number) { return ws_session_flushed(self.conn, number) == 1; },
        py::arg("number"), "Whether all up to this message is proved or lost.");
}
