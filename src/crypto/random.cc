#include "crypto/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "base/encoding.h"
#include "crypto/openssl_ptr.h"

namespace exeat::crypto {

base::Status FillRandom(std::span<std::uint8_t> out) {
  if (RAND_bytes_ex(nullptr, out.data(), out.size(), 0) != 1) {
    return OpenSslStatus(base::StatusCode::kUnavailable, "no random bytes");
  }
  return absl::OkStatus();
}

base::StatusOr<std::string> RandomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  RETURN_IF_ERROR(FillRandom({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

base::StatusOr<std::string> RandomId() {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<std::uint8_t, 16> bytes;
  RETURN_IF_ERROR(FillRandom(bytes));
  std::string id;
  id.reserve(26);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      id.push_back(kAlphabet[(bits >> count) & 31]);
    }
  }
  id.push_back(kAlphabet[(bits << (5 - count)) & 31]);
  return id;
}

base::StatusOr<std::string> RandomUuid() {
  std::array<std::uint8_t, 16> bytes;
  RETURN_IF_ERROR(FillRandom(bytes));
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);  // variant 10
  std::string uuid = base::HexEncode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const std::size_t position : {20U, 16U, 12U, 8U}) uuid.insert(position, 1, '-');
  return uuid;
}

}  // namespace exeat::crypto
