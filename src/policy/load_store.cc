#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "policy/reader.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

constexpr std::string_view kForm = "postgresql://USER@HOST/DATABASE";
constexpr std::array<std::string_view, 7> kParameters = {
    "host", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey"};
constexpr std::string_view kHasPassword =
    "holds a password: put it into a file of its own, mode 0600, and write "
    "store: {url: ..., password_file: PATH}";

// The part of `text` before `mark`, which goes from it together with the mark.
std::string_view TakeUpTo(std::string_view& text, char mark) {
  const std::string_view part = text.substr(0, text.find(mark));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

// What is wrong with a URL, without a part of it: the mistake may be a password. Empty: nothing.
std::string Objection(std::string_view url) {
  for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
    if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  }
  std::string_view query = url;
  std::string_view path = TakeUpTo(query, '?');
  std::string_view authority = TakeUpTo(path, '/');
  const std::size_t at = authority.rfind('@');
  const std::string_view user = at == authority.npos ? "" : authority.substr(0, at);
  if (user.find(':') != user.npos) return std::string(kHasPassword);
  bool names_user = !user.empty();
  while (!query.empty()) {
    std::string_view value = TakeUpTo(query, '&');
    const std::string_view key = TakeUpTo(value, '=');
    if (key == "password") return std::string(kHasPassword);
    if (std::find(kParameters.begin(), kParameters.end(), key) == kParameters.end()) {
      return fmt::format("has a parameter that is none of: {}", fmt::join(kParameters, ", "));
    }
    names_user = names_user || (key == "user" && !value.empty());
  }
  if (!names_user) return fmt::format("names no user: write {}", kForm);
  if (path.empty()) return fmt::format("names no database: write {}", kForm);
  return {};
}

bool IsUrl(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

}  // namespace

// A rejected value is not printed: a database's address may hold its password.
std::optional<SharedStore> ReadStore(Reader& reader, const Located& root) {
  const auto at = reader.Get(root, "store");
  if (!at) return std::nullopt;
  const bool is_map = at->node->kind == Node::Kind::kMap;
  std::optional<Located> url_at = at;
  SharedStore store;
  if (is_map) {
    if (!reader.Map(*at, "store")) return std::nullopt;
    if (const auto file = reader.Get(*at, "password_file")) {
      store.password_file = reader.FilePath(*file).value_or("");
      store.password_line = file->line();
    }
    url_at = reader.Require(*at, "url", kForm);
    if (!url_at) return std::nullopt;
  }
  const auto text = reader.Text(*url_at);
  if (!text || (!is_map && *text == "sqlite")) return std::nullopt;
  if (!IsUrl(*text)) {
    reader.Add(*url_at, is_map ? fmt::format("expected {}", kForm)
                               : fmt::format("expected sqlite, {}, or {{url: {}, "
                                             "password_file: PATH}}",
                                             kForm, kForm));
    return std::nullopt;
  }
  if (std::string objection = Objection(*text); !objection.empty()) {
    reader.Add(*url_at, std::move(objection));
    return std::nullopt;
  }
  store.url = *text;
  return store;
}

}  // namespace exeat::policy
