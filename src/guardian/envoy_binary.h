// Finds the Envoy binary and refuses one that is not the version everything here was built for.
//
// Why here:   its API is generated from this very version's descriptors; another one would read
//             what is pushed to it differently, which must not be found out while serving.
// Errors:     kNotFound no binary, with the places looked at; kFailedPrecondition not executable,
//             or another version; kDeadlineExceeded it did not answer. Each names path, found,
//             wanted and the remedy.
// Threads:    safe concurrently. Starts a child: not for a process that reaps all children itself.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace exeat::guardian {

inline constexpr std::string_view kEnvoyVersion = "1.40.0";

struct EnvoyIdentity {
  std::string path;     // absolute, symbolic links resolved
  std::string version;  // kEnvoyVersion
  std::string build;  // all that it says of itself, e.g. "<commit>/1.40.0/Clean/RELEASE/BoringSSL"
};

// Runs `path --version`.
base::StatusOr<EnvoyIdentity> CheckEnvoyBinary(const std::string& path);

// What `path --mode validate` has against this bootstrap, "" when nothing or when it says nothing:
// the extension that it does not know, or its own last words. Opens no socket.
std::string BootstrapRefusal(const std::string& path, const std::string& bootstrap);

// `explicit_path` if not empty; else $EXEAT_ENVOY; else the cache that tools/fetch-envoy fills,
// ${XDG_CACHE_HOME:-$HOME/.cache}/exeat/envoy-1.40.0/envoy. A place that was named and is wrong is
// an error, never skipped. Says nothing about the version.
base::StatusOr<std::string> FindEnvoy(const std::string& explicit_path);

}  // namespace exeat::guardian
