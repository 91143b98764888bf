#include "guardian/link_message.h"

#include <algorithm>
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
constexpr std::uint32_t kMaxListItems = kMaxSocketsPerCut;
constexpr std::uint8_t kIpV4 = 4;
constexpr std::uint8_t kIpV6 = 6;

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
  void operator()(const base::SocketEnd& end) {
    (*this)(end.is_v4 ? kIpV4 : kIpV6);
    bytes_.append(reinterpret_cast<const char*>(end.ip.data()), end.is_v4 ? 4 : end.ip.size());
    (*this)(end.port);
  }
  void operator()(const base::SocketId& id) {
    (*this)(id.cookie);
    (*this)(id.local);
    (*this)(id.remote);
  }
  template <class Item>
  void operator()(const std::vector<Item>& list) {
    if (list.size() > kMaxListItems) fits_ = false;
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const Item& item : list) (*this)(item);
  }
  bool Fits() const { return fits_ && bytes_.size() <= kMaxLinkMessageBytes; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  bool fits_ = true;
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
  void operator()(base::SocketEnd& end) {
    std::uint8_t version = 0;
    (*this)(version);
    if (version != kIpV4 && version != kIpV6) sound_ = false;
    end = {};
    end.is_v4 = version == kIpV4;
    const std::size_t size = end.is_v4 ? 4 : end.ip.size();
    if (!Has(size)) return;
    std::copy_n(rest_.begin(), size, end.ip.begin());
    rest_.remove_prefix(size);
    (*this)(end.port);
  }
  void operator()(base::SocketId& id) {
    (*this)(id.cookie);
    (*this)(id.local);
    (*this)(id.remote);
  }
  template <class Item>
  void operator()(std::vector<Item>& list) {
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
  } else if constexpr (kIs<CutSockets, M>) {
    archive(message.batch);
    archive(message.sockets);
  } else if constexpr (kIs<EnvoyStarted, M>) {
    archive(message.pid);
    archive(message.confinement);
    archive(message.cutting);
    archive(message.cut_means);
  } else if constexpr (kIs<EnvoyExited, M>) {
    archive(message.wait_status);
  } else if constexpr (kIs<EnvoyFailed, M>) {
    archive(message.message);
  } else if constexpr (kIs<SocketsCut, M>) {
    archive(message.batch);
    archive(message.closed);
    archive(message.open);
    archive(message.took_us);
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
  const bool fits = writer.Fits();
  std::string record = writer.Take();
  if (!fits) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("link message of {} bytes: at most {}, and {} items a list, fit",
                                  record.size(), kMaxLinkMessageBytes, kMaxListItems));
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
