#include "credentials/material.h"

#include <utility>

#include "base/file.h"
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

}  // namespace

base::StatusOr<Material> ReadMaterial(const policy::Credential& credential) {
  return credential.kind == policy::CredentialKind::kMtls ? ReadPair(credential)
                                                          : ReadLine(credential.file);
}

}  // namespace exeat::credentials
