// A YAML text as a tree of values that know their lines.
//
// Why here:  the only place that meets the YAML library, so its types, exceptions and leniency
//            (first of two equal keys wins, further documents are ignored) end here.
// Shapes:    one document, at most 1 MiB, 16 levels and 100,000 nodes; no aliases, tags or tabs in
//            the indentation. A repeated key is kept twice; who reads the tree reports it.
// Errors:    the first thing that is not such a text, with its line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace exeat::policy {

inline constexpr std::size_t kMaxDocumentBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxDocumentDepth = 16;
inline constexpr std::size_t kMaxDocumentNodes = 100'000;

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;        // from 1; of its key, when it is a mapping's value
  bool plain = false;  // a scalar without quotes, which YAML may take for a number or a bool
  std::string scalar;
  std::vector<std::string> keys;  // kMap: one for each child, in file order
  std::vector<Node> children;
};

struct DocumentError {
  int line = 0;  // 0: the text as a whole
  std::string message;
};

std::variant<Node, DocumentError> ParseDocument(std::string_view text);

}  // namespace exeat::policy
