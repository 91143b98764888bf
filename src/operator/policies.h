// The policy desk: checks, compares and applies policies while the edge runs.
//
// Order:      apply = load, check files, refuse what needs a restart, record the intent, publish to
//             Envoy and wait for its acknowledgement, store the revision, record the outcome, end
//             the streams that it no longer permits.
//             The text that is in force and stored already makes no new revision, but is published
//             all the same: what its files hold may have changed.
//             All or nothing: after a failure the former policy is in force and stored.
// Errors:     kInvalidArgument every mistake, one a line; kFailedPrecondition keys that change at
//             restart only, or Envoy's refusal in its words; kUnavailable store, audit or Envoy;
//             kInternal the former policy could not be put back: Check denies until it is.
// Threads:    every method is safe concurrently; applies take turns.
// Source:     docs/walkthroughs/policy-apply.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "operator/recorder.h"
#include "policy/load.h"
#include "store/store.h"

namespace exeat::ops {

struct PolicySource {
  std::string text;
  std::string file;            // for messages
  std::string base_directory;  // absolute; relative paths in the text start here
};

// Of a revision as it was stored.
PolicySource SourceOf(store::PolicyRevision stored);

struct PolicyDifference {
  std::vector<std::string> changes;       // as policy::Diff
  std::vector<std::string> restart_keys;  // among them: in force after a restart only
};

struct Applied {
  std::uint64_t revision = 0;
  std::vector<std::string> changes;
  CutReport cut;           // streams that the former policy had allowed and this one does not
  bool unchanged = false;  // the text was that of the revision in force, which stays
};

class PolicyDesk {
 public:
  // All of it outlives the desk.
  struct Parts {
    Edge& edge;
    store::Store& store;
    base::Worker& store_worker;
    const Recorder& recorder;
    Metrics& metrics;
    const base::Clock& clock;
  };
  explicit PolicyDesk(Parts parts);

  // Every mistake, those that only this machine's files show included; empty when there is none.
  static std::vector<policy::Mistake> Check(const PolicySource& source);

  // A policy that edges share, as this edge runs it, with the keys that are its own.
  // kFailedPrecondition it is of another deployment.
  static base::StatusOr<policy::PolicyPtr> LoadShared(const PolicySource& source,
                                                      const policy::Policy& own);

  // What applying would change.
  base::StatusOr<PolicyDifference> Diff(const PolicySource& source);
  base::StatusOr<Applied> Apply(const PolicySource& source);

  // Applies the revision that was stored last, by another edge, with this edge's own keys; does
  // nothing when it is the one in force.
  base::Status Follow();

 private:
  // Under which number a text is, or is going to be, stored.
  struct Numbered {
    std::uint64_t revision = 1;
    bool unchanged = false;  // stored already, and the one in force
  };
  base::StatusOr<Applied> Install(const PolicySource& source, const policy::PolicyPtr& candidate,
                                  const Numbered& numbered, const char* activity);
  base::StatusOr<Numbered> NumberOf(const PolicySource& source, std::uint64_t running);
  // The revision under which it was stored.
  base::StatusOr<std::uint64_t> PublishAndStore(const PolicySource& source,
                                                const policy::PolicyPtr& candidate,
                                                const Numbered& numbered);
  base::Status PutBack(const authz::Snapshot& former, const base::Status& cause);
  base::Status Record(const char* activity, audit::Phase phase, const base::Status& outcome,
                      std::uint64_t revision, const std::vector<std::string>& changes);

  const Parts parts_;
  base::Mutex apply_turn_;
};

}  // namespace exeat::ops
