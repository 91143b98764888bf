#include "operator/cut_record.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "fmt/format.h"

namespace exeat::ops {

void RecordCut(const Recorder& recorder, audit::Event event, const CutReport& report) {
  if (report.open == 0) return;
  event.activity = "streams_cut";
  event.phase = audit::Phase::kOutcome;
  event.allowed = report.uncut == 0;
  event.detail = fmt::format(
      "{} of {} open streams ended within {} ms", report.open - report.uncut, report.open,
      std::chrono::duration_cast<std::chrono::milliseconds>(report.took).count());
  if (report.uncut > 0 && report.ends_within.count() > 0) {
    event.detail += fmt::format("; streams are not cut here and end by themselves within {} s",
                                report.ends_within.count());
  }
  const base::Status recorded = recorder.Record(std::move(event));
  if (!recorded.ok()) {
    base::LogError("a cut could not be recorded", {{"error", base::Message(recorded)}});
  }
}

void RecordCut(const Recorder& recorder, const std::string& reason, const CutReport& report) {
  audit::Event event;
  event.kind = audit::EventKind::kOperatorAction;
  event.reason = reason;
  RecordCut(recorder, std::move(event), report);
}

}  // namespace exeat::ops
