// P9: the decision server alone on a Unix socket, with a denylist of a given size and no audit; or
// a null one that answers the same calls without looking at them.
//
//   decision_server SOCKET REQUEST ours|null queue|callback [ENTRIES]
//
// Writes to REQUEST the body of one gRPC call that ours allows, prints "ready", and answers each
// line on standard input with the calls allowed and denied so far. Ends with its input.
#include <stdlib.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "bench/check_request.h"
#include "bench/check_service.h"
#include "fmt/format.h"
#include "limits/open_streams.h"
#include "operator/metrics.h"
#include "rpc/authz_server.h"
#include "session/signing_keys.h"

namespace exeat::bench {
namespace {

constexpr char kHost[] = "api.example.test";
constexpr char kSid[] = "c2Vzc2lvbi1vZi1iZW5jaA";
constexpr char kDeployment[] = "bench";
constexpr char kGuestAddress[] = "10.20.30.40";
constexpr std::uint16_t kGuestPort = 45678;
constexpr char kRequestId[] = "1f8f7d8c-6e3b-4c59-9d0f-0c8a6f6f3b21";

struct Arguments {
  std::string socket, request;
  bool null = false;
  Style style = Style::kQueue;
  std::size_t entries = 0;
};

base::StatusOr<std::string> Token(const session::SigningKeys& keys) {
  session::Claims claims;
  claims.iss = kDeployment;
  claims.sub = "agent-1";
  claims.sid = kSid;
  claims.jti = "dG9rZW4tb2YtYmVuY2gtMQ";
  claims.iat = base::SystemClock().UnixNow();
  claims.nbf = claims.iat;
  claims.exp = claims.iat + session::kMaxTokenLifetime.count();
  claims.grants = {"api"};
  return keys.Sign(claims);
}

// A gRPC message: not compressed, four bytes of length, the message.
std::string Framed(const std::string& message) {
  std::string frame(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame += static_cast<char>((message.size() >> shift) & 0xff);
  }
  return frame + message;
}

base::StatusOr<std::shared_ptr<authz::Snapshot>> MakeSnapshot(const session::SigningKeys& keys,
                                                              revocation::Denylist& denylist,
                                                              std::size_t entries) {
  auto policy = std::make_shared<policy::Policy>();
  policy->posture = policy::Posture::kBump;
  policy->deployment = kDeployment;
  for (int i = 0; i < 20; ++i) {
    policy::Destination& destination = policy->destinations.emplace_back();
    destination.name = fmt::format("host-{}", i);
    destination.host = i == 10 ? std::string(kHost) : fmt::format("host-{}.example.test", i);
    destination.ports = {443};
    destination.grant = "api";
  }
  std::vector<std::string> ids;
  std::vector<revocation::Entry> revoked;
  ids.reserve(entries);
  for (std::size_t i = 0; i < entries; ++i) {
    ids.push_back(fmt::format("revoked-{:014}", i));
    revoked.push_back({revocation::Kind::kSession, ids.back()});
  }
  denylist.Load(revoked, false);
  auto snapshot = std::make_shared<authz::Snapshot>();
  snapshot->policy = std::move(policy);
  snapshot->policy_revision = 1;
  snapshot->denylist = denylist.Read();
  snapshot->restrictions_in_force = true;
  ASSIGN_OR_RETURN(snapshot->verifier,
                   session::Verifier::Make({.issuer = kDeployment}, keys.Jwks()));
  return snapshot;
}

base::Status Run(const Arguments& arguments, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto keys, session::SigningKeys::Open(directory, base::SystemClock()));
  ASSIGN_OR_RETURN(const std::string token, Token(*keys));
  const std::string body = Framed(TunnelRequest({.token = token,
                                                 .sid = kSid,
                                                 .issuer = kDeployment,
                                                 .host = kHost,
                                                 .guest_address = kGuestAddress,
                                                 .guest_port = kGuestPort,
                                                 .listener_port = 15001,
                                                 .request_id = kRequestId})
                                      .SerializeAsString());
  RETURN_IF_ERROR(base::WriteFileAtomically(arguments.request, body, 0600));

  revocation::Denylist denylist;
  ASSIGN_OR_RETURN(const auto made, MakeSnapshot(*keys, denylist, arguments.entries));
  const std::shared_ptr<const authz::Snapshot> snapshot = made;
  base::Published<std::shared_ptr<const authz::Snapshot>> published;
  published.Set(snapshot);
  ops::Metrics metrics;
  limits::OpenStreams streams;
  streams.Connected(fmt::format("{}:{}", kGuestAddress, kGuestPort), {1, {}, {}});
  std::atomic<std::uint64_t> allowed{0};
  std::atomic<std::uint64_t> denied{0};
  const rpc::AuthzServer server(
      {.snapshot = [&] { return published.Get(); },
       .record = [](const audit::Event&) { return absl::OkStatus(); },
       .admit_name = [](std::string_view, std::string_view) { return true; },
       .observe =
           [&](authz::Leg leg, const authz::Verdict& verdict, std::chrono::nanoseconds took) {
             (verdict.allowed ? allowed : denied).fetch_add(1, std::memory_order_relaxed);
             metrics.Decided(leg, verdict.allowed ? std::nullopt : std::optional(verdict.reason));
             metrics.CheckTook(took);
           },
       .connected = [](const rpc::Connection&, std::string_view) {},
       .begin =
           [&](std::string_view peer, std::string_view id, limits::OpenStream stream) {
             return streams.Begin(peer, id, std::move(stream));
           },
       .end = [&](std::string_view id) { streams.End(id); }},
      base::SystemClock());
  const rpc::CheckQueue::Answer ours = [&](const CheckRequest& request, CheckResponse& response) {
    server.Answer(request, response);
  };
  const rpc::CheckQueue::Answer none = [&](const CheckRequest& request, CheckResponse& response) {
    AllowAll(request, response);
    allowed.fetch_add(1, std::memory_order_relaxed);
  };
  CheckService service(arguments.style, arguments.null ? none : ours);
  ::grpc::ServerBuilder builder;
  if (!service.Serve(builder, arguments.socket)) {
    return base::MakeStatus(base::StatusCode::kUnavailable, arguments.socket + ": cannot listen");
  }
  fmt::print("ready {} bytes, {} entries\n", body.size(), snapshot->denylist.size());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{} {}\n", allowed.load(), denied.load());
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: %s SOCKET REQUEST ours|null queue|callback [ENTRIES]\n", argv[0]);
    return 2;
  }
  exeat::bench::Arguments arguments{argv[1], argv[2]};
  arguments.null = std::string(argv[3]) == "null";
  if (std::string(argv[4]) == "callback") arguments.style = exeat::bench::Style::kCallback;
  if (argc > 5) arguments.entries = std::strtoull(argv[5], nullptr, 10);
  std::string directory = std::filesystem::temp_directory_path() / "exeat-decision-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const exeat::base::Status status = exeat::bench::Run(arguments, directory);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (status.ok()) return 0;
  fmt::print(stderr, "decision_server: {}\n", exeat::base::Message(status));
  return 1;
}
