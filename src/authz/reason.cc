#include "authz/reason.h"

#include "nlohmann/json.hpp"

namespace exeat::authz {
namespace {

struct Row {
  std::string_view code;
  int status;
  bool may_retry;
  std::string_view detail;
};

// A switch, not an array: the compiler then names every enumerator that has no row.
constexpr Row RowOf(Reason reason) {
  switch (reason) {
    case Reason::kAuthzUnavailable:
      break;
    case Reason::kTokenMissing:
      return {"token_missing", 401, false,
              "The egress policy needs a session token and none was presented. Use the proxy URL "
              "of the session, or ask an operator to open one (exeat session create)."};
    case Reason::kTokenInvalid:
      return {"token_invalid", 401, false,
              "The session token presented could not be verified by this edge. An operator can "
              "issue a new one (exeat session renew or create)."};
    case Reason::kTokenExpired:
      return {"token_expired", 401, false,
              "The session token is outside its lifetime. An operator can issue a new one (exeat "
              "session renew); the clocks of both sides should agree."};
    case Reason::kTokenAudience:
      return {"token_audience", 401, false,
              "The token presented was not issued for this edge. Use one that this edge's "
              "operator issued (exeat session create)."};
    case Reason::kTokenConflict:
      return {"token_conflict", 403, false,
              "Two tokens of different sessions were presented with one request. Present one: "
              "drop x-exeat-session or use the proxy URL of the same session."};
    case Reason::kSessionRevoked:
      return {"session_revoked", 403, false,
              "This session has been revoked by an operator. Stop and report it; only an operator "
              "can restore it (exeat session restore) or open another."};
    case Reason::kDenylistStale:
      return {"denylist_stale", 503, true,
              "This edge cannot prove at the moment that its list of revoked sessions is fresh, "
              "so it refuses everything. Try again later; an operator can run exeat doctor."};
    case Reason::kDestinationNotAllowed:
      return {"destination_not_allowed", 403, false,
              "The egress policy does not list this host. An operator can add it under "
              "destinations and apply the policy."};
    case Reason::kPortNotAllowed:
      return {"port_not_allowed", 403, false,
              "The egress policy lists this host, but not this port. An operator can add the port "
              "to the destination's ports."};
    case Reason::kGrantMissing:
      return {"grant_missing", 403, false,
              "The egress policy lists this destination, but this session does not hold the grant "
              "it needs. An operator can open a session with that grant."};
    case Reason::kMethodNotAllowed:
      return {"method_not_allowed", 403, false,
              "The egress policy does not permit this method here. An operator can extend the "
              "destination's allow rules; CONNECT inside a tunnel, TRACE and TRACK are never "
              "permitted."};
    case Reason::kPathNotAllowed:
      return {"path_not_allowed", 403, false,
              "The egress policy lists this destination, but no rule permits this path. An "
              "operator can extend the destination's allow rules."};
    case Reason::kAddressDenied:
      return {"address_denied", 403, false,
              "The host's name resolves to an address that may not be reached from here (private, "
              "local or special use). An operator can open an exact range under "
              "resolver.allow_private."};
    case Reason::kAuthorityMismatch:
      return {"authority_mismatch", 421, false,
              "The TLS server name, the Host header and the CONNECT target do not name the same "
              "destination. Send each request on a connection to the host it is meant for."};
    case Reason::kRateLimited:
      return {"rate_limited", 429, true,
              "The egress policy's request rate for this session is used up. Wait and send less; "
              "an operator can raise limits.requests_per_minute."};
    case Reason::kConcurrencyLimited:
      return {"concurrency_limited", 429, true,
              "Too many requests are open on one connection to the edge. Wait until some have "
              "ended, or open another connection."};
    case Reason::kPostureDenyAll:
      return {"posture_deny_all", 403, false,
              "The edge is closed: its policy refuses every request at present. An operator can "
              "change posture and apply the policy."};
    case Reason::kCredentialUnavailable:
      return {"credential_unavailable", 503, true,
              "The credential that this destination needs cannot be attached at the moment, so "
              "nothing was sent. An operator can check its source (exeat doctor)."};
    case Reason::kUpstreamTls:
      return {"upstream_tls", 502, false,
              "The destination's TLS certificate could not be verified, so nothing was sent. Its "
              "owner can repair it, or an operator can extend upstream_trust."};
    case Reason::kUpstreamUnreachable:
      return {"upstream_unreachable", 503, true,
              "The destination could not be reached: its name has no usable address or no "
              "connection could be made. Try again later; an operator can run exeat doctor."};
    case Reason::kUpstreamTimeout:
      return {"upstream_timeout", 504, true,
              "The destination did not answer in time. Whether it acted on the request is not "
              "known; repeat it only if that is safe."};
    case Reason::kCleartextNotAllowed:
      return {"cleartext_not_allowed", 403, false,
              "The egress policy carries HTTPS only, and plain HTTP was asked of the proxy. Use "
              "an https:// URL."};
    case Reason::kAuditUnavailable:
      return {"audit_unavailable", 503, true,
              "This edge cannot record requests at the moment, so it refuses them. Try again "
              "later; an operator can check the audit directory's disk."};
    case Reason::kLimiterUnavailable:
      return {"limiter_unavailable", 503, true,
              "This edge cannot count requests against their limits at the moment, so it refuses "
              "them. Try again later; an operator can run exeat doctor."};
    case Reason::kStreamUncuttable:
      return {
          "stream_uncuttable", 503, true,
          "This edge cannot see the connection that carries this request, or may not cut it, so "
          "it could not end it when the session is revoked, and refuses it. Connect again; an "
          "operator can run exeat doctor, or change streams.cut."};
    case Reason::kRequestMalformed:
      return {"request_malformed", 400, false,
              "The request's authority, method or path is not in a form that the egress policy "
              "accepts: no dot segments, doubled or escaped slashes, backslashes or control "
              "bytes, and one credential in each place."};
  }
  // Also for a value outside the enumeration.
  return {"authz_unavailable", 503, true,
          "This edge cannot decide about requests at the moment, so it refuses them. Try again "
          "later; an operator can run exeat doctor."};
}

}  // namespace

std::string_view Code(Reason reason) { return RowOf(reason).code; }
int HttpStatus(Reason reason) { return RowOf(reason).status; }
std::string_view Detail(Reason reason) { return RowOf(reason).detail; }
bool MayRetry(Reason reason) { return RowOf(reason).may_retry; }

std::string DenialBody(Reason reason, std::string_view request_id, int retry_after_s) {
  const Row row = RowOf(reason);
  const nlohmann::ordered_json body = {
      {"error", "denied"},
      {"reason", row.code},
      {"detail", row.detail},
      {"request_id", request_id},
      {"retry", row.may_retry},
      {"retry_after_s", row.may_retry && retry_after_s > 0 ? retry_after_s : 0}};
  // The request id came over the wire: bytes that are no UTF-8 must not become an exception.
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace exeat::authz
