"""Clients that declare queues, many at once."""
import os
import socket
import struct
import sys
import threading
import time

CLIENTS = int(os.environ.get("CATALOGUE_CLIENTS", "96"))
DECLARE_OK = (50, 11)


class Client:
    """A connection with one channel that knows how to declare a queue."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self.hear()
        response = b"\x00guest\x00guest"
        self.say(0, 10, 11, struct.pack(">I", 0) + short(b"PLAIN") + struct.pack(">I", len(response)) + response + short(b"en_US"))
        tune = self.hear()[2]
        self.say(0, 10, 31, tune[:6] + b"\x00\x00")
        self.say(0, 10, 40, short(b"/") + short(b"") + b"\x00")
        self.hear()
        self.say(1, 20, 10, short(b""))
        self.hear()

    def say(self, channel, kind, method, arguments):
        payload = struct.pack(">HH", kind, method) + arguments
        self.socket.sendall(struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce")

    def hear(self):
        _, _, size = struct.unpack(">BHI", self.stream.read(7))
        payload = self.stream.read(size + 1)[:-1]
        return (*struct.unpack(">HH", payload[:4]), payload[4:])

    def declare(self, name):
        durable = 2
        self.say(1, 50, 10, b"\x00\x00" + short(name.encode()) + bytes([durable]) + struct.pack(">I", 0))
        answer = self.hear()
        if answer[:2] != DECLARE_OK:
            sys.exit(f"{name} was not declared: {answer}")

    def close(self):
        """The channel, then the connection, then the socket: as client libraries do."""
        for channel, kind, method in ((1, 20, 40), (0, 10, 50)):
            self.say(channel, kind, method, struct.pack(">HBHH", 200, 0, 0, 0))
            self.hear()
        self.socket.close()


def short(octets):
    return bytes([len(octets)]) + octets


def declare_all(nodes, count):
    """Declares so many queues; how long that took."""
    clients = [Client(nodes[place % len(nodes)].ports[0]) for place in range(CLIENTS)]

    def work(place):
        for number in range(place, count, CLIENTS):
            clients[place].declare(f"queue-{number}")

    threads = [threading.Thread(target=work, args=(place,)) for place in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began
