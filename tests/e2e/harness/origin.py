"""TLS origins on loopback addresses: they echo what they saw and count every accept and request.

HTTP/1.1 and HTTP/2 share a port by ALPN. Each origin runs its own event loop on a thread, so a
test can read `origin.requests` at any time.
"""
import asyncio
import json
import socket
import ssl
import threading
import time
import urllib.parse

from . import origin_git, origin_h2, origin_websocket
from .messages import Reply, Request


HOSTILE_HEADERS = [("x-deny-reason", "forged_by_origin"), ("alt-svc", 'h3=":443"'),
                   ("server-timing", "db;dur=53"), ("set-cookie", "track=1"),
                   ("x-envoy-upstream-service-time", "7"), ("x-envoy-decorator-operation", "x")]
CREDENTIAL_HEADERS = ("authorization", "x-api-key", "x-exeat-session", "proxy-authorization")


class Origin:
    def __init__(self, certificate, address="127.10.0.1", repositories=None, h2=True,
                 client_ca=None):
        self.address = address
        self.repositories = repositories
        self.requests = []
        self.accepts = 0
        self.handshake_failures = 0
        self.open_streams = 0
        self.broken = []  # paths of requests whose body ended before its end
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*map(str, certificate))
        self._context.set_alpn_protocols(["h2", "http/1.1"] if h2 else ["http/1.1"])
        self.clients = {}  # connection -> the common name of its client certificate
        if client_ca is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(client_ca)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, 0))
        self._listener.listen(512)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note_failure)
        self.failures = []  # what went wrong in the origin itself
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def seen(self, path_prefix="/"):
        return [r for r in list(self.requests) if r.path.startswith(path_prefix)]

    def _note_failure(self, _, context):
        if not isinstance(context.get("exception"), (OSError, type(None))):
            self.failures.append(context["exception"])

    def _run(self):
        self._loop.run_until_complete(self._accept())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._listener.close()

    async def _accept(self):
        self._stop = asyncio.Event()
        stop = asyncio.ensure_future(self._stop.wait())
        tasks = set()
        while True:
            accept = asyncio.ensure_future(self._loop.sock_accept(self._listener))
            await asyncio.wait({accept, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                accept.cancel()
                return
            connection, _ = accept.result()
            self.accepts += 1
            task = asyncio.ensure_future(self._handshake(connection, self.accepts))
            tasks.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(tasks.discard)

    async def _handshake(self, connection, number):
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context)
        except (ssl.SSLError, OSError):
            self.handshake_failures += 1
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        for part in (transport.get_extra_info("peercert") or {}).get("subject", ()):
            self.clients[number] = dict(part)["commonName"]
        serve = (origin_h2.serve if transport.get_extra_info("ssl_object")
                 .selected_alpn_protocol() == "h2" else self._serve_h1)
        try:
            await serve(*((self, reader, writer, number) if serve is origin_h2.serve
                          else (reader, writer, number)))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass
        except Exception as error:
            self.failures.append(error)
        finally:
            writer.close()

    async def _serve_h1(self, reader, writer, number):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "")
                       for line in lines[1:] if line]
            request = Request(method, path, "", headers, b"", "h1", number,
                              writer.get_extra_info("peername"))
            request.authority = request.header("host") or ""
            if (request.header("upgrade") or "").lower() == "websocket" and \
                    not path.startswith("/reflect"):
                self.requests.append(request)
                await origin_websocket.serve(self, request, reader, writer)
                return
            try:
                request.body = await self._read_body(request, reader)
            except (asyncio.IncompleteReadError, OSError):
                self.broken.append(path)
                raise
            self.requests.append(request)
            await self._write_h1(await self.answer(request), request, writer)

    async def _read_body(self, request, reader):
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            body = b""
            while True:
                size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
                chunk = await reader.readexactly(size)
                await reader.readexactly(2)
                if size == 0:
                    return body
                body += chunk
        return await reader.readexactly(int(request.header("content-length") or 0))

    async def _write_h1(self, reply, request, writer):
        headers = list(reply.headers)
        if reply.chunks is None:
            headers.append(("content-length", str(len(reply.body))))
        else:
            headers.append(("transfer-encoding", "chunked"))
        head = f"HTTP/1.1 {reply.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
        writer.write(head.encode("latin-1") + b"\r\n")
        if reply.chunks is None:
            if request.method != "HEAD":
                writer.write(reply.body)
            await writer.drain()
            return
        self.open_streams += 1
        try:
            async for chunk in reply.chunks:
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
                if writer.transport.is_closing():
                    return
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.open_streams -= 1

    async def answer(self, request):
        """The reply to one request, shared by both HTTP versions."""
        path = urllib.parse.urlsplit(request.path).path
        if path.startswith("/git/"):
            return await origin_git.answer(self.repositories, request)
        if path == "/sse":
            return Reply(headers=[("content-type", "text/event-stream")],
                         chunks=_ticks(int(request.query("n", "1000000"))))
        if path == "/download":
            return Reply(chunks=_blocks(int(request.query("bytes", "1000000")),
                                        float(request.query("pause", "0"))))
        if path.startswith("/status/"):
            return Reply(status=int(path.rsplit("/", 1)[1]), headers=list(HOSTILE_HEADERS))
        if path == "/redirect":
            return Reply(status=302, headers=[("location", request.query("to"))])
        if path == "/slow":
            await asyncio.sleep(float(request.query("s", "1")))
        headers = [("content-type", "application/json")]
        status, trailers = 200, []
        if path.startswith("/reflect"):
            # /reflect/STATUS answers with it, even to an upgrade; HTTP/2 has it in trailers too.
            status = int(path.removeprefix("/reflect").strip("/") or 200)
            headers += HOSTILE_HEADERS
            headers += [(k, v) for k, v in request.headers if k.lower() in CREDENTIAL_HEADERS]
            trailers = [*headers[1:], ("x-trailer", "kept")]
        return Reply(status=status, headers=headers, trailers=trailers, body=json.dumps({
            "method": request.method, "path": request.path, "authority": request.authority,
            "headers": request.headers if path != "/quiet" else [], "protocol": request.protocol,
            "trailers": request.trailers,
            "body": request.body.decode("latin-1"), "connection": request.connection,
        }).encode())


async def _ticks(count):
    for number in range(count):
        yield b"data: %d\n\n" % number
        await asyncio.sleep(0.05)


async def _blocks(total, pause_s):
    sent = 0
    while sent < total:
        block = min(16384, total - sent)
        yield b"x" * block
        sent += block
        await asyncio.sleep(pause_s)


def wait_listening(address, port, timeout_s=5):
    """Blocks until something accepts there."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((address, port), 0.2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
