// Closing, in time and at once.
#include "binding.hpp"

static void begin_close(Client& client, int code, const std::string& reason, std::optional<double> timeout) {
    int64_t ms = timeout ? option_timeout(timeout, "timeout") : client.timeouts.close;
    if (code < 0 || code > 65535) throw py::value_error("a close code is a number from 1000 to 4999");
    int32_t rc = ws_conn_close(client.conn, static_cast<uint16_t>(code), reason.data(), reason.size(), ms);
    if (rc == WS_ERR_ARGUMENT) {
        throw py::value_error("a close code is one that may be sent (RFC 6455 7.4), its reason at most 123 bytes");
    }
    if (rc != WS_OK) raise_error(client, rc);
}

static void close_client(Client& client, int code, const std::string& reason, std::optional<double> timeout) {
    begin_close(client, code, reason, timeout);
    client.wait_until([&] { return client.closed(); }, INT64_MAX); // the engine keeps the deadline
}

static void abort_client(Client& client) {
    wsConnAbort(client.conn);
    if (client.watched) client.tell();
}

static bool wait_closed(Client& client, std::optional<double> timeout) {
    return client.wait_until([&] { return client.closed(); }, deadline_after(timeout));
}

void bind_closing(ClientClass& client) {
    client.def("close", &close_client, py::arg("code") = 1000, py::arg("reason") = "", py::arg("timeout") = py::none(),
               "Close (RFC 6455 7) and wait for the peer.");
    client.def("begin_close", &begin_close, py::arg("code") = 1000, py::arg("reason") = "",
               py::arg("timeout") = py::none(), "Close, but do not wait for the peer.");
    client.def("abort", &abort_client, "Break the connection off at once.");
    client.def("wait_closed", &wait_closed, py::arg("timeout") = py::none(), "Wait until the connection is closed.");
}
