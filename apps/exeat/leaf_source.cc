#include "leaf_source.h"

#include <utility>

#include "base/log.h"
#include "envoy/build.h"

namespace exeat {
namespace {

constexpr std::size_t kMaxNameBytes = 253;

}  // namespace

LeafSource::LeafSource(issuer::Issuer& issuer, ops::Metrics& metrics, Refused refused,
                       const base::Clock& clock)
    : issuer_(issuer),
      metrics_(metrics),
      clock_(clock),
      book_(issuer::LeafBook::Options(), clock),
      budget_(limits::NameBudget::Options(), clock),
      refused_(std::move(refused)),
      refusals_(kMaxRefusalsPerMinute, clock.BootNow()) {}

void LeafSource::ReportRefusal(const std::string& name, const base::Status& why) {
  std::uint64_t unreported = 0;
  {
    base::MutexLock lock(refusals_mutex_);
    if (!refusals_.Take(clock_.BootNow())) {
      ++unreported_;
      return;
    }
    unreported = std::exchange(unreported_, 0);
  }
  base::LogInfo("a leaf was refused", {{"name", name.substr(0, kMaxNameBytes)},
                                       {"why", base::Message(why)},
                                       {"unreported", std::to_string(unreported)}});
  refused_(std::string_view(name).substr(0, kMaxNameBytes), unreported);
}

std::vector<std::string> LeafSource::Use(policy::PolicyPtr policy) {
  policy_.Set(policy);
  std::vector<std::string> gone;
  for (const std::string& name : book_.Names()) {
    if (issuer::CheckLeaf(name, *policy).ok()) continue;
    book_.Forget(name);
    gone.push_back(name);
  }
  return gone;
}

base::StatusOr<std::shared_ptr<const issuer::Leaf>> LeafSource::Mint(const std::string& name) {
  const policy::PolicyPtr policy = policy_.Get();
  if (policy == nullptr) {
    return base::MakeStatus(base::StatusCode::kUnavailable, "no policy is in force yet");
  }
  ASSIGN_OR_RETURN(issuer::CheckedLeaf checked, issuer::CheckLeaf(name, *policy));
  // A leaf that is renewed costs Envoy nothing new.
  if (!book_.Contains(name) && !budget_.AdmitMint(name)) {
    return base::MakeStatus(base::StatusCode::kResourceExhausted, "too many new names");
  }
  const base::BootTime started = clock_.BootNow();
  ASSIGN_OR_RETURN(issuer::Leaf leaf, issuer_.Sign(std::move(checked)));
  metrics_.MintTook(clock_.BootNow() - started);
  auto held = std::make_shared<const issuer::Leaf>(std::move(leaf));
  book_.Insert(held);
  metrics_.SetLeaves(book_.size());
  return held;
}

rpc::VersionedPtr LeafSource::Find(const std::string& name) {
  // Envoy also asks here for a credential that was taken away.
  if (name.find(':') != std::string::npos) return nullptr;
  std::shared_ptr<const issuer::Leaf> leaf = book_.Find(name);
  if (leaf == nullptr) {
    auto minted = Mint(name);
    if (!minted.ok()) {
      book_.Forget(name);
      ReportRefusal(name, minted.status());
      return nullptr;
    }
    leaf = *std::move(minted);
  }
  auto secret = envoy::BuildKeyPair(leaf->name, leaf->chain_pem, leaf->key_pem->Reveal());
  if (!secret.ok()) {
    base::LogError("a leaf could not be put on the wire", {{"name", name}});
    return nullptr;
  }
  return std::make_shared<rpc::Versioned>(
      rpc::Versioned{leaf->serial_hex, std::move(secret->value)});
}

bool LeafSource::AdmitAtConnect(std::string_view sid, std::string_view host) {
  return book_.Contains(host) || budget_.AdmitAtConnect(sid, host);
}

bool LeafSource::AdmitFrom(const base::SocketEnd& source, std::string_view host) {
  return book_.Contains(host) || budget_.AdmitFrom(source, host);
}

std::vector<std::string> LeafSource::Sweep() {
  std::vector<std::string> names = book_.TakeIdle();
  for (std::string& name : book_.DueForRenewal()) names.push_back(std::move(name));
  metrics_.SetLeaves(book_.size());
  return names;
}

}  // namespace exeat
