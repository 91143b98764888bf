// P14's and the start-up's store: a database with a given number of revoked sessions.
//
//   revoked_store DATABASE COUNT
//
// The ids are revoked-00000000000000 and on. The directory must be private, as a state directory
// is.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "fmt/format.h"
#include "store/store.h"

namespace exeat::bench {
namespace {

constexpr std::int64_t kLifetimeS = 86'400;

base::Status Fill(const std::string& database, std::size_t count) {
  ASSIGN_OR_RETURN(const auto store, store::OpenSqlite(database));
  const base::UnixSeconds now = base::SystemClock().UnixNow();
  std::vector<store::RevocationRow> rows;
  rows.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    store::RevocationRow& row = rows.emplace_back();
    row.kind = store::RevokedKind::kSession;
    row.id = fmt::format("revoked-{:014}", i);
    row.reason = "benchmark";
    row.revoked_at = now;
    row.expires_at = now + kLifetimeS;
  }
  if (rows.empty()) return absl::OkStatus();
  return store->PutRevocations(rows).status();
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s DATABASE COUNT\n", argv[0]);
    return 2;
  }
  const exeat::base::Status filled =
      exeat::bench::Fill(argv[1], std::strtoull(argv[2], nullptr, 10));
  if (filled.ok()) return 0;
  fmt::print(stderr, "revoked_store: {}\n", exeat::base::Message(filled));
  return 1;
}
