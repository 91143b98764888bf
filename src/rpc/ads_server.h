// Serves Envoy its whole configuration: delta ADS on a Unix socket.
//
// Purpose:   holds the resources in force, pushes what changes to every connected Envoy in an order
//            that never refers to what is not there yet, and tells whether Envoy took it.
// Refuses:   an Envoy that says it lacks what it would be given: nothing is sent to it.
// Errors:    Publish: kFailedPrecondition Envoy refused (its words are in the message) and the
//            resources before are back in force; kUnavailable no Envoy connected;
//            kDeadlineExceeded not acknowledged in time, the resources before are back.
// Threads:   safe concurrently. The hooks run on gRPC's threads; `leaf` and `nacked` under this
//            server's lock, so they must not call back into it.
// Source:    docs/adr/0010-delta-ads.md
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "envoy/extensions.h"
#include "envoy/resource.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "rpc/delta_stream.h"

namespace exeat::rpc {

class AdsServer final
    : public ::envoy::service::discovery::v3::AggregatedDiscoveryService::CallbackService,
      private ResourceSource {
 public:
  struct Hooks {
    // The leaf for this SDS name, or null: refused. Called for names that are not in the table.
    std::function<VersionedPtr(const std::string& name)> leaf;
    std::function<void(const std::string& type_url, const std::string& error)> nacked;
    // Whether an Envoy that has these extensions may be given anything; asked once a stream, before
    // its first answer. An error ends the stream. Not under this server's lock.
    std::function<base::Status(const std::vector<::exeat::envoy::CompiledIn>& has)> admit;
    // An Envoy's stream began or ended; `streams` are open now.
    std::function<void(int streams)> connected;
  };
  explicit AdsServer(Hooks hooks) : hooks_(std::move(hooks)) {}
  ~AdsServer() override;

  // Replaces the whole set that was published before and waits for Envoy's word. Resources put by
  // Put stay.
  base::Status Publish(const std::vector<::exeat::envoy::Resource>& resources,
                       std::chrono::milliseconds timeout);
  // The same without waiting, for the set that the first Envoy to connect will ask for.
  void Preload(const std::vector<::exeat::envoy::Resource>& resources);

  // Puts single resources beside the published set: endpoints, credentials.
  void Put(const std::vector<::exeat::envoy::Resource>& resources);
  // Drops what Put put under this type, but for these names.
  void Keep(const std::string& type_url, const std::set<std::string>& names);
  // Announces that leaves were renewed or evicted; each is asked for again by Hooks::leaf.
  void LeavesChanged(const std::vector<std::string>& names);
  // Pushes every address set again under a new version: a lease.
  void RenewLeases();

  // Waits until every open stream has acknowledged all that was sent.
  base::Status WaitAcknowledged(std::chrono::milliseconds timeout);
  int streams() const;

  ::grpc::ServerBidiReactor<::envoy::service::discovery::v3::DeltaDiscoveryRequest,
                            ::envoy::service::discovery::v3::DeltaDiscoveryResponse>*
  DeltaAggregatedResources(::grpc::CallbackServerContext* context) override;

 private:
  class Reactor;
  using Table = std::map<std::string, std::map<std::string, VersionedPtr>>;  // type -> name
  using Changes = std::map<std::string, std::vector<std::string>>;

  VersionedPtr Find(const std::string& type_url, const std::string& name) override;
  std::vector<std::string> Names(const std::string& type_url) override;

  Changes Replace(const std::vector<::exeat::envoy::Resource>& resources) REQUIRES(mutex_);
  void Restore(const Table& published) REQUIRES(mutex_);
  void RenewInto(Changes& changes) REQUIRES(mutex_);
  void Push(Changes changes) REQUIRES(mutex_);
  base::Status WaitLocked(std::chrono::milliseconds timeout) REQUIRES(mutex_);
  void Forget(Reactor* reactor);

  Hooks hooks_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  Table published_ GUARDED_BY(mutex_);  // replaced whole by Publish
  Table single_ GUARDED_BY(mutex_);     // put one by one
  std::vector<Reactor*> streams_ GUARDED_BY(mutex_);
  std::uint64_t lease_ GUARDED_BY(mutex_) = 0;
  std::uint64_t nacks_ GUARDED_BY(mutex_) = 0;
  std::string last_nack_ GUARDED_BY(mutex_);
  base::Mutex publishing_;  // one Publish at a time
};

}  // namespace exeat::rpc
