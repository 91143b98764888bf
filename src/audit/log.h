// The tamper-evident log: JSON lines, each holding the SHA-256 of the line before it.
//
// Shapes:   DIR/audit.jsonl; `unmapped.exeat.seq` counts from 1; `prev` of the first is 64 zeros.
//           Format as grammar: docs/formats/audit-chain.md.
// Errors:   Append is ok only when the whole line has been written (not yet synced). After a failed
//           or short write the torn tail is cut back; if that fails too, or the disk stays full,
//           every later Append fails until one succeeds again: the caller denies. A sync that
//           fails, or a file that was cut, extended or replaced by somebody else, closes the log
//           for good: open it again.
// Threads:  safe concurrently; lines take turns. A background thread syncs what was written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/event.h"
#include "base/clock.h"
#include "base/status.h"

namespace exeat::audit {

// One record by its place and its content.
struct HeadRecord {
  std::uint64_t seq = 0;
  std::string hash;  // hex SHA-256 of its line
};

class Log {
 public:
  // Opens or makes the log, recovering the valid prefix after a crash: a torn last line is moved to
  // DIR/torn-SEQ and recorded. kFailedPrecondition when the chain itself is broken (only the last
  // 2 MiB are looked at, so that a start is quick: the rest is for Verify), or when another process
  // has the log open.
  static base::StatusOr<std::unique_ptr<Log>> Open(const std::string& directory,
                                                   const std::string& deployment,
                                                   const base::Clock& clock);
  virtual ~Log() = default;

  // Returns the record's seq.
  virtual base::StatusOr<std::uint64_t> Append(const Event& event) = 0;
  // Waits until all that was appended before is on the disk.
  virtual base::Status Sync() = 0;
  virtual std::uint64_t last_seq() const = 0;
  // The last record written, of which the file must hold exactly this line; seq 0 before the first.
  virtual HeadRecord Head() const = 0;
  // Not ok while records cannot be written, and why. kDataLoss: the file is no longer what was
  // written, noticed within a second.
  virtual base::Status Health() const = 0;
  // Where the log really is, whatever the policy in force says by now.
  virtual const std::string& directory() const = 0;
};

struct Verdict {
  bool intact = false;
  std::uint64_t records = 0;         // intact ones from the start
  std::uint64_t first_bad_line = 0;  // from 1; 0 when intact
  std::string problem;               // "prev does not match record 17", ...
  std::string head;                  // hex SHA-256 of the last intact line
};

// Reads a log and finds the first changed, missing, reordered or torn line. An absent or empty log
// is not intact. `expected_head`, when not empty, must be the head: it shows loss of the tail, and
// is the only proof for the last record. When a record does not match the next one's prev, the
// earlier one is the first bad line: which of the two was changed cannot be told. Each record of
// `written` must stand at its place, others may follow it: ask a running writer for its Head()
// first, then verify.
base::StatusOr<Verdict> Verify(const std::string& directory, const std::string& expected_head = {},
                               const std::vector<HeadRecord>& written = {});

// Calls `line` with each raw record from `from_seq` on, oldest first. Both read a log that is being
// written as far as it went when they began.
base::Status Export(const std::string& directory, std::uint64_t from_seq,
                    const std::function<void(std::string_view line)>& line);

}  // namespace exeat::audit
