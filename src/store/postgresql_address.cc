#include "store/postgresql_address.h"

#include <libpq-fe.h>

#include <array>
#include <map>
#include <memory>
#include <string_view>

#include "fmt/format.h"

namespace exeat::store {
namespace {

using base::MakeStatus;
using base::Status;
using base::StatusCode;

constexpr char kDefaultSocketDirectory[] = "/var/run/postgresql";
constexpr char kDefaultPort[] = "5432";
constexpr char kSystemAuthorities[] = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::array<std::string_view, 8> kAllowed = {
    "user", "host", "port", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"};
// `allow` and `prefer` encrypt by chance.
constexpr std::array<std::string_view, 4> kModes = {"disable", "require", "verify-ca",
                                                    "verify-full"};

Status Refuse(std::string_view message) {
  return MakeStatus(StatusCode::kInvalidArgument, fmt::format("the store's URL {}", message));
}

template <class Words>
bool Contains(const Words& words, std::string_view word) {
  for (const std::string_view one : words) {
    if (one == word) return true;
  }
  return false;
}

bool IsLocal(std::string_view host) {
  if (host.starts_with('/') || host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

// Several hosts may stand with commas between them; the weakest rule holds only for all of them.
bool AllLocal(std::string_view hosts) {
  while (true) {
    const std::size_t comma = hosts.find(',');
    if (!IsLocal(hosts.substr(0, comma))) return false;
    if (comma == hosts.npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

base::StatusOr<std::map<std::string, std::string>> Fields(const std::string& url) {
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return Refuse("must be written like postgresql://USER@HOST/DATABASE");
  }
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(url.c_str(), &message), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> message_holder(message, &PQfreemem);
  if (parsed == nullptr) return Refuse("cannot be read; write postgresql://USER@HOST/DATABASE");
  std::map<std::string, std::string> fields;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || *option->val == '\0') continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "password") {
      return Refuse("holds a password; put it into a file of its own: password_file");
    }
    if (!Contains(kAllowed, keyword)) {
      return Refuse(
          fmt::format("has the parameter {}; there may stand: sslmode, sslrootcert, "
                      "sslcert, sslkey, host, port, user",
                      keyword));
    }
    fields.emplace(keyword, option->val);
  }
  return fields;
}

}  // namespace

base::StatusOr<PostgresqlAddress> ParsePostgresqlUrl(const std::string& url) {
  ASSIGN_OR_RETURN(auto fields, Fields(url));
  if (!fields.contains("user")) return Refuse("names no user: postgresql://USER@HOST/DATABASE");
  if (!fields.contains("dbname")) {
    return Refuse("names no database: postgresql://USER@HOST/DATABASE");
  }
  fields.emplace("host", kDefaultSocketDirectory);
  fields.emplace("port", kDefaultPort);
  fields.emplace("sslmode", AllLocal(fields["host"]) ? "disable" : "verify-full");
  if (!Contains(kModes, fields["sslmode"])) {
    return Refuse(fmt::format("has an sslmode that is none of: {}, {}, {}, {}", kModes[0],
                              kModes[1], kModes[2], kModes[3]));
  }
  fields.emplace("sslrootcert", kSystemAuthorities);
  PostgresqlAddress address;
  address.shown =
      fmt::format("postgresql {}:{}/{}", fields["host"], fields["port"], fields["dbname"]);
  address.parameters.assign(fields.begin(), fields.end());
  return address;
}

}  // namespace exeat::store
