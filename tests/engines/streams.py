# SPDX-License-Identifier: Apache-2.0
"""What is behind `kubectl exec`, `attach` and `port-forward`: the connection that the CRI gives an address for. Each message (WebSocket, protocol
v4.channel.k8s.io) begins with the number of its channel."""
import importlib.util
import json
import struct
import time

from harness.clock import scaled

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
PROTOCOL = "v4.channel.k8s.io"


def missing():
    """What it needs and isn't here, else None."""
    return None if importlib.util.find_spec("websocket") else "not installed: python3-websocket"


class Stream:
    """`with Stream(url) as s`: s.send(b"text"), s.expect(b"text"), s.end() → exit code. `seen` has what came, by channel."""

    def __init__(self, url, seconds=30):
        import websocket
        self._closed, self._late = websocket.WebSocketConnectionClosedException, websocket.WebSocketTimeoutException
        self._binary, self.seconds, self.seen = websocket.ABNF.OPCODE_BINARY, seconds, {}
        self._socket = websocket.create_connection(url.replace("http://", "ws://"), subprotocols=[PROTOCOL], timeout=scaled(seconds), http_proxy_host=None,
                                                   suppress_origin=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, data, channel=STDIN):
        self._socket.send(bytes([channel]) + data, self._binary)
        return self

    def resize(self, rows, columns):
        return self.send(json.dumps({"Width": columns, "Height": rows}).encode(), RESIZE)

    def _receive(self):
        """One message; False at the end of the connection."""
        try:
            message = self._socket.recv()
        except self._closed:
            return False
        except self._late:
            raise AssertionError(f"nothing more came in {scaled(self.seconds)} s: {self.seen}") from None
        if message:
            self.seen[message[0]] = self.seen.get(message[0], b"") + message[1:]
        return bool(message) or self._socket.connected

    def expect(self, data, channel=STDOUT):
        """When that is in what came on the channel."""
        end = time.monotonic() + scaled(self.seconds)
        while data not in self.seen.get(channel, b""):
            assert time.monotonic() < end and self._receive(), f"{data!r} didn't come: {self.seen}"
        return self

    def _status(self):
        """What is said at the end of the connection."""
        end = time.monotonic() + scaled(self.seconds)
        while self._receive():
            assert time.monotonic() < end, f"it doesn't end: {self.seen}"
        return json.loads(self.seen[STATUS])

    def end(self):
        """The command's exit code."""
        status = self._status()
        if status["status"] == "Success":
            return 0
        assert status["reason"] == "NonZeroExitCode", status
        return int(next(c["message"] for c in status["details"]["causes"] if c["reason"] == "ExitCode"))

    def error(self):
        """Why there was no command."""
        status = self._status()
        assert (status["status"], status["reason"]) == ("Failure", "InternalError"), status
        return status["message"]


def forwarded(url, port, request):
    """What is answered to `request` by a port of a pod, b"" when nobody does. (Channel 0; 1 is for errors. Both begin with the port's number.)"""
    with Stream(f"{url}?port={port}") as s:
        s.send(request)
        while s._receive():  # pylint: disable=protected-access
            if len(s.seen.get(0, b"")) > 2 and s.seen[0].endswith(b"\n"):
                break
        assert {s.seen[n][:2] for n in (0, 1)} == {struct.pack("<H", port)}, s.seen
        return s.seen[0][2:]
