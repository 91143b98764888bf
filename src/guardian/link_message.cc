#include "guardian/link_message.h"

#include <type_traits>
#include <utility>

#include "fmt/format.h"

namespace exeat::guardian {
namespace {

using base::MakeStatus;
using base::StatusCode;
using base::StatusOr;

constexpr std::uint8_t kLinkVersion = 1;
constexpr std::uint8_t kFirstToGuardian = 0x10;
constexpr std::uint8_t kFirstToControl = 0x40;
constexpr std::uint32_t kMaxListItems = 1024;

class Writer {
 public:
  template <class Int>
    requires std::is_integral_v<Int>
  void operator()(const Int& value) {
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(Int); ++i, bits >>= 8U) {
      bytes_.push_back(static_cast<char>(bits & 0xFFU));
    }
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
  }
  void operator()(const std::vector<std::string>& list) {
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const std::string& item : list) (*this)(item);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class Int>
    requires std::is_integral_v<Int>
  void operator()(Int& value) {
    if (!Has(sizeof(Int))) return;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(Int); ++i) {
      bits |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    }
    value = static_cast<Int>(bits);
    rest_.remove_prefix(sizeof(Int));
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!Has(size)) return;
    text = rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  void operator()(std::vector<std::string>& list) {
    std::uint32_t count = 0;
    (*this)(count);
    if (count > kMaxListItems) sound_ = false;
    for (std::uint32_t i = 0; sound_ && i < count; ++i) (*this)(list.emplace_back());
  }
  bool DoneAndSound() const { return sound_ && rest_.empty(); }

 private:
  bool Has(std::size_t count) {
    if (rest_.size() < count) sound_ = false;
    return sound_;
  }

  std::string_view rest_;
  bool sound_ = true;
};

// The fields of each message, once, for both directions.
template <class T, class M>
constexpr bool kIs = std::is_same_v<std::remove_const_t<M>, T>;

template <class Archive, class M>
void Fields(Archive& archive, M& message) {
  if constexpr (kIs<Beat, M>) {
    archive(message.sent_at_ns);
  } else if constexpr (kIs<StartEnvoy, M>) {
    auto& command = message.command;
    archive(command.binary);
    archive(command.argv);
    archive(command.environment);
    archive(command.run_directory);
    archive(command.uid);
    archive(command.gid);
  } else if constexpr (kIs<Ready, M>) {
    archive(message.line);
  } else if constexpr (kIs<Fatal, M>) {
    archive(message.exit_code);
    archive(message.message);
  } else if constexpr (kIs<EnvoyStarted, M>) {
    archive(message.pid);
    archive(message.confinement);
  } else if constexpr (kIs<EnvoyExited, M>) {
    archive(message.wait_status);
  } else if constexpr (kIs<EnvoyFailed, M>) {
    archive(message.message);
  } else {
    static_assert(std::is_empty_v<M>, "a message with fields must list them here");
  }
}

template <class Variant>
StatusOr<std::string> EncodeFrom(const Variant& message, std::uint8_t first_kind) {
  Writer writer;
  writer(kLinkVersion);
  writer(static_cast<std::uint8_t>(first_kind + message.index()));
  std::visit([&](const auto& alternative) { Fields(writer, alternative); }, message);
  std::string record = writer.Take();
  if (record.size() > kMaxLinkMessageBytes) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("link message of {} bytes, at most {} fit", record.size(),
                                  kMaxLinkMessageBytes));
  }
  return record;
}

template <class Variant, std::size_t... I>
bool EmplaceAndRead(Variant& message, std::size_t index, Reader& reader,
                    std::index_sequence<I...>) {
  return ((I == index ? (Fields(reader, message.template emplace<I>()), true) : false) || ...);
}

template <class Variant>
StatusOr<Variant> DecodeFrom(std::string_view record, std::uint8_t first_kind) {
  Reader reader(record);
  std::uint8_t version = 0;
  std::uint8_t kind = 0;
  reader(version);
  reader(kind);
  Variant message;
  const bool known = version == kLinkVersion && kind >= first_kind &&
                     EmplaceAndRead(message, std::size_t{kind} - first_kind, reader,
                                    std::make_index_sequence<std::variant_size_v<Variant>>());
  if (!known || !reader.DoneAndSound()) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("malformed link message: version {}, kind {:#x}, {} bytes",
                                  version, kind, record.size()));
  }
  return message;
}

}  // namespace

StatusOr<std::string> Encode(const ToGuardian& message) {
  return EncodeFrom(message, kFirstToGuardian);
}

StatusOr<std::string> Encode(const ToControl& message) {
  return EncodeFrom(message, kFirstToControl);
}

StatusOr<ToGuardian> DecodeToGuardian(std::string_view record) {
  return DecodeFrom<ToGuardian>(record, kFirstToGuardian);
}

StatusOr<ToControl> DecodeToControl(std::string_view record) {
  return DecodeFrom<ToControl>(record, kFirstToControl);
}

}  // namespace exeat::guardian
