// Reads the credentials of the policy, each again whenever a file of it is replaced, and hands on
// what may be sent.
//
// Purpose:  a rotation by rename is in force without a restart, and what must not be sent (see
//           material.h) is never handed on.
// Units:    files are looked at five times a second: cheaper than it sounds, and it also sees
//           swapped symlinks and network file systems, which do not notify.
// Fail mode: anything but good material is "unavailable": the listener gets none. Only a
//           certificate and a key that do not belong together, which the moment between two
//           renames looks like, are looked at again for 0.6 s first.
// Threads:  one thread of its own, on which the listener is called.
#pragma once

#include <functional>
#include <memory>

#include "base/status.h"
#include "credentials/material.h"
#include "policy/policy.h"

namespace exeat::credentials {

class Watch {
 public:
  // The material is empty when `problem` says why there is none.
  using Listener = std::function<void(const policy::Credential& credential,
                                      const Material& material, const base::Status& problem)>;
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
