"""The simple use of the chat client: ``python -m wsclient.example [PORT]``."""

import sys

from wsclient.models import Message
from wsclient.ws_client import WSClient


def on_message(client: WSClient, message: Message, timestamp: float) -> None:
    """Print what somebody says."""
    print(f"Received: {message.text}", flush=True)


def main() -> int:
    """Say hello, and listen until the server closes or Ctrl-C."""
    client = WSClient("127.0.0.1", sys.argv[1] if len(sys.argv) > 1 else "9999", "PythonUser")
    client.set_message_callback(on_message, use_json=True)
    if not client.connect():
        print(f"not connected: {client.last_error}", file=sys.stderr)
        return 1
    client.send_message("Hello from Python!")
    ended_well = client.run()
    client.disconnect()
    return 0 if ended_well else 1


if __name__ == "__main__":
    sys.exit(main())
