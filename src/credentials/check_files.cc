#include "credentials/check_files.h"

#include <algorithm>
#include <utility>

#include "credentials/material.h"
#include "fmt/format.h"

namespace exeat::credentials {
namespace {

const char* KeyOf(const policy::Credential& credential) {
  return credential.kind == policy::CredentialKind::kMtls ? "source" : "source.file";
}

}  // namespace

std::vector<policy::Mistake> CheckFiles(const policy::Policy& policy, const std::string& file) {
  std::vector<policy::Mistake> mistakes = policy::CheckFiles(policy, file);
  for (std::size_t i = 0; i < policy.credentials.size(); ++i) {
    const policy::Credential& credential = policy.credentials[i];
    const auto material = ReadMaterial(credential);
    if (material.ok()) continue;
    mistakes.push_back({file, credential.line,
                        fmt::format("credentials[{}].{}", i, KeyOf(credential)),
                        policy::FileObjection(material.status()), false});
  }
  std::stable_sort(
      mistakes.begin(), mistakes.end(),
      [](const policy::Mistake& a, const policy::Mistake& b) { return a.line < b.line; });
  return mistakes;
}

}  // namespace exeat::credentials
