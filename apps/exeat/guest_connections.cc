#include "guest_connections.h"

namespace exeat {
namespace {

auto TellOf(StreamCutter& cutter) {
  return [&cutter](const rpc::Connection& connection, std::string_view peer) {
    cutter.Connected(connection.local, connection.remote, peer);
  };
}

}  // namespace

std::unique_ptr<rpc::ConnectionCheck> CheckGuestConnections(RunningEdge& edge, LeafSource& leaves,
                                                            StreamCutter& cutter,
                                                            ops::Recorder& recorder,
                                                            ops::Metrics& metrics) {
  return std::make_unique<rpc::ConnectionCheck>(rpc::ConnectionCheck::Hooks{
      .snapshot = [&edge] { return edge.snapshot(); },
      .record = [&recorder](const audit::Event& event) { return recorder.Record(event); },
      .admit_name = [&leaves](const base::SocketEnd& source,
                              std::string_view host) { return leaves.AdmitFrom(source, host); },
      .connected = TellOf(cutter),
      .refused = [&metrics](authz::Reason reason) { metrics.ConnectionRefused(reason); }});
}

std::unique_ptr<rpc::AuthzServer> CheckGuestRequests(RunningEdge& edge, LeafSource& leaves,
                                                     StreamCutter& cutter, ops::Recorder& recorder,
                                                     ops::Metrics& metrics,
                                                     const revocation::Lease* lease,
                                                     const base::Clock& clock) {
  return std::make_unique<rpc::AuthzServer>(
      rpc::AuthzServer::Hooks{
          .snapshot = [&edge] { return edge.snapshot(); },
          .record = [&recorder](const audit::Event& event) { return recorder.Record(event); },
          .admit_name = [&leaves](
                            std::string_view sid,
                            std::string_view host) { return leaves.AdmitAtConnect(sid, host); },
          .observe =
              [&metrics](authz::Leg leg, const authz::Verdict& verdict,
                         std::chrono::nanoseconds took) {
                metrics.Decided(leg,
                                verdict.allowed ? std::nullopt : std::optional(verdict.reason));
                metrics.CheckTook(took);
              },
          .connected = TellOf(cutter),
          .begin =
              [&cutter](std::string_view peer, std::string_view id, limits::OpenStream stream) {
                return cutter.Open(peer, id, std::move(stream));
              },
          .may_vet = [&edge] { return edge.vetted().MayVet(); },
          .end = [&cutter](std::string_view id) { cutter.streams().End(id); },
          .lease = lease},
      clock);
}

}  // namespace exeat
