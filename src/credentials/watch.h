// Reads the credential files of the policy, again whenever one is replaced, and validates each
// value.
//
// Purpose:  a rotation by rename is in force without a restart, and a value that must not be sent
//           (blank, only spaces, control characters, a file open to others) is never handed on.
// Units:    files are looked at five times a second: cheaper than it sounds, and it also sees
//           swapped symlinks and network file systems, which do not notify.
// Fail mode: anything but a good value is "unavailable": the listener gets an empty value.
// Threads:  one thread of its own, on which the listener is called.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/secret.h"
#include "base/status.h"
#include "policy/policy.h"

namespace exeat::credentials {

inline constexpr std::size_t kMaxValueBytes = 16 * 1024;

// The value in a file's content: one line end cut off. kInvalidArgument says what is wrong without
// quoting it.
base::StatusOr<base::Secret> ValueOf(std::string content);

class Watch {
 public:
  // The value is empty when `problem` says why there is none.
  using Listener = std::function<void(const policy::Credential& credential,
                                      const base::Secret& value, const base::Status& problem)>;
  explicit Watch(Listener listener);
  ~Watch();

  // Watches the credentials of this policy from now on and reports each of them once before it
  // returns; a credential that went away is not reported again.
  void Follow(policy::PolicyPtr policy);

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace exeat::credentials
