// A control plane for benchmarks: exeat's own configuration of Envoy, over exeat's own ADS, with
// leaves without a budget; asked by ext_authz either exeat's decisions or a null server.
//
//   edge_rig POLICY DIRECTORY ours|null [NAMES]
//
// Writes DIRECTORY/bootstrap.json for an Envoy that runs in DIRECTORY, prints "ready TOKEN" (a
// session's token), and answers each line on standard input: "count" with the calls allowed and
// denied and the leaves minted so far, "evict" when Envoy has given every leaf back. NAMES more
// hosts n0.names.example.test, ... lead to the policy's first destination. Ends with its input.
#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "audit/log.h"
#include "base/file.h"
#include "base/status.h"
#include "bench/check_service.h"
#include "envoy/build.h"
#include "envoy/routes.h"
#include "envoy/service/accesslog/v3/als.grpc.pb.h"
#include "fmt/format.h"
#include "issuer/issuer.h"
#include "issuer/leaf_book.h"
#include "operator/metrics.h"
#include "policy/load.h"
#include "rpc/accesslog_server.h"
#include "rpc/ads_server.h"
#include "rpc/authz_server.h"
#include "rpc/connection_check.h"
#include "session/signing_keys.h"

namespace exeat::bench {
namespace {

constexpr std::chrono::seconds kLeaseEvery{1};
constexpr std::size_t kEvictBatch = 100;
constexpr std::chrono::seconds kEvictPatience{10};

// An access log that is thrown away once gRPC has parsed it.
class NullAccessLog final
    : public ::envoy::service::accesslog::v3::AccessLogService::CallbackService {
 public:
  using Message = ::envoy::service::accesslog::v3::StreamAccessLogsMessage;
  ::grpc::ServerReadReactor<Message>* StreamAccessLogs(
      ::grpc::CallbackServerContext*,
      ::envoy::service::accesslog::v3::StreamAccessLogsResponse*) override {
    return new Reactor;
  }

 private:
  class Reactor final : public ::grpc::ServerReadReactor<Message> {
   public:
    Reactor() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      message_.Clear();
      if (ok) StartRead(&message_);
      if (!ok) Finish(::grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    Message message_;
  };
};

base::StatusOr<policy::PolicyPtr> LoadPolicy(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  policy::LoadResult loaded = policy::Load(text, path, ".");
  if (loaded.ok()) return std::make_shared<const policy::Policy>(std::move(loaded.policy));
  return base::MakeStatus(base::StatusCode::kInvalidArgument, loaded.mistakes.front().ToString());
}

policy::PolicyPtr WithNames(const policy::Policy& policy, int names) {
  auto wide = std::make_shared<policy::Policy>(policy);
  for (int i = 0; i < names; ++i) {
    policy::Destination added = policy.destinations.front();
    added.name = fmt::format("n{}", i);
    added.host = fmt::format("n{}.names.example.test", i);
    wide->destinations.push_back(std::move(added));
  }
  return wide;
}

class Rig {
 public:
  Rig(std::string directory, bool null) : directory_(std::move(directory)), null_(null) {}
  ~Rig() {
    if (checks_ != nullptr) checks_->Shutdown();
  }

  base::Status Start(const std::string& policy_file, int names);
  std::string token() const { return token_; }
  std::string Counts() const {
    return fmt::format("{} {} {}", allowed_.load(), denied_.load(), minted_.load());
  }
  base::Status EvictLeaves();

 private:
  base::Status OpenKeys();
  base::StatusOr<std::vector<envoy::Resource>> Resources();
  base::Status Publish();
  base::Status Serve();
  base::Status Record(const audit::Event& event) { return audit_->Append(event).status(); }
  rpc::AuthzServer::Hooks CheckHooks();
  rpc::VersionedPtr Leaf(const std::string& name);

  const std::string directory_;
  const bool null_;
  const base::Clock& clock_ = base::SystemClock();
  policy::PolicyPtr policy_;  // as in its file
  policy::PolicyPtr wide_;    // with the names
  std::string token_;
  ops::Metrics metrics_;
  limits::OpenStreams streams_;
  revocation::Denylist denylist_;
  std::unique_ptr<session::SigningKeys> keys_;
  std::unique_ptr<issuer::Authority> authority_;
  std::unique_ptr<issuer::Issuer> issuer_;
  std::unique_ptr<issuer::LeafBook> book_;
  std::unique_ptr<envoy::Typing> typing_;
  std::unique_ptr<audit::Log> audit_;
  base::Published<std::shared_ptr<const authz::Snapshot>> snapshot_;
  std::unique_ptr<rpc::AdsServer> ads_;
  std::unique_ptr<rpc::AuthzServer> authz_;
  std::unique_ptr<rpc::ConnectionCheck> connections_;
  std::unique_ptr<rpc::AccessLogServer> access_log_;
  NullAccessLog null_log_;
  std::atomic<std::uint64_t> allowed_{0}, denied_{0}, minted_{0};
  std::atomic<bool> evicting_{false};
  std::unique_ptr<CheckService> checks_;
  std::jthread leases_;
};

base::Status Rig::OpenKeys() {
  ASSIGN_OR_RETURN(keys_, session::SigningKeys::Open(directory_ + "/keys", clock_));
  session::Claims claims;
  claims.iss = policy_->deployment;
  claims.sub = "agent-1";
  ASSIGN_OR_RETURN(claims.sid, session::NewSessionId());
  ASSIGN_OR_RETURN(claims.jti, session::NewTokenId());
  claims.iat = clock_.UnixNow();
  claims.nbf = claims.iat;
  claims.exp = claims.iat + session::kMaxTokenLifetime.count();
  ASSIGN_OR_RETURN(token_, keys_->Sign(claims));

  ASSIGN_OR_RETURN(audit_, audit::Log::Open(directory_ + "/audit", policy_->deployment, clock_));
  ASSIGN_OR_RETURN(authority_,
                   issuer::Authority::Open(directory_ + "/ca", policy_->deployment, clock_));
  const auto record_leaf = [this](std::string_view name, std::string_view serial) {
    audit::Event event;
    event.kind = audit::EventKind::kLeaf;
    event.phase = audit::Phase::kIntent;
    event.activity = "leaf_signed";
    event.allowed = true;
    event.host = name;
    event.detail = serial;
    return Record(event);
  };
  ASSIGN_OR_RETURN(issuer_, issuer::Issuer::Make(*authority_, {}, record_leaf, clock_));
  book_ = std::make_unique<issuer::LeafBook>(
      issuer::LeafBook::Options{.max_leaves = wide_->destinations.size() + 1}, clock_);
  ASSIGN_OR_RETURN(typing_, envoy::Typing::Embedded());
  return absl::OkStatus();
}

rpc::VersionedPtr Rig::Leaf(const std::string& name) {
  if (evicting_) {
    book_->Forget(name);
    return nullptr;
  }
  std::shared_ptr<const issuer::Leaf> leaf = book_->Find(name);
  if (leaf == nullptr) {
    auto checked = issuer::CheckLeaf(name, *wide_);
    if (!checked.ok()) return nullptr;
    auto signed_leaf = issuer_->Sign(*std::move(checked));
    if (!signed_leaf.ok()) return nullptr;
    leaf = std::make_shared<const issuer::Leaf>(*std::move(signed_leaf));
    book_->Insert(leaf);
    minted_.fetch_add(1, std::memory_order_relaxed);
  }
  auto secret = envoy::BuildKeyPair(leaf->name, leaf->chain_pem, leaf->key_pem->Reveal());
  if (!secret.ok()) return nullptr;
  return std::make_shared<rpc::Versioned>(
      rpc::Versioned{leaf->serial_hex, std::move(secret->value)});
}

base::Status Rig::EvictLeaves() {
  evicting_ = true;
  std::vector<std::string> names = book_->Names();
  base::Status evicted = absl::OkStatus();
  while (!names.empty() && evicted.ok()) {
    const std::size_t kept = names.size() - std::min(names.size(), kEvictBatch);
    ads_->LeavesChanged({names.begin() + static_cast<std::ptrdiff_t>(kept), names.end()});
    names.resize(kept);
    evicted = ads_->WaitAcknowledged(kEvictPatience);
  }
  evicting_ = false;
  return evicted;
}

// The names share one cluster, so that what is measured is the guest's side of a new name and not
// a first connection to a new upstream.
void ShareFirstCluster(nlohmann::json& routes, const policy::Destination& first) {
  for (nlohmann::json& host : routes.at("virtual_hosts")) {
    for (nlohmann::json& route : host.at("routes")) {
      if (!route.contains("route")) continue;
      route["route"]["cluster"] = envoy::ClusterName(first, first.ports.front());
    }
  }
}

base::StatusOr<std::vector<envoy::Resource>> Rig::Resources() {
  ASSIGN_OR_RETURN(std::string trust, base::ReadFile(policy_->upstream_trust));
  ASSIGN_OR_RETURN(std::vector<envoy::Resource> resources,
                   envoy::BuildStatic({.policy = wide_,
                                       .jwks = keys_->Jwks(),
                                       .trust_pem = std::move(trust),
                                       .session_issuer = policy_->deployment},
                                      *typing_, envoy::Bodies::kKeep));
  if (wide_->destinations.size() == policy_->destinations.size()) return resources;
  const policy::Destination& first = policy_->destinations.front();
  std::erase_if(resources, [&](const envoy::Resource& resource) {
    return resource.type_url == envoy::kClusterType &&
           !resource.name.starts_with(envoy::ClusterName(first, first.ports.front()));
  });
  for (envoy::Resource& resource : resources) {
    if (resource.type_url != envoy::kRouteType) continue;
    ShareFirstCluster(resource.body, first);
    ASSIGN_OR_RETURN(resource, envoy::MakeResource(resource.body, *typing_));
  }
  return resources;
}

base::Status Rig::Publish() {
  ads_ = std::make_unique<rpc::AdsServer>(
      rpc::AdsServer::Hooks{.leaf = [this](const std::string& name) { return Leaf(name); },
                            .nacked =
                                [](const std::string& type, const std::string& error) {
                                  fmt::print(stderr, "Envoy refused {}: {}\n", type, error);
                                },
                            .admit = [](const auto&) { return absl::OkStatus(); },
                            .connected = [](int) {}});
  ASSIGN_OR_RETURN(const std::vector<envoy::Resource> resources, Resources());
  ads_->Preload(resources);
  std::vector<envoy::Resource> beside;
  ASSIGN_OR_RETURN(beside.emplace_back(), envoy::BuildRevoked({}, *typing_));
  for (const policy::Destination& destination : policy_->destinations) {
    for (const std::uint16_t port : destination.ports) {
      ASSIGN_OR_RETURN(
          envoy::Resource endpoints,
          envoy::BuildEndpoints(destination, port, policy_->resolver.hosts.at(destination.host),
                                *typing_));
      beside.push_back(std::move(endpoints));
    }
  }
  for (const policy::Credential& credential : policy_->credentials) {
    ASSIGN_OR_RETURN(const credentials::Material material, credentials::ReadMaterial(credential));
    ASSIGN_OR_RETURN(std::vector<envoy::Resource> secrets,
                     envoy::BuildCredential(credential, material));
    for (envoy::Resource& secret : secrets) beside.push_back(std::move(secret));
  }
  ads_->Put(beside);

  denylist_.Load({}, false);
  auto snapshot = std::make_shared<authz::Snapshot>();
  snapshot->policy = wide_;
  snapshot->policy_revision = 1;
  snapshot->denylist = denylist_.Read();
  snapshot->restrictions_in_force = true;
  ASSIGN_OR_RETURN(snapshot->verifier,
                   session::Verifier::Make({.issuer = policy_->deployment}, keys_->Jwks()));
  snapshot_.Set(std::move(snapshot));
  return absl::OkStatus();
}

rpc::AuthzServer::Hooks Rig::CheckHooks() {
  return {.snapshot = [this] { return snapshot_.Get(); },
          .record = [this](const audit::Event& event) { return Record(event); },
          .admit_name = [](std::string_view, std::string_view) { return true; },
          .observe =
              [this](authz::Leg leg, const authz::Verdict& verdict, std::chrono::nanoseconds took) {
                (verdict.allowed ? allowed_ : denied_).fetch_add(1, std::memory_order_relaxed);
                metrics_.Decided(leg,
                                 verdict.allowed ? std::nullopt : std::optional(verdict.reason));
                metrics_.CheckTook(took);
              },
          .connected = [](const rpc::Connection&, std::string_view) {},
          .begin =
              [this](std::string_view, std::string_view id, limits::OpenStream stream) {
                streams_.BeginUnreachable(id, std::move(stream));
                return limits::Begun::kOpen;
              },
          .end = [this](std::string_view id) { streams_.End(id); }};
}

base::Status Rig::Serve() {
  authz_ = std::make_unique<rpc::AuthzServer>(CheckHooks(), clock_);
  connections_ = std::make_unique<rpc::ConnectionCheck>(rpc::ConnectionCheck::Hooks{
      .snapshot = [this] { return snapshot_.Get(); },
      .record = [this](const audit::Event& event) { return Record(event); },
      .admit_name = [](const base::SocketEnd&, std::string_view) { return true; },
      .connected = [](const rpc::Connection&, std::string_view) {},
      .refused = [](authz::Reason) {}});
  access_log_ = std::make_unique<rpc::AccessLogServer>(rpc::AccessLogServer::Hooks{
      .record = [this](const audit::Event& event) { (void)Record(event); },
      .leaf_used = [this](std::string_view host) { book_->Touch(host); },
      .ended = [this](std::string_view id) { streams_.End(id); }});
  checks_ = std::make_unique<CheckService>(
      Style::kQueue, [this](const CheckRequest& request, CheckResponse& response) {
        const bool of_connection = rpc::ConnectionCheck::IsAsked(request);
        if (!null_ && of_connection) return connections_->Answer(request, response);
        if (!null_) return authz_->Answer(request, response);
        AllowAll(request, response);
        if (!of_connection) allowed_.fetch_add(1, std::memory_order_relaxed);
      });
  ::grpc::ServerBuilder builder;
  builder.RegisterService(ads_.get());
  if (null_) builder.RegisterService(&null_log_);
  if (!null_) builder.RegisterService(access_log_.get());
  const std::string socket = directory_ + "/control.sock";
  if (!checks_->Serve(builder, socket)) {
    return base::MakeStatus(base::StatusCode::kUnavailable, socket + ": cannot listen");
  }
  leases_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(kLeaseEvery);
      ads_->RenewLeases();
    }
  });
  return absl::OkStatus();
}

base::Status Rig::Start(const std::string& policy_file, int names) {
  ASSIGN_OR_RETURN(policy_, LoadPolicy(policy_file));
  if (policy_->destinations.empty() || !policy_->listeners.transparent.has_value()) {
    return absl::InvalidArgumentError("a destination and listeners.transparent are needed");
  }
  wide_ = WithNames(*policy_, names);
  RETURN_IF_ERROR(OpenKeys());
  RETURN_IF_ERROR(Publish());
  RETURN_IF_ERROR(Serve());
  return base::WriteFileAtomically(directory_ + "/bootstrap.json",
                                   envoy::BuildBootstrap({.node_id = policy_->deployment,
                                                          .deployment = policy_->deployment,
                                                          .control_socket = "control.sock",
                                                          .admin_socket = "admin.sock"}),
                                   0600);
}

void Obey(Rig& rig) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "count") fmt::print("{}\n", rig.Counts());
    if (line == "evict") {
      const base::Status evicted = rig.EvictLeaves();
      fmt::print("{}\n", evicted.ok() ? "evicted" : base::Message(evicted));
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s POLICY DIRECTORY ours|null [NAMES]\n", argv[0]);
    return 2;
  }
  exeat::bench::Rig rig(argv[2], std::string(argv[3]) == "null");
  const exeat::base::Status started = rig.Start(argv[1], argc > 4 ? std::atoi(argv[4]) : 0);
  if (!started.ok()) {
    fmt::print(stderr, "edge_rig: {}\n", exeat::base::Message(started));
    return 1;
  }
  fmt::print("ready {}\n", rig.token());
  std::fflush(stdout);
  exeat::bench::Obey(rig);
  return 0;
}
