"""What a freshly installed wheel must do: two people chat over the server it carries. Run it outside the tree."""

import wsclient
from wsclient.testing import ChatServer

DEADLINE_STEPS = 100


def main() -> None:
    heard: list[tuple[str, str]] = []

    def on_message(client: wsclient.WSClient, message: wsclient.Message, timestamp: float) -> None:
        heard.append((message.user.name, message.text))

    with (
        ChatServer() as server,
        wsclient.WSClient(server.host, server.port, "Alice") as alice,
        wsclient.WSClient(server.host, server.port, "Bob") as bob,
    ):
        bob.set_message_callback(on_message, use_json=True)
        bob.send_message("I am here", wsclient.MessageInfo.NO_BROADCAST | wsclient.MessageInfo.SEND_BACK)
        steps = 0
        while len(heard) < 1 and (steps := steps + 1) < DEADLINE_STEPS:
            bob.listen(0.1)
        alice.send_message("hello from the wheel")
        while len(heard) < 2 and (steps := steps + 1) < DEADLINE_STEPS:
            bob.listen(0.1)
    assert heard == [("Bob", "I am here"), ("Alice", "hello from the wheel")], heard
    print(f"wsclient {wsclient.__version__} from {wsclient.__path__[0]}: two clients chatted")


main()
