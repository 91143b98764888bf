#include "operator/shared_keys.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/log.h"
#include "nlohmann/json.hpp"
#include "operator/revocations.h"
#include "session/jwk_set.h"

namespace exeat::ops {
namespace {

using nlohmann::json;

// A key of an edge that is gone verifies until its last token has ended, and somewhat longer.
constexpr std::chrono::seconds kKept = 3 * kLongestToken;
constexpr std::chrono::seconds kPutAgainBefore = 2 * kLongestToken;
constexpr std::size_t kMaxKeys = 64;  // of one document

std::string Document(const std::map<std::string, std::string>& keys) {
  std::string text;
  for (const auto& [kid, jwk] : keys) text += (text.empty() ? "" : ",") + jwk;
  return R"({"keys":[)" + text + "]}";
}

bool Verifies(const store::PublicKeyRow& row) {
  const auto set = session::JwkSet::Parse(Document({{row.kid, row.jwk}}));
  return set.ok() && set->Find(row.kid) != nullptr;
}

}  // namespace

SharedKeys::Jwk SharedKeys::Own() const {
  Jwk own;
  const json document = json::parse(parts_.own.Jwks(), nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("keys")) return own;
  for (const json& jwk : document["keys"]) own[jwk.value("kid", "")] = jwk.dump();
  return own;
}

std::string SharedKeys::Jwks() const {
  const Jwk own = Own();
  Jwk keys = own;
  const base::UnixSeconds now = parts_.clock.UnixNow();
  base::MutexLock lock(mutex_);
  for (const auto& [kid, row] : known_) {
    if (keys.size() < kMaxKeys && row.expires_at > now) keys.emplace(kid, row.jwk);
  }
  // One that this edge has withdrawn may still stand in the store.
  for (const std::string& kid : Withdrawn(own)) keys.erase(kid);
  return Document(keys);
}

std::vector<store::PublicKeyRow> SharedKeys::Due(const Jwk& own, base::UnixSeconds now) const {
  std::vector<store::PublicKeyRow> due;
  for (const auto& [kid, jwk] : own) {
    const auto shared = shared_.find(kid);
    const bool lasts = shared != shared_.end() && known_.contains(kid) &&
                       shared->second > now + kPutAgainBefore.count();
    if (!lasts) due.push_back({kid, jwk, now + kKept.count()});
  }
  return due;
}

std::vector<std::string> SharedKeys::Withdrawn(const Jwk& own) const {
  std::vector<std::string> kids;
  for (const auto& [kid, until] : shared_) {
    if (!own.contains(kid)) kids.push_back(kid);
  }
  return kids;
}

bool SharedKeys::IsShared() const {
  const Jwk own = Own();
  base::MutexLock lock(mutex_);
  return Due(own, parts_.clock.UnixNow()).empty() && Withdrawn(own).empty();
}

base::Status SharedKeys::Share() {
  base::MutexLock one_at_a_time(sharing_);
  const Jwk own = Own();
  std::vector<store::PublicKeyRow> due;
  std::vector<std::string> withdrawn;
  {
    base::MutexLock lock(mutex_);
    due = Due(own, parts_.clock.UnixNow());
    withdrawn = Withdrawn(own);
  }
  if (due.empty() && withdrawn.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::uint64_t seq,
                   parts_.store_worker.Call([&]() -> base::StatusOr<std::uint64_t> {
                     std::uint64_t last = 0;
                     if (!due.empty()) {
                       ASSIGN_OR_RETURN(last, parts_.store.PutPublicKeys(due));
                     }
                     if (withdrawn.empty()) return last;
                     return parts_.store.DeletePublicKeys(withdrawn);
                   }));
  RETURN_IF_ERROR(base::Annotate(parts_.edges.Await(seq).status(), "sharing the signing keys"));
  base::MutexLock lock(mutex_);
  for (const store::PublicKeyRow& row : due) {
    shared_[row.kid] = row.expires_at;
    known_[row.kid] = row;
  }
  for (const std::string& kid : withdrawn) {
    shared_.erase(kid);
    known_.erase(kid);
  }
  return absl::OkStatus();
}

void SharedKeys::Put(const store::PublicKeyRow& row) {
  if (Verifies(row)) {
    known_[row.kid] = row;
  } else {
    known_.erase(row.kid);
    base::LogError("a shared key is none and verifies nothing", {{"kid", row.kid}});
  }
}

bool SharedKeys::Replace(const std::vector<store::PublicKeyRow>& rows) {
  const std::string before = Jwks();
  {
    base::MutexLock lock(mutex_);
    known_.clear();
    for (const store::PublicKeyRow& row : rows) Put(row);
  }
  return Jwks() != before;
}

bool SharedKeys::Follow(const std::vector<store::Change>& changes) {
  const auto is_key = [](const store::Change& change) {
    return std::holds_alternative<store::PublicKeyPut>(change.what) ||
           std::holds_alternative<store::PublicKeyDeleted>(change.what);
  };
  if (std::none_of(changes.begin(), changes.end(), is_key)) return false;
  const std::string before = Jwks();
  {
    base::MutexLock lock(mutex_);
    for (const store::Change& change : changes) {
      if (const auto* put = std::get_if<store::PublicKeyPut>(&change.what)) Put(put->row);
      if (const auto* gone = std::get_if<store::PublicKeyDeleted>(&change.what)) {
        known_.erase(gone->kid);
      }
    }
  }
  return Jwks() != before;
}

}  // namespace exeat::ops
