#include "envoy/secrets.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "envoy/config/core/v3/extension.pb.h"
#include "envoy/credential_filters.h"
#include "envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/json.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

using TlsSecret = ::envoy::extensions::transport_sockets::tls::v3::Secret;

constexpr std::size_t kMaxCredentialBytes = 16384;

// What may be another on the wire than where it is signed.
constexpr const char* kNeverSigned[] = {"connection", "expect",     "keep-alive",
                                        "te",         "trailer",    "transfer-encoding",
                                        "upgrade",    "user-agent", "x-request-id"};

const base::StatusOr<std::string>& Salt() {
  static const auto& salt = *new base::StatusOr<std::string>(crypto::RandomBytes(32));
  return salt;
}

// Wiping the strings of `message` that hold what must not stay in memory is the caller's.
template <typename Message>
base::StatusOr<Resource> Seal(const char* type_url, const Message& message) {
  RETURN_IF_ERROR(Salt().status());
  Resource resource;
  resource.type_url = type_url;
  resource.name = message.name();
  resource.body =
      Typed(message.GetDescriptor()->full_name(), Json::object({{"name", message.name()}}));
  resource.value = message.SerializeAsString();
  std::string salted = *Salt() + resource.value;
  resource.version = VersionOf(salted);
  base::Secret::Wipe(salted);
  return resource;
}

// RFC 9110 field values without obs-text: what every upstream accepts.
bool FitsHeader(std::string_view value) {
  if (value.size() > kMaxCredentialBytes) return false;
  if (value.empty()) return true;
  if (value.front() == ' ' || value.back() == ' ') return false;
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

base::StatusOr<Resource> BuildGeneric(const std::string& name, std::string_view value) {
  TlsSecret secret;
  secret.set_name(name);
  std::string* held = secret.mutable_generic_secret()->mutable_secret()->mutable_inline_string();
  *held = value;
  auto resource = Seal(kSecretType, secret);
  base::Secret::Wipe(*held);
  return resource;
}

// The value as the injector puts it behind its prefix.
base::StatusOr<Resource> BuildAttached(const policy::Credential& credential,
                                       std::string_view value) {
  if (!FitsHeader(value)) {
    return absl::InvalidArgumentError(fmt::format(
        "credential {}: the value is too long, or holds what no header can carry (line breaks, "
        "control or non-ASCII bytes, spaces at an end)",
        credential.name));
  }
  if (credential.kind != policy::CredentialKind::kBasic || value.empty()) {
    return BuildGeneric(CredentialSecretName(credential), value);
  }
  std::string pair = credential.username + ":";
  pair += value;
  std::string attached = base::Base64Encode(pair);
  base::Secret::Wipe(pair);
  auto resource = BuildGeneric(CredentialSecretName(credential), attached);
  base::Secret::Wipe(attached);
  return resource;
}

base::StatusOr<Resource> BuildSigner(const policy::Credential& credential,
                                     const credentials::Material& material) {
  ::envoy::extensions::filters::http::aws_request_signing::v3::AwsRequestSigning signer;
  signer.set_service_name(credential.service);
  signer.set_region(credential.region);
  signer.set_use_unsigned_payload(SignsNoBody(credential));
  for (const char* name : kNeverSigned) signer.add_match_excluded_headers()->set_exact(name);
  auto& keys = *signer.mutable_credential_provider()->mutable_inline_credential();
  keys.set_access_key_id(material.access_key_id);
  keys.mutable_secret_access_key()->assign(material.value.Reveal());
  keys.mutable_session_token()->assign(material.session_token.Reveal());
  ::envoy::config::core::v3::TypedExtensionConfig filter;
  filter.set_name(CredentialSecretName(credential));
  filter.mutable_typed_config()->set_type_url(TypeUrl(signer.GetDescriptor()->full_name()));
  std::string* held = filter.mutable_typed_config()->mutable_value();
  *held = signer.SerializeAsString();
  base::Secret::Wipe(*keys.mutable_secret_access_key());
  base::Secret::Wipe(*keys.mutable_session_token());
  auto resource = Seal(kExtensionType, filter);
  base::Secret::Wipe(*held);
  return resource;
}

// All but the gate.
base::StatusOr<Resource> BuildOwn(const policy::Credential& credential,
                                  const credentials::Material& material) {
  if (credential.kind == policy::CredentialKind::kMtls) {
    return BuildKeyPair(CredentialSecretName(credential), material.certificate,
                        material.value.Reveal());
  }
  if (credential.kind == policy::CredentialKind::kAwsSigv4) {
    return BuildSigner(credential, material);
  }
  return BuildAttached(credential, material.value.Reveal());
}

}  // namespace

base::StatusOr<std::vector<Resource>> BuildCredential(const policy::Credential& credential,
                                                      const credentials::Material& material) {
  std::vector<Resource> built;
  // What stands behind a closed gate is left as it is.
  if (!HasGate(credential) || !material.empty()) {
    ASSIGN_OR_RETURN(Resource own, BuildOwn(credential, material));
    built.push_back(std::move(own));
  }
  if (HasGate(credential)) {
    ASSIGN_OR_RETURN(Resource gate,
                     BuildGeneric(GateSecretName(credential), material.empty() ? "" : "open"));
    built.push_back(std::move(gate));
  }
  return built;
}

base::StatusOr<Resource> BuildKeyPair(const std::string& name, std::string_view chain_pem,
                                      std::string_view key_pem) {
  if (name.empty() || chain_pem.empty() || key_pem.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: name, chain or key is empty", name));
  }
  TlsSecret secret;
  secret.set_name(name);
  auto* certificate = secret.mutable_tls_certificate();
  certificate->mutable_certificate_chain()->set_inline_bytes(chain_pem.data(), chain_pem.size());
  std::string* key = certificate->mutable_private_key()->mutable_inline_bytes();
  key->assign(key_pem);
  auto resource = Seal(kSecretType, secret);
  base::Secret::Wipe(*key);
  return resource;
}

base::StatusOr<Resource> BuildUpstreamTrust(std::string_view trust_pem) {
  if (trust_pem.find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) {
    return absl::InvalidArgumentError("upstream_trust holds no PEM certificate");
  }
  TlsSecret secret;
  secret.set_name(kUpstreamTrustSecret);
  secret.mutable_validation_context()->mutable_trusted_ca()->set_inline_bytes(trust_pem.data(),
                                                                              trust_pem.size());
  ASSIGN_OR_RETURN(Resource resource, Seal(kSecretType, secret));
  resource.version = VersionOf(resource.value);  // public, so stable over restarts
  return resource;
}

}  // namespace exeat::envoy
