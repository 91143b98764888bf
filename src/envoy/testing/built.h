// Everything that is built of the small policy, to be changed and judged.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "envoy/build.h"
#include "envoy/testing/small_policy.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy::testing {

class Built : public ::testing::Test {
 protected:
  Json& Body(const char* type_url, const std::string& name) {
    for (Resource& resource : resources_) {
      if (resource.type_url == type_url && resource.name == name) return resource.body;
    }
    ADD_FAILURE() << "no resource " << name;
    return resources_.front().body;
  }
  Json& Listener(const char* name) { return Body(kListenerType, name); }

  std::vector<Resource> resources_ = *BuildStatic(SmallInputs(), Types(), Bodies::kKeep);
};

}  // namespace exeat::envoy::testing
