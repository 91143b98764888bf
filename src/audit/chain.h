// The hash chain as text: what one record says of its place, and a walk from record to record.
//
// Why here:   pure, so that verifying, recovering and fuzzing share one judgement of what is whole.
// Threads:    one thread at a time.
// Source:     docs/formats/audit-chain.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/log.h"

namespace exeat::audit {

inline constexpr std::string_view kFirstPrev =
    "0000000000000000000000000000000000000000000000000000000000000000";

// What a record says of its place in the chain.
struct Link {
  std::uint64_t seq = 0;
  std::string_view prev;  // into the line
};

// Nullopt unless the line starts as every record does. Looks at nothing behind that.
std::optional<Link> ParseLink(std::string_view line);

// True for one JSON object in printable ASCII, at most 8 levels deep and kMaxRecordBytes long.
bool IsWellFormed(std::string_view line);

// Takes lines in order and stops at the first that breaks the chain.
class ChainWalk {
 public:
  // From the first record of a log.
  ChainWalk() = default;
  // From a record in the middle, whose own place is believed.
  static ChainWalk Believing(Link first);

  // These records were written; the chain is broken without them. Call before the first Take.
  void Expect(std::vector<HeadRecord> written) { written_ = std::move(written); }
  // The next line without its newline. False once the chain is broken.
  bool Take(std::string_view line);
  // The lines end in something that is not a whole line.
  void Tear(std::string_view what);
  // The verdict on what was taken so far; an empty log is not intact.
  Verdict Finish(const std::string& expected_head = {}) const;

  // Of the last record taken.
  std::uint64_t seq() const { return seq_; }
  const std::string& head() const { return head_; }
  bool broken() const { return bad_line_ != 0; }
  const std::string& problem() const { return problem_; }

 private:
  void Break(std::uint64_t line, std::string problem);
  void CompareWithWritten();

  std::uint64_t seq_ = 0;
  std::string head_{kFirstPrev};
  std::string head_before_;
  std::uint64_t bad_line_ = 0;
  std::string problem_;
  std::vector<HeadRecord> written_;
};

// The verdict on a whole log in memory.
Verdict VerifyText(std::string_view text, const std::string& expected_head = {},
                   const std::vector<HeadRecord>& written = {});

}  // namespace exeat::audit
