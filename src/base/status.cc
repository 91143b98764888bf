#include "base/status.h"

#include <cerrno>
#include <system_error>

namespace exeat::base {

Status ErrnoStatus(int error_number, std::string_view context) {
  const std::string message =
      std::string(context) + ": " + std::generic_category().message(error_number);
  switch (error_number) {
    case ENOENT:
      return MakeStatus(StatusCode::kNotFound, message);
    case EEXIST:
      return MakeStatus(StatusCode::kAlreadyExists, message);
    case EACCES:
    case EPERM:
      return MakeStatus(StatusCode::kPermissionDenied, message);
    case ENOSPC:
      return MakeStatus(StatusCode::kResourceExhausted, message);
    default:
      return MakeStatus(StatusCode::kUnavailable, message);
  }
}

}  // namespace exeat::base
