// One path of a destination's `allow` list.
//
// Shapes:   exact ("/v1/messages"), or everything inside a prefix ("/v1/**" matches "/v1/" and
//           "/v1/x/y", not "/v1" and not "/v10"). "/**" matches every path. No query, no fragment.
// Matching: on the bytes that leave: Envoy has normalised dot segments, merged slashes and refused
//           escaped ones before, and Matches refuses what such a path cannot hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace exeat::policy {

class PathRule {
 public:
  // nullopt unless `pattern` starts with '/', holds no '?', '#', '%2f', "//", dot segments, and '*'
  // only as the final "/**". Also refused: what no path can hold once Envoy has normalised it
  // (controls, spaces, backslashes, '%' without two hex digits), so that a rule never sleeps.
  static std::optional<PathRule> Parse(std::string_view pattern);

  // `path` may carry a query, which is not looked at.
  bool Matches(std::string_view path) const;

  // Whether every path that `other` matches is matched here, too.
  bool Covers(const PathRule& other) const;

  bool is_prefix() const { return is_prefix_; }
  // The exact path, or the prefix with its trailing slash.
  const std::string& text() const { return text_; }
  bool operator==(const PathRule&) const = default;

 private:
  bool is_prefix_ = false;
  std::string text_;
};

// What is wrong with a pattern, in words for the person who wrote it; empty when Parse takes it.
std::string PathRuleObjection(std::string_view pattern);

// The path of a request target without its query.
std::string_view PathOnly(std::string_view target);

}  // namespace exeat::policy
