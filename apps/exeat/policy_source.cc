#include "policy_source.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "fmt/format.h"
#include "policy/load.h"

namespace exeat {
namespace {

base::Status Refuse(std::string message, int exit_code, Refusal& refusal) {
  refusal = {std::move(message), exit_code};
  return base::MakeStatus(base::StatusCode::kFailedPrecondition, refusal.message);
}

base::StatusOr<StartingPolicy> Check(ops::PolicySource source, Refusal& refusal) {
  const std::vector<policy::Mistake> mistakes = ops::PolicyDesk::Check(source);
  if (!mistakes.empty()) {
    std::string text;
    for (const policy::Mistake& mistake : mistakes) text += mistake.ToString() + "\n";
    const bool has_later = std::any_of(mistakes.begin(), mistakes.end(), [](const auto& mistake) {
      return mistake.not_supported_yet;
    });
    return Refuse(text + "exeat up: nothing was started; correct the policy and start again",
                  has_later ? 2 : 1, refusal);
  }
  policy::LoadResult loaded = policy::Load(source.text, source.file, source.base_directory);
  StartingPolicy starting;
  starting.source = std::move(source);
  starting.policy = policy::Share(std::move(loaded.policy));
  return starting;
}

}  // namespace

base::StatusOr<StartingPolicy> ReadPolicyFile(const std::string& path, Refusal& refusal) {
  if (path.empty()) {
    return Refuse("exeat up: no policy; write one with `exeat init`, or name yours with -c", 1,
                  refusal);
  }
  auto text = base::ReadFile(path);
  if (!text.ok()) {
    return Refuse(fmt::format("exeat up: {}; write one with `exeat init`, or name yours with -c",
                              base::Message(text.status())),
                  1, refusal);
  }
  std::error_code ignored;
  const auto absolute = std::filesystem::absolute(path, ignored);
  return Check({*std::move(text), path, absolute.parent_path().string()}, refusal);
}

base::StatusOr<StartingPolicy> StoredPolicy(store::Store& store, Refusal& refusal) {
  ASSIGN_OR_RETURN(std::optional<store::PolicyRevision> stored, store.LatestPolicy());
  if (!stored.has_value()) {
    return base::MakeStatus(base::StatusCode::kNotFound, "no policy was ever applied here");
  }
  const std::uint64_t revision = stored->revision;
  ASSIGN_OR_RETURN(StartingPolicy starting, Check(ops::SourceOf(*std::move(stored)), refusal));
  starting.revision = revision;
  return starting;
}

base::StatusOr<StartingPolicy> JoinEdges(StartingPolicy own, store::Store& local,
                                         store::Store& shared, Refusal& refusal) {
  if (own.revision == 0) {
    RETURN_IF_ERROR(
        local
            .AppendPolicy(own.source.text, own.source.base_directory, base::SystemClock().UnixNow())
            .status());
  }
  own.revision = 0;
  ASSIGN_OR_RETURN(std::optional<store::PolicyRevision> stored, shared.LatestPolicy());
  if (!stored.has_value()) return own;
  StartingPolicy joined;
  joined.revision = stored->revision;
  joined.source = ops::SourceOf(*std::move(stored));
  auto loaded = ops::PolicyDesk::LoadShared(joined.source, *own.policy);
  if (!loaded.ok()) return Refuse("exeat up: " + base::Message(loaded.status()), 1, refusal);
  joined.policy = *std::move(loaded);
  const std::vector<std::string> changes = policy::Diff(*own.policy, *joined.policy);
  if (!changes.empty()) {
    base::LogWarn(
        "starting from the policy that the edges share; this edge's file differs: `exeat "
        "policy apply` it for all of them",
        {{"revision", std::to_string(joined.revision)}, {"first", changes.front()}});
  }
  return joined;
}

void WarnWhenFileDiffers(const StartingPolicy& stored, const std::string& path) {
  if (path.empty()) return;
  const auto text = base::ReadFile(path);
  if (text.ok() && *text == stored.source.text) return;
  base::LogWarn(
      "starting from the policy that was applied last; the file is another one: "
      "`exeat policy apply` it, or start with -c",
      {{"revision", std::to_string(stored.revision)}, {"file", path}});
}

}  // namespace exeat
