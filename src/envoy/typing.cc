#include "envoy/typing.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <utility>

#include "envoy_api/descriptors.h"

namespace exeat::envoy {
namespace {

namespace pb = google::protobuf;

constexpr char kTypeUrlHost[] = "type.googleapis.com";

// Its text quotes the offending token when it is a literal of the wrong type, so only the part
// before a newline and at most this much is kept.
constexpr std::size_t kMaxErrorBytes = 400;

std::string ErrorText(const pb::util::Status& status) {
  std::string text(status.message().data(), status.message().size());
  if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  if (text.size() > kMaxErrorBytes) text.resize(kMaxErrorBytes);
  return text;
}

}  // namespace

struct Typing::Pool {
  pb::SimpleDescriptorDatabase database;
  std::unique_ptr<pb::DescriptorPool> descriptors;
  std::unique_ptr<pb::util::TypeResolver> types;
};

Typing::Typing(std::unique_ptr<Pool> pool) : pool_(std::move(pool)) {}
Typing::~Typing() = default;

base::StatusOr<std::unique_ptr<Typing>> Typing::Create(std::string_view descriptor_set) {
  pb::FileDescriptorSet files;
  if (!files.ParseFromArray(descriptor_set.data(), static_cast<int>(descriptor_set.size())) ||
      files.file_size() == 0) {
    return absl::InternalError("the Envoy descriptors do not parse");
  }
  auto pool = std::make_unique<Pool>();
  for (const pb::FileDescriptorProto& file : files.file()) {
    if (!pool->database.Add(file)) {
      return absl::InternalError(fmt::format("Envoy descriptor file {} is refused", file.name()));
    }
  }
  pool->descriptors = std::make_unique<pb::DescriptorPool>(&pool->database);
  pool->types.reset(
      pb::util::NewTypeResolverForDescriptorPool(kTypeUrlHost, pool->descriptors.get()));
  return std::unique_ptr<Typing>(new Typing(std::move(pool)));
}

base::StatusOr<std::unique_ptr<Typing>> Typing::Embedded() {
  return Create(envoy_api::Descriptors());
}

base::StatusOr<std::string> Typing::ToBinary(const nlohmann::json& message) const {
  const auto type = message.find("@type");
  if (type == message.end() || !type->is_string()) {
    return absl::InvalidArgumentError("an Envoy message without @type");
  }
  const std::string& type_url = type->get_ref<const std::string&>();
  nlohmann::json fields = message;
  fields.erase("@type");
  std::string binary;
  const auto status =
      pb::util::JsonToBinaryString(pool_->types.get(), type_url, fields.dump(), &binary);
  if (!status.ok()) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", type_url, ErrorText(status)));
  }
  return binary;
}

base::StatusOr<nlohmann::json> Typing::ToJson(std::string_view type_url,
                                              std::string_view value) const {
  std::string text;
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = pb::util::BinaryToJsonString(pool_->types.get(), std::string(type_url),
                                                   std::string(value), &text, options);
  if (!status.ok()) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", type_url, ErrorText(status)));
  }
  nlohmann::json message = nlohmann::json::parse(text, nullptr, false);
  if (!message.is_object()) return absl::InternalError("protobuf printed what is not an object");
  message["@type"] = type_url;
  return message;
}

}  // namespace exeat::envoy
