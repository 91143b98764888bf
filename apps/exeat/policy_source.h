// Which policy an edge starts with: the file that -c names, the revision applied last, or the
// ./exeat.yaml that the command line found.
//
// Errors:  every mistake, one a line, ready for standard error; `exit_code` 2 when one of them
//          is "not supported yet".
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "operator/policies.h"
#include "policy/policy.h"
#include "store/store.h"

namespace exeat {

struct StartingPolicy {
  ops::PolicySource source;
  policy::PolicyPtr policy;
  std::uint64_t revision = 0;  // 0: not stored yet
};

struct Refusal {
  std::string message;
  int exit_code = 1;
};

// Reads and checks a file, all of this machine's files included; `refusal` says why not.
base::StatusOr<StartingPolicy> ReadPolicyFile(const std::string& path, Refusal& refusal);

// The policy that was applied last. kNotFound when none ever was.
base::StatusOr<StartingPolicy> StoredPolicy(store::Store& store, Refusal& refusal);

// The policy of an edge that shares a store, which takes from `own` only the keys that are this
// edge's own; the first edge's whole policy is what all begin with. `own` is kept in `local`, for a
// start that names no file.
base::StatusOr<StartingPolicy> JoinEdges(StartingPolicy own, store::Store& local,
                                         store::Store& shared, Refusal& refusal);

// Says so when a policy file was found that is not what the edge starts from.
void WarnWhenFileDiffers(const StartingPolicy& stored, const std::string& path);

}  // namespace exeat
