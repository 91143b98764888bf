#include "credentials/material.h"

#include <utility>

#include "base/file.h"
#include "credentials/aws_keys.h"
#include "crypto/key_pair.h"
#include "fmt/format.h"
#include "policy/secret_line.h"

namespace exeat::credentials {
namespace {

base::StatusOr<base::Secret> Private(const std::string& path) {
  ASSIGN_OR_RETURN(std::string content, base::ReadPrivateFile(path, kMaxFileBytes));
  base::Secret secret(content);
  base::Secret::Wipe(content);
  return secret;
}

base::StatusOr<Material> ReadLine(const std::string& path) {
  ASSIGN_OR_RETURN(const base::Secret content, Private(path));
  const std::string_view line = policy::SecretLine(content.Reveal());
  if (const auto objection = policy::SecretLineObjection(line); !objection.empty()) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            fmt::format("{}: {}", path, objection));
  }
  Material material;
  material.value = base::Secret(std::string(line));
  return material;
}

base::StatusOr<Material> ReadPair(const policy::Credential& credential) {
  // Where both stand in one file this holds the key too.
  ASSIGN_OR_RETURN(std::string read, base::ReadFile(credential.file, kMaxFileBytes));
  const base::Secret certificates(read);
  base::Secret::Wipe(read);
  ASSIGN_OR_RETURN(base::Secret key, Private(credential.key_file));
  auto chain = crypto::ChainOfKey(certificates.Reveal(), key.Reveal());
  if (!chain.ok()) {
    return base::Annotate(chain.status(),
                          fmt::format("{} and {}", credential.file, credential.key_file));
  }
  Material material;
  material.value = std::move(key);
  material.certificate = *std::move(chain);
  return material;
}

base::StatusOr<Material> ReadAwsKeys(const std::string& path) {
  ASSIGN_OR_RETURN(const base::Secret content, Private(path));
  auto keys = ParseAwsKeys(content.Reveal());
  if (!keys.ok()) return base::Annotate(keys.status(), path);
  Material material;
  material.value = std::move(keys->secret_access_key);
  material.access_key_id = std::move(keys->access_key_id);
  material.session_token = std::move(keys->session_token);
  return material;
}

}  // namespace

base::StatusOr<Material> ReadMaterial(const policy::Credential& credential) {
  switch (credential.kind) {
    case policy::CredentialKind::kMtls:
      return ReadPair(credential);
    case policy::CredentialKind::kAwsSigv4:
      return ReadAwsKeys(credential.file);
    case policy::CredentialKind::kHeader:
    case policy::CredentialKind::kBearer:
    case policy::CredentialKind::kBasic:
      return ReadLine(credential.file);
  }
  return base::MakeStatus(base::StatusCode::kInternal, "a credential of no kind");
}

}  // namespace exeat::credentials
