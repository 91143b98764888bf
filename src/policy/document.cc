#include "policy/document.h"

#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "fmt/format.h"
#include "yaml-cpp/depthguard.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace exeat::policy {
namespace {

int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

// Builds the tree from the parser's events, which, unlike its node graph, show every key and leave
// aliases unexpanded. After the first error it ignores the rest, so a hostile text costs no more
// than its own length.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Fail(mark, "a second YAML document starts here; keep one in a file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Accept(mark, "?", anchor)) Add(mark, Node::Kind::kNull, {}, true);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "YAML aliases (*name) are not accepted; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (Accept(mark, tag, anchor)) Add(mark, Node::Kind::kScalar, value, tag == "?");
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (Accept(mark, tag, anchor)) Open(mark, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (Accept(mark, tag, anchor)) Open(mark, Node::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

  std::optional<DocumentError> TakeError() { return std::move(error_); }
  bool empty() const { return documents_ == 0; }
  Node TakeRoot() { return std::move(root_); }

 private:
  struct Level {
    Node node;
    std::optional<std::pair<std::string, int>> key;  // read, its value still to come
  };

  void Fail(const YAML::Mark& mark, std::string message) {
    if (!error_) error_ = DocumentError{LineOf(mark), std::move(message)};
  }

  bool Accept(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (error_) return false;
    if (anchor != YAML::NullAnchor) {
      Fail(mark, "YAML anchors (&name) are not accepted; write the value out");
    } else if (tag != "?" && tag != "!") {
      Fail(mark, "YAML tags (!name) are not accepted");
    } else if (++nodes_ > kMaxDocumentNodes) {
      Fail(mark, fmt::format("more than {} values; split what the file lists", kMaxDocumentNodes));
    }
    return !error_;
  }

  bool ExpectsKey() const {
    return !open_.empty() && open_.back().node.kind == Node::Kind::kMap && !open_.back().key;
  }

  void Add(const YAML::Mark& mark, Node::Kind kind, std::string scalar, bool plain) {
    if (ExpectsKey()) {
      if (kind == Node::Kind::kNull) return Fail(mark, "a key is missing before the ':'");
      open_.back().key.emplace(std::move(scalar), LineOf(mark));
      return;
    }
    Node node;
    node.kind = kind;
    node.line = LineOf(mark);
    node.plain = plain;
    node.scalar = std::move(scalar);
    Attach(std::move(node));
  }

  void Attach(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& parent = open_.back();
    if (parent.key) {
      node.line = parent.key->second;
      parent.node.keys.push_back(std::move(parent.key->first));
      parent.key.reset();
    }
    parent.node.children.push_back(std::move(node));
  }

  void Open(const YAML::Mark& mark, Node::Kind kind) {
    if (ExpectsKey()) return Fail(mark, "a key must be plain text, not a list or a mapping");
    if (open_.size() == kMaxDocumentDepth) {
      return Fail(mark, fmt::format("nested deeper than {} levels", kMaxDocumentDepth));
    }
    Level level;
    level.node.kind = kind;
    level.node.line = LineOf(mark);
    open_.push_back(std::move(level));
  }

  void Close() {
    if (error_ || open_.empty()) return;
    Node node = std::move(open_.back().node);
    open_.pop_back();
    Attach(std::move(node));
  }

  std::optional<DocumentError> error_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  std::vector<Level> open_;
  Node root_;
};

// What the YAML library would misread or choke on: control characters (which also rules out UTF-16
// and UTF-32) and tabs in the indentation.
std::optional<DocumentError> ScanBytes(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return DocumentError{0, fmt::format("larger than {} bytes", kMaxDocumentBytes)};
  }
  int line = 1;
  bool indentation = true;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      indentation = true;
      continue;
    }
    if (c == '\t' && indentation) {
      return DocumentError{line, "a tab in the indentation; indent with spaces"};
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\r') || byte == 0x7f) {
      return DocumentError{line, fmt::format("a control character (0x{:02x}); the file must be "
                                             "UTF-8 text",
                                             byte)};
    }
    if (c != ' ') indentation = false;
  }
  return std::nullopt;
}

std::variant<Node, DocumentError> BuildTree(std::string_view text) {
  std::istringstream input{std::string(text)};
  YAML::Parser parser(input);
  TreeBuilder builder;
  // The second call finds what stands after the first document, which would otherwise be ignored.
  if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
  if (auto error = builder.TakeError()) return *std::move(error);
  if (builder.empty()) return DocumentError{0, "holds no policy; `exeat init` writes a starter"};
  return builder.TakeRoot();
}

}  // namespace

std::variant<Node, DocumentError> ParseDocument(std::string_view text) {
  if (auto error = ScanBytes(text)) return *std::move(error);
  try {
    return BuildTree(text);
  } catch (const YAML::DeepRecursion& e) {
    return DocumentError{LineOf(e.mark), "nested too deeply to be a policy"};
  } catch (const YAML::Exception& e) {
    const int line = e.mark.is_null() ? 0 : LineOf(e.mark);
    return DocumentError{line, fmt::format("not valid YAML here: {}", e.msg)};
  } catch (const std::exception& e) {
    return DocumentError{0, fmt::format("could not be read as YAML: {}", e.what())};
  }
}

}  // namespace exeat::policy
