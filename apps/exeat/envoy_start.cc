#include "envoy_start.h"

#include "base/log.h"
#include "envoy/bootstrap.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace exeat {
namespace {

constexpr int kMostEnds = 3;
constexpr char kRemedy[] = "Use the pinned Envoy, or one that has what is missing";

}  // namespace

base::StatusOr<std::unique_ptr<EnvoyStart>> EnvoyStart::Make(const envoy::Typing& typing,
                                                             guardian::EnvoyIdentity identity,
                                                             const std::string& deployment) {
  ASSIGN_OR_RETURN(std::set<envoy::Need> needed, envoy::NeededExtensions(typing));
  // Relative names: Envoy's working directory is its run directory.
  std::string bootstrap = envoy::BuildBootstrap({.node_id = deployment,
                                                 .deployment = deployment,
                                                 .control_socket = "control.sock",
                                                 .admin_socket = "admin.sock"});
  return std::unique_ptr<EnvoyStart>(
      new EnvoyStart(std::move(identity), std::move(bootstrap), std::move(needed)));
}

guardian::EnvoyCommand EnvoyStart::Command(const std::string& run_directory,
                                           std::uint32_t uid) const {
  guardian::EnvoyCommand command;
  command.binary = identity_.path;
  // The bootstrap is no file: Envoy's uid may not walk the directories above, which opening one
  // would make it do.
  command.argv = {"envoy",
                  "--config-yaml",
                  bootstrap_,
                  "--reject-unknown-dynamic-fields",
                  "--disable-hot-restart",
                  "--log-level",
                  "warning",
                  "--log-format",
                  R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","role":"envoy","msg":"%j"})"};
  command.run_directory = run_directory;
  command.uid = uid;
  command.gid = uid;
  return command;
}

base::Status EnvoyStart::Admit(const std::vector<envoy::CompiledIn>& has) {
  const std::string missing = fmt::format("{}", fmt::join(envoy::Missing(needed_, has), ", "));
  base::MutexLock lock(mutex_);
  missing_ = missing;
  if (missing.empty()) return absl::OkStatus();
  base::LogError("Envoy lacks what it would be given", {{"missing", missing}});
  return base::MakeStatus(base::StatusCode::kFailedPrecondition, "this Envoy has no " + missing);
}

std::optional<guardian::Fatal> EnvoyStart::Refused(const ops::EdgeStatus& status) const {
  base::MutexLock lock(mutex_);
  if (!missing_.empty()) {
    return guardian::Fatal{1, fmt::format("exeat up: {} {} has no {}. {}", identity_.path,
                                          identity_.version, missing_, kRemedy)};
  }
  if (status.nacks == 0) return std::nullopt;
  return guardian::Fatal{
      1, fmt::format("exeat up: {} {} refused its configuration: {}. {}", identity_.path,
                     identity_.version, status.last_nack, kRemedy)};
}

std::optional<guardian::Fatal> EnvoyStart::Ended() {
  base::MutexLock lock(mutex_);
  ++ends_;
  const std::string refusal =
      ends_ == 1 ? guardian::BootstrapRefusal(identity_.path, bootstrap_) : "";
  if (!refusal.empty()) {
    return guardian::Fatal{1, fmt::format("exeat up: {} {} refused its bootstrap: {}. {}",
                                          identity_.path, identity_.version, refusal, kRemedy)};
  }
  if (ends_ != kMostEnds) return std::nullopt;
  return guardian::Fatal{
      1, fmt::format("exeat up: {} ended {} times before it was ready; its own words are in the "
                     "log above. {}",
                     identity_.path, kMostEnds, kRemedy)};
}

}  // namespace exeat
