#include "policy/host_name.h"

#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxHostBytes = 253;
constexpr std::size_t kMaxLabelBytes = 63;
// What a person may write for a name of 253 bytes: every label of it in UTF-8.
constexpr std::size_t kMaxInputBytes = 1024;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// 1 to 63 letters, digits and '-', the last neither first nor last.
bool IsLabel(std::string_view label) {
  if (label.empty() || label.size() > kMaxLabelBytes) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || c == '-'; });
}

// What a URL parser would read as the last part of an IPv4 address: 7, 08, 0x7f, 0x.
bool IsNumber(std::string_view label) {
  if (std::all_of(label.begin(), label.end(), IsDigit)) return true;
  if (!label.starts_with("0x")) return false;
  label.remove_prefix(2);
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

bool IsLdhName(std::string_view name) {
  if (name.empty() || name.size() > kMaxHostBytes) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!IsLabel(label)) return false;
    if (dot == std::string_view::npos) return !IsNumber(label);
    name.remove_prefix(dot + 1);
  }
}

bool HasALabel(std::string_view lower) {
  return lower.starts_with("xn--") || lower.find(".xn--") != std::string_view::npos;
}

struct Idn2Free {
  void operator()(std::uint8_t* text) const { idn2_free(text); }
};

std::optional<std::string> ToALabels(const std::string& name) {
  std::uint8_t* raw = nullptr;
  // Not IDN2_USE_STD3_ASCII_RULES: it drops what it forbids, and a full-width "user@host" would
  // become the host "userhost". Without it the '@' comes back and IsLdhName refuses it.
  const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
  const int result =
      idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(name.c_str()), &raw, flags);
  const std::unique_ptr<std::uint8_t, Idn2Free> owned(raw);
  if (result != IDN2_OK || raw == nullptr) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(raw));
}

// Second labels that mean "a registry's own sub-zone" under a two-letter country code.
constexpr std::array kRegistryLabels = {"ac",  "co",  "com", "edu", "gob", "gouv", "gov", "go",
                                        "ltd", "me",  "mil", "ne",  "net", "nhs",  "nom", "or",
                                        "org", "plc", "sch", "in",  "id",  "asn",  "ad",  "gr"};

// Domains whose direct children belong to different people.
constexpr std::array kSharedDomains = {"amazonaws.com",   "appspot.com",   "azurewebsites.net",
                                       "blogspot.com",    "cloudapp.net",  "cloudfront.net",
                                       "firebaseapp.com", "fly.dev",       "github.io",
                                       "gitlab.io",       "herokuapp.com", "hf.space",
                                       "netlify.app",     "ngrok.app",     "ngrok.io",
                                       "onrender.com",    "pages.dev",     "railway.app",
                                       "readthedocs.io",  "repl.co",       "run.app",
                                       "r2.dev",          "surge.sh",      "vercel.app",
                                       "web.app",         "windows.net",   "workers.dev",
                                       "azure.com",       "supabase.co",   "trafficmanager.net"};

bool IsSuffixOfTwoLabels(std::string_view two_labels) {
  if (std::find(kSharedDomains.begin(), kSharedDomains.end(), two_labels) != kSharedDomains.end()) {
    return true;
  }
  const std::size_t dot = two_labels.find('.');
  if (two_labels.size() - dot - 1 != 2) return false;
  return std::find(kRegistryLabels.begin(), kRegistryLabels.end(), two_labels.substr(0, dot)) !=
         kRegistryLabels.end();
}

// The last `count` labels, or the whole name when it has fewer.
std::string_view LastLabels(std::string_view name, int count) {
  std::size_t start = name.size();
  for (; count > 0; --count) {
    const std::size_t dot = start == 0 ? std::string_view::npos : name.rfind('.', start - 1);
    if (dot == std::string_view::npos) return name;
    start = dot;
  }
  return name.substr(start + 1);
}

}  // namespace

std::optional<std::string> NormaliseHost(std::string_view name) {
  if (name.empty() || name.size() > kMaxInputBytes) return std::nullopt;
  // Nearly every name a guest sends: nothing to change.
  if (IsLdhName(name) && !HasALabel(name)) return std::string(name);
  std::string lower = LowerAscii(name);
  // A NUL would end the text for libidn2 before it ends for us.
  if (lower.find('\0') != std::string::npos) return std::nullopt;
  if (!IsAscii(lower) || HasALabel(lower)) {
    auto mapped = ToALabels(lower);
    if (!mapped) return std::nullopt;
    lower = *std::move(mapped);
  }
  if (lower.ends_with('.')) lower.pop_back();
  if (!IsLdhName(lower)) return std::nullopt;
  return lower;
}

bool IsCanonicalHost(std::string_view name) {
  if (!IsLdhName(name)) return false;
  return !HasALabel(name) || NormaliseHost(name) == name;
}

std::optional<Authority> ParseAuthority(std::string_view text, std::uint16_t default_port) {
  const std::size_t colon = text.find(':');
  auto host = NormaliseHost(text.substr(0, colon));
  if (!host) return std::nullopt;
  if (colon == std::string_view::npos) {
    if (default_port == 0) return std::nullopt;
    return Authority{*std::move(host), default_port};
  }
  const std::string_view digits = text.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits[0] == '0') return std::nullopt;
  unsigned port = 0;
  for (const char c : digits) {
    if (!IsDigit(c)) return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port > 65535) return std::nullopt;
  return Authority{*std::move(host), static_cast<std::uint16_t>(port)};
}

std::string RegistrableDomain(std::string_view canonical_host) {
  const std::string_view two = LastLabels(canonical_host, 2);
  const bool has_two = two.find('.') != std::string_view::npos;
  if (has_two && IsSuffixOfTwoLabels(two)) return std::string(LastLabels(canonical_host, 3));
  return std::string(two);
}

}  // namespace exeat::policy
