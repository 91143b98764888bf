// Writes one JSON object as one line of printable ASCII, whatever bytes the values hold.
//
// Why here:   the audit append stands on the decision path; building a document first costs more
//             than the write.
// Shapes:     controls, DEL and everything beyond ASCII become \uXXXX; a byte that is not UTF-8
//             becomes U+FFFD. A value longer than its limit is cut and ends in "...[+N]".
// Threads:    one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace exeat::audit {

inline constexpr std::size_t kTextLimit = 512;

class JsonLine {
 public:
  // Appends to `out`, which outlives this.
  explicit JsonLine(std::string& out) : out_(out) {}

  void Open() { out_ += '{'; }
  void Open(std::string_view key) {
    Key(key);
    out_ += '{';
  }
  void Close() { out_ += '}'; }

  void Text(std::string_view key, std::string_view value, std::size_t limit = kTextLimit);
  // Leaves an empty value out.
  void TextIfAny(std::string_view key, std::string_view value, std::size_t limit = kTextLimit) {
    if (!value.empty()) Text(key, value, limit);
  }
  void Number(std::string_view key, std::uint64_t value);
  // Members that are JSON already, such as "\"a\":1".
  void Raw(std::string_view members);

 private:
  // Keys are ours: they need no escaping.
  void Key(std::string_view key);
  void Escape(std::string_view value);

  std::string& out_;
};

}  // namespace exeat::audit
