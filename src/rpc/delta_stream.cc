#include "rpc/delta_stream.h"

#include <utility>

namespace exeat::rpc {
namespace {

std::size_t BytesOf(const Versioned& resource) {
  return resource.value.size() + (resource.common == nullptr ? 0 : resource.common->size());
}

}  // namespace

std::vector<DeltaReply> DeltaStream::Handle(
    const DeltaRequest& request,
    const std::function<void(const std::string&, const std::string&)>& on_nack) {
  Acknowledge(request, on_nack);
  const bool first = !subscriptions_.contains(request.type_url);
  Subscription& subscription = subscriptions_[request.type_url];
  for (const auto& [name, version] : request.initial_versions) {
    subscription.client_has[name] = version;
  }
  // The first request of a type that names nothing asks for everything.
  if (first && request.subscribe.empty()) subscription.wildcard = true;
  std::vector<std::string> names = TakeNames(request, subscription);
  if (first && subscription.wildcard) {
    names = source_.Names(request.type_url);
    for (const auto& [name, version] : subscription.client_has) {
      if (source_.Find(request.type_url, name) == nullptr) names.push_back(name);
    }
    return ReplyWith(request.type_url, subscription, names, true);
  }
  if (names.empty()) return {};
  return ReplyWith(request.type_url, subscription, names, false);
}

void DeltaStream::Acknowledge(
    const DeltaRequest& request,
    const std::function<void(const std::string&, const std::string&)>& on_nack) {
  if (request.nonce.empty()) return;
  unacknowledged_.erase(request.nonce);
  if (request.error.has_value()) on_nack(request.type_url, *request.error);
}

std::vector<std::string> DeltaStream::TakeNames(const DeltaRequest& request,
                                                Subscription& subscription) {
  std::vector<std::string> fresh;
  for (const std::string& name : request.subscribe) {
    if (name == "*") {
      subscription.wildcard = true;
      continue;
    }
    // A name asked for again has been dropped by the client: send it whatever it had.
    if (!subscription.names.insert(name).second) subscription.client_has.erase(name);
    fresh.push_back(name);
  }
  for (const std::string& name : request.unsubscribe) {
    if (name == "*") subscription.wildcard = false;
    subscription.names.erase(name);
    subscription.client_has.erase(name);
  }
  return fresh;
}

std::vector<DeltaReply> DeltaStream::Changed(const std::string& type_url,
                                             const std::vector<std::string>& names) {
  const auto found = subscriptions_.find(type_url);
  if (found == subscriptions_.end()) return {};
  Subscription& subscription = found->second;
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    if (subscription.wildcard || subscription.names.contains(name)) wanted.push_back(name);
  }
  if (wanted.empty()) return {};
  return ReplyWith(type_url, subscription, wanted, false);
}

std::vector<DeltaReply> DeltaStream::ReplyWith(const std::string& type_url,
                                               Subscription& subscription,
                                               const std::vector<std::string>& names,
                                               bool always_answer) {
  std::vector<DeltaReply> replies(1);
  std::vector<std::string> removed;
  std::size_t bytes = 0;
  for (const std::string& name : names) {
    VersionedPtr resource = source_.Find(type_url, name);
    if (resource == nullptr) {
      removed.push_back(name);
      subscription.client_has.erase(name);
      continue;
    }
    std::string& has = subscription.client_has[name];
    if (has == resource->version) continue;
    has = resource->version;
    const std::size_t size = name.size() + BytesOf(*resource);
    if (bytes > 0 && bytes + size > kMaxReplyBytes) {
      replies.emplace_back();
      bytes = 0;
    }
    bytes += size;
    replies.back().resources.emplace_back(name, std::move(resource));
  }
  replies.back().removed = std::move(removed);
  if (bytes == 0 && replies.back().removed.empty() && !always_answer) return {};
  for (DeltaReply& reply : replies) {
    reply.type_url = type_url;
    reply.nonce = std::to_string(next_nonce_++);
    unacknowledged_.insert(reply.nonce);
  }
  return replies;
}

}  // namespace exeat::rpc
