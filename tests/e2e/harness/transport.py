"""Byte streams for clients: plain sockets, TLS in a tunnel, TLS over an HTTP/2 stream."""
import io
import socket
import ssl

TIMEOUT_S = 15


def dial(address, source=None):
    """A TCP connection to ADDR:PORT."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S,
                                          source_address=source)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def context(ca=None, alpn=("http/1.1",)):
    """A client context that trusts `ca` (PEM text or path); None verifies nothing."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    if ca is None:
        made.verify_mode = ssl.CERT_NONE
    elif str(ca).startswith("-----"):
        made.load_verify_locations(cadata=str(ca))
    else:
        made.load_verify_locations(str(ca))
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def tls(stream, sni, ca=None, alpn=("http/1.1",)):
    """TLS over a socket, or over anything with recv and sendall. `sni` None sends none."""
    if isinstance(stream, socket.socket):
        return context(ca, alpn).wrap_socket(stream, server_hostname=sni)
    return BioTls(stream, context(ca, alpn), sni)


class _Raw(io.RawIOBase):
    def __init__(self, stream):
        self._stream = stream

    def readable(self):
        return True

    def readinto(self, buffer):
        received = self._stream.recv(len(buffer))
        buffer[:len(received)] = received
        return len(received)


class BioTls:
    """TLS whose records travel over any byte stream: a tunnel inside an HTTP/2 connection."""

    def __init__(self, stream, tls_context, sni):
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls_context.wrap_bio(self._in, self._out, server_hostname=sni)
        self._drive(self._tls.do_handshake)

    def _drive(self, operation, *arguments):
        while True:
            try:
                result = operation(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                received = self._stream.recv(65536)
                if not received:
                    self._in.write_eof()
                    raise ConnectionResetError("the tunnel ended") from None
                self._in.write(received)

    def _flush(self):
        pending = self._out.read()
        if pending:
            self._stream.sendall(pending)

    def sendall(self, payload):
        self._drive(self._tls.write, payload)

    def recv(self, size):
        try:
            return self._drive(self._tls.read, size)
        except (ssl.SSLZeroReturnError, ConnectionResetError):
            return b""

    def makefile(self, mode="rb"):
        return io.BufferedReader(_Raw(self))

    def selected_alpn_protocol(self):
        return self._tls.selected_alpn_protocol()

    def getpeercert(self, binary_form=False):
        return self._tls.getpeercert(binary_form)

    def close(self):
        self._stream.close()


def hang_up(stream):
    """Ends a connection at once, though a response object still holds a file on it."""
    if isinstance(stream, socket.socket):
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    stream.close()


def recv_exactly(stream, size):
    received = b""
    while len(received) < size:
        part = stream.recv(size - len(received))
        if not part:
            raise ConnectionResetError("the stream ended")
        received += part
    return received


def read_until_closed(connection):
    """All that the peer still sends; a reset or its silence counts as an end."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except (ConnectionResetError, TimeoutError, ssl.SSLError):
        pass
    return received
