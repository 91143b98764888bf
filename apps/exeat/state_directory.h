// The state directory: who may use it, which version wrote it, and that only one edge does.
//
// Shapes:   STATE/{version,lock,exeat.db,operator.secret,ca/,keys/,audit/}, 0700; sockets and
// Envoy's own files in
//           `run`, which may lie elsewhere when STATE is too deep for a socket's 108 bytes.
// Errors:   kFailedPrecondition names what was found, what was expected and what to do.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace exeat {

struct StateDirectory {
  std::string path;
  std::string run;        // 0700: operator.sock
  std::string envoy_run;  // Envoy's working directory: control.sock, admin.sock
  base::UniqueFd lock;    // held as long as this edge lives

  std::string OperatorSocket() const { return run + "/operator.sock"; }
  std::string ControlSocket() const { return envoy_run + "/control.sock"; }
  std::string AdminSocket() const { return envoy_run + "/admin.sock"; }
};

// Makes or opens it and takes the lock.
base::StatusOr<StateDirectory> OpenStateDirectory(const std::string& path);

}  // namespace exeat
