// Answers Envoy's on-demand secret requests: a held leaf, a fresh one, or nothing.
//
// Fail mode: no policy, an unlisted or non-canonical name, an exhausted budget, an intent that
//            cannot be recorded: null, which Envoy is told as a removal at once.
// Threads:   safe concurrently.
// Source:    docs/walkthroughs/request.md, docs/adr/0010-delta-ads.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/socket_id.h"
#include "issuer/issuer.h"
#include "issuer/leaf_book.h"
#include "limits/name_budget.h"
#include "limits/token_bucket.h"
#include "operator/metrics.h"
#include "policy/policy.h"
#include "rpc/delta_stream.h"

namespace exeat {

inline constexpr double kMaxRefusalsPerMinute = 120;

class LeafSource {
 public:
  // `refused` is called with a name that got no leaf, `kMaxRefusalsPerMinute` times a minute at
  // most, and how many were refused unreported since the call before: anybody can bring these.
  using Refused = std::function<void(std::string_view name, std::uint64_t unreported)>;
  LeafSource(issuer::Issuer& issuer, ops::Metrics& metrics, Refused refused,
             const base::Clock& clock);

  // From now on these names may be minted. Returns the names whose leaf Envoy must give back.
  std::vector<std::string> Use(policy::PolicyPtr policy);

  rpc::VersionedPtr Find(const std::string& name);
  // Whether this session may open a tunnel to a host whose leaf may have to be minted first.
  bool AdmitAtConnect(std::string_view sid, std::string_view host);
  // The same of a connection from this source.
  bool AdmitFrom(const base::SocketEnd& source, std::string_view host);
  void Used(std::string_view host) { book_.Touch(host); }
  // The names that Envoy should be told about now: idle ones to give back, old ones to renew.
  std::vector<std::string> Sweep();
  std::size_t size() const { return book_.size(); }

 private:
  base::StatusOr<std::shared_ptr<const issuer::Leaf>> Mint(const std::string& name);
  void ReportRefusal(const std::string& name, const base::Status& why);

  issuer::Issuer& issuer_;
  ops::Metrics& metrics_;
  const base::Clock& clock_;
  base::Published<policy::PolicyPtr> policy_;
  issuer::LeafBook book_;
  limits::NameBudget budget_;
  const Refused refused_;
  base::Mutex refusals_mutex_;
  limits::TokenBucket refusals_ GUARDED_BY(refusals_mutex_);
  std::uint64_t unreported_ GUARDED_BY(refusals_mutex_) = 0;
};

}  // namespace exeat
