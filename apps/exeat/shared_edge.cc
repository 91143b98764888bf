#include "shared_edge.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <utility>

#include "base/log.h"
#include "crypto/random.h"
#include "envoy/ext_authz.h"
#include "guardian/supervisor.h"

namespace exeat {
namespace {

using base::StatusCode;

constexpr std::chrono::seconds kSoon{1};
constexpr std::chrono::seconds kLater{10};
constexpr std::chrono::milliseconds kKilling{100};
constexpr std::chrono::milliseconds kEnvoyPatience{300};
constexpr std::size_t kHostBytes = 32;

static_assert(revocation::kLastAllow >= envoy::kAuthzTimeout);
static_assert(revocation::kLastAllow >=
              guardian::SupervisorOptions{}.lease + guardian::kTickInterval + kKilling);

// Another one at each start: two that went by one name would answer for each other.
base::StatusOr<std::string> NameOfThisRun() {
  std::array<char, 256> host{};
  (void)gethostname(host.data(), host.size() - 1);
  ASSIGN_OR_RETURN(const std::string id, crypto::RandomId());
  return std::string(host.data()).substr(0, kHostBytes) + "/" + id;
}

}  // namespace

base::StatusOr<std::unique_ptr<store::Store>> OpenShared(const policy::SharedStore& where) {
  auto store = store::OpenPostgresql({.url = where.url, .password_file = where.password_file});
  if (store.ok()) return store;
  return base::Annotate(store.status(), "the shared store");
}

base::StatusOr<std::unique_ptr<SharedEdge>> SharedEdge::Open(const policy::SharedStore& where,
                                                             Parts parts) {
  ASSIGN_OR_RETURN(std::unique_ptr<store::Store> followed, OpenShared(where));
  ASSIGN_OR_RETURN(std::string self, NameOfThisRun());
  return std::unique_ptr<SharedEdge>(new SharedEdge(std::move(followed), std::move(self), parts));
}

SharedEdge::SharedEdge(std::unique_ptr<store::Store> followed, std::string self, const Parts& parts)
    : followed_(std::move(followed)),
      self_(std::move(self)),
      clock_(parts.clock),
      edges_({parts.store, parts.worker, parts.clock}, {.self = self_}),
      keys_({parts.keys, parts.store, parts.worker, edges_, parts.clock}) {}

base::Status SharedEdge::Start(const Desks& desks) {
  follow_policy_ = [this, &policies = desks.policies] { FollowPolicy(policies); };
  policy_worker_ = std::make_unique<base::Worker>(2);
  keys_worker_ = std::make_unique<base::Worker>(2);
  follower_ = std::make_unique<ops::Follower>(ops::Follower::Parts{
      .self = self_,
      .store = *followed_,
      .lease = lease_,
      .sequence = sequence_,
      .revocations = desks.revocations,
      .sessions = desks.sessions,
      .keys = keys_,
      .clock = clock_,
      .keys_changed = [this, &edge = desks.edge] { UseKeys(edge); },
      .policy_appended = follow_policy_,
      .lease_lost =
          [&edge = desks.edge] { edge.vetted().CutAll("the lease of the shared store is over"); }});
  RETURN_IF_ERROR(base::Annotate(follower_->Start(), "the shared store"));
  // Not waited for here: signing waits for it.
  return policy_worker_->TryPost([this] { (void)keys_.Share(); });
}

// The acknowledgement of the change waits for Envoy, but not so long that the lease runs out.
void SharedEdge::UseKeys(RunningEdge& edge) {
  const base::Status used = edge.UseKeys();
  if (!used.ok()) base::LogError("shared keys", {{"error", base::Message(used)}});
  const auto published = std::make_shared<std::promise<void>>();
  const base::Status queued = keys_worker_->TryPost([&edge, published] {
    const base::Status status = edge.PublishKeys();
    if (!status.ok()) {
      base::LogWarn("Envoy does not know the newest keys", {{"error", base::Message(status)}});
    }
    published->set_value();
  });
  if (queued.ok()) published->get_future().wait_for(kEnvoyPatience);
}

// One that waits to run reads what is newest then, so no second one has to wait.
void SharedEdge::FollowPolicy(ops::PolicyDesk& policies) {
  (void)policy_worker_->TryPost([this, &policies] {
    const base::Status followed = policies.Follow();
    base::MutexLock lock(mutex_);
    const bool is_soon = followed.code() == StatusCode::kUnavailable;
    policy_again_at_ = clock_.BootNow() + (is_soon ? kSoon : kLater);
    if (!followed.ok() && !is_soon && base::Message(followed) != base::Message(policy_)) {
      base::LogError("another edge's policy cannot be followed; the former one stays",
                     {{"error", base::Message(followed)}});
    }
    policy_ = followed;
  });
}

void SharedEdge::Tick() {
  {
    base::MutexLock lock(mutex_);
    if (policy_.ok() || clock_.BootNow() < policy_again_at_) return;
  }
  follow_policy_();
}

void SharedEdge::Stop() {
  LetGo();
  if (follower_ != nullptr) follower_->Stop();
  policy_worker_.reset();
  keys_worker_.reset();
}

ops::StoreStatus SharedEdge::status() const {
  ops::StoreStatus status;
  status.shared = true;
  const base::BootTime now = clock_.BootNow();
  if (lease_.Holds(now)) {
    status.lease = std::chrono::ceil<std::chrono::milliseconds>(lease_.end() - now);
  }
  if (follower_ != nullptr) {
    const ops::Follower::State state = follower_->state();
    status.up = state.store;
    status.applied = state.applied;
    status.edges = state.edges;
  }
  base::MutexLock lock(mutex_);
  status.policy = policy_;
  return status;
}

}  // namespace exeat
