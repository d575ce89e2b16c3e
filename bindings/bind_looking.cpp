// Looking at a connection.
#include "binding.hpp"

py::object handshake_part(const Client& client, ws_part part) {
    std::string text;
    size_t length;
    while ((length = ws_conn_copy(client.conn, part, text.data(), text.size())) > text.size()) {
        text.resize(length);
    }
    text.resize(length);
    if (text.empty()) return py::none();
    return py::bytes(text);
}

static py::object address(const Client& client, bool remote) {
    char host[64];
    uint16_t port;
    if (!ws_conn_address(client.conn, remote, host, sizeof host, &port)) return py::none();
    return py::make_tuple(host, port);
}

static py::tuple close_info(const Client& client) {
    ws_close_info info;
    ws_conn_close_info(client.conn, &info);
    return py::make_tuple(static_cast<int>(info.by), close_frame(info.received, info.received_reason),
                          close_frame(info.sent, info.sent_reason), info.clean);
}

static py::dict counters(const Client& client) {
    using namespace py::literals;
    ws_counters counted;
    ws_conn_counters(client.conn, &counted);
    return py::dict("messages_sent"_a = counted.messages_sent, "messages_received"_a = counted.messages_received,
                    "messages_dropped"_a = counted.messages_dropped,
                    "messages_waiting"_a = counted.messages_waiting + client.undelivered.size(),
                    "bytes_waiting"_a = counted.bytes_waiting, "frames_sent"_a = counted.frames_sent,
                    "frames_received"_a = counted.frames_received, "bytes_sent"_a = counted.bytes_sent,
                    "bytes_received"_a = counted.bytes_received, "bytes_queued"_a = counted.bytes_queued,
                    "pings_received"_a = counted.pings_received, "pongs_received"_a = counted.pongs_received,
                    "latency"_a = counted.latency, "ping_p50"_a = counted.ping_p50, "ping_p90"_a = counted.ping_p90,
                    "ping_p99"_a = counted.ping_p99, "frames_missed"_a = counted.frames_missed,
                    "reconnects"_a = counted.reconnects, "outbox_messages"_a = counted.outbox_messages,
                    "outbox_bytes"_a = counted.outbox_bytes);
}

py::tuple timings(const Client& client) {
    wsTimings spent;
    wsConnTimings(client.conn, &spent);
    return py::make_tuple(spent.resolve, spent.tcp, spent.proxy, spent.tls, spent.upgrade);
}

static py::list redirects(const Client& client) {
    py::list found;
    const char *url, *head;
    size_t length;
    for (size_t i = 0; wsConnRedirect(client.conn, i, &url, &head, &length) == 1; i++) {
        found.append(py::make_tuple(url, py::bytes(head, length)));
    }
    return found;
}

static py::object tls_info(const Client& client) {
    wsTlsInfo info;
    if (wsConnTls(client.conn, &info) != WS_OK) return py::none();
    py::bytes certificate(reinterpret_cast<const char*>(info.certificate), info.certificateLength);
    return py::make_tuple(info.version, info.cipher, info.alpn, info.resumed != 0, certificate);
}

static double latency(const Client& client) {
    ws_counters counted;
    ws_conn_counters(client.conn, &counted);
    return counted.latency;
}

void bind_looking(ClientClass& client) {
    client.def(
        "fileno", [](const Client& self) { return wsConnFd(self.conn); }, "The socket's descriptor, or -1.");
    client.def("counters", &counters, "What went over the connection.");
    client.def_property_readonly("state", [](const Client& self) { return static_cast<int>(wsConnState(self.conn)); });
    client.def_property_readonly("subprotocol", [](const Client& self) { return ws_conn_subprotocol(self.conn); });
    client.def_property_readonly("request", [](const Client& self) { return handshake_part(self, WS_PART_REQUEST); });
    client.def_property_readonly("response", [](const Client& self) { return handshake_part(self, WS_PART_RESPONSE); });
    client.def_property_readonly("local_address", [](const Client& self) { return address(self, false); });
    client.def_property_readonly("remote_address", [](const Client& self) { return address(self, true); });
    client.def_property_readonly("close_info", &close_info);
    client.def_property_readonly("error",
                                 [](const Client& self) { return self.closed() ? end_exception(self) : py::none(); });
    client.def_property_readonly("latency", &latency);
    client.def_property_readonly("timings", &timings);
    client.def_property_readonly("tls", &tls_info);
    client.def_property_readonly("redirects", &redirects);
    client.def_property_readonly("url", [](const Client& self) {
        const char* elsewhere = wsConnUrl(self.conn);
        return elsewhere ? std::string(elsewhere) : self.url;
    });
}
