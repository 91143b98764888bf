// What Envoy is started with, and why one that was started does not serve.
//
// Why here:  the same version may be built without what is pushed to it. That ends the start with
//            the name of what is missing, before anything was served, instead of a refusal of a
//            whole listener in Envoy's words.
// Errors:    Admit: kFailedPrecondition names every extension that is not there.
// Fail mode: an Envoy that lacks one is given nothing, also when it takes a running one's place.
// Threads:   safe concurrently.
// Source:    docs/adr/0001-stock-envoy.md
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "envoy/extensions.h"
#include "guardian/envoy_binary.h"
#include "guardian/link_message.h"
#include "operator/edge.h"

namespace exeat {

class EnvoyStart {
 public:
  static base::StatusOr<std::unique_ptr<EnvoyStart>> Make(const envoy::Typing& typing,
                                                          guardian::EnvoyIdentity identity,
                                                          const std::string& deployment);

  guardian::EnvoyCommand Command(const std::string& run_directory, std::uint32_t uid) const;

  // Whether an Envoy that has these may be given a configuration.
  base::Status Admit(const std::vector<envoy::CompiledIn>& has);

  // Before the edge was ready: Envoy ended, once more; `status` after it was asked for its word.
  // nullopt while it may still become ready.
  std::optional<guardian::Fatal> Ended();
  std::optional<guardian::Fatal> Refused(const ops::EdgeStatus& status) const;

 private:
  EnvoyStart(guardian::EnvoyIdentity identity, std::string bootstrap, std::set<envoy::Need> needed)
      : identity_(std::move(identity)),
        bootstrap_(std::move(bootstrap)),
        needed_(std::move(needed)) {}

  const guardian::EnvoyIdentity identity_;
  const std::string bootstrap_;
  const std::set<envoy::Need> needed_;
  mutable base::Mutex mutex_;
  std::string missing_ GUARDED_BY(mutex_);
  int ends_ GUARDED_BY(mutex_) = 0;
};

}  // namespace exeat
