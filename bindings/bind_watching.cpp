// Being watched: news of a connection, and the frames that passed, for Python.
#include "binding.hpp"
#include "dispatcher.hpp"

void Client::tell() {
    if (!(ws_conn_due(conn) & WS_DUE_NEWS)) return;
    if (Background* with = background()) return with->ready();
    if (telling.exchange(true)) return; // another thread is at it, or what is told has called us
    struct Told {
        std::atomic<bool>& flag;
        ~Told() { flag = false; }
    } told{telling};
    on_news.get()();
}

static void watch(Client& client, const py::object& on_news, bool frames) {
    client.on_news.exchange(on_news);
    client.watched = true;
    int32_t rc = ws_conn_watch(client.conn, frames);
    if (rc != WS_OK) raise_error(client, rc, "no memory for tracing frames");
}

static py::tuple frame_tuple(const ws_traced& frame) {
    py::bytes payload(reinterpret_cast<const char*>(frame.payload), frame.payload_length);
    return py::make_tuple(frame.sent, frame.opcode, frame.fin, frame.rsv1, frame.length, payload, frame.time);
}

// Those that are there now, not those that come meanwhile.
static py::list take_frames(Client& client) {
    constexpr size_t at_once = 64;
    ws_traced frames[at_once];
    py::list taken;
    size_t count = at_once;
    for (size_t most = 1024; count == at_once && most > 0; most -= count) {
        count = ws_conn_take_frames(client.conn, frames, at_once);
        for (size_t i = 0; i < count; i++) {
            taken.append(frame_tuple(frames[i]));
        }
    }
    return taken;
}

void bind_watching(ClientClass& client) {
    client.def("watch", &watch, py::arg("on_news"), py::arg("frames"),
               "Have on_news() called by who waits, when take_news() would say something. Before it is opened.");
    client.def("tell", &Client::tell, "Have on_news() called if there are any.");
    client.def(
        "take_news", [](Client& self) { return ws_conn_take_due(self.conn, WS_DUE_NEWS); },
        "What there is to tell: 8 opened, 16 closed for good, 32 frames.");
    client.def("take_frames", &take_frames, "The frames that have passed.");
    client.def_property_readonly("id", [](const Client& self) { return ws_conn_id(self.conn); });
}
