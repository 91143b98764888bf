#include "envoy/local_replies.h"

#include <string>

#include "authz/reason.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

using authz::Reason;

// What a guard that is down deserves before the next try.
constexpr int kGuardRetrySeconds = 1;
constexpr int kUnauthorized = 401;
constexpr int kProxyAuthenticationRequired = 407;
constexpr char kProxyChallenge[] = "Basic realm=\"exeat\"";
constexpr char kChallenge[] = "Bearer realm=\"exeat\"";
// Stand-ins that the body renders as text and that become Envoy's own formatters after.
constexpr char kRequestIdMark[] = "@REQUEST_ID@";
constexpr int kRetryAfterMark = 987654321;

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The denial body as an Envoy format string; `retry_after` is a formatter or a number.
Json Body(Reason reason, const std::string& retry_after) {
  std::string text = authz::DenialBody(reason, kRequestIdMark, kRetryAfterMark);
  ReplaceAll(text, "%", "%%");
  ReplaceAll(text, kRequestIdMark, "%STREAM_ID%");
  ReplaceAll(text, std::to_string(kRetryAfterMark), retry_after);
  return {{"content_type", "application/json"},
          {"text_format_source", Json::object({{"inline_string", text}})}};
}

Json Mapper(Json filter, Reason reason, int status,
            const std::string& retry_after = std::to_string(kGuardRetrySeconds)) {
  Json headers = Json::array({SetHeader(kDenyReasonHeader, authz::Code(reason))});
  if (status == kProxyAuthenticationRequired) {
    headers.push_back(SetHeader("proxy-authenticate", kProxyChallenge));
  }
  // jwt_authn has put the whole URL there.
  if (status == kUnauthorized) headers.push_back(SetHeader("www-authenticate", kChallenge));
  return {{"filter", std::move(filter)},
          {"status_code", status},
          {"headers_to_add", std::move(headers)},
          {"body_format_override", Body(reason, retry_after)}};
}

Json Mapper(Json filter, Reason reason) {
  return Mapper(std::move(filter), reason, authz::HttpStatus(reason));
}

Json Cel(std::string_view expression) {
  return {{"extension_filter",
           Extension("envoy.access_loggers.extension_filters.cel",
                     "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                     Json::object({{"expression", expression}}))}};
}

Json Both(Json first, Json second) {
  return {{"and_filter", {{"filters", Json::array({std::move(first), std::move(second)})}}}};
}

Json Details(std::string_view exactly) {
  return Cel("response.code_details == '" + std::string(exactly) + "'");
}
Json DetailsBegin(std::string_view prefix) {
  return Cel("response.code_details.startsWith('" + std::string(prefix) + "')");
}
Json DetailsHold(std::string_view part) {
  return Cel("response.code_details.contains('" + std::string(part) + "')");
}

Json Flags(std::initializer_list<const char*> flags) {
  Json list = Json::array();
  for (const char* flag : flags) list.push_back(flag);
  return {{"response_flag_filter", {{"flags", std::move(list)}}}};
}

Json StatusIs(const char* comparison, int status) {
  return {{"status_code_filter",
           {{"comparison",
             {{"op", comparison},
              {"value",
               {{"default_value", status},
                {"runtime_key", "exeat.reply." + std::to_string(status)}}}}}}}};
}

// An ext_authz that failed carries the same flag as one that denied, so its cause comes first; a
// denial by Check keeps its own status, headers and body: a mapper without overrides ends the
// search.
void AddAuthz(Json& mappers) {
  mappers.push_back(Mapper(DetailsBegin("ext_authz_error"), Reason::kAuthzUnavailable));
  mappers.push_back(Mapper(DetailsBegin("ext_authz_invalid"), Reason::kAuthzUnavailable));
  mappers.push_back(Json::object({{"filter", Flags({"UAEX"})}}));
}

void AddToken(Json& mappers, bool proxy) {
  const auto status = [proxy](Reason reason) {
    return proxy ? kProxyAuthenticationRequired : authz::HttpStatus(reason);
  };
  const auto add = [&](Json filter, Reason reason) {
    mappers.push_back(Mapper(std::move(filter), reason, status(reason)));
  };
  add(DetailsBegin("jwt_authn_access_denied{Jwt_is_missing"), Reason::kTokenMissing);
  add(DetailsBegin("jwt_authn_access_denied{Jwt_is_expired"), Reason::kTokenExpired);
  add(DetailsBegin("jwt_authn_access_denied{Jwt_not_yet_valid"), Reason::kTokenExpired);
  add(DetailsBegin("jwt_authn_access_denied{Audiences"), Reason::kTokenAudience);
  add(DetailsBegin("jwt_authn_access_denied"), Reason::kTokenInvalid);
}

// What the guest's own bytes cause, before any filter or while their end is awaited. The codec
// answers an unknown transfer coding with 501, which is no guard that failed.
void AddRequest(Json& mappers) {
  mappers.push_back(Mapper(StatusIs("EQ", 431), Reason::kRequestMalformed, 431));
  mappers.push_back(Mapper(DetailsBegin("http1."), Reason::kRequestMalformed));
  mappers.push_back(Mapper(DetailsBegin("http2."), Reason::kRequestMalformed));
  mappers.push_back(Mapper(StatusIs("EQ", 408), Reason::kRequestMalformed));
}

// Whatever is left: 5xx of our own making is a guard that is not there, the rest a bad request.
void AddRest(Json& mappers) {
  mappers.push_back(Mapper(StatusIs("GE", 500), Reason::kAuthzUnavailable));
  mappers.push_back(Mapper(StatusIs("GE", 400), Reason::kRequestMalformed));
}

// A handshake answered 2xx or 3xx: Envoy makes this reply of the origin's status, headers and even
// its x-deny-reason. The body is ours, so a coding the origin named is none.
Json RefusedUpgrade() {
  Json mapper = Mapper(Details("websocket_handshake_unsuccessful"), Reason::kUpstreamUnreachable);
  mapper["headers_to_add"].push_back(
      {{"header", {{"key", "content-encoding"}, {"value", "identity"}}},
       {"append_action", "OVERWRITE_IF_EXISTS"}});
  Json& text = mapper["body_format_override"]["text_format_source"]["inline_string"];
  auto body = nlohmann::ordered_json::parse(text.get<std::string>());
  body["detail"] = "The destination was asked and did not accept the upgrade to WebSocket.";
  text = body.dump();
  return mapper;
}

void AddUpstream(Json& mappers) {
  mappers.push_back(Mapper(Details("failed_to_inject_credential"), Reason::kCredentialUnavailable));
  mappers.push_back(Mapper(DetailsHold("TLS_error"), Reason::kUpstreamTls));
  mappers.push_back(Mapper(Flags({"UT", "SI"}), Reason::kUpstreamTimeout));
  mappers.push_back(Mapper(Flags({"UF", "UH", "UC", "UR", "LR", "URX", "UO", "NC", "UPE"}),
                           Reason::kUpstreamUnreachable));
  // The upstream went away, and the body was too large to be kept for another attempt.
  mappers.push_back(
      Mapper(Details("request_payload_exceeded_retry_buffer_limit"), Reason::kUpstreamUnreachable));
}

}  // namespace

Json ConnectReplies() {
  Json mappers = Json::array();
  AddAuthz(mappers);
  AddToken(mappers, true);
  AddRequest(mappers);
  mappers.push_back(Mapper(Details("direct_response"), Reason::kCleartextNotAllowed));
  AddRest(mappers);
  return {{"mappers", std::move(mappers)}};
}

Json BumpedReplies() {
  Json mappers = Json::array();
  mappers.push_back(RefusedUpgrade());  // first: its status is the origin's
  AddAuthz(mappers);
  AddToken(mappers, false);
  // Before the guest's own delays: a stream that cannot be cut was ended, with 408 while it sent.
  mappers.push_back(Mapper(Flags({"UMSDR"}), Reason::kUpstreamTimeout));
  AddRequest(mappers);
  mappers.push_back(
      Mapper(Details("rbac_access_denied_matched_policy[revoked]"), Reason::kSessionRevoked));
  mappers.push_back(
      Mapper(Details("rbac_access_denied_matched_policy[denyset]"), Reason::kAddressDenied));
  mappers.push_back(Mapper(DetailsBegin("rbac_access_denied"), Reason::kGrantMissing));
  mappers.push_back(Mapper(StatusIs("EQ", 429), Reason::kRateLimited,
                           authz::HttpStatus(Reason::kRateLimited), "%RESP(retry-after)%"));
  mappers.push_back(
      Mapper(Both(Details("direct_response"), StatusIs("EQ", 403)), Reason::kMethodNotAllowed));
  mappers.push_back(Mapper(Details("direct_response"), Reason::kAuthorityMismatch));
  mappers.push_back(Mapper(Details("upgrade_failed"), Reason::kMethodNotAllowed));
  AddUpstream(mappers);
  AddRest(mappers);
  return {{"mappers", std::move(mappers)}};
}

}  // namespace exeat::envoy
