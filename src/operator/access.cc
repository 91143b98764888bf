#include "operator/access.h"

#include <utility>

#include "base/encoding.h"
#include "base/file.h"
#include "crypto/constant_time.h"
#include "crypto/random.h"

namespace exeat::ops {
namespace {

constexpr std::size_t kSecretBytes = 32;

std::string PathIn(const std::string& state_directory) {
  return state_directory + "/operator.secret";
}

}  // namespace

base::StatusOr<base::Secret> MakeAccessSecret(const std::string& state_directory) {
  ASSIGN_OR_RETURN(std::string bytes, crypto::RandomBytes(kSecretBytes));
  std::string text = base::HexEncode(bytes);
  base::Secret secret(text);
  base::Secret::Wipe(bytes);
  base::Secret::Wipe(text);
  RETURN_IF_ERROR(base::WriteFileAtomically(PathIn(state_directory), secret.Reveal(), 0600));
  return secret;
}

base::StatusOr<base::Secret> ReadAccessSecret(const std::string& state_directory) {
  ASSIGN_OR_RETURN(std::string text, base::ReadPrivateFile(PathIn(state_directory), 4096));
  base::Secret secret(text);
  base::Secret::Wipe(text);
  return secret;
}

bool Admits(const base::Secret& secret, std::string_view presented) {
  return !secret.empty() && crypto::EqualConstantTime(secret.Reveal(), presented);
}

}  // namespace exeat::ops
