#include "audit/chain.h"

#include <algorithm>
#include <charconv>

#include "audit/record.h"
#include "crypto/digest.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::audit {
namespace {

constexpr std::string_view kBeforeSeq = R"({"unmapped":{"exeat":{"seq":)";
constexpr std::string_view kBeforePrev = R"(,"prev":")";
constexpr int kMaxDepth = 8;

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Accepts any JSON that is not nested too deeply; builds nothing.
class DepthCheck final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
};

}  // namespace

std::optional<Link> ParseLink(std::string_view line) {
  if (!TakePrefix(line, kBeforeSeq)) return std::nullopt;
  Link link;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), link.seq);
  if (error != std::errc() || line.front() == '0') return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!TakePrefix(line, kBeforePrev) || line.size() < kFirstPrev.size() + 2) return std::nullopt;
  link.prev = line.substr(0, kFirstPrev.size());
  if (link.prev.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return std::nullopt;
  }
  line.remove_prefix(kFirstPrev.size());
  if (!line.starts_with("\",") && !line.starts_with("\"}")) return std::nullopt;
  return link;
}

bool IsWellFormed(std::string_view line) {
  if (line.size() > kMaxRecordBytes || !line.starts_with('{') || !line.ends_with('}')) return false;
  if (!std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7F; })) {
    return false;
  }
  DepthCheck check;
  return nlohmann::json::sax_parse(line.begin(), line.end(), &check);
}

ChainWalk ChainWalk::Believing(Link first) {
  ChainWalk walk;
  walk.seq_ = first.seq - 1;
  walk.head_ = first.prev;
  return walk;
}

void ChainWalk::Break(std::uint64_t line, std::string problem) {
  bad_line_ = line;
  problem_ = std::move(problem);
}

bool ChainWalk::Take(std::string_view line) {
  if (broken()) return false;
  const std::uint64_t number = seq_ + 1;
  const std::optional<Link> link = ParseLink(line);
  if (!link || !IsWellFormed(line)) {
    Break(number, fmt::format("line {} is not a record", number));
  } else if (link->seq != number) {
    Break(number, fmt::format("record {} stands where {} is expected: records are missing, "
                              "inserted or reordered",
                              link->seq, number));
  } else if (link->prev != head_ && number == 1) {
    Break(1, "prev of record 1 is not zeros: it is not the first");
  } else if (link->prev != head_) {
    // Which of the two was changed cannot be told, so neither is vouched for.
    Break(number - 1, fmt::format("prev of record {} does not match record {}", number, seq_));
    seq_ = number - 2;
    head_ = head_before_;
  } else {
    head_before_ = std::move(head_);
    head_ = crypto::Sha256Hex(line);
    seq_ = number;
    CompareWithWritten();
  }
  return !broken();
}

void ChainWalk::CompareWithWritten() {
  for (const HeadRecord& record : written_) {
    if (record.seq != seq_ || record.hash == head_) continue;
    Break(seq_, fmt::format("record {} differs from the one that was written: its hash is {}, "
                            "expected {}; it was changed, or one before it and all behind that",
                            seq_, head_, record.hash));
    --seq_;
    head_ = head_before_;
    return;
  }
}

void ChainWalk::Tear(std::string_view what) {
  if (!broken()) Break(seq_ + 1, fmt::format("line {} {}", seq_ + 1, what));
}

Verdict ChainWalk::Finish(const std::string& expected_head) const {
  Verdict verdict;
  verdict.records = seq_;
  verdict.head = seq_ == 0 ? std::string() : head_;
  verdict.first_bad_line = bad_line_;
  verdict.problem = problem_;
  if (broken()) return verdict;
  const auto last = std::max_element(
      written_.begin(), written_.end(),
      [](const HeadRecord& one, const HeadRecord& other) { return one.seq < other.seq; });
  if (last != written_.end() && last->seq > seq_) {
    verdict.first_bad_line = seq_ + 1;
    verdict.problem = fmt::format(
        "the file ends at record {}, but record {} was written: it was truncated, or an older one "
        "stands in its place",
        seq_, last->seq);
  } else if (seq_ == 0) {
    verdict.first_bad_line = 1;
    verdict.problem = "the log holds no record";
  } else if (!expected_head.empty() && expected_head != head_) {
    verdict.first_bad_line = seq_ + 1;
    verdict.problem = fmt::format(
        "the head is {}, expected {}: records at the end are missing, "
        "changed or new",
        head_, expected_head);
  } else {
    verdict.intact = true;
  }
  return verdict;
}

Verdict VerifyText(std::string_view text, const std::string& expected_head,
                   const std::vector<HeadRecord>& written) {
  ChainWalk walk;
  walk.Expect(written);
  while (!text.empty() && !walk.broken()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      walk.Tear("does not end: it is torn");
    } else {
      walk.Take(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
  }
  return walk.Finish(expected_head);
}

}  // namespace exeat::audit
