// JSON -> checked binary of any Envoy message, by the descriptors of the pinned binary itself.
//
// Why here:  what we push is typed by what the binary speaks, at no compile time and without skew.
// Errors:    kInvalidArgument names the path of an unknown field, a wrong type or an unknown
//            message; kInternal when the embedded descriptors are damaged. The text never quotes
//            values.
// Limits:    the rules beyond types (ranges, required fields) are judged by Envoy alone.
// Threads:   const methods are safe concurrently.
// Source:    docs/adr/0003-envoy-api-from-the-binary.md
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace exeat::envoy {

class Typing {
 public:
  // From one serialized FileDescriptorSet, which must outlive nothing: it is copied.
  static base::StatusOr<std::unique_ptr<Typing>> Create(std::string_view descriptor_set);
  // From the set embedded in this program.
  static base::StatusOr<std::unique_ptr<Typing>> Embedded();

  ~Typing();
  Typing(const Typing&) = delete;
  Typing& operator=(const Typing&) = delete;

  // The serialized message of an object that holds "@type": what google.protobuf.Any calls value.
  base::StatusOr<std::string> ToBinary(const nlohmann::json& message) const;
  // Of many small messages, each as ToBinary would give it, at a fraction of the cost: what a type
  // looks like is found out once for all of them.
  base::StatusOr<std::vector<std::string>> ToBinaries(
      const std::vector<nlohmann::json>& messages) const;
  // The other way, with "@type".
  base::StatusOr<nlohmann::json> ToJson(std::string_view type_url, std::string_view value) const;

 private:
  struct Pool;
  explicit Typing(std::unique_ptr<Pool> pool);
  std::unique_ptr<Pool> pool_;
};

}  // namespace exeat::envoy
