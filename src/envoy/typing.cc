#include "envoy/typing.h"

#include <fmt/format.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/io/coded_stream.h>
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

// A message of our own that carries others, beside those of the set.
constexpr char kBatch[] = "exeat.envoy.Batch";
constexpr std::uint32_t kBatchTag = (1 << 3) | 2;

pb::FileDescriptorProto BatchFile() {
  pb::FileDescriptorProto file;
  file.set_name("exeat/envoy/batch.proto");
  file.set_package("exeat.envoy");
  file.set_syntax("proto3");
  file.add_dependency("google/protobuf/any.proto");
  pb::DescriptorProto* batch = file.add_message_type();
  batch->set_name("Batch");
  pb::FieldDescriptorProto* messages = batch->add_field();
  messages->set_name("messages");
  messages->set_number(1);
  messages->set_label(pb::FieldDescriptorProto::LABEL_REPEATED);
  messages->set_type(pb::FieldDescriptorProto::TYPE_MESSAGE);
  messages->set_type_name(".google.protobuf.Any");
  return file;
}

base::StatusOr<std::vector<std::string>> Unpack(const std::string& batch) {
  std::vector<std::string> values;
  pb::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(batch.data()),
                              static_cast<int>(batch.size()));
  while (in.ReadTag() == kBatchTag) {
    std::uint32_t size = 0;
    std::string bytes;
    pb::Any message;
    if (!in.ReadVarint32(&size) || !in.ReadString(&bytes, static_cast<int>(size)) ||
        !message.ParseFromString(bytes)) {
      return absl::InternalError("a batch that protobuf wrote does not parse");
    }
    values.push_back(std::move(*message.mutable_value()));
  }
  return values;
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
  if (!pool->database.Add(BatchFile())) {
    return absl::InternalError("the Envoy descriptors hold our own batch");
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
  // A whole copy without "@type" would cost more than this text.
  std::string fields;
  for (const auto& [key, value] : message.items()) {
    if (key == "@type") continue;
    fields += (fields.empty() ? "{" : ",") + nlohmann::json(key).dump() + ":" + value.dump();
  }
  fields += fields.empty() ? "{}" : "}";
  std::string binary;
  const auto status = pb::util::JsonToBinaryString(pool_->types.get(), type_url, fields, &binary);
  if (!status.ok()) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", type_url, ErrorText(status)));
  }
  return binary;
}

base::StatusOr<std::vector<std::string>> Typing::ToBinaries(
    const std::vector<nlohmann::json>& messages) const {
  std::string text = "{\"messages\":[";
  for (const nlohmann::json& message : messages) {
    if (!message.is_object() || !message.contains("@type")) {
      return absl::InvalidArgumentError("an Envoy message without @type");
    }
    text += (&message == &messages.front() ? "" : ",") + message.dump();
  }
  text += "]}";
  std::string batch;
  const auto status = pb::util::JsonToBinaryString(
      pool_->types.get(), fmt::format("{}/{}", kTypeUrlHost, kBatch), text, &batch);
  if (!status.ok()) {
    return absl::InvalidArgumentError(ErrorText(status));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> values, Unpack(batch));
  if (values.size() != messages.size()) {
    return absl::InternalError("protobuf wrote another number of messages than it was given");
  }
  return values;
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
