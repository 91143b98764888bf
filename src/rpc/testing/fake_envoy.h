// A delta ADS client that acknowledges what it is sent, unless a value says "bad".
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"

namespace exeat::rpc {

class FakeEnvoy {
 public:
  using Request = ::envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = ::envoy::service::discovery::v3::DeltaDiscoveryResponse;

  explicit FakeEnvoy(::grpc::Server& server)
      : stub_(::envoy::service::discovery::v3::AggregatedDiscoveryService::NewStub(
            server.InProcessChannel({}))),
        stream_(stub_->DeltaAggregatedResources(&context_)),
        reader_([this] { Read(); }) {}
  ~FakeEnvoy() { context_.TryCancel(); }

  void Subscribe(const std::string& type_url, const std::vector<std::string>& names) {
    Request request;
    request.set_type_url(type_url);
    for (const std::string& name : names) request.add_resource_names_subscribe(name);
    base::MutexLock lock(mutex_);
    stream_->Write(request);
  }

  struct Extension {
    std::string category, name;
    bool disabled = false;
  };
  // As Subscribe to all, with what a first request says of its sender.
  void Introduce(const std::string& type_url, const std::vector<Extension>& extensions) {
    Request request;
    request.set_type_url(type_url);
    for (const Extension& extension : extensions) {
      auto* said = request.mutable_node()->add_extensions();
      said->set_category(extension.category);
      said->set_name(extension.name);
      said->set_disabled(extension.disabled);
      said->add_type_urls("type.of." + extension.name);
    }
    base::MutexLock lock(mutex_);
    stream_->Write(request);
  }
  // How the server ended the stream.
  ::grpc::Status AwaitEnd() {
    reader_.join();
    return stream_->Finish();
  }

  // The value of a resource once it is `wanted`, or whatever it is after a long wait.
  std::string AwaitValue(const std::string& name, const std::string& wanted) {
    base::MutexLock lock(mutex_);
    while (values_[name] != wanted) {
      if (!changed_.WaitFor(mutex_, std::chrono::seconds(20))) break;
    }
    return values_[name];
  }
  // How often a resource was sent, once that is at least `wanted`.
  int AwaitSent(const std::string& name, int wanted) {
    base::MutexLock lock(mutex_);
    while (sent_[name] < wanted) {
      if (!changed_.WaitFor(mutex_, std::chrono::seconds(20))) break;
    }
    return sent_[name];
  }

 private:
  void Read() {
    Response response;
    while (stream_->Read(&response)) {
      base::MutexLock lock(mutex_);
      Request answer;
      answer.set_type_url(response.type_url());
      answer.set_response_nonce(response.nonce());
      for (const auto& resource : response.resources()) {
        ++sent_[resource.name()];
        if (resource.resource().value().find("bad") != std::string::npos) {
          answer.mutable_error_detail()->set_message("no such thing as bad");
        } else {
          values_[resource.name()] = resource.resource().value();
        }
      }
      for (const std::string& name : response.removed_resources()) values_[name] = "(removed)";
      stream_->Write(answer);
      changed_.NotifyAll();
    }
  }

  ::grpc::ClientContext context_;
  std::unique_ptr<::envoy::service::discovery::v3::AggregatedDiscoveryService::Stub> stub_;
  std::unique_ptr<::grpc::ClientReaderWriter<Request, Response>> stream_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::map<std::string, std::string> values_ GUARDED_BY(mutex_);
  std::map<std::string, int> sent_ GUARDED_BY(mutex_);
  std::jthread reader_;  // last: it uses all of the above
};

}  // namespace exeat::rpc
