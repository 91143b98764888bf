// Errors as values: absl::Status and absl::StatusOr, and the two macros that pass them on.
//
// Why here:  Debian's absl::string_view is a type of its own, so this header owns the conversion
//            to and from the standard one; no other header of ours names absl::string_view.
// Errors:    the 17 codes equal gRPC's. Messages name a subject by its id, never by a token, a key
//            or a set of claims.
// Source:    docs/adr/0002-status-and-exceptions.md
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace exeat::base {

using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

// The message as a std::string; empty when ok.
inline std::string Message(const Status& status) {
  return std::string(status.message().data(), status.message().size());
}

// A status with `code` and a message held in a std::string_view.
inline Status MakeStatus(StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}

// The same status with `context` and ": " put before its message.
inline Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return MakeStatus(status.code(), std::string(context) + ": " + Message(status));
}

// errno as a status: ENOENT is kNotFound, EEXIST kAlreadyExists, EACCES and EPERM
// kPermissionDenied, ENOSPC kResourceExhausted, anything else kUnavailable.
Status ErrnoStatus(int error_number, std::string_view context);

}  // namespace exeat::base

#define EXEAT_CONCAT_INNER(a, b) a##b
#define EXEAT_CONCAT(a, b) EXEAT_CONCAT_INNER(a, b)

// Returns from the caller when `expression`, a Status, is an error.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (::absl::Status exeat_status_ = (expression); !exeat_status_.ok()) { \
      return exeat_status_;                                                 \
    }                                                                       \
  } while (false)

// Declares or assigns `target` from a StatusOr, or returns its error from the caller.
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(EXEAT_CONCAT(exeat_status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                              \
  if (!holder.ok()) return holder.status();                \
  target = std::move(holder).value()
