#include "options.hpp"

#include <limits>
#include <map>
#include <variant>

// Window bits and "no context takeover" of server and client, and the threshold.
using Deflate = std::tuple<int, int, bool, bool, int>;
using Headers = std::vector<std::pair<std::string, std::string>>;
using SocketOptions = std::vector<std::tuple<int, int, std::variant<int, std::string>>>;

template <class Value> static Value as(py::handle value, const char* name) {
    try {
        return value.cast<Value>();
    } catch (const py::cast_error&) {
        throw py::type_error(std::string(name) + " has the wrong type");
    }
}

const char* Options::keep(const std::string& text, const char* name) {
    if (text.find('\0') != std::string::npos) throw py::value_error(std::string(name) + " must not contain NUL");
    return texts.emplace_back(text).c_str();
}

// ---- kinds of options: each has a member of wsOptions or wsTls to go to

template <class Number> static Number limit(py::handle value, const char* name) {
    auto number = as<int64_t>(value, name);
    auto most = static_cast<uint64_t>(std::numeric_limits<Number>::max());
    if (number < 1 || static_cast<uint64_t>(number) > most) {
        throw py::value_error(std::string(name) + " must be from 1 to " + std::to_string(most));
    }
    return static_cast<Number>(number);
}

// In wsOptions a negative time is none.
static int64_t engine_timeout(int64_t ms) {
    return ms == INT64_MAX ? -1 : ms;
}

static int64_t timeout(py::handle value, const char* name) {
    return option_timeout(as<std::optional<double>>(value, name), name);
}

using Setter = void (*)(Options&, py::handle, const char*);
using Setters = std::map<std::string, Setter>;

template <auto member> static void set_text(Options& options, py::handle value, const char* name) {
    if (!value.is_none()) options.engine.*member = options.keep(as<std::string>(value, name), name);
}

template <auto member> static void set_timeout(Options& options, py::handle value, const char* name) {
    options.engine.*member = engine_timeout(timeout(value, name));
}

template <auto member> static void set_limit(Options& options, py::handle value, const char* name) {
    using Number = std::remove_reference_t<decltype(options.engine.*member)>;
    options.engine.*member = limit<Number>(value, name);
}

template <auto member> static void set_limit_or_none(Options& options, py::handle value, const char* name) {
    using Number = std::remove_reference_t<decltype(options.engine.*member)>;
    options.engine.*member = value.is_none() ? std::numeric_limits<Number>::max() : limit<Number>(value, name);
}

static void set_headers(Options& options, py::handle value, const char* name) {
    for (const auto& [key, text] : as<Headers>(value, name)) {
        options.headers.push_back({options.keep(key, "a header"), options.keep(text, "a header")});
    }
}

static void set_subprotocols(Options& options, py::handle value, const char* name) {
    for (const auto& subprotocol : as<std::vector<std::string>>(value, name)) {
        options.subprotocols.push_back(options.keep(subprotocol, "a subprotocol"));
    }
}

// In wsDeflate a threshold of 0 is the default, a negative one is none.
static void set_deflate(Options& options, py::handle value, const char* name) {
    options.engine.deflate = {1, 0, 0, 0, 0, 0};
    if (value.is_none()) return;
    auto [server_bits, client_bits, server_afresh, client_afresh, threshold] = as<Deflate>(value, name);
    options.engine.deflate = {0, server_bits, client_bits, server_afresh, client_afresh, threshold ? threshold : -1};
}

static void set_local_address(Options& options, py::handle value, const char* name) {
    if (value.is_none()) return;
    auto [host, port] = as<std::pair<std::string, uint16_t>>(value, name);
    options.engine.localHost = options.keep(host, name);
    options.engine.localPort = port;
}

static void set_socket_options(Options& options, py::handle value, const char* name) {
    static_assert(sizeof(int) == 4);
    for (const auto& [level, option, setting] : as<SocketOptions>(value, name)) {
        const int* number = std::get_if<int>(&setting);
        const std::string bytes = number ? std::string(reinterpret_cast<const char*>(number), sizeof *number)
                                         : std::get<std::string>(setting);
        options.socket_options.push_back({level, option, options.keep_bytes(bytes), bytes.size()});
    }
}

// ---- TLS

using TlsSetter = void (*)(Options&, wsTls&, py::handle, const char*);

template <auto member> static void set_tls_text(Options& options, wsTls& tls, py::handle value, const char* name) {
    if (!value.is_none()) tls.*member = options.keep(as<std::string>(value, name), name);
}

template <auto member> static void set_tls_number(Options&, wsTls& tls, py::handle value, const char* name) {
    tls.*member = as<int32_t>(value, name);
}

static const std::map<std::string, TlsSetter> tls_setters{
    {"ca_file", set_tls_text<&wsTls::caFile>},
    {"ca_path", set_tls_text<&wsTls::caPath>},
    {"ca_data", set_tls_text<&wsTls::caData>},
    {"system_ca_file", set_tls_text<&wsTls::systemCaFile>},
    {"cert_file", set_tls_text<&wsTls::certFile>},
    {"key_file", set_tls_text<&wsTls::keyFile>},
    {"key_password", set_tls_text<&wsTls::keyPassword>},
    {"alpn", set_tls_text<&wsTls::alpn>},
    {"ciphers", set_tls_text<&wsTls::ciphers>},
    {"ciphersuites", set_tls_text<&wsTls::ciphersuites>},
    {"pins", set_tls_text<&wsTls::pins>},
    {"keylog_file", set_tls_text<&wsTls::keyLogFile>},
    {"min_version", set_tls_number<&wsTls::minVersion>},
    {"max_version", set_tls_number<&wsTls::maxVersion>},
    {"insecure", set_tls_number<&wsTls::insecure>},
    {"no_resumption", set_tls_number<&wsTls::noResumption>},
};

template <auto member> static void set_tls(Options& options, py::handle value, const char* name) {
    if (!py::isinstance<py::dict>(value)) throw py::type_error(std::string(name) + " has the wrong type");
    for (const auto& [key, setting] : py::reinterpret_borrow<py::dict>(value)) {
        auto setter = tls_setters.find(std::string(py::str(key)));
        if (setter == tls_setters.end()) throw py::type_error("no such TLS option: " + std::string(py::str(key)));
        setter->second(options, options.engine.*member, setting, setter->first.c_str());
    }
}

// ---- reconnecting

using ReconnectSetter = void (*)(Options&, py::handle, const char*);

template <auto member> static void set_delay(Options& options, py::handle value, const char* name) {
    options.engine.reconnect.*member = engine_timeout(timeout(value, name));
}

template <auto member> static void set_number(Options& options, py::handle value, const char* name) {
    options.engine.reconnect.*member =
        as<std::remove_reference_t<decltype(options.engine.reconnect.*member)>>(value, name);
}

static void set_greeting(Options& options, py::handle value, const char* name) {
    for (const auto& [text, data] : as<std::vector<std::pair<bool, std::string>>>(value, name)) {
        options.greeting.push_back({text ? WS_TEXT : WS_BINARY, options.keep_bytes(data), data.size()});
    }
}

static const std::map<std::string, ReconnectSetter> reconnect_setters{
    {"initial_delay", set_delay<&wsReconnect::initialDelay>},
    {"max_delay", set_delay<&wsReconnect::maxDelay>},
    {"max_time", set_delay<&wsReconnect::maxTime>},
    {"max_attempts", set_number<&wsReconnect::maxAttempts>},
    {"steady_after", set_delay<&wsReconnect::steadyAfter>},
    {"at_most_once", set_number<&wsReconnect::atMostOnce>},
    {"outbox_messages", set_number<&wsReconnect::outboxMessages>},
    {"outbox_bytes", set_number<&wsReconnect::outboxBytes>},
    {"greeting", set_greeting},
    {"asks", set_number<&wsReconnect::asks>},
    {"ask_timeout", set_delay<&wsReconnect::askTimeout>},
};

static void set_reconnect(Options& options, py::handle value, const char* name) {
    if (value.is_none()) return;
    if (!py::isinstance<py::dict>(value)) throw py::type_error(std::string(name) + " has the wrong type");
    options.engine.reconnect.enabled = 1;
    for (const auto& [key, setting] : py::reinterpret_borrow<py::dict>(value)) {
        auto setter = reconnect_setters.find(std::string(py::str(key)));
        if (setter == reconnect_setters.end()) throw py::type_error("no such option: " + std::string(py::str(key)));
        setter->second(options, setting, setter->first.c_str());
    }
}

// ---- all of them

static const Setters setters{
    {"headers", set_headers},
    {"origin", set_text<&wsOptions::origin>},
    {"subprotocols", set_subprotocols},
    {"user_agent", set_text<&wsOptions::userAgent>},
    {"open_timeout", set_timeout<&wsOptions::openTimeout>},
    {"ping_interval", set_timeout<&wsOptions::pingInterval>},
    {"ping_timeout", set_timeout<&wsOptions::pingTimeout>},
    {"close_timeout",
     [](Options& options, py::handle value, const char* name) {
         options.timeouts.close = timeout(value, name);
         options.engine.closeTimeout = engine_timeout(options.timeouts.close);
     }},
    {"write_timeout",
     [](Options& options, py::handle value, const char* name) { options.timeouts.write = timeout(value, name); }},
    {"max_size", set_limit_or_none<&wsOptions::maxSize>},
    {"max_fragments", set_limit<&wsOptions::maxFragments>},
    {"max_head", set_limit<&wsOptions::maxHead>},
    {"write_limit", set_limit<&wsOptions::writeLimit>},
    {"max_queue", set_limit_or_none<&wsOptions::maxQueue>},
    {"max_buffer", set_limit<&wsOptions::maxBuffer>},
    {"queue_policy", [](Options& options, py::handle value,
                        const char* name) { options.engine.queuePolicy = as<int32_t>(value, name); }},
    {"deflate", set_deflate},
    {"tls", set_tls<&wsOptions::tls>},
    {"server_hostname", set_text<&wsOptions::serverHostname>},
    {"proxy", set_text<&wsOptions::proxy>},
    {"proxy_tls", set_tls<&wsOptions::proxyTls>},
    {"unix", set_text<&wsOptions::unixPath>},
    {"local_address", set_local_address},
    {"socket_options", set_socket_options},
    {"reconnect", set_reconnect},
    {"max_redirects",
     [](Options& options, py::handle value, const char* name) {
         auto most = as<int32_t>(value, name);
         options.engine.maxRedirects = most > 0 ? most : -1;
     }},
};

Options::Options(const std::string& url, const py::kwargs& given) {
    engine.size = sizeof engine;
    engine.url = keep(url, "url");
    for (const auto& [key, value] : given) {
        auto setter = setters.find(key.cast<std::string>());
        if (setter == setters.end()) throw py::type_error("no such option: " + key.cast<std::string>());
        setter->second(*this, value, setter->first.c_str());
    }
    engine.headers = headers.data();
    engine.headerCount = headers.size();
    engine.subprotocols = subprotocols.data();
    engine.subprotocolCount = subprotocols.size();
    engine.reconnect.greeting = greeting.data();
    engine.reconnect.greetingCount = greeting.size();
    engine.socketOptions = socket_options.data();
    engine.socketOptionCount = socket_options.size();
}
