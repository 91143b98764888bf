// One delta xDS stream as a state machine: requests and changes in, replies out.
//
// Why here:  the rules of incremental xDS are testable without gRPC or Envoy.
// Shapes:    every subscribed name is answered, a missing one by removal; what the client already
//            has (initial_resource_versions) is not sent again; replies wait for their ACK in
//            `Unacknowledged`.
// Limits:    what is to be sent is cut into replies of about kMaxReplyBytes, each with a nonce of
//            its own: thousands of clusters in one message would be held thrice on the way out.
// Threads:   none of its own; the owner serialises calls.
// Source:    xDS protocol, "Incremental xDS"; docs/adr/0010-delta-ads.md
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace exeat::rpc {

// A resource as it is served: opaque bytes of one google.protobuf.Any and their version.
struct Versioned {
  std::string version;
  std::string value;
  std::shared_ptr<const std::string> common = nullptr;  // follows `value`; many share it
};
using VersionedPtr = std::shared_ptr<const Versioned>;

struct DeltaRequest {
  std::string type_url;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_versions;
  std::string nonce;                 // of the reply this acknowledges; empty: none
  std::optional<std::string> error;  // set: a NACK, with the client's words
};

inline constexpr std::size_t kMaxReplyBytes = std::size_t{4} << 20;

struct DeltaReply {
  std::string type_url;
  std::string nonce;
  std::vector<std::pair<std::string, VersionedPtr>> resources;
  std::vector<std::string> removed;
};

// Where a stream finds what it serves. Null: there is no such resource, or it is refused.
class ResourceSource {
 public:
  virtual ~ResourceSource() = default;
  virtual VersionedPtr Find(const std::string& type_url, const std::string& name) = 0;
  virtual std::vector<std::string> Names(const std::string& type_url) = 0;
};

class DeltaStream {
 public:
  explicit DeltaStream(ResourceSource& source) : source_(source) {}

  // What to answer, if anything, in this order. A NACK is handed to `on_nack` first.
  std::vector<DeltaReply> Handle(
      const DeltaRequest& request,
      const std::function<void(const std::string& type_url, const std::string& error)>& on_nack);
  // What to send after these names of this type were changed or taken away.
  std::vector<DeltaReply> Changed(const std::string& type_url,
                                  const std::vector<std::string>& names);

  std::size_t Unacknowledged() const { return unacknowledged_.size(); }

 private:
  struct Subscription {
    bool wildcard = false;
    std::set<std::string> names;
    std::map<std::string, std::string> client_has;  // name -> version
  };

  void Acknowledge(const DeltaRequest& request,
                   const std::function<void(const std::string&, const std::string&)>& on_nack);
  std::vector<std::string> TakeNames(const DeltaRequest& request, Subscription& subscription);
  std::vector<DeltaReply> ReplyWith(const std::string& type_url, Subscription& subscription,
                                    const std::vector<std::string>& names, bool always_answer);

  ResourceSource& source_;
  std::map<std::string, Subscription> subscriptions_;
  std::set<std::string> unacknowledged_;
  std::size_t next_nonce_ = 1;
};

}  // namespace exeat::rpc
