#include <algorithm>

#include "base/file.h"
#include "base/secret.h"
#include "fmt/format.h"
#include "policy/load.h"
#include "policy/secret_line.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxPasswordBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxKeyBytes = std::size_t{64} << 10;
constexpr std::string_view kCertificateMark = "-----BEGIN CERTIFICATE-----";

std::string PasswordObjection(const std::string& path) {
  auto content = base::ReadPrivateFile(path, kMaxPasswordBytes);
  if (!content.ok()) return FileObjection(content.status());
  const std::string_view objection = SecretLineObjection(SecretLine(*content));
  base::Secret::Wipe(*content);
  return objection.empty() ? std::string() : fmt::format("{}: {}", path, objection);
}

std::string CertificateObjection(const std::string& path) {
  const auto content = base::ReadFile(path);
  if (!content.ok()) return FileObjection(content.status());
  if (content->find(kCertificateMark) != std::string::npos) return {};
  return fmt::format("{}: holds no PEM certificate ({})", path, kCertificateMark);
}

std::string KeyObjection(const std::string& path) {
  auto content = base::ReadPrivateFile(path, kMaxKeyBytes);
  if (!content.ok()) return FileObjection(content.status());
  const bool is_key = content->find("-----BEGIN") != std::string::npos &&
                      content->find("PRIVATE KEY-----") != std::string::npos;
  base::Secret::Wipe(*content);
  return is_key ? std::string() : fmt::format("{}: holds no PEM private key", path);
}

}  // namespace

std::string FileObjection(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kNotFound:
      return base::Message(status) + "; create the file or correct the path";
    case base::StatusCode::kPermissionDenied:
      return base::Message(status) + "; let the user that runs exeat read it";
    default:
      return base::Message(status);
  }
}

std::vector<Mistake> CheckFiles(const Policy& policy, const std::string& file) {
  std::vector<Mistake> mistakes;
  const auto add = [&](int line, std::string key, std::string objection) {
    if (objection.empty()) return;
    mistakes.push_back({file, line, std::move(key), std::move(objection), false});
  };
  add(policy.upstream_trust_line, "upstream_trust", CertificateObjection(policy.upstream_trust));
  if (policy.ca) {
    add(policy.ca->certificate_line, "ca.certificate",
        CertificateObjection(policy.ca->certificate));
    add(policy.ca->key_line, "ca.key", KeyObjection(policy.ca->key));
  }
  if (policy.shared_store && !policy.shared_store->password_file.empty()) {
    add(policy.shared_store->password_line, "store.password_file",
        PasswordObjection(policy.shared_store->password_file));
  }
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
  return mistakes;
}

}  // namespace exeat::policy
