#include "operator/metrics.h"

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace exeat::ops {
namespace {

const char* LegName(std::size_t leg) {
  switch (static_cast<authz::Leg>(leg)) {
    case authz::Leg::kConnect:
      return "connect";
    case authz::Leg::kTunnel:
      return "tunnel";
    case authz::Leg::kTransparent:
      return "transparent";
  }
  return "unknown";
}

prometheus::Counter* AddCounter(prometheus::Registry& registry, const char* name,
                                const char* help) {
  return &prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Gauge* AddGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Histogram* AddHistogram(prometheus::Registry& registry, const char* name,
                                    const char* help) {
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(
      {}, prometheus::Histogram::BucketBoundaries{0.00001, 0.000025, 0.00005, 0.0001, 0.00025,
                                                  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                  0.1, 0.25, 0.5, 1.0});
}

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Metrics::Metrics() : registry_(std::make_unique<prometheus::Registry>()) {
  auto& family = prometheus::BuildCounter()
                     .Name("exeat_decisions_total")
                     .Help("Requests judged, by leg and denial code; reason=\"allowed\" left.")
                     .Register(*registry_);
  for (std::size_t leg = 0; leg < kLegs; ++leg) {
    decisions_[leg][0] = &family.Add({{"leg", LegName(leg)}, {"reason", "allowed"}});
    for (std::size_t reason = 0; reason < kReasons; ++reason) {
      decisions_[leg][reason + 1] =
          &family.Add({{"leg", LegName(leg)},
                       {"reason", std::string(authz::Code(static_cast<authz::Reason>(reason)))}});
    }
  }
  auto& refused = prometheus::BuildCounter()
                      .Name("exeat_connections_refused_total")
                      .Help("Redirected connections refused before any byte went inward.")
                      .Register(*registry_);
  for (const authz::Reason reason :
       {authz::Reason::kAuthzUnavailable, authz::Reason::kDestinationNotAllowed,
        authz::Reason::kPostureDenyAll, authz::Reason::kRateLimited}) {
    refused_connections_.at(static_cast<std::size_t>(reason)) =
        &refused.Add({{"reason", std::string(authz::Code(reason))}});
  }
  check_ = AddHistogram(*registry_, "exeat_check_seconds", "Time to judge one request.");
  mint_ = AddHistogram(*registry_, "exeat_leaf_mint_seconds", "Time to check and sign one leaf.");
  revoke_ = AddHistogram(*registry_, "exeat_revoke_seconds",
                         "Time from a revoke's arrival until it is in force and durable.");
  cut_ = AddHistogram(*registry_, "exeat_stream_cut_seconds",
                      "Time until the last stream of a cut had ended.");
  streams_cut_ = AddCounter(*registry_, "exeat_streams_cut_total",
                            "Open streams ended because their right had ended.");
  streams_uncut_ = AddCounter(*registry_, "exeat_streams_uncut_total",
                              "Streams that were not seen to end within the wait of their cut.");
  listed_ = AddGauge(*registry_, "exeat_vetted_sessions_listed",
                     "Revoked sessions that Envoy refuses by itself while their tunnels end.");
  all_vetted_cut_ = AddCounter(*registry_, "exeat_vetted_cut_all_total",
                               "Times all vetted tunnels were cut, what they rely on being lost.");
  open_streams_ = AddGauge(*registry_, "exeat_open_streams", "Tunnels and requests that are open.");
  connections_uncut_ =
      AddGauge(*registry_, "exeat_connections_uncut",
               "Connections that should have ended and are still open; cut again every second.");
  cut_means_ = AddGauge(*registry_, "exeat_stream_cut_means",
                        "How open streams can be cut: 0 not at all, 1 SOCK_DESTROY, 2 "
                        "pidfd_getfd, 3 both.");
  cut_bound_ = AddGauge(*registry_, "exeat_cut_bound_seconds",
                        "How long a revoked stream may go on where none is cut; 0 where they are.");
  leaves_ = AddGauge(*registry_, "exeat_leaves_cached", "Leaves that Envoy holds.");
  envoy_up_ = AddGauge(*registry_, "exeat_envoy_up", "1 while Envoy is connected and configured.");
  live_sessions_ = AddGauge(*registry_, "exeat_live_sessions", "Sessions that have not ended.");
  denylist_ = AddGauge(*registry_, "exeat_denylist_entries", "Revocations in force.");
  policy_revision_ = AddGauge(*registry_, "exeat_policy_revision", "The policy revision in force.");
  nacks_ = AddCounter(*registry_, "exeat_xds_nacks_total", "Configurations that Envoy refused.");
  recorded_ = AddCounter(*registry_, "exeat_audit_records_total", "Audit records written.");
  not_recorded_ = AddCounter(*registry_, "exeat_audit_failures_total",
                             "Audit records that could not be written.");
  audit_up_ = AddGauge(*registry_, "exeat_audit_up", "1 while audit records can be written.");
  audit_tampered_ = AddGauge(*registry_, "exeat_audit_tampered",
                             "1 once the audit log's file was changed underneath.");
  store_up_ = AddGauge(*registry_, "exeat_store_up",
                       "1 while the shared store answers, and where there is none.");
  lease_ = AddGauge(*registry_, "exeat_lease_seconds",
                    "What is left of the lease of the shared store; -1 where there is none.");
  applied_ = AddGauge(*registry_, "exeat_store_applied_seq",
                      "The newest change of the shared store that is in force.");
  edges_ = AddGauge(*registry_, "exeat_edges", "Edges that hold a lease of the shared store.");
}

Metrics::~Metrics() = default;

void Metrics::Decided(authz::Leg leg, std::optional<authz::Reason> denial) {
  const std::size_t column = denial ? static_cast<std::size_t>(*denial) + 1 : 0;
  decisions_.at(static_cast<std::size_t>(leg)).at(column)->Increment();
}

void Metrics::ConnectionRefused(authz::Reason reason) {
  prometheus::Counter* counter = refused_connections_.at(static_cast<std::size_t>(reason));
  if (counter != nullptr) counter->Increment();
}

void Metrics::CheckTook(std::chrono::nanoseconds duration) { check_->Observe(Seconds(duration)); }
void Metrics::MintTook(std::chrono::nanoseconds duration) { mint_->Observe(Seconds(duration)); }
void Metrics::RevokeTook(std::chrono::nanoseconds duration) { revoke_->Observe(Seconds(duration)); }
void Metrics::CutTook(std::chrono::nanoseconds duration) { cut_->Observe(Seconds(duration)); }

void Metrics::StreamsCut(std::size_t ended, std::size_t still_open) {
  streams_cut_->Increment(static_cast<double>(ended));
  streams_uncut_->Increment(static_cast<double>(still_open));
}

void Metrics::SetListed(std::size_t sessions) { listed_->Set(static_cast<double>(sessions)); }

void Metrics::AllVettedCut() { all_vetted_cut_->Increment(); }

void Metrics::SetOpenStreams(std::size_t streams) {
  open_streams_->Set(static_cast<double>(streams));
}

void Metrics::SetConnectionsUncut(std::size_t connections) {
  connections_uncut_->Set(static_cast<double>(connections));
}

void Metrics::SetCutBound(std::chrono::seconds bound) {
  cut_bound_->Set(static_cast<double>(bound.count()));
}

void Metrics::SetCutMeans(std::uint32_t bits) { cut_means_->Set(static_cast<double>(bits)); }

void Metrics::SetLeaves(std::size_t leaves) { leaves_->Set(static_cast<double>(leaves)); }
void Metrics::SetEnvoyUp(bool up) { envoy_up_->Set(up ? 1 : 0); }
void Metrics::SetLiveSessions(std::size_t sessions) {
  live_sessions_->Set(static_cast<double>(sessions));
}
void Metrics::SetDenylistEntries(std::size_t entries) {
  denylist_->Set(static_cast<double>(entries));
}
void Metrics::SetPolicyRevision(std::uint64_t revision) {
  policy_revision_->Set(static_cast<double>(revision));
}
void Metrics::Nacked() { nacks_->Increment(); }
void Metrics::Recorded() { recorded_->Increment(); }
void Metrics::NotRecorded() { not_recorded_->Increment(); }
void Metrics::SetAudit(const base::Status& health) {
  audit_up_->Set(health.ok() ? 1 : 0);
  audit_tampered_->Set(health.code() == base::StatusCode::kDataLoss ? 1 : 0);
}

void Metrics::SetStore(const StoreStatus& store) {
  store_up_->Set(!store.shared || store.up.ok() ? 1 : 0);
  lease_->Set(store.shared ? Seconds(store.lease) : -1);
  applied_->Set(static_cast<double>(store.applied));
  edges_->Set(static_cast<double>(store.edges));
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace exeat::ops
