// The topics that the module is composed of.
#pragma once

#include "client.hpp"

using ClientClass = py::class_<Client>;

void bind_errors(py::module_& m);        // the table of errors
void bind_envelopes(py::module_& m);     // chat messages out of their JSON
ClientClass bind_client(py::module_& m); // the class, its constructor and opening
void bind_quick(py::module_& m);         // methods of Python's classes
void bind_sending(ClientClass& client);
void bind_receiving(ClientClass& client);
void bind_closing(ClientClass& client);
void bind_looking(ClientClass& client);
void bind_loop(ClientClass& client);
void bind_background(ClientClass& client);
void bind_keeping(py::module_& m, ClientClass& client);
void bind_reconnecting(ClientClass& client);
void bind_watching(ClientClass& client);
