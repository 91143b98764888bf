// Runs commands against an edge that remembers what it was asked.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "cli/testing/fake_operator.h"
#include "cli/testing/run_cli.h"

namespace exeat::cli {

class Commands : public ::testing::Test {
 protected:
  Ran Run(std::vector<std::string> arguments) {
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    arguments.insert(dashes, {"--state", edge_.state()});
    return Cli(arguments);
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = edge_.directory() + "/" + name;
    EXPECT_THAT(base::WriteFileAtomically(path, text, 0600), base::IsOk());
    return path;
  }

  FakeOperator edge_;
};

}  // namespace exeat::cli
