// Reads typed values out of a located tree and collects every mistake on the way.
//
// Why here:  the sections of the policy say what they expect; how to say what is wrong is said
// once. Errors:    each Read gives nullopt after having recorded a Mistake with line and key.
// Secrets:   a value is quoted in a message only by its section, never by the generic readers, so
//            that a key pasted in the wrong place is not printed.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"
#include "policy/load.h"

namespace exeat::policy {

// A value of the file and the way to it, as in "destinations[2].host".
struct Located {
  const Node* node = nullptr;
  std::string key;
  int line() const { return node->line; }
};

struct DurationRange {
  std::chrono::seconds least;
  std::chrono::seconds most;
  std::string_view words;  // "1s to 60m"
};

// `text` in quotes, fit for a terminal: cut at 64 bytes, controls escaped.
std::string Quoted(std::string_view text);

// A name as destinations, credentials and grants have it: [a-z0-9][a-z0-9._-]{0,62}.
bool IsName(std::string_view text);

class Reader {
 public:
  Reader(std::string file, std::string base_directory)
      : file_(std::move(file)), base_directory_(std::move(base_directory)) {}

  void Add(const Located& at, std::string message);
  // For what the file as a whole lacks.
  void AddToFile(std::string key, std::string message);
  void AddNotYet(const Located& at, std::string_view what);

  // Whether `at` is a mapping. Reports repeated, unknown and not yet supported keys; `map` is its
  // name in the table of known keys.
  bool Map(const Located& at, std::string_view map);
  // Whether Map found a key that a later version brings: what else is missing is then no news.
  bool HasLaterKey(const Located& at, std::string_view map) const;
  // As Map for keys that the file chooses itself.
  bool OpenMap(const Located& at);
  // The first value under `key` of a mapping, whatever it holds.
  std::optional<Located> Get(const Located& map, std::string_view key) const;
  // As Get, and its absence is a mistake.
  std::optional<Located> Require(const Located& map, std::string_view key,
                                 std::string_view expected);
  // The entries of a mapping, or the items of a list; nullopt when it is not one.
  std::vector<Located> Entries(const Located& map) const;
  std::optional<std::vector<Located>> List(const Located& at);
  // As List, and an empty one is a mistake: `why` says what to do instead.
  std::optional<std::vector<Located>> FilledList(const Located& at, std::string_view why);

  // Non-empty text without control characters.
  std::optional<std::string> Text(const Located& at);
  std::optional<std::string> Name(const Located& at);
  std::optional<std::int64_t> Integer(const Located& at, std::int64_t least, std::int64_t most);
  std::optional<std::chrono::seconds> Duration(const Located& at, const DurationRange& range);
  // Made absolute from the base directory.
  std::optional<std::string> FilePath(const Located& at);
  // One of `words`; one of `later` is "not supported yet".
  std::optional<std::string> OneOf(const Located& at, std::initializer_list<std::string_view> words,
                                   std::initializer_list<std::string_view> later = {});

  std::string Absolute(std::string_view path) const;
  // Sorted by line.
  std::vector<Mistake> TakeMistakes();

 private:
  std::string file_;
  std::string base_directory_;
  std::vector<Mistake> mistakes_;
};

}  // namespace exeat::policy
