// A policy with one of everything that shapes Envoy's configuration, for tests.
#pragma once

#include <memory>
#include <string>

#include "envoy/build.h"

namespace exeat::envoy::testing {

// PEM of a self-signed certificate, long valid; trusted by nobody else.
inline constexpr char kTrustPem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBiTCCAS+gAwIBAgIULAOsu8KES8qJ/XjUMk7cStjzuYswCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOdGVzdCBvcmlnaW4gQ0EwIBcNMjYxMTI0MjIwNzQ5WhgPMjEy\n"
    "NjEwMzEyMjA3NDlaMBkxFzAVBgNVBAMMDnRlc3Qgb3JpZ2luIENBMFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEBo2c5dFHqOJ3RI1m8llzGQOj01UXjPGKA+VtUUwI\n"
    "ss/8moFPibga93VmWtVGquLj9g0vUSY4AcgHMjKzfie6kKNTMFEwHQYDVR0OBBYE\n"
    "FNVJGrsBeg37uePEtj0zqDbZY2suMB8GA1UdIwQYMBaAFNVJGrsBeg37uePEtj0z\n"
    "qDbZY2suMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgGWFkOOfC\n"
    "O/FdqMb/q/NlU+tvBi26H++iFIVsVsDst6oCIQC/iavHrAkyxcFG2+GYyRdbawRs\n"
    "bmblZ2ePJgbAXDC7Tw==\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kJwks[] =
    R"({"keys":[{"alg":"ES256","crv":"P-256","kid":"k1","kty":"EC","use":"sig",)"
    R"("x":"ObKwB0s8EZG9d-52l3lkvpnAH3RM6el3_gsZaR5sF78",)"
    R"("y":"Vzx_QaJl20rnm2CdndnXUw8tW5UzEPr3suWaIa7WV38"}]})";

inline policy::Policy SmallPolicy() {
  policy::Policy policy;
  policy.deployment = "acme-dev";
  policy.posture = policy::Posture::kBump;
  policy.listeners.proxy = policy::SocketAddress::Parse("127.0.0.1:3128");
  policy.listeners.transparent = policy::SocketAddress::Parse("127.0.0.1:3129");
  policy.resolver.allow_private = {*policy::Cidr::Parse("10.1.2.0/24")};
  policy.credentials = {
      {.name = "anthropic", .kind = policy::CredentialKind::kHeader, .header = "x-api-key"},
      {.name = "openai", .kind = policy::CredentialKind::kBearer},
      {.name = "git", .kind = policy::CredentialKind::kBasic, .username = "x-access-token"},
      {.name = "bank", .kind = policy::CredentialKind::kMtls, .header = ""},
      {.name = "s3",
       .kind = policy::CredentialKind::kAwsSigv4,
       .service = "s3",
       .region = "eu-west-1"}};
  policy.destinations = {
      {.name = "anthropic",
       .host = "api.anthropic.test",
       .ports = {443},
       .credential = "anthropic",
       .grant = "anthropic",
       .allow = {{{.methods = {"POST"}, .path = policy::PathRule::Parse("/v1/messages")},
                  {.methods = {"GET", "HEAD"}, .path = policy::PathRule::Parse("/v1/models/**")}}},
       .limits = policy::RateLimit{60, 10}},
      {.name = "openai",
       .host = "api.openai.test",
       .ports = {443, 8443},
       .credential = "openai",
       .authorize = policy::Authorize::kConnection},
      {.name = "git", .host = "git.test", .ports = {443}, .credential = "git", .grant = "git"},
      {.name = "docs", .host = "docs.test", .ports = {443}},
      {.name = "bank", .host = "bank.test", .ports = {443}, .credential = "bank"},
      {.name = "s3", .host = "s3.test", .ports = {443}, .credential = "s3"}};
  policy.limits = policy::RateLimit{600, 60};
  return policy;
}

inline Inputs SmallInputs(policy::Policy policy = SmallPolicy()) {
  Inputs inputs;
  inputs.policy = std::make_shared<const policy::Policy>(std::move(policy));
  inputs.jwks = kJwks;
  inputs.trust_pem = kTrustPem;
  inputs.session_issuer = "acme-dev";
  return inputs;
}

}  // namespace exeat::envoy::testing
