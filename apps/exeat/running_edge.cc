#include "running_edge.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "envoy/routes.h"
#include "fmt/format.h"

namespace exeat {
namespace {

constexpr std::chrono::seconds kAcknowledgeTimeout{10};
constexpr std::chrono::seconds kResolveTimeout{2};
constexpr int kSweepBatches = 8;
// With a restriction: its list of revoked sessions, a blank secret.
constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::chrono::milliseconds kProbe{20};

}  // namespace

base::StatusOr<std::unique_ptr<RunningEdge>> RunningEdge::Make(Parts parts) {
  std::unique_ptr<RunningEdge> edge(new RunningEdge(std::move(parts)));
  RunningEdge* self = edge.get();
  ASSIGN_OR_RETURN(edge->resolver_,
                   resolver::Resolver::Start(
                       [self](const std::string& host, const resolver::Addresses& addresses) {
                         self->AddressesChanged(host, addresses);
                       },
                       self->parts_.clock));
  edge->watch_ = std::make_unique<credentials::Watch>([self](const policy::Credential& credential,
                                                             const credentials::Material& material,
                                                             const base::Status& problem) {
    self->CredentialChanged(credential, material, problem);
  });
  return edge;
}

RunningEdge::RunningEdge(Parts parts)
    : parts_(std::move(parts)),
      ads_({.leaf = [this](const std::string& name) { return parts_.leaves.Find(name); },
            .nacked =
                [this](const std::string& type_url, const std::string& error) {
                  base::LogError("Envoy refused a push", {{"type", type_url}, {"error", error}});
                  parts_.metrics.Nacked();
                  if (type_url == envoy::kExtensionType) vetted_.Refused();
                  base::MutexLock lock(mutex_);
                  ++status_.nacks;
                  status_.last_nack = error;
                },
            .admit =
                [this](const std::vector<envoy::CompiledIn>& has) {
                  return parts_.envoy_start.Admit(has);
                },
            .connected =
                [this](int streams) {
                  parts_.metrics.SetEnvoyUp(streams > 0);
                  if (streams > 0) vetted_.Connected();
                  if (streams == 0) vetted_.Disconnected();
                }}),
      vetted_({.streams = parts_.cutter.streams(),
               .denylist = parts_.denylist,
               .push = [this](const std::vector<std::string>& sids) { return PushRevoked(sids); },
               .cut = [this](limits::Whose whose) { parts_.cutter.Begin(std::move(whose)); },
               .metrics = parts_.metrics}) {
  snapshot_.Set(std::make_shared<authz::Snapshot>());
  status_.envoy_version = parts_.envoy_version;
}

RunningEdge::~RunningEdge() = default;

base::StatusOr<std::vector<envoy::Resource>> RunningEdge::Resources(
    const policy::Policy& policy) const {
  ASSIGN_OR_RETURN(std::string trust, base::ReadFile(policy.upstream_trust));
  return envoy::BuildStatic({.policy = Effective(policy),
                             .jwks = parts_.jwks(),
                             .trust_pem = std::move(trust),
                             .session_issuer = policy.deployment,
                             .max_live_sessions = parts_.max_live_sessions},
                            parts_.typing);
}

// The policy as this edge runs it: ports that the kernel chose in the place of 0.
policy::PolicyPtr RunningEdge::Effective(const policy::Policy& policy) const {
  policy::Policy effective = policy;
  effective.listeners = parts_.listeners;
  return policy::Share(std::move(effective));
}

base::StatusOr<std::shared_ptr<session::Verifier>> RunningEdge::VerifierOf(
    const policy::Policy& policy) const {
  return session::Verifier::Make({.issuer = policy.deployment, .skew = policy.sessions.skew},
                                 parts_.jwks());
}

void RunningEdge::Enforce(policy::PolicyPtr policy, std::uint64_t revision,
                          std::shared_ptr<session::Verifier> verifier) {
  {
    base::MutexLock lock(mutex_);
    policy_ = std::move(policy);
    revision_ = revision;
    // The keys may have changed since it was made.
    const base::Status keys = verifier->SetKeys(parts_.jwks());
    if (!keys.ok()) base::LogError("signing keys", {{"error", base::Message(keys)}});
    verifier_ = std::move(verifier);
    restrictions_in_force_ = true;
  }
  Rebuild();
}

base::Status RunningEdge::Begin(policy::PolicyPtr policy, std::uint64_t revision) {
  ASSIGN_OR_RETURN(const std::vector<envoy::Resource> resources, Resources(*policy));
  ASSIGN_OR_RETURN(std::shared_ptr<session::Verifier> verifier, VerifierOf(*policy));
  RETURN_IF_ERROR(PushRevoked({}));
  ads_.Preload(resources);
  Follow(policy);
  parts_.leaves.Use(policy);
  Enforce(std::move(policy), revision, std::move(verifier));
  return absl::OkStatus();
}

// Watches addresses and credentials of this policy, and waits a little until each host has an
// answer, so that what was just applied can be reached when apply returns.
void RunningEdge::Follow(const policy::PolicyPtr& policy) {
  {
    base::MutexLock lock(mutex_);
    followed_ = policy;
    awaited_.clear();
    for (const auto& destination : policy->destinations) awaited_.insert(destination.host);
  }
  resolver_->Follow(Effective(*policy));
  watch_->Follow(policy);
  AwaitAddresses();
  std::set<std::string> clusters, secrets, filters = {envoy::kRevokedFilter};
  for (const auto& destination : policy->destinations) {
    for (const auto port : destination.ports) {
      clusters.insert(envoy::ClusterName(destination, port));
    }
  }
  for (const auto& credential : policy->credentials) {
    for (envoy::Published& one : envoy::PublishedFor(credential)) {
      (one.type_url == envoy::kSecretType ? secrets : filters).insert(std::move(one.name));
    }
  }
  ads_.Keep(envoy::kEndpointType, clusters);
  ads_.Keep(envoy::kSecretType, secrets);
  ads_.Keep(envoy::kExtensionType, filters);
}

void RunningEdge::AwaitAddresses() {
  const auto answers = resolver_->Current();
  const base::BootTime deadline = parts_.clock.BootNow() + kResolveTimeout;
  base::MutexLock lock(mutex_);
  std::erase_if(awaited_, [&](const std::string& host) { return answers.contains(host); });
  while (!awaited_.empty()) {
    const base::BootTime left = deadline - parts_.clock.BootNow();
    if (left.count() <= 0) return;
    resolved_.WaitFor(mutex_, left);
  }
}

base::Status RunningEdge::Publish(policy::PolicyPtr candidate, std::uint64_t revision) {
  base::MutexLock one_at_a_time(publishing_);
  policy::PolicyPtr former;
  {
    base::MutexLock lock(mutex_);
    former = policy_;
  }
  ASSIGN_OR_RETURN(const std::vector<envoy::Resource> resources, Resources(*candidate));
  ASSIGN_OR_RETURN(std::shared_ptr<session::Verifier> verifier, VerifierOf(*candidate));
  // What both need is kept until Envoy has answered.
  Follow(candidate);
  const base::Status taken = ads_.Publish(resources, kAcknowledgeTimeout);
  if (!taken.ok()) {
    Follow(former);
    const bool restored = ads_.WaitAcknowledged(std::chrono::milliseconds(0)).ok();
    if (restored) vetted_.Taken();
    SetRestrictionsInForce(ads_.streams() == 0 || restored);
    return taken;
  }
  vetted_.Taken();
  Enforce(candidate, revision, std::move(verifier));
  ads_.LeavesChanged(parts_.leaves.Use(candidate));
  return absl::OkStatus();
}

base::Status RunningEdge::PublishKeys() {
  base::MutexLock one_at_a_time(publishing_);
  // Check first: a withdrawn key counts for nothing here even while Envoy still knows it.
  RETURN_IF_ERROR(UseKeys());
  const policy::PolicyPtr policy = snapshot()->policy;
  if (policy == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<envoy::Resource> resources, Resources(*policy));
  if (ads_.streams() == 0) {
    // Nobody can acknowledge; the Envoy that connects next is given these keys and no others.
    ads_.Preload(resources);
    return absl::OkStatus();
  }
  return ads_.Publish(resources, kAcknowledgeTimeout);
}

base::Status RunningEdge::UseKeys() {
  base::MutexLock lock(mutex_);
  // Before Begin, which makes the first verifier of what is known by then.
  return verifier_ == nullptr ? absl::OkStatus() : verifier_->SetKeys(parts_.jwks());
}

void RunningEdge::SetRestrictionsInForce(bool in_force) {
  {
    base::MutexLock lock(mutex_);
    if (restrictions_in_force_ == in_force) return;
    restrictions_in_force_ = in_force;
  }
  if (!in_force)
    base::LogError("Envoy has not acknowledged what it was sent: denying until it has");
  Rebuild();
  if (!in_force) vetted_.CutAll("Envoy has not acknowledged what it was sent");
}

base::Status RunningEdge::PushRevoked(const std::vector<std::string>& sids) {
  ASSIGN_OR_RETURN(envoy::Resource list, envoy::BuildRevoked(sids, parts_.typing));
  ads_.Put({std::move(list)});
  return absl::OkStatus();
}

void RunningEdge::DenylistChanged() {
  Rebuild();
  const std::size_t before = vetted_.listed();
  if (!vetted_.Relist()) return;
  restricted_ = parts_.clock.BootNow();
  if (vetted_.listed() < before) (void)ads_.WaitAcknowledged(kPatience);
}

void RunningEdge::ConfirmRestrictions() {
  if (vetted_.Tidy()) restricted_ = parts_.clock.BootNow();
  base::BootTime sent = restricted_;
  if (sent != base::BootTime{}) {
    if (ads_.WaitAcknowledged(kProbe).ok()) {
      restricted_.compare_exchange_strong(sent, base::BootTime{});
    } else if (parts_.clock.BootNow() - sent >= kPatience) {
      SetRestrictionsInForce(false);
    }
  }
  if (snapshot()->restrictions_in_force) return;
  SetRestrictionsInForce(ads_.WaitAcknowledged(std::chrono::milliseconds(0)).ok());
}

void RunningEdge::Rebuild() {
  base::MutexLock lock(mutex_);
  auto next = std::make_shared<authz::Snapshot>();
  next->policy = policy_;
  next->policy_revision = revision_;
  next->denylist = parts_.denylist.Read();
  next->verifier = verifier_;
  next->unavailable_credentials.assign(unavailable_.begin(), unavailable_.end());
  next->denied_hosts.assign(denied_hosts_.begin(), denied_hosts_.end());
  next->restrictions_in_force = restrictions_in_force_;
  snapshot_.Set(std::move(next));
}

void RunningEdge::AddressesChanged(const std::string& host, const resolver::Addresses& addresses) {
  policy::PolicyPtr policy;
  {
    base::MutexLock lock(mutex_);
    policy = followed_;
    const bool denied = addresses.good.empty() && !addresses.denied.empty();
    if (denied) denied_hosts_.insert(host);
    if (!denied) denied_hosts_.erase(host);
  }
  std::vector<envoy::Resource> endpoints;
  for (const policy::Destination* destination : policy->At(host)) {
    for (const auto port : destination->ports) {
      auto built = envoy::BuildEndpoints(*destination, port, addresses.good, parts_.typing);
      if (built.ok()) {
        endpoints.push_back(*std::move(built));
      } else {
        base::LogError("addresses could not be published",
                       {{"host", host}, {"error", base::Message(built.status())}});
      }
    }
  }
  ads_.Put(endpoints);
  Rebuild();
  base::MutexLock lock(mutex_);
  if (awaited_.erase(host) > 0 && awaited_.empty()) resolved_.NotifyAll();
}

void RunningEdge::CredentialChanged(const policy::Credential& credential,
                                    const credentials::Material& material,
                                    const base::Status& problem) {
  auto secrets = envoy::BuildCredential(credential, material);
  const bool available = problem.ok() && secrets.ok();
  if (!available) {
    const base::Status& cause = problem.ok() ? secrets.status() : problem;
    base::LogWarn("a credential is unavailable",
                  {{"credential", credential.name}, {"error", base::Message(cause)}});
    secrets = envoy::BuildCredential(credential, {});
  }
  {
    base::MutexLock lock(mutex_);
    if (available) unavailable_.erase(credential.name);
    if (!available) unavailable_.insert(credential.name);
  }
  // Check denies before Envoy learns of a withdrawal, and allows after it has the new value.
  if (!available) Rebuild();
  if (secrets.ok()) ads_.Put(*secrets);
  if (available) Rebuild();
  // One that connects later is given the blank.
  if (!available && ads_.streams() > 0) restricted_ = parts_.clock.BootNow();
}

void RunningEdge::SweepLeaves() {
  for (int i = 0; i < kSweepBatches; ++i) {
    const std::vector<std::string> names = parts_.leaves.Sweep();
    if (names.empty()) return;
    ads_.LeavesChanged(names);
  }
}

void RunningEdge::EnvoyStarted(const guardian::EnvoyStarted& started) {
  base::MutexLock lock(mutex_);
  status_.processes = {{"guardian", getppid()}, {"control", getpid()}, {"envoy", started.pid}};
  status_.confinement = started.confinement;
  status_.stream_cutting = parts_.cutter.ending()->words;
  status_.cut_bound = parts_.cutter.ending()->bound;
}

void RunningEdge::ListeningAt(const std::map<std::string, std::string>& listeners, bool ready) {
  base::MutexLock lock(mutex_);
  const auto address = [&](const char* name) {
    const auto found = listeners.find(name);
    return found == listeners.end() ? std::string() : found->second;
  };
  status_.proxy_address = address(envoy::kExplicitListener);
  status_.transparent_address = address(envoy::kTransparentListener);
  status_.ready = ready;
}

authz::Snapshot RunningEdge::Current() const {
  authz::Snapshot snapshot = *this->snapshot();
  const ops::StoreStatus store = parts_.store();
  if (store.shared && store.lease.count() == 0) snapshot.restrictions_in_force = false;
  return snapshot;
}

ops::EdgeStatus RunningEdge::Status() const {
  const ops::StoreStatus store = parts_.store();
  base::MutexLock lock(mutex_);
  ops::EdgeStatus status = status_;
  status.leaves = parts_.leaves.size();
  status.store = store;
  return status;
}

}  // namespace exeat
