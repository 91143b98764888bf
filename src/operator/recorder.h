// Appends operator actions, decisions and outcomes to the audit log, each under the policy revision
// of its moment.
//
// Why here:   "append, count, stamp the revision" is one rule, whoever records.
// Errors:     the log's, annotated: the caller decides what an action without a record is worth.
// Threads:    safe concurrently.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "audit/log.h"
#include "base/status.h"
#include "operator/metrics.h"

namespace exeat::ops {

class Recorder {
 public:
  // `revision` is asked for events that do not say theirs.
  Recorder(audit::Log& log, Metrics& metrics, std::function<std::uint64_t()> revision)
      : log_(log), metrics_(metrics), revision_(std::move(revision)) {}

  base::Status Record(audit::Event event) const {
    if (event.policy_revision == 0) event.policy_revision = revision_();
    const base::StatusOr<std::uint64_t> seq = log_.Append(event);
    if (seq.ok()) {
      metrics_.Recorded();
      return absl::OkStatus();
    }
    metrics_.NotRecorded();
    return base::Annotate(seq.status(), "audit");
  }

 private:
  audit::Log& log_;
  Metrics& metrics_;
  const std::function<std::uint64_t()> revision_;
};

}  // namespace exeat::ops
