#include "guest_connections.h"

namespace exeat {

std::unique_ptr<rpc::ConnectionCheck> CheckGuestConnections(RunningEdge& edge, LeafSource& leaves,
                                                            StreamCutter& cutter,
                                                            ops::Recorder& recorder,
                                                            ops::Metrics& metrics) {
  return std::make_unique<rpc::ConnectionCheck>(rpc::ConnectionCheck::Hooks{
      .snapshot = [&edge] { return edge.snapshot(); },
      .record = [&recorder](const audit::Event& event) { return recorder.Record(event); },
      .admit_name = [&leaves](const base::SocketEnd& source,
                              std::string_view host) { return leaves.AdmitFrom(source, host); },
      .connected =
          [&cutter](const rpc::Connection& connection, std::string_view peer) {
            cutter.Connected(connection.local, connection.remote, peer);
          },
      .refused = [&metrics](authz::Reason reason) { metrics.ConnectionRefused(reason); }});
}

}  // namespace exeat
