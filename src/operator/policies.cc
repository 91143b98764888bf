#include "operator/policies.h"

#include <chrono>
#include <memory>
#include <utility>

#include "authz/stream_right.h"
#include "credentials/check_files.h"
#include "fmt/format.h"
#include "operator/cut_record.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::size_t kMaxDetailBytes = 1024;

base::Status AsStatus(const std::vector<policy::Mistake>& mistakes) {
  if (mistakes.empty()) return absl::OkStatus();
  std::string text;
  for (const policy::Mistake& mistake : mistakes) {
    text += (text.empty() ? "" : "\n") + mistake.ToString();
  }
  return MakeStatus(StatusCode::kInvalidArgument, text);
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

base::StatusOr<policy::PolicyPtr> LoadChecked(const PolicySource& source) {
  policy::LoadResult loaded = policy::Load(source.text, source.file, source.base_directory);
  RETURN_IF_ERROR(AsStatus(loaded.mistakes));
  RETURN_IF_ERROR(AsStatus(credentials::CheckFiles(loaded.policy, source.file)));
  return policy::Share(std::move(loaded.policy));
}

// Streams outlive the policy that allowed them, so what it would not allow now is ended.
limits::Whose NoLongerAllowed(policy::PolicyPtr policy) {
  return [policy = std::move(policy)](const limits::OpenStream& stream) {
    return !authz::Permits(*policy, stream);
  };
}

}  // namespace

PolicySource SourceOf(store::PolicyRevision stored) {
  return {std::move(stored.text), fmt::format("policy revision {}", stored.revision),
          std::move(stored.base_directory)};
}

PolicyDesk::PolicyDesk(Parts parts) : parts_(parts) {}

std::vector<policy::Mistake> PolicyDesk::Check(const PolicySource& source) {
  policy::LoadResult loaded = policy::Load(source.text, source.file, source.base_directory);
  if (!loaded.ok()) return std::move(loaded.mistakes);
  return credentials::CheckFiles(loaded.policy, source.file);
}

base::StatusOr<policy::PolicyPtr> PolicyDesk::LoadShared(const PolicySource& source,
                                                         const policy::Policy& own) {
  policy::LoadResult loaded = policy::Load(source.text, source.file, source.base_directory);
  RETURN_IF_ERROR(AsStatus(loaded.mistakes));
  const policy::Policy merged = policy::WithOwnKeys(std::move(loaded.policy), own);
  RETURN_IF_ERROR(AsStatus(credentials::CheckFiles(merged, source.file)));
  if (merged.deployment == own.deployment) return policy::Share(merged);
  return MakeStatus(StatusCode::kFailedPrecondition,
                    fmt::format("{} is of the deployment {}, this edge of {}: edges that share a "
                                "store are of one deployment",
                                source.file, merged.deployment, own.deployment));
}

base::StatusOr<PolicyDifference> PolicyDesk::Diff(const PolicySource& source) {
  ASSIGN_OR_RETURN(const policy::PolicyPtr wanted, LoadChecked(source));
  const authz::Snapshot running = parts_.edge.Current();
  if (running.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet; try again");
  }
  return PolicyDifference{policy::Diff(*running.policy, *wanted),
                          policy::RestartKeys(*running.policy, *wanted)};
}

base::StatusOr<Applied> PolicyDesk::Apply(const PolicySource& source) {
  base::MutexLock turn(apply_turn_);
  ASSIGN_OR_RETURN(const policy::PolicyPtr candidate, LoadChecked(source));
  const authz::Snapshot running = parts_.edge.Current();
  if (running.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet; try again");
  }
  const std::vector<std::string> restart = policy::RestartKeys(*running.policy, *candidate);
  if (!restart.empty()) {
    return MakeStatus(
        StatusCode::kFailedPrecondition,
        fmt::format("{}: changes at restart only: {}; nothing was applied. Leave these "
                    "keys as they run, or stop the edge and start it with: exeat up -c "
                    "{}",
                    source.file, Joined(restart), source.file));
  }
  ASSIGN_OR_RETURN(const Numbered numbered, NumberOf(source, running.policy_revision));
  return Install(source, candidate, numbered, "policy_applied");
}

base::Status PolicyDesk::Follow() {
  base::MutexLock turn(apply_turn_);
  ASSIGN_OR_RETURN(std::optional<store::PolicyRevision> stored,
                   parts_.store_worker.Call([this] { return parts_.store.LatestPolicy(); }));
  const authz::Snapshot running = parts_.edge.Current();
  if (running.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet");
  }
  if (!stored) return absl::OkStatus();
  if (stored->revision == running.policy_revision) return absl::OkStatus();
  const std::uint64_t revision = stored->revision;
  const PolicySource source = SourceOf(*std::move(stored));
  ASSIGN_OR_RETURN(const policy::PolicyPtr candidate, LoadShared(source, *running.policy));
  return Install(source, candidate, {revision, true}, "policy_followed").status();
}

base::StatusOr<Applied> PolicyDesk::Install(const PolicySource& source,
                                            const policy::PolicyPtr& candidate,
                                            const Numbered& numbered, const char* activity) {
  const std::vector<std::string> changes = policy::Diff(*parts_.edge.Current().policy, *candidate);
  RETURN_IF_ERROR(
      Record(activity, audit::Phase::kIntent, absl::OkStatus(), numbered.revision, changes));
  const base::StatusOr<std::uint64_t> stored = PublishAndStore(source, candidate, numbered);
  const std::uint64_t revision = stored.value_or(numbered.revision);
  const base::Status recorded =
      Record(activity, audit::Phase::kOutcome, stored.status(), revision, changes);
  RETURN_IF_ERROR(stored.status());
  parts_.metrics.SetPolicyRevision(revision);
  const CutReport cut = parts_.edge.CutStreams(NoLongerAllowed(candidate))->Wait(kCutPatience);
  RecordCut(parts_.recorder, "policy_applied", cut);
  if (!recorded.ok()) {
    return MakeStatus(recorded.code(), fmt::format("revision {} is in force and stored, but its "
                                                   "outcome was not recorded: {}",
                                                   revision, base::Message(recorded)));
  }
  return Applied{revision, changes, cut, numbered.unchanged};
}

base::StatusOr<PolicyDesk::Numbered> PolicyDesk::NumberOf(const PolicySource& source,
                                                          std::uint64_t running) {
  return parts_.store_worker.Call([&]() -> base::StatusOr<Numbered> {
    ASSIGN_OR_RETURN(const std::optional<store::PolicyRevision> latest,
                     parts_.store.LatestPolicy());
    if (!latest) return Numbered{};
    const bool unchanged = latest->revision == running && latest->text == source.text &&
                           latest->base_directory == source.base_directory;
    return Numbered{latest->revision + (unchanged ? 0 : 1), unchanged};
  });
}

base::StatusOr<std::uint64_t> PolicyDesk::PublishAndStore(const PolicySource& source,
                                                          const policy::PolicyPtr& candidate,
                                                          const Numbered& numbered) {
  const authz::Snapshot former = parts_.edge.Current();
  const std::uint64_t revision = numbered.revision;
  // Publish puts the former one back by itself when Envoy refuses.
  RETURN_IF_ERROR(parts_.edge.Publish(candidate, revision));
  if (numbered.unchanged) return revision;
  const base::StatusOr<std::uint64_t> stored = parts_.store_worker.Call([&] {
    return parts_.store.AppendPolicy(source.text, source.base_directory, parts_.clock.UnixNow());
  });
  if (!stored.ok()) return PutBack(former, stored.status());
  // Another edge applied one at the same time, and this one came after it.
  if (*stored != revision) RETURN_IF_ERROR(parts_.edge.Publish(candidate, *stored));
  return *stored;
}

base::Status PolicyDesk::PutBack(const authz::Snapshot& former, const base::Status& cause) {
  const base::Status back = parts_.edge.Publish(former.policy, former.policy_revision);
  if (back.ok()) {
    return MakeStatus(cause.code(), fmt::format("{}; revision {} is in force again",
                                                base::Message(cause), former.policy_revision));
  }
  return MakeStatus(
      StatusCode::kInternal,
      fmt::format("{}; and revision {} could not be put back: {}. Restart the edge to "
                  "return to it",
                  base::Message(cause), former.policy_revision, base::Message(back)));
}

base::Status PolicyDesk::Record(const char* activity, audit::Phase phase,
                                const base::Status& outcome, std::uint64_t revision,
                                const std::vector<std::string>& changes) {
  audit::Event event;
  event.kind = audit::EventKind::kOperatorAction;
  event.phase = phase;
  event.activity = activity;
  event.allowed = outcome.ok();
  event.detail = outcome.ok() ? Joined(changes).substr(0, kMaxDetailBytes) : base::Message(outcome);
  event.policy_revision = revision;
  return parts_.recorder.Record(event);
}

}  // namespace exeat::ops
