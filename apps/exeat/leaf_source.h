// Answers Envoy's on-demand secret requests: a held leaf, a fresh one, or nothing.
//
// Fail mode: no policy, an unlisted or non-canonical name, an exhausted budget, an intent that
//            cannot be recorded: null, which Envoy is told as a removal at once.
// Threads:   safe concurrently.
// Source:    docs/walkthroughs/request.md, docs/adr/0010-delta-ads.md
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "issuer/issuer.h"
#include "issuer/leaf_book.h"
#include "limits/name_budget.h"
#include "operator/metrics.h"
#include "policy/policy.h"
#include "rpc/delta_stream.h"

namespace exeat {

class LeafSource {
 public:
  LeafSource(issuer::Issuer& issuer, ops::Metrics& metrics, const base::Clock& clock);

  // From now on these names may be minted. Returns the names whose leaf Envoy must give back.
  std::vector<std::string> Use(policy::PolicyPtr policy);

  rpc::VersionedPtr Find(const std::string& name);
  // Whether this session may open a tunnel to a host whose leaf may have to be minted first.
  bool AdmitAtConnect(std::string_view sid, std::string_view host);
  void Used(std::string_view host) { book_.Touch(host); }
  // The names that Envoy should be told about now: idle ones to give back, old ones to renew.
  std::vector<std::string> Sweep();
  std::size_t size() const { return book_.size(); }

 private:
  base::StatusOr<std::shared_ptr<const issuer::Leaf>> Mint(const std::string& name);

  issuer::Issuer& issuer_;
  ops::Metrics& metrics_;
  const base::Clock& clock_;
  base::Published<policy::PolicyPtr> policy_;
  issuer::LeafBook book_;
  limits::NameBudget budget_;
};

}  // namespace exeat
