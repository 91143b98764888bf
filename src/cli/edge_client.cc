#include "cli/edge_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "cli/find_edge.h"
#include "fmt/format.h"
#include "operator/access.h"
#include "rpc/status.h"

namespace exeat::cli {
namespace {

using base::MakeStatus;
using base::StatusCode;

// gRPC's own words for an absent server help no one, so the socket is tried first.
base::Status Probe(const std::string& path, const std::string& state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return MakeStatus(StatusCode::kInternal, path + ": longer than a socket's path may be");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return base::ErrnoStatus(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return absl::OkStatus();
  }
  if (errno == EACCES || errno == EPERM) {
    return MakeStatus(
        StatusCode::kPermissionDenied,
        fmt::format("{}: the edge belongs to another user; run this as that user", path));
  }
  return MakeStatus(StatusCode::kNotFound,
                    fmt::format("no edge is running on {} ({}: {}); start it with: exeat up, or "
                                "name another one with --state DIR",
                                state, path, std::strerror(errno)));
}

}  // namespace

base::StatusOr<EdgeClient> EdgeClient::Connect(const Context& context,
                                               const std::string& policy_file) {
  ASSIGN_OR_RETURN(const std::string state, FindState(context.state, policy_file));
  return ConnectState(state);
}

base::StatusOr<EdgeClient> EdgeClient::ConnectState(const std::string& state) {
  const base::StatusOr<std::string> socket_path = OperatorSocket(state);
  if (socket_path.status().code() == StatusCode::kPermissionDenied) {
    return MakeStatus(StatusCode::kPermissionDenied,
                      fmt::format("{}; the edge belongs to another user: run this as that user, or "
                                  "name another one with --state DIR",
                                  base::Message(socket_path.status())));
  }
  if (!socket_path.ok()) {
    return base::MakeStatus(
        socket_path.status().code(),
        fmt::format("no edge is running on {} ({}); start it with: exeat up, or "
                    "name another one with --state DIR",
                    state, base::Message(socket_path.status())));
  }
  RETURN_IF_ERROR(Probe(*socket_path, state));
  EdgeClient client;
  client.state_ = state;
  base::StatusOr<base::Secret> access = ops::ReadAccessSecret(state);
  if (access.status().code() == StatusCode::kNotFound) {
    // Not kNotFound: somebody answers, so nobody may go on as if no edge were running.
    return MakeStatus(StatusCode::kFailedPrecondition,
                      base::Message(access.status()) + "; restart the edge, which makes it");
  }
  ASSIGN_OR_RETURN(client.access_, std::move(access));
  // The edge is trusted with the length of its lists.
  ::grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  client.stub_ = ops::v1::Operator::NewStub(::grpc::CreateCustomChannel(
      "unix:" + *socket_path, ::grpc::InsecureChannelCredentials(), arguments));
  return client;
}

void EdgeClient::Admit(::grpc::ClientContext& call) const {
  call.AddMetadata(ops::kAccessHeader, std::string(access_.Reveal()));
}

base::Status EdgeClient::AsStatus(const ::grpc::Status& status) {
  if (status.error_code() == ::grpc::StatusCode::DEADLINE_EXCEEDED) {
    return MakeStatus(StatusCode::kDeadlineExceeded,
                      "the edge did not answer in time; see its log, or: exeat doctor");
  }
  return rpc::FromGrpc(status);
}

base::StatusOr<ops::v1::StreamsCut> EdgeClient::Revoke(
    const ops::v1::RevokeRequest& request,
    const std::function<void(const ops::v1::RevokeAcknowledged&)>& acknowledged) {
  ::grpc::ClientContext call;
  Admit(call);
  call.set_deadline(base::SystemClock().WallNow() + kPatience);
  const auto reader = stub_->Revoke(&call, request);
  ops::v1::RevokeEvent event;
  ops::v1::StreamsCut streams;
  bool known = false;
  while (reader->Read(&event)) {
    if (event.has_acknowledged()) {
      known = true;
      acknowledged(event.acknowledged());
    }
    if (event.has_streams()) streams = event.streams();
  }
  RETURN_IF_ERROR(AsStatus(reader->Finish()));
  if (known) return streams;
  return base::MakeStatus(base::StatusCode::kInternal, "the edge answered without a word");
}

base::Status EdgeClient::RevokeSession(const std::string& sid, const std::string& reason) {
  ops::v1::RevokeRequest request;
  ops::v1::Revocable& what = *request.add_what();
  what.set_kind(ops::v1::REVOKED_KIND_SESSION);
  what.set_id(sid);
  request.set_reason(reason);
  ops::v1::RevokeAcknowledged said;
  RETURN_IF_ERROR(
      Revoke(request, [&](const ops::v1::RevokeAcknowledged& answer) { said = answer; }).status());
  if (said.durable() && !said.pending()) return absl::OkStatus();
  return base::MakeStatus(base::StatusCode::kUnavailable, said.problem());
}

base::Status EdgeClient::TailAudit(const ops::v1::TailAuditRequest& request,
                                   const std::function<bool(const std::string&)>& line) {
  ::grpc::ClientContext call;
  Admit(call);
  const auto reader = stub_->TailAudit(&call, request);
  ops::v1::AuditLine record;
  bool more = true;
  while (more && reader->Read(&record)) more = line(record.line());
  if (!more) {
    call.TryCancel();
    reader->Finish();
    return absl::OkStatus();
  }
  return AsStatus(reader->Finish());
}

}  // namespace exeat::cli
