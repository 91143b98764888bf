// What a credential consists of, read from its source and validated.
//
// Purpose:  what must not be sent (blank, several lines, control characters, a key without its
//           certificate, a file open to others) never leaves this room.
// Errors:   kAborted two files that do not belong together, which the moment between
//           two renames looks like; anything else is wrong until somebody mends it. No message
//           holds a part of a secret.
// Threads:  pure but for reading files.
#pragma once

#include <string>

#include "base/secret.h"
#include "base/status.h"
#include "policy/policy.h"

namespace exeat::credentials {

inline constexpr std::size_t kMaxFileBytes = 16 * 1024;

struct Material {
  // As it stands in its file; kMtls: the private key, PEM; kAwsSigv4: the secret access key.
  base::Secret value;
  std::string certificate;     // kMtls: the chain, PEM
  std::string access_key_id;   // kAwsSigv4
  base::Secret session_token;  // kAwsSigv4; empty where the keys are long-lived

  bool empty() const { return value.empty(); }
};

base::StatusOr<Material> ReadMaterial(const policy::Credential& credential);

}  // namespace exeat::credentials
