// The class itself: its options, its opening, and what the garbage collector sees of it.
#include "binding.hpp"

#include <limits>
#include <memory>
#include <vector>

// Window bits and "no context takeover" of server and client, and the threshold.
using Deflate = std::tuple<int, int, bool, bool, int>;
using Headers = std::vector<std::pair<std::string, std::string>>;

// A C string must not end before its text does.
static const char* c_string(const std::string& text, const char* name) {
    if (text.find('\0') != std::string::npos) throw py::value_error(std::string(name) + " must not contain NUL");
    return text.c_str();
}

template <class Number> static Number limit(int64_t value, const char* name) {
    auto most = static_cast<uint64_t>(std::numeric_limits<Number>::max());
    if (value < 1 || static_cast<uint64_t>(value) > most) {
        throw py::value_error(std::string(name) + " must be from 1 to " + std::to_string(most));
    }
    return static_cast<Number>(value);
}

// In wsOptions a negative time is none.
static int64_t engine_timeout(int64_t ms) {
    return ms == INT64_MAX ? -1 : ms;
}

// In wsDeflate a threshold of 0 is the default, a negative one is none.
static wsDeflate deflate_options(const std::optional<Deflate>& deflate) {
    if (!deflate) return {1, 0, 0, 0, 0, 0};
    auto [server_bits, client_bits, server_afresh, client_afresh, threshold] = *deflate;
    return {0, server_bits, client_bits, server_afresh, client_afresh, threshold ? threshold : -1};
}

static std::unique_ptr<Client> connect(const wsOptions& options, const std::string& url, const Timeouts& timeouts) {
    char text[512];
    wsConn* conn = nullptr;
    int32_t rc = ws_conn_new(&options, &conn, text, sizeof text);
    if (rc != WS_OK) raise_unconnected(url, rc, text);
    return std::make_unique<Client>(conn, url, timeouts);
}

static std::unique_ptr<Client>
make_client(const std::string& url, const Headers& headers, const std::optional<std::string>& origin,
            const std::vector<std::string>& subprotocols, const std::optional<std::string>& user_agent,
            std::optional<double> open_timeout, std::optional<double> close_timeout,
            std::optional<double> write_timeout, std::optional<int64_t> max_size, int64_t max_fragments,
            int64_t max_head, int64_t write_limit, const std::optional<Deflate>& deflate) {
    std::vector<wsHeader> rows;
    for (const auto& [name, value] : headers) {
        rows.push_back({c_string(name, "a header"), c_string(value, "a header")});
    }
    std::vector<const char*> offered;
    for (const auto& subprotocol : subprotocols) {
        offered.push_back(c_string(subprotocol, "a subprotocol"));
    }
    wsOptions options{};
    options.size = sizeof options;
    options.url = c_string(url, "url");
    options.headers = rows.data();
    options.headerCount = rows.size();
    options.origin = origin ? c_string(*origin, "origin") : nullptr;
    options.subprotocols = offered.data();
    options.subprotocolCount = offered.size();
    options.userAgent = user_agent ? c_string(*user_agent, "user_agent") : nullptr;
    Timeouts timeouts{option_timeout(write_timeout, "write_timeout"), option_timeout(close_timeout, "close_timeout")};
    options.openTimeout = engine_timeout(option_timeout(open_timeout, "open_timeout"));
    options.closeTimeout = engine_timeout(timeouts.close);
    options.maxSize = max_size ? limit<uint64_t>(*max_size, "max_size") : UINT64_MAX;
    options.maxFragments = limit<uint32_t>(max_fragments, "max_fragments");
    options.maxHead = limit<uint32_t>(max_head, "max_head");
    options.writeLimit = limit<uint32_t>(write_limit, "write_limit");
    options.deflate = deflate_options(deflate);
    return connect(options, url, timeouts);
}

static void open_client(Client& client) {
    client.wait_until([&] { return wsConnState(client.conn) != WS_STATE_CONNECTING; }, INT64_MAX);
    if (!ws_conn_opened(client.conn)) raise_end(client);
}

// The collector must see the callable behind on_message: a program's cycles go through it.
static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (py::detail::is_holder_constructed(self)) {
        Py_VISIT(py::cast<Client&>(py::handle(self)).on_message.ptr());
    }
    return 0;
}

static int clear(PyObject* self) {
    if (py::detail::is_holder_constructed(self)) {
        py::object dropped = std::move(py::cast<Client&>(py::handle(self)).on_message);
        py::cast<Client&>(py::handle(self)).on_message = py::none();
    }
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
    client.def(py::init(&make_client), py::arg("url"), py::kw_only(), py::arg("headers") = py::tuple(),
               py::arg("origin") = py::none(), py::arg("subprotocols") = py::tuple(),
               py::arg("user_agent") = py::none(), py::arg("open_timeout") = 10.0, py::arg("close_timeout") = 10.0,
               py::arg("write_timeout") = 30.0, py::arg("max_size") = 1048576, py::arg("max_fragments") = 131072,
               py::arg("max_head") = 65536, py::arg("write_limit") = 32768,
               py::arg("deflate") = Deflate(12, 12, false, false, 256), "Check the options; nothing is connected yet.");
    client.def("open", &open_client, "Connect and upgrade, within open_timeout. Once.");
    return client;
}
