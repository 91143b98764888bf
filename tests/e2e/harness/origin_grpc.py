"""A gRPC origin that echoes bytes: one unary and one server-streaming method, no protoc."""
import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"


class GrpcOrigin:
    def __init__(self, certificate, address="127.10.0.1"):
        self.address = address
        self.calls = []  # (method, {metadata})
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Stream": grpc.unary_stream_rpc_method_handler(self._stream)})])
        certificate_path, key_path = certificate
        credentials = grpc.ssl_server_credentials([(key_path.read_bytes(),
                                                    certificate_path.read_bytes())])
        self.port = self._server.add_secure_port(f"{address}:0", credentials)
        self._server.start()

    def close(self):
        self._server.stop(0).wait()

    def _note(self, method, context):
        self.calls.append((method, dict(context.invocation_metadata())))

    def _unary(self, request, context):
        self._note("Unary", context)
        context.set_trailing_metadata((("x-trailer", "kept"),))
        return request

    def _stream(self, request, context):
        self._note("Stream", context)
        count, _, pause_s = request.partition(b" ")
        pace = threading.Event()
        for number in range(int(count)):
            yield b"%d" % number
            if pause_s:
                pace.wait(float(pause_s))
