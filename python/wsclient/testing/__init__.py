"""Real parts for tests: the chat server, and a network that fails on demand."""

from .chat_server import ChatServer, server_program
from .fault_proxy import Fault, FaultProxy

__all__ = ["ChatServer", "Fault", "FaultProxy", "server_program"]
