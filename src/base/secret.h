// Bytes that must not outlive their use: wiped when let go, never printed.
#pragma once

#include <string.h>

#include <string>
#include <string_view>
#include <utility>

namespace exeat::base {

// Move-only; a move wipes the source, whose short content may stand inside the object itself.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string bytes) : bytes_(bytes) { Wipe(bytes); }
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { Wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe(bytes_);
      bytes_ = other.bytes_;
      Wipe(other.bytes_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Wipe(bytes_); }

  std::string_view Reveal() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }

  // Overwrites and empties a string that held a secret.
  static void Wipe(std::string& bytes) {
    explicit_bzero(bytes.data(), bytes.size());
    bytes.clear();
  }

 private:
  std::string bytes_;
};

}  // namespace exeat::base
