// The secret that every call on the operator's socket carries.
//
// Why here:   the socket's mode keeps other users out, but Envoy, where it runs as this same user,
//             could still connect to it by path. The secret lies in the state directory, which
//             Envoy is kept from, so a taken-over Envoy cannot open sessions for itself.
// Shapes:     STATE/operator.secret, mode 0600, new at every start of control.
// Errors:     as base::ReadPrivateFile and base::WriteFileAtomically.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace exeat::ops {

inline constexpr const char* kAccessHeader = "x-exeat-operator";

// Makes and stores a new one; call once when control starts, before the socket is served.
base::StatusOr<base::Secret> MakeAccessSecret(const std::string& state_directory);

// What a client sends.
base::StatusOr<base::Secret> ReadAccessSecret(const std::string& state_directory);

// False for an empty secret, whatever was presented. In constant time.
bool Admits(const base::Secret& secret, std::string_view presented);

}  // namespace exeat::ops
