// What Prometheus sees, one typed method a fact.
//
// Why here:   callers name facts, not label strings; the hot path finds its counter by index and
//             adds to it without a lock.
// Shapes:     Text is the Prometheus text format 0.0.4; every series exists from the start, at 0.
// Threads:    every method is safe concurrently.
// Source:     docs/metrics.md
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "authz/decision.h"
#include "authz/reason.h"
#include "base/status.h"
#include "operator/edge.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace exeat::ops {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A request was judged; nullopt: allowed.
  void Decided(authz::Leg leg, std::optional<authz::Reason> denial);
  // A redirected connection was refused before a byte of it went inward.
  void ConnectionRefused(authz::Reason reason);
  void CheckTook(std::chrono::nanoseconds duration);
  void MintTook(std::chrono::nanoseconds duration);    // one leaf, checked and signed
  void RevokeTook(std::chrono::nanoseconds duration);  // until durable, or known not to be

  void CutTook(std::chrono::nanoseconds duration);  // until the last stream of a cut had ended
  void StreamsCut(std::size_t ended, std::size_t still_open);

  void SetOpenStreams(std::size_t streams);
  void SetConnectionsUncut(std::size_t connections);
  void SetListed(std::size_t sessions);          // revoked, with a vetted tunnel
  void AllVettedCut();                           // because what they rely on was lost
  void SetCutMeans(std::uint32_t bits);          // as guardian::EnvoyStarted: 0 none
  void SetCutBound(std::chrono::seconds bound);  // as StreamEnding::bound
  void SetLeaves(std::size_t leaves);
  void SetEnvoyUp(bool up);
  void SetLiveSessions(std::size_t sessions);
  void SetDenylistEntries(std::size_t entries);
  void SetPolicyRevision(std::uint64_t revision);
  void Nacked();
  void Recorded();                            // an audit record was written
  void NotRecorded();                         // one could not be: something was refused for it
  void SetAudit(const base::Status& health);  // as audit::Log::Health
  void SetStore(const StoreStatus& store);

  std::string Text() const;

 private:
  static constexpr std::size_t kLegs = 3;
  static constexpr std::size_t kReasons =
      static_cast<std::size_t>(authz::Reason::kRequestMalformed) + 1;

  std::unique_ptr<prometheus::Registry> registry_;
  // [leg][0] counts what was allowed, [leg][1 + reason] what was denied.
  std::array<std::array<prometheus::Counter*, kReasons + 1>, kLegs> decisions_{};
  std::array<prometheus::Counter*, kReasons> refused_connections_{};
  prometheus::Histogram* check_ = nullptr;
  prometheus::Histogram* mint_ = nullptr;
  prometheus::Histogram* revoke_ = nullptr;
  prometheus::Histogram* cut_ = nullptr;
  prometheus::Counter* streams_cut_ = nullptr;
  prometheus::Counter* streams_uncut_ = nullptr;
  prometheus::Gauge* open_streams_ = nullptr;
  prometheus::Gauge* connections_uncut_ = nullptr;
  prometheus::Gauge* listed_ = nullptr;
  prometheus::Counter* all_vetted_cut_ = nullptr;
  prometheus::Gauge* cut_means_ = nullptr;
  prometheus::Gauge* cut_bound_ = nullptr;
  prometheus::Gauge* leaves_ = nullptr;
  prometheus::Gauge* envoy_up_ = nullptr;
  prometheus::Gauge* live_sessions_ = nullptr;
  prometheus::Gauge* denylist_ = nullptr;
  prometheus::Gauge* policy_revision_ = nullptr;
  prometheus::Counter* nacks_ = nullptr;
  prometheus::Counter* recorded_ = nullptr;
  prometheus::Counter* not_recorded_ = nullptr;
  prometheus::Gauge* audit_up_ = nullptr;
  prometheus::Gauge* audit_tampered_ = nullptr;
  prometheus::Gauge* store_up_ = nullptr;
  prometheus::Gauge* lease_ = nullptr;
  prometheus::Gauge* applied_ = nullptr;
  prometheus::Gauge* edges_ = nullptr;
};

}  // namespace exeat::ops
