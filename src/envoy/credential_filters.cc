#include "envoy/credential_filters.h"

#include <algorithm>
#include <utility>

#include "envoy/guard_reading.h"
#include "envoy/names.h"
#include "envoy/resource.h"

namespace exeat::envoy {
namespace {

using policy::CredentialKind;

constexpr char kInjectorFilter[] = "envoy.filters.http.credential_injector";
constexpr char kInjector[] =
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector";
constexpr char kSignerMessage[] =
    "envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning";
constexpr char kGeneric[] = "envoy.extensions.http.injected_credentials.generic.v3.Generic";

Json SecretFromAds(const std::string& name) {
  Json source = FromAds();
  source["initial_fetch_timeout"] = "2s";
  return {{"name", name}, {"sds_config", std::move(source)}};
}

Json Injector(const char* name, Json credential) {
  return Extension(name, kInjector,
                   {{"overwrite", true},
                    {"allow_request_without_credential", false},
                    {"credential", std::move(credential)}});
}

Json Generic(const std::string& header, const std::string& secret, const char* prefix) {
  Json generic = {{"header", header}, {"credential", SecretFromAds(secret)}};
  if (*prefix != '\0') generic["header_value_prefix"] = prefix;
  return Extension("envoy.http.injected_credentials.generic", kGeneric, std::move(generic));
}

const char* ValuePrefix(CredentialKind kind) {
  switch (kind) {
    case CredentialKind::kBearer:
      return "Bearer ";
    case CredentialKind::kBasic:
      return "Basic ";
    case CredentialKind::kHeader:
    case CredentialKind::kMtls:
    case CredentialKind::kAwsSigv4:
      return "";
  }
  return "";
}

// Envoy has no SDS for the keys that sign: the whole filter is discovered.
Json Signer(const policy::Credential& credential) {
  Json source = FromAds();
  source["initial_fetch_timeout"] = "2s";
  return {{"name", CredentialSecretName(credential)},
          {"config_discovery",
           {{"config_source", std::move(source)},
            {"type_urls", Json::array({TypeUrl(kSignerMessage)})}}}};
}

bool IsStrictInjector(const Json& filter) {
  const Json& config = Member(filter, "typed_config");
  return HasType(config, kInjector) && !IsTrue(Member(config, "allow_request_without_credential"));
}

bool IsGate(const Json& filter) {
  return IsStrictInjector(filter) &&
         At(filter, {"typed_config", "credential", "typed_config", "header"}) == kGateHeader;
}

}  // namespace

std::string CredentialSecretName(const policy::Credential& credential) {
  return "credential:" + credential.name;
}

std::string GateSecretName(const policy::Credential& credential) {
  return "gate:" + credential.name;
}

bool HasGate(const policy::Credential& credential) {
  return credential.kind == CredentialKind::kMtls || credential.kind == CredentialKind::kAwsSigv4;
}

std::vector<Published> PublishedFor(const policy::Credential& credential) {
  const bool is_filter = credential.kind == CredentialKind::kAwsSigv4;
  std::vector<Published> all = {
      {is_filter ? kExtensionType : kSecretType, CredentialSecretName(credential)}};
  if (HasGate(credential)) all.push_back({kSecretType, GateSecretName(credential)});
  return all;
}

bool SignsNoBody(const policy::Credential& credential) {
  return credential.service == "s3" || credential.service.starts_with("s3-");
}

std::vector<Json> FiltersBeforeHygiene(const policy::Credential& credential) {
  if (!HasGate(credential)) return {};
  return {Injector("gate", Generic(kGateHeader, GateSecretName(credential), ""))};
}

std::vector<Json> FiltersAfterHygiene(const policy::Credential& credential) {
  if (credential.kind == CredentialKind::kMtls) return {};
  if (credential.kind == CredentialKind::kAwsSigv4) return {Signer(credential)};
  return {Injector(kInjectorFilter, Generic(credential.header, CredentialSecretName(credential),
                                            ValuePrefix(credential.kind)))};
}

Json ClientCertificates(const policy::Credential* credential) {
  Json secrets = Json::array();
  if (credential != nullptr && credential->kind == CredentialKind::kMtls) {
    secrets.push_back(SecretFromAds(CredentialSecretName(*credential)));
  }
  return secrets;
}

Attaches WhatAttaches(const Json& http_filters, const Json& tls_context) {
  bool injects = false;
  Visit(http_filters, [&](const Json& node) { injects |= HasType(node, kInjector); });
  bool needs_gate = !Member(tls_context, "tls_certificate_sds_secret_configs").empty() ||
                    !Member(tls_context, "tls_certificates").empty();
  for (const Json& filter : http_filters) {
    needs_gate |= !Member(filter, "config_discovery").is_null() ||
                  HasType(Member(filter, "typed_config"), kSignerMessage);
  }
  if (!injects && !needs_gate) return Attaches::kNothing;
  const auto any = [&](bool (*is)(const Json&)) {
    return std::any_of(http_filters.begin(), http_filters.end(), is);
  };
  return any(needs_gate ? IsGate : IsStrictInjector) ? Attaches::kRevocably : Attaches::kForEver;
}

}  // namespace exeat::envoy
