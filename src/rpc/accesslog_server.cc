#include "rpc/accesslog_server.h"

#include <exception>
#include <string>
#include <utility>

#include "authz/reason.h"
#include "base/log.h"
#include "envoy/names.h"
#include "fmt/format.h"
#include "policy/host_name.h"
#include "policy/path_rule.h"

namespace exeat::rpc {
namespace {

using ::envoy::data::accesslog::v3::AccessLogCommon;
using ::envoy::data::accesslog::v3::HTTPAccessLogEntry;
using ::envoy::data::accesslog::v3::TCPAccessLogEntry;
using ::envoy::service::accesslog::v3::StreamAccessLogsMessage;

constexpr std::uint16_t kDefaultPort = 443;

std::string ClaimOf(const AccessLogCommon& common, const std::string& claim) {
  const auto& metadata = common.metadata().filter_metadata();
  const auto namespaced = metadata.find(::exeat::envoy::kJwtNamespace);
  if (namespaced == metadata.end()) return {};
  const auto session = namespaced->second.fields().find(::exeat::envoy::kSessionKey);
  if (session == namespaced->second.fields().end()) return {};
  const auto& fields = session->second.struct_value().fields();
  const auto found = fields.find(claim);
  return found == fields.end() ? std::string() : found->second.string_value();
}

std::string SourceOf(const AccessLogCommon& common) {
  const auto& socket = common.downstream_remote_address().socket_address();
  return fmt::format("{}:{}", socket.address(), socket.port_value());
}

std::string_view MethodOf(const HTTPAccessLogEntry& entry) {
  const auto& name =
      ::envoy::config::core::v3::RequestMethod_Name(entry.request().request_method());
  return name == "METHOD_UNSPECIFIED" ? std::string_view() : std::string_view(name);
}

std::uint64_t Milliseconds(const ::google::protobuf::Duration& duration) {
  return static_cast<std::uint64_t>(duration.seconds()) * 1000 +
         static_cast<std::uint64_t>(duration.nanos()) / 1'000'000;
}

// As Check saw it in x-request-id.
const std::string& StreamIdOf(const HTTPAccessLogEntry& entry) {
  const std::string& id = entry.common_properties().stream_id();
  return id.empty() ? entry.request().request_id() : id;
}

// The CONNECT that this request was vetted by; empty when it was in no vetted tunnel.
std::string_view VettedBy(const HTTPAccessLogEntry& entry) {
  const auto& tags = entry.common_properties().custom_tags();
  const auto tag = tags.find(::exeat::envoy::kVettedByTag);
  const bool none = tag == tags.end() || tag->second == "-" || tag->second == StreamIdOf(entry);
  return none ? std::string_view() : tag->second;
}

void FillHttp(const HTTPAccessLogEntry& entry, audit::Event& event) {
  const auto& common = entry.common_properties();
  const auto& request = entry.request();
  const auto& response = entry.response();
  event.request_id = StreamIdOf(entry);
  event.vetted_by = VettedBy(entry);
  event.sid = ClaimOf(common, "sid");
  event.jti = ClaimOf(common, "jti");
  event.sub = ClaimOf(common, "sub");
  event.method = MethodOf(entry);
  const auto authority = policy::ParseAuthority(request.authority(), kDefaultPort);
  event.host = authority.has_value() ? authority->host : request.authority();
  event.port = authority.has_value() ? authority->port : 0;
  event.path = policy::PathOnly(request.path());
  event.status = static_cast<int>(response.response_code().value());
  event.bytes_out = request.request_headers_bytes() + request.request_body_bytes();
  event.bytes_in = response.response_headers_bytes() + response.response_body_bytes();
  event.source = SourceOf(common);
  event.duration_ms = Milliseconds(common.time_to_last_downstream_tx_byte());
}

}  // namespace

std::optional<audit::Event> OutcomeOf(const HTTPAccessLogEntry& entry) {
  const auto& details = entry.response().response_code_details();
  if (details == "ext_authz_denied") return std::nullopt;
  audit::Event event;
  event.kind = audit::EventKind::kRequest;
  event.phase = audit::Phase::kOutcome;
  FillHttp(entry, event);
  event.activity = event.method == "CONNECT" ? "connect" : "request";
  const auto& headers = entry.response().response_headers();
  const auto reason = headers.find(::exeat::envoy::kDenyReasonHeader);
  event.allowed = reason == headers.end() || reason->second.empty();
  if (!event.allowed) event.reason = reason->second;
  event.detail = details;
  const std::string& cluster = entry.common_properties().upstream_cluster();
  if (event.activity == "request") event.destination = cluster.substr(0, cluster.rfind(':'));
  return event;
}

audit::Event OutcomeOf(const TCPAccessLogEntry& entry) {
  const auto& common = entry.common_properties();
  audit::Event event;
  event.kind = audit::EventKind::kConnection;
  event.phase = audit::Phase::kOutcome;
  event.activity = "connection";
  event.reason = authz::Code(authz::Reason::kDestinationNotAllowed);
  event.host = common.tls_properties().tls_sni_hostname();
  event.source = SourceOf(common);
  event.bytes_out = entry.connection_properties().received_bytes();
  event.bytes_in = entry.connection_properties().sent_bytes();
  event.duration_ms = Milliseconds(common.time_to_last_downstream_tx_byte());
  return event;
}

class AccessLogServer::Reactor final : public ::grpc::ServerReadReactor<StreamAccessLogsMessage> {
 public:
  explicit Reactor(AccessLogServer& server)
      : server_(server), hooks_(server.hooks_), run_(server.run_) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      hooks_.lost();
      Finish(::grpc::Status::OK);
      return;
    }
    try {
      Take();
    } catch (const std::exception& error) {
      base::LogError("an access log message could not be read", {{"error", error.what()}});
    }
    server_.Took(run_,
                 message_.http_logs().log_entry_size() + message_.tcp_logs().log_entry_size());
    message_.Clear();
    StartRead(&message_);
  }
  void OnDone() override { delete this; }

 private:
  void Take() {
    for (const HTTPAccessLogEntry& entry : message_.http_logs().log_entry()) {
      const std::string& sni = entry.common_properties().tls_properties().tls_sni_hostname();
      if (!sni.empty()) hooks_.leaf_used(sni);
      const bool vetted = !VettedBy(entry).empty();
      (vetted ? hooks_.vetted_ended : hooks_.ended)(StreamIdOf(entry));
      const std::optional<audit::Event> event = OutcomeOf(entry);
      if (event.has_value()) hooks_.record(*event);
    }
    for (const TCPAccessLogEntry& entry : message_.tcp_logs().log_entry()) {
      hooks_.record(OutcomeOf(entry));
    }
  }

  AccessLogServer& server_;
  const Hooks& hooks_;
  const std::uint64_t run_;
  StreamAccessLogsMessage message_;
};

void AccessLogServer::EnvoyStarted() {
  ++run_;
  taken_ = 0;
}

void AccessLogServer::Took(std::uint64_t run, std::uint64_t entries) {
  if (run == run_) taken_ += entries;
}

::grpc::ServerReadReactor<StreamAccessLogsMessage>* AccessLogServer::StreamAccessLogs(
    ::grpc::CallbackServerContext*, ::envoy::service::accesslog::v3::StreamAccessLogsResponse*) {
  return new Reactor(*this);
}

}  // namespace exeat::rpc
