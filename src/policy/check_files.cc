#include <algorithm>

#include "base/file.h"
#include "base/secret.h"
#include "fmt/format.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxCredentialBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxKeyBytes = std::size_t{64} << 10;
constexpr std::string_view kCertificateMark = "-----BEGIN CERTIFICATE-----";

std::string Remedy(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kNotFound:
      return "; create the file or correct the path";
    case base::StatusCode::kPermissionDenied:
      return "; let the user that runs exeat read it";
    default:
      return "";
  }
}

// What is wrong with a credential's value, never a part of it; empty when it can be sent.
std::string ValueObjection(std::string_view value) {
  if (value.ends_with('\n')) value.remove_suffix(1);
  if (value.empty()) return "is empty";
  if (value.ends_with('\r')) return "ends in CR LF: save it with plain line ends";
  const bool control = std::any_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (control) {
    return "holds a line break or another control character: it must be one line, the value alone";
  }
  if (value.front() == ' ' || value.back() == ' ') {
    return "begins or ends with a space: it must hold the value alone";
  }
  return {};
}

std::string CredentialObjection(const std::string& path) {
  auto content = base::ReadPrivateFile(path, kMaxCredentialBytes);
  if (!content.ok()) return base::Message(content.status()) + Remedy(content.status());
  const std::string objection = ValueObjection(*content);
  base::Secret::Wipe(*content);
  return objection.empty() ? objection : fmt::format("{}: {}", path, objection);
}

std::string CertificateObjection(const std::string& path) {
  const auto content = base::ReadFile(path);
  if (!content.ok()) return base::Message(content.status()) + Remedy(content.status());
  if (content->find(kCertificateMark) != std::string::npos) return {};
  return fmt::format("{}: holds no PEM certificate ({})", path, kCertificateMark);
}

std::string KeyObjection(const std::string& path) {
  auto content = base::ReadPrivateFile(path, kMaxKeyBytes);
  if (!content.ok()) return base::Message(content.status()) + Remedy(content.status());
  const bool is_key = content->find("-----BEGIN") != std::string::npos &&
                      content->find("PRIVATE KEY-----") != std::string::npos;
  base::Secret::Wipe(*content);
  return is_key ? std::string() : fmt::format("{}: holds no PEM private key", path);
}

}  // namespace

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
        CredentialObjection(policy.shared_store->password_file));
  }
  for (std::size_t i = 0; i < policy.credentials.size(); ++i) {
    const Credential& credential = policy.credentials[i];
    add(credential.line, fmt::format("credentials[{}].source.file", i),
        CredentialObjection(credential.file));
  }
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
  return mistakes;
}

}  // namespace exeat::policy
