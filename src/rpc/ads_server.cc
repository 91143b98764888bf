#include "rpc/ads_server.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "fmt/format.h"

namespace exeat::rpc {
namespace {

using Request = ::envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Response = ::envoy::service::discovery::v3::DeltaDiscoveryResponse;

// Make before break: what is referred to goes first. Types that are not named go before all.
constexpr std::string_view kPushOrder[] = {
    "Cluster", "ClusterLoadAssignment", "TypedExtensionConfig", "RouteConfiguration", "Listener"};

std::size_t PushRank(const std::string& type_url) {
  for (std::size_t i = 0; i < std::size(kPushOrder); ++i) {
    if (type_url.ends_with("." + std::string(kPushOrder[i]))) return i + 1;
  }
  return 0;
}

// A version without the mark of its lease.
std::string_view ContentOf(std::string_view version) {
  return version.substr(0, version.find('+'));
}

VersionedPtr Serve(const ::exeat::envoy::Resource& resource) {
  return std::make_shared<Versioned>(Versioned{resource.version, resource.value, resource.common});
}

DeltaRequest FromProto(const Request& request) {
  DeltaRequest out;
  out.type_url = request.type_url();
  out.subscribe.assign(request.resource_names_subscribe().begin(),
                       request.resource_names_subscribe().end());
  out.unsubscribe.assign(request.resource_names_unsubscribe().begin(),
                         request.resource_names_unsubscribe().end());
  out.initial_versions.insert(request.initial_resource_versions().begin(),
                              request.initial_resource_versions().end());
  out.nonce = request.response_nonce();
  if (request.has_error_detail()) out.error = request.error_detail().message();
  return out;
}

// What is switched off is not there.
std::vector<::exeat::envoy::CompiledIn> ExtensionsOf(const Request& request) {
  std::vector<::exeat::envoy::CompiledIn> has;
  for (const auto& extension : request.node().extensions()) {
    if (extension.disabled()) continue;
    has.push_back({extension.category(),
                   extension.name(),
                   {extension.type_urls().begin(), extension.type_urls().end()}});
  }
  return has;
}

Response ToProto(const DeltaReply& reply) {
  Response out;
  out.set_type_url(reply.type_url);
  out.set_nonce(reply.nonce);
  for (const auto& [name, resource] : reply.resources) {
    auto* proto = out.add_resources();
    proto->set_name(name);
    proto->set_version(resource->version);
    proto->mutable_resource()->set_type_url(reply.type_url);
    std::string& value = *proto->mutable_resource()->mutable_value();
    value = resource->value;
    if (resource->common != nullptr) value += *resource->common;
  }
  for (const std::string& name : reply.removed) out.add_removed_resources(name);
  return out;
}

}  // namespace

// One Envoy's stream. Reads and writes are gRPC's; every decision is DeltaStream's, made under the
// server's mutex.
class AdsServer::Reactor final : public ::grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit Reactor(AdsServer& server) : server_(server), stream_(server) {}
  void Begin() { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(::grpc::Status::OK);
      return;
    }
    if (!admitted_) {
      const base::Status admitted = server_.hooks_.admit(ExtensionsOf(request_));
      if (!admitted.ok()) return Refuse(admitted);
      admitted_ = true;
    }
    {
      base::MutexLock lock(server_.mutex_);
      auto replies = stream_.Handle(
          FromProto(request_),
          [this](const std::string& type, const std::string& error) { Nacked(type, error); });
      for (DeltaReply& reply : replies) Enqueue(std::move(reply));
    }
    server_.changed_.NotifyAll();
    request_.Clear();
    StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    base::MutexLock lock(server_.mutex_);
    queue_.pop_front();
    writing_ = Response();  // Clear would keep what it had grown to
    if (ok && !queue_.empty()) Write();
  }

  void OnDone() override {
    server_.Forget(this);
    delete this;
  }

  DeltaStream& stream() { return stream_; }

  void Enqueue(DeltaReply reply) {
    queue_.push_back(std::move(reply));
    if (queue_.size() == 1) Write();
  }

 private:
  // Nobody waits for it any more.
  void Refuse(const base::Status& why) {
    {
      base::MutexLock lock(server_.mutex_);
      std::erase(server_.streams_, this);
    }
    server_.changed_.NotifyAll();
    Finish(::grpc::Status(::grpc::StatusCode::FAILED_PRECONDITION, base::Message(why)));
  }

  // The message is made when its turn comes: all of them at once would hold each cluster twice.
  void Write() {
    writing_ = ToProto(queue_.front());
    StartWrite(&writing_);
  }

  void Nacked(const std::string& type, const std::string& error) NO_THREAD_SAFETY_ANALYSIS {
    ++server_.nacks_;
    server_.last_nack_ = fmt::format("{}: {}", type.substr(type.rfind('.') + 1), error);
    server_.hooks_.nacked(type, error);
  }

  AdsServer& server_;
  DeltaStream stream_;
  bool admitted_ = false;
  Request request_;
  Response writing_;  // of the front
  std::deque<DeltaReply> queue_;
};

AdsServer::~AdsServer() = default;

::grpc::ServerBidiReactor<Request, Response>* AdsServer::DeltaAggregatedResources(
    ::grpc::CallbackServerContext*) {
  auto* reactor = new Reactor(*this);
  int open = 0;
  {
    base::MutexLock lock(mutex_);
    streams_.push_back(reactor);
    open = static_cast<int>(streams_.size());
  }
  hooks_.connected(open);
  reactor->Begin();
  return reactor;
}

void AdsServer::Forget(Reactor* reactor) {
  int open = 0;
  {
    base::MutexLock lock(mutex_);
    std::erase(streams_, reactor);
    open = static_cast<int>(streams_.size());
  }
  changed_.NotifyAll();
  hooks_.connected(open);
}

int AdsServer::streams() const {
  base::MutexLock lock(mutex_);
  return static_cast<int>(streams_.size());
}

VersionedPtr AdsServer::Find(const std::string& type_url,
                             const std::string& name) NO_THREAD_SAFETY_ANALYSIS {
  for (const Table* table : {&published_, &single_}) {
    const auto type = table->find(type_url);
    if (type == table->end()) continue;
    const auto found = type->second.find(name);
    if (found != type->second.end()) return found->second;
  }
  if (type_url == ::exeat::envoy::kSecretType) return hooks_.leaf(name);
  return nullptr;
}

std::vector<std::string> AdsServer::Names(const std::string& type_url) NO_THREAD_SAFETY_ANALYSIS {
  std::vector<std::string> names;
  for (const Table* table : {&published_, &single_}) {
    const auto type = table->find(type_url);
    if (type == table->end()) continue;
    for (const auto& [name, resource] : type->second) names.push_back(name);
  }
  return names;
}

AdsServer::Changes AdsServer::Replace(const std::vector<::exeat::envoy::Resource>& resources) {
  Table next;
  for (const auto& resource : resources) {
    const auto& served = published_[resource.type_url];
    const auto same = served.find(resource.name);
    next[resource.type_url][resource.name] =
        same != served.end() && same->second->version == resource.version ? same->second
                                                                          : Serve(resource);
  }
  Changes changes;
  for (const auto& [type, named] : next) {
    for (const auto& [name, resource] : named) {
      VersionedPtr& old = published_[type][name];
      if (old == nullptr || old->version != resource->version) changes[type].push_back(name);
    }
  }
  for (const auto& [type, named] : published_) {
    for (const auto& [name, resource] : named) {
      if (!next[type].contains(name)) changes[type].push_back(name);
    }
  }
  published_ = std::move(next);
  return changes;
}

void AdsServer::Restore(const Table& published) {
  Changes changes;
  for (const auto& [type, named] : published_) {
    for (const auto& [name, resource] : named) changes[type].push_back(name);
  }
  for (const auto& [type, named] : published) {
    for (const auto& [name, resource] : named) changes[type].push_back(name);
  }
  for (auto& [type, names] : changes) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }
  published_ = published;
  Push(changes);
}

void AdsServer::Push(Changes changes) {
  // A changed cluster warms until its addresses come again, though Envoy does not ask for them.
  if (changes.contains(::exeat::envoy::kClusterType)) RenewInto(changes);
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [type, names] : changes) order.emplace_back(PushRank(type), type);
  std::sort(order.begin(), order.end());
  for (Reactor* reactor : streams_) {
    for (const auto& [rank, type] : order) {
      for (DeltaReply& reply : reactor->stream().Changed(type, changes.at(type))) {
        reactor->Enqueue(std::move(reply));
      }
    }
  }
}

void AdsServer::Preload(const std::vector<::exeat::envoy::Resource>& resources) {
  base::MutexLock lock(mutex_);
  Push(Replace(resources));
}

base::Status AdsServer::Publish(const std::vector<::exeat::envoy::Resource>& resources,
                                std::chrono::milliseconds timeout) {
  base::MutexLock one_at_a_time(publishing_);
  base::MutexLock lock(mutex_);
  if (streams_.empty()) {
    return base::MakeStatus(base::StatusCode::kUnavailable,
                            "no Envoy is connected, so nothing could be applied");
  }
  const Table before = published_;
  const std::uint64_t nacks_before = nacks_;
  Push(Replace(resources));
  base::Status taken = WaitLocked(timeout);
  if (nacks_ != nacks_before) {
    taken = base::MakeStatus(base::StatusCode::kFailedPrecondition,
                             "Envoy refused the configuration: " + last_nack_);
  }
  if (taken.ok()) return taken;
  Restore(before);
  const base::Status restored = WaitLocked(timeout);
  if (!restored.ok()) {
    base::LogError("Envoy did not acknowledge the return to the configuration before",
                   {{"error", base::Message(restored)}});
  }
  return taken;
}

void AdsServer::Put(const std::vector<::exeat::envoy::Resource>& resources) {
  base::MutexLock lock(mutex_);
  Changes changes;
  for (const auto& resource : resources) {
    VersionedPtr& slot = single_[resource.type_url][resource.name];
    if (slot != nullptr && ContentOf(slot->version) == resource.version) continue;
    slot = Serve(resource);
    changes[resource.type_url].push_back(resource.name);
  }
  Push(changes);
}

void AdsServer::Keep(const std::string& type_url, const std::set<std::string>& names) {
  base::MutexLock lock(mutex_);
  auto& put = single_[type_url];
  Changes changes;
  std::erase_if(put, [&](const auto& entry) {
    if (names.contains(entry.first)) return false;
    changes[type_url].push_back(entry.first);
    return true;
  });
  Push(changes);
}

void AdsServer::LeavesChanged(const std::vector<std::string>& names) {
  base::MutexLock lock(mutex_);
  Push({{std::string(::exeat::envoy::kSecretType), names}});
}

void AdsServer::RenewLeases() {
  base::MutexLock lock(mutex_);
  Changes changes;
  RenewInto(changes);
  Push(changes);
}

void AdsServer::RenewInto(Changes& changes) {
  const auto type = single_.find(::exeat::envoy::kEndpointType);
  if (type == single_.end()) return;
  ++lease_;
  std::vector<std::string>& names = changes[::exeat::envoy::kEndpointType];
  for (auto& [name, resource] : type->second) {
    resource = std::make_shared<Versioned>(
        Versioned{fmt::format("{}+{}", ContentOf(resource->version), lease_), resource->value,
                  resource->common});
    names.push_back(name);
  }
}

base::Status AdsServer::WaitAcknowledged(std::chrono::milliseconds timeout) {
  base::MutexLock lock(mutex_);
  return WaitLocked(timeout);
}

base::Status AdsServer::WaitLocked(std::chrono::milliseconds timeout) {
  const auto quiet = [this]() NO_THREAD_SAFETY_ANALYSIS {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](Reactor* reactor) { return reactor->stream().Unacknowledged() == 0; });
  };
  const base::Clock& clock = base::SystemClock();
  const base::BootTime deadline = clock.BootNow() + timeout;
  while (!quiet()) {
    const base::BootTime left = deadline - clock.BootNow();
    if (left.count() <= 0) {
      return base::MakeStatus(
          base::StatusCode::kDeadlineExceeded,
          fmt::format("Envoy did not acknowledge its configuration within {} ms", timeout.count()));
    }
    changed_.WaitFor(mutex_, left);
  }
  return streams_.empty() ? base::MakeStatus(base::StatusCode::kUnavailable,
                                             "Envoy's stream ended before it acknowledged")
                          : absl::OkStatus();
}

}  // namespace exeat::rpc
