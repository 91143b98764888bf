// GoogleMock matchers for Status and StatusOr; Debian's Abseil has none yet.
#pragma once

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::base {

inline Status StatusOf(const Status& status) { return status; }
template <class T>
Status StatusOf(const StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is ok") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P(StatusIs, code, "has the status code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

// As StatusIs, and the message contains `part`.
MATCHER_P2(StatusSays, code, part, "has the code and a message containing " + std::string(part)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code && Message(StatusOf(arg)).find(part) != std::string::npos;
}

}  // namespace exeat::base
