"""A DNS server of a few names, whose answers a test changes at will."""
import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28


class Dns:
    def __init__(self):
        self.answers = {}  # name -> list of addresses
        self.ttl_s = 0
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self._socket.close()

    def _run(self):
        while True:
            try:
                query, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        kind, _ = struct.unpack(">HH", query[at + 1:at + 5])
        name = ".".join(name).lower()
        self.asked.append((name, kind))
        records = b""
        count = 0
        for text in self.answers.get(name, []):
            address = ipaddress.ip_address(text)
            if kind == (A if address.version == 4 else AAAA):
                records += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, self.ttl_s,
                                                     len(address.packed)) + address.packed
                count += 1
        code = 0 if name in self.answers else 3
        return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0) + \
            query[12:at + 5] + records
