// Receives Envoy's access log: the outcome of what Check allowed, and denials that Envoy made
// alone.
//
// Shapes:   each HTTP entry becomes one audit outcome, but those that Check itself denied and
//           recorded; each TCP entry of a listener is a connection closed before TLS.
// Errors:   an outcome that cannot be recorded is logged and counted: nothing can be undone then.
// Threads:  streams run on gRPC's threads; the hooks must be safe concurrently.
// Source:   docs/walkthroughs/request.md
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "audit/event.h"
#include "envoy/data/accesslog/v3/accesslog.pb.h"
#include "envoy/service/accesslog/v3/als.grpc.pb.h"

namespace exeat::rpc {

// nullopt: Check has recorded this one already.
std::optional<audit::Event> OutcomeOf(
    const ::envoy::data::accesslog::v3::HTTPAccessLogEntry& entry);
audit::Event OutcomeOf(const ::envoy::data::accesslog::v3::TCPAccessLogEntry& entry);

class AccessLogServer final
    : public ::envoy::service::accesslog::v3::AccessLogService::CallbackService {
 public:
  struct Hooks {
    std::function<void(const audit::Event&)> record;
    std::function<void(std::string_view host)> leaf_used;
    // The stream of this id, a request or a tunnel, has ended.
    std::function<void(std::string_view id)> ended;
    // Likewise a request in a vetted tunnel, which Check may never have heard of.
    std::function<void(std::string_view id)> vetted_ended = [](std::string_view) {};
    // Envoy's stream of entries has ended: what it held back is lost.
    std::function<void()> lost = [] {};
  };
  explicit AccessLogServer(Hooks hooks) : hooks_(std::move(hooks)) {}

  ::grpc::ServerReadReactor<::envoy::service::accesslog::v3::StreamAccessLogsMessage>*
  StreamAccessLogs(::grpc::CallbackServerContext* context,
                   ::envoy::service::accesslog::v3::StreamAccessLogsResponse* response) override;

  // Another Envoy runs, and counts what it writes from nothing.
  void EnvoyStarted();
  // Entries of the Envoy that runs now that the hooks have heard of, of both kinds.
  std::uint64_t taken() const { return taken_; }

 private:
  class Reactor;
  void Took(std::uint64_t run, std::uint64_t entries);

  Hooks hooks_;
  std::atomic<std::uint64_t> run_{0};
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace exeat::rpc
