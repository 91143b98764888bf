// The embedded descriptors, loaded once for a test program.
#pragma once

#include <memory>

#include "envoy/typing.h"

namespace exeat::envoy::testing {

inline const Typing& Types() {
  static const auto& typing = *new std::unique_ptr<Typing>(*Typing::Embedded());
  return *typing;
}

}  // namespace exeat::envoy::testing
