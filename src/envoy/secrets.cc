#include "envoy/secrets.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "envoy/credential_filters.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/json.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

using TlsSecret = ::envoy::extensions::transport_sockets::tls::v3::Secret;

constexpr std::size_t kMaxCredentialBytes = 16384;

const base::StatusOr<std::string>& Salt() {
  static const auto& salt = *new base::StatusOr<std::string>(crypto::RandomBytes(32));
  return salt;
}

// Takes the message apart afterwards: its strings hold what must not stay in memory.
base::StatusOr<Resource> Seal(const std::string& name, TlsSecret& secret) {
  RETURN_IF_ERROR(Salt().status());
  Resource resource;
  resource.type_url = kSecretType;
  resource.name = name;
  resource.body =
      Typed("envoy.extensions.transport_sockets.tls.v3.Secret", Json::object({{"name", name}}));
  secret.set_name(name);
  resource.value = secret.SerializeAsString();
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
  std::string* held = secret.mutable_generic_secret()->mutable_secret()->mutable_inline_string();
  *held = value;
  auto resource = Seal(name, secret);
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

}  // namespace

base::StatusOr<std::vector<Resource>> BuildCredential(const policy::Credential& credential,
                                                      const credentials::Material& material) {
  std::vector<Resource> built;
  if (credential.kind == policy::CredentialKind::kMtls) {
    if (!material.empty()) {
      ASSIGN_OR_RETURN(Resource pair, BuildKeyPair(CredentialSecretName(credential),
                                                   material.certificate, material.value.Reveal()));
      built.push_back(std::move(pair));
    }
  } else {
    ASSIGN_OR_RETURN(Resource value, BuildAttached(credential, material.value.Reveal()));
    built.push_back(std::move(value));
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
  auto* certificate = secret.mutable_tls_certificate();
  certificate->mutable_certificate_chain()->set_inline_bytes(chain_pem.data(), chain_pem.size());
  std::string* key = certificate->mutable_private_key()->mutable_inline_bytes();
  key->assign(key_pem);
  auto resource = Seal(name, secret);
  base::Secret::Wipe(*key);
  return resource;
}

base::StatusOr<Resource> BuildUpstreamTrust(std::string_view trust_pem) {
  if (trust_pem.find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) {
    return absl::InvalidArgumentError("upstream_trust holds no PEM certificate");
  }
  TlsSecret secret;
  secret.mutable_validation_context()->mutable_trusted_ca()->set_inline_bytes(trust_pem.data(),
                                                                              trust_pem.size());
  ASSIGN_OR_RETURN(Resource resource, Seal(kUpstreamTrustSecret, secret));
  resource.version = VersionOf(resource.value);  // public, so stable over restarts
  return resource;
}

}  // namespace exeat::envoy
