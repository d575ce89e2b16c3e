// From keyword arguments to the engine's options.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "client.hpp"

// The options and the memory they point at. Raises TypeError or ValueError, naming the option.
class Options {
  public:
    Options(const std::string& url, const py::kwargs& given);
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    wsOptions engine{};
    Timeouts timeouts{30000, 10000};

    // A copy that lives as long as this, and ends where it ends: NUL is refused.
    const char* keep(const std::string& text, const char* name);

    const void* keep_bytes(const std::string& bytes) { return texts.emplace_back(bytes).data(); }

    std::vector<wsHeader> headers;
    std::vector<const char*> subprotocols;
    std::vector<wsSocketOption> socket_options;
    std::vector<wsMessage> greeting;

  private:
    std::deque<std::string> texts;
};
