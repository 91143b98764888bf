#include "envoy/hygiene.h"

#include <algorithm>

#include "envoy/names.h"

namespace exeat::envoy {
namespace {

// Where clients and well-known APIs put credentials.
constexpr const char* kCredentialPlaces[] = {"authorization",
                                             "x-api-key",
                                             "api-key",
                                             "x-goog-api-key",
                                             "proxy-authorization",
                                             "cookie",
                                             "private-token",
                                             "job-token",
                                             "deploy-token",
                                             "x-auth-token",
                                             "x-access-token",
                                             "x-goog-iam-authorization-token",
                                             "x-amz-security-token",
                                             "ocp-apim-subscription-key",
                                             "x-functions-key"};
constexpr const char* kForwarding[] = {"forwarded",         "via",
                                       "x-real-ip",         "x-forwarded-for",
                                       "x-forwarded-proto", "x-forwarded-host",
                                       "x-forwarded-port",  "x-forwarded-client-cert"};
// Origins that honour these act on another method or path than the one the policy allowed.
constexpr const char* kOverrides[] = {"x-http-method-override", "x-http-method",
                                      "x-method-override", "x-original-url", "x-rewrite-url"};
constexpr const char* kOwn[] = {kTunnelHeader, kLegHeader, kTargetHeader,
                                kVettedHeader, kSniHeader, kSessionHeader};

std::vector<std::string> Sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void AddHeadersOf(const policy::Policy& policy, std::vector<std::string>& names) {
  for (const policy::Credential& credential : policy.credentials) {
    if (!credential.header.empty()) names.push_back(credential.header);
  }
}

Json RemovePrefix(std::string_view prefix) {
  return {{"remove_on_match", {{"key_matcher", Json::object({{"prefix", prefix}})}}}};
}

Json Remove(std::string_view name) { return Json::object({{"remove", name}}); }

}  // namespace

std::vector<std::string> RequestHeadersToRemove(const policy::Policy& policy) {
  std::vector<std::string> names(std::begin(kCredentialPlaces), std::end(kCredentialPlaces));
  names.insert(names.end(), std::begin(kForwarding), std::end(kForwarding));
  names.insert(names.end(), std::begin(kOverrides), std::end(kOverrides));
  names.insert(names.end(), std::begin(kOwn), std::end(kOwn));
  names.insert(names.end(), {"x-envoy-internal", "x-envoy-external-address"});
  AddHeadersOf(policy, names);
  return Sorted(std::move(names));
}

std::vector<std::string> ResponseHeadersToRemove(const policy::Policy& policy) {
  std::vector<std::string> names(std::begin(kCredentialPlaces), std::end(kCredentialPlaces));
  names.insert(names.end(), {"alt-svc", "server-timing", "set-cookie", "set-cookie2",
                             "proxy-authenticate", "proxy-authentication-info",
                             "x-envoy-upstream-service-time", kDenyReasonHeader, kSessionHeader});
  AddHeadersOf(policy, names);
  return Sorted(std::move(names));
}

Json Cleaner() { return Extension(kCleanerFilter, kCleanerMessage, Json::object()); }

Json Cleaning(const policy::Policy& policy) {
  Json response = Json::array({RemovePrefix("x-envoy-"), RemovePrefix("x-exeat-")});
  for (const std::string& name : ResponseHeadersToRemove(policy)) {
    if (name != kDenyReasonHeader) response.push_back(Remove(name));
  }
  return Typed(kCleaningMessage,
               Json::object({{"mutations", Json::object({{"response_mutations", response}})}}));
}

Json HygieneFilter(const policy::Policy& policy) {
  Json request = Json::array();
  for (const char* prefix : {"x-exeat-", "x-envoy-", "x-forwarded-"}) {
    request.push_back(RemovePrefix(prefix));
  }
  for (const std::string& name : RequestHeadersToRemove(policy)) request.push_back(Remove(name));
  const Json response = Json::array({RemovePrefix("x-envoy-"), RemovePrefix("x-exeat-")});
  // The lists of the route never reach trailers, which HTTP/2 carries both ways.
  Json response_trailers = response;
  for (const std::string& name : ResponseHeadersToRemove(policy)) {
    response_trailers.push_back(Remove(name));
  }
  return Extension(kCleanerFilter, kCleanerMessage,
                   {{"mutations",
                     {{"request_mutations", request},
                      {"request_trailers_mutations", request},
                      {"response_mutations", response},
                      {"response_trailers_mutations", response_trailers}}}});
}

Json EarlyMutation(const std::vector<Json>& own) {
  // A guest that chose x-request-id would choose the key under which audit joins its records.
  Json mutations = Json::array({Remove("x-request-id"), RemovePrefix("x-envoy-"),
                                Remove(kTunnelHeader), Remove(kLegHeader), Remove(kTargetHeader),
                                Remove(kVettedHeader), Remove(kSniHeader)});
  for (const Json& header : own) mutations.push_back(Json::object({{"append", header}}));
  return Extension("envoy.http.early_header_mutation.header_mutation",
                   "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                   {{"mutations", mutations}});
}

}  // namespace exeat::envoy
