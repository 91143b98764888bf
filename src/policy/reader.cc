#include "policy/reader.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "policy/known_keys.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxTextBytes = 4096;
constexpr std::size_t kMaxQuotedBytes = 64;
constexpr std::size_t kMaxNameBytes = 63;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

std::size_t SkipDigits(std::string_view text, std::size_t at) {
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at;
}

bool IsInfinityOrNan(std::string_view text) {
  return text == ".inf" || text == ".Inf" || text == ".INF" || text == ".nan" || text == ".NaN" ||
         text == ".NAN";
}

// Digits, a fraction and an exponent, as YAML's core schema writes a number.
bool IsDecimalNumber(std::string_view text) {
  std::size_t at = SkipDigits(text, 0);
  std::size_t digits = at;
  if (at < text.size() && text[at] == '.') {
    const std::size_t end = SkipDigits(text, at + 1);
    digits += end - at - 1;
    at = end;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    return AllDigits(text.substr(at));
  }
  return at == text.size();
}

bool IsBasedNumber(std::string_view text) {
  if (text.size() < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'o')) return false;
  const std::string_view digits = text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
  return text.find_first_not_of(digits, 2) == std::string_view::npos;
}

// Whether every YAML reader but ours would take this unquoted word for something else than text.
bool ReadsAsNumberOrBool(std::string_view text) {
  for (const std::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
    if (text == word) return true;
  }
  if (IsBasedNumber(text)) return true;
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return IsDecimalNumber(text) || IsInfinityOrNan(text);
}

std::string_view KindWord(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "a single value";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a mapping";
  }
  return "something else";
}

std::string Join(std::initializer_list<std::string_view> words) {
  return fmt::format("{}", fmt::join(words, " | "));
}

bool Contains(std::initializer_list<std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string ChildKey(const std::string& parent, std::string_view key) {
  return parent.empty() ? std::string(key) : fmt::format("{}.{}", parent, key);
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// A key as part of a message: never longer than a line, never a control character.
std::string ShownKey(std::string_view key) {
  const bool shown = key.size() <= kMaxQuotedBytes && !key.empty() && !HasControl(key);
  return shown ? std::string(key) : Quoted(key);
}

const KnownKey* FindKnown(std::string_view map, std::string_view key) {
  for (const KnownKey& known : KnownKeys()) {
    if (known.map == map && known.key == key) return &known;
  }
  return nullptr;
}

std::string UnknownKeyMessage(std::string_view map, std::string_view key) {
  if (const std::string_view nearest = NearestKey(map, key); !nearest.empty()) {
    return fmt::format("unknown key; did you mean \"{}\"?", nearest);
  }
  std::vector<std::string_view> supported;
  for (const KnownKey& known : KnownKeys()) {
    if (known.map == map && known.supported) supported.push_back(known.key);
  }
  return fmt::format("unknown key; here stand: {}", fmt::join(supported, ", "));
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (text.size() > kMaxQuotedBytes ? "...\"" : "\"");
}

bool IsName(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  const auto alphanumeric = [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'z'); };
  return alphanumeric(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
           return alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

void Reader::Add(const Located& at, std::string message) {
  mistakes_.push_back({file_, at.line(), at.key, std::move(message), false});
}

void Reader::AddToFile(std::string key, std::string message) {
  mistakes_.push_back({file_, 0, std::move(key), std::move(message), false});
}

void Reader::AddNotYet(const Located& at, std::string_view what) {
  mistakes_.push_back({file_, at.line(), at.key, fmt::format("not supported yet: {}", what), true});
}

bool Reader::OpenMap(const Located& at) {
  if (at.node->kind != Node::Kind::kMap) {
    Add(at, fmt::format("expected a mapping (key: value), found {}", KindWord(*at.node)));
    return false;
  }
  std::map<std::string_view, int> first_lines;
  for (std::size_t i = 0; i < at.node->keys.size(); ++i) {
    const Node& child = at.node->children[i];
    const auto [first, inserted] = first_lines.emplace(at.node->keys[i], child.line);
    if (inserted) continue;
    Add({&child, ChildKey(at.key, ShownKey(at.node->keys[i]))},
        fmt::format("stands twice; the first is on line {}: remove one", first->second));
  }
  return true;
}

bool Reader::Map(const Located& at, std::string_view map) {
  if (!OpenMap(at)) return false;
  for (const Located& entry : Entries(at)) {
    const std::string& key =
        at.node->keys[static_cast<std::size_t>(entry.node - at.node->children.data())];
    const KnownKey* known = FindKnown(map, key);
    if (known == nullptr) {
      Add(entry, UnknownKeyMessage(map, key));
    } else if (!known->supported) {
      AddNotYet(entry, "this version does not have it; remove the key");
    }
  }
  return true;
}

bool Reader::HasLaterKey(const Located& at, std::string_view map) const {
  return std::any_of(at.node->keys.begin(), at.node->keys.end(), [&](const std::string& key) {
    const KnownKey* known = FindKnown(map, key);
    return known != nullptr && !known->supported;
  });
}

std::optional<Located> Reader::Get(const Located& map, std::string_view key) const {
  const std::vector<std::string>& keys = map.node->keys;
  const auto found = std::find(keys.begin(), keys.end(), key);
  if (found == keys.end()) return std::nullopt;
  return Located{&map.node->children[static_cast<std::size_t>(found - keys.begin())],
                 ChildKey(map.key, key)};
}

std::optional<Located> Reader::Require(const Located& map, std::string_view key,
                                       std::string_view expected) {
  auto found = Get(map, key);
  if (found) return found;
  std::string message = fmt::format("is missing: {}", expected);
  if (map.key.empty()) {
    AddToFile(std::string(key), std::move(message));
  } else {
    Add({map.node, ChildKey(map.key, key)}, std::move(message));
  }
  return std::nullopt;
}

std::vector<Located> Reader::Entries(const Located& map) const {
  std::vector<Located> entries;
  entries.reserve(map.node->children.size());
  for (std::size_t i = 0; i < map.node->children.size(); ++i) {
    entries.push_back({&map.node->children[i], ChildKey(map.key, ShownKey(map.node->keys[i]))});
  }
  return entries;
}

std::optional<std::vector<Located>> Reader::List(const Located& at) {
  if (at.node->kind != Node::Kind::kList) {
    Add(at, fmt::format("expected a list, found {}", KindWord(*at.node)));
    return std::nullopt;
  }
  std::vector<Located> items;
  items.reserve(at.node->children.size());
  for (std::size_t i = 0; i < at.node->children.size(); ++i) {
    items.push_back({&at.node->children[i], fmt::format("{}[{}]", at.key, i)});
  }
  return items;
}

std::optional<std::vector<Located>> Reader::FilledList(const Located& at, std::string_view why) {
  auto items = List(at);
  if (items && items->empty()) {
    Add(at, fmt::format("must not be empty: {}", why));
    return std::nullopt;
  }
  return items;
}

std::optional<std::string> Reader::Text(const Located& at) {
  const Node& node = *at.node;
  if (node.kind != Node::Kind::kScalar) {
    Add(at, fmt::format("expected text, found {}", KindWord(node)));
    return std::nullopt;
  }
  if (node.plain && ReadsAsNumberOrBool(node.scalar)) {
    Add(at, "expected text, and YAML reads this as a number or a truth value: put it in quotes");
    return std::nullopt;
  }
  if (node.scalar.empty()) {
    Add(at, "must not be empty");
    return std::nullopt;
  }
  if (node.scalar.size() > kMaxTextBytes) {
    Add(at, fmt::format("is longer than {} bytes", kMaxTextBytes));
    return std::nullopt;
  }
  if (HasControl(node.scalar)) {
    Add(at, "must not hold a line break or another control character");
    return std::nullopt;
  }
  return node.scalar;
}

std::optional<std::string> Reader::Name(const Located& at) {
  auto text = Text(at);
  if (text && !IsName(*text)) {
    Add(at, fmt::format("{} is not a name: use 1 to 63 of a-z, 0-9, '.', '_' and '-', starting "
                        "with a letter or digit",
                        Quoted(*text)));
    return std::nullopt;
  }
  return text;
}

std::optional<std::int64_t> Reader::Integer(const Located& at, std::int64_t least,
                                            std::int64_t most) {
  const Node& node = *at.node;
  const std::string expected = fmt::format("expected a whole number from {} to {}", least, most);
  const std::string& text = node.scalar;
  if (node.kind == Node::Kind::kScalar && !node.plain && AllDigits(text)) {
    Add(at, expected + ", written without quotes");
    return std::nullopt;
  }
  const bool digits =
      node.kind == Node::Kind::kScalar && AllDigits(text) && (text.size() == 1 || text[0] != '0');
  std::int64_t value = 0;
  const bool fits =
      digits && std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  if (!fits || value < least || value > most) {
    Add(at, expected);
    return std::nullopt;
  }
  return value;
}

std::optional<std::chrono::seconds> Reader::Duration(const Located& at,
                                                     const DurationRange& range) {
  const Node& node = *at.node;
  const std::string& text = node.scalar;
  if (node.kind == Node::Kind::kScalar && AllDigits(text)) {
    Add(at, fmt::format("a duration needs its unit: write {0}s, {0}m or {0}h ({1})",
                        text.substr(0, 9), range.words));
    return std::nullopt;
  }
  const std::string expected =
      fmt::format("expected a duration like 90s, 15m or 1h ({})", range.words);
  const std::string_view digits =
      text.empty() ? std::string_view() : std::string_view(text).substr(0, text.size() - 1);
  const std::size_t unit =
      text.empty() ? std::string_view::npos : std::string_view("smh").find(text.back());
  const bool well_formed = node.kind == Node::Kind::kScalar && unit != std::string_view::npos &&
                           AllDigits(digits) && digits.size() <= 9 &&
                           (digits.size() == 1 || digits[0] != '0');
  if (!well_formed) {
    Add(at, expected);
    return std::nullopt;
  }
  std::int64_t count = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), count);
  const std::int64_t factor = unit == 0 ? 1 : unit == 1 ? 60 : 3600;
  const std::chrono::seconds value(count * factor);
  if (value < range.least || value > range.most) {
    Add(at, fmt::format("{} is out of range: {}", text, range.words));
    return std::nullopt;
  }
  return value;
}

std::string Reader::Absolute(std::string_view path) const {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path base = fs::absolute(base_directory_.empty() ? "." : base_directory_, ignored);
  std::string normal = (base / fs::path(path)).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

std::optional<std::string> Reader::FilePath(const Located& at) {
  const auto text = Text(at);
  if (!text) return std::nullopt;
  if (text->starts_with('~')) {
    Add(at, "'~' is not expanded here: write the directory out");
    return std::nullopt;
  }
  return Absolute(*text);
}

std::optional<std::string> Reader::OneOf(const Located& at,
                                         std::initializer_list<std::string_view> words,
                                         std::initializer_list<std::string_view> later) {
  const auto text = Text(at);
  if (!text) return std::nullopt;
  if (Contains(later, *text)) {
    AddNotYet(at, fmt::format("{}; this version has: {}", *text, Join(words)));
    return std::nullopt;
  }
  if (!Contains(words, *text)) {
    Add(at, fmt::format("expected {}", Join(words)));
    return std::nullopt;
  }
  return text;
}

std::vector<Mistake> Reader::TakeMistakes() {
  std::stable_sort(mistakes_.begin(), mistakes_.end(),
                   [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
  return std::move(mistakes_);
}

}  // namespace exeat::policy
