"""A small ext_authz server for the chain-order fixture: it demands the verified claim."""
from concurrent import futures

import grpc

from .envoy_messages import message

SERVICE = "envoy.service.auth.v3.Authorization"
JWT = "envoy.filters.http.jwt_authn"
PERMISSION_DENIED = 7


class ChainAuthz:
    """Denies without a verified sid, and the sids in `revoked`. Paths under /ungated are let
    through unasked: that is the test configuration that holds this gate open."""

    def __init__(self, socket_path, revoked):
        self.revoked = set(revoked)
        self.asked = []  # (path, sid or None, x-credential as it stood)
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {
            "Check": grpc.unary_unary_rpc_method_handler(
                self._check,
                request_deserializer=message("envoy.service.auth.v3.CheckRequest").FromString,
                response_serializer=lambda m: m.SerializeToString())})])
        self._server.add_insecure_port(f"unix:{socket_path}")
        self._server.start()

    def close(self):
        self._server.stop(0).wait()

    def _check(self, request, _):
        http = request.attributes.request.http
        claims = request.attributes.metadata_context.filter_metadata[JWT].fields
        session = claims["session"].struct_value.fields if "session" in claims else {}
        sid = session["sid"].string_value if "sid" in session else None
        self.asked.append((http.path, sid, http.headers.get("x-credential")))
        response = message("envoy.service.auth.v3.CheckResponse")()
        ungated = http.path.startswith("/ungated")
        if not ungated and (not sid or sid in self.revoked):
            response.status.code = PERMISSION_DENIED
            response.denied_response.status.code = 403
        else:
            response.ok_response.SetInParent()
        return response
