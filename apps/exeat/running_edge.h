// The edge while it runs: the snapshot that decisions are made from, and what Envoy is given.
//
// Purpose:  joins policy, keys, denylist, addresses and credentials into one immutable snapshot and
//           one set of Envoy resources, and changes both together or not at all.
// Order:    a candidate is pushed and acknowledged before decisions are made from it; when Envoy
//           refuses, the former configuration, addresses and credentials are back before Publish
//           returns. A restriction that could not be acknowledged denies in Check until it is.
// Threads:  every method is safe concurrently; Publish and PublishKeys take turns.
// Source:   docs/walkthroughs/policy-apply.md
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "authz/decision.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "credentials/watch.h"
#include "envoy/build.h"
#include "envoy/credential_filters.h"
#include "envoy_start.h"
#include "guardian/link_message.h"
#include "leaf_source.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "operator/vetted_tunnels.h"
#include "resolver/resolver.h"
#include "revocation/denylist.h"
#include "rpc/ads_server.h"
#include "session/verifier.h"
#include "stream_cutter.h"

namespace exeat {

class RunningEdge final : public ops::Edge {
 public:
  // All of it outlives the edge.
  struct Parts {
    const envoy::Typing& typing;
    std::function<std::string()> jwks;  // what verifies
    const revocation::Denylist& denylist;
    LeafSource& leaves;
    EnvoyStart& envoy_start;
    StreamCutter& cutter;
    ops::Metrics& metrics;
    const base::Clock& clock;
    std::string ca_pem;
    policy::Listeners listeners;  // with the ports that port 0 was given
    std::string envoy_version;
    std::uint32_t max_live_sessions = 0;
    std::function<ops::StoreStatus()> store;
  };
  static base::StatusOr<std::unique_ptr<RunningEdge>> Make(Parts parts);
  ~RunningEdge() override;

  // The configuration that the first Envoy to connect is given.
  base::Status Begin(policy::PolicyPtr policy, std::uint64_t revision);

  rpc::AdsServer& ads() { return ads_; }
  std::shared_ptr<const authz::Snapshot> snapshot() const { return snapshot_.Get(); }
  // Gives back and renews leaves. Call a few times a second.
  void SweepLeaves();

  // Denies while Envoy is late with its list of revoked sessions or with a credential that was
  // withdrawn, and allows again once it has acknowledged what it was late with. Call a few times a
  // second.
  void ConfirmRestrictions();

  ops::VettedTunnels& vetted() { return vetted_; }
  const ops::VettedTunnels& vetted() const { return vetted_; }
  // What verifies here is another set than before; PublishKeys is still to tell Envoy.
  base::Status UseKeys();

  void EnvoyStarted(const guardian::EnvoyStarted& started);
  void ListeningAt(const std::map<std::string, std::string>& listeners, bool ready);

  authz::Snapshot Current() const override;
  base::Status Publish(policy::PolicyPtr candidate, std::uint64_t revision) override;
  base::Status PublishKeys() override;
  ops::EdgeStatus Status() const override;
  std::string CaCertificate() const override { return parts_.ca_pem; }
  void DenylistChanged() override;
  std::unique_ptr<ops::Cut> CutStreams(limits::Whose whose) override {
    return parts_.cutter.Begin(std::move(whose));
  }

 private:
  explicit RunningEdge(Parts parts);

  base::StatusOr<std::vector<envoy::Resource>> Resources(const policy::Policy& policy) const;
  base::StatusOr<std::shared_ptr<session::Verifier>> VerifierOf(const policy::Policy& policy) const;
  void Enforce(policy::PolicyPtr policy, std::uint64_t revision,
               std::shared_ptr<session::Verifier> verifier);
  policy::PolicyPtr Effective(const policy::Policy& policy) const;
  void Follow(const policy::PolicyPtr& policy);
  void AwaitAddresses();
  void SetRestrictionsInForce(bool in_force);
  base::Status PushRevoked(const std::vector<std::string>& sids);
  void Rebuild();
  void AddressesChanged(const std::string& host, const resolver::Addresses& addresses);
  void CredentialChanged(const policy::Credential& credential,
                         const credentials::Material& material, const base::Status& problem);

  const Parts parts_;
  rpc::AdsServer ads_;
  base::Published<std::shared_ptr<const authz::Snapshot>> snapshot_;

  ops::VettedTunnels vetted_;
  // When Envoy was last sent a restriction; zero: it has acknowledged it.
  std::atomic<base::BootTime> restricted_{base::BootTime{}};

  base::Mutex publishing_;  // one change of configuration at a time
  mutable base::Mutex mutex_;
  base::CondVar resolved_;
  policy::PolicyPtr policy_ GUARDED_BY(mutex_);    // in force, as in its file
  policy::PolicyPtr followed_ GUARDED_BY(mutex_);  // whose addresses and credentials are kept
  std::uint64_t revision_ GUARDED_BY(mutex_) = 0;
  std::shared_ptr<session::Verifier> verifier_ GUARDED_BY(mutex_);
  std::set<std::string> awaited_ GUARDED_BY(mutex_);  // hosts that never had an answer yet
  std::set<std::string> unavailable_ GUARDED_BY(mutex_);
  std::set<std::string> denied_hosts_ GUARDED_BY(mutex_);
  bool restrictions_in_force_ GUARDED_BY(mutex_) = false;
  ops::EdgeStatus status_ GUARDED_BY(mutex_);

  // Last: their threads call back into the above.
  std::unique_ptr<resolver::Resolver> resolver_;
  std::unique_ptr<credentials::Watch> watch_;
};

}  // namespace exeat
