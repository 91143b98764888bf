// The final judge of a configuration is the binary that runs it.
#include <gtest/gtest.h>
#include <stdio.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "envoy/testing/inlined.h"
#include "envoy/testing/small_policy.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy {
namespace {

std::string EnvoyBinary() {
  const char* chosen = std::getenv("EXEAT_ENVOY");
  return chosen != nullptr ? chosen : EXEAT_ENVOY;
}

struct Judgement {
  bool accepted = false;
  std::string output;
};

Judgement Validate(const Json& bootstrap, const std::string& name) {
  const std::string path = ::testing::TempDir() + "/" + name + ".json";
  std::ofstream(path) << bootstrap.dump();
  const std::string command = EnvoyBinary() +
                              " --mode validate --reject-unknown-dynamic-fields -l error -c " +
                              path + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  Judgement judgement;
  if (pipe == nullptr) return judgement;
  std::array<char, 4096> buffer;
  while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) judgement.output += buffer.data();
  judgement.accepted = pclose(pipe) == 0;
  std::filesystem::remove(path);
  return judgement;
}

Json Whole(const policy::Policy& policy) {
  auto resources = BuildStatic(testing::SmallInputs(policy), testing::Types(), Bodies::kKeep);
  EXPECT_TRUE(resources.ok()) << resources.status();
  resources->push_back(*BuildRevoked({"s-1", "s-2"}, testing::Types()));
  for (const policy::Credential& credential : policy.credentials) {
    credentials::Material material;
    material.value = base::Secret("value");
    material.certificate = "chain";
    material.access_key_id = "id";
    std::vector<Resource> built = *BuildCredential(credential, material);
    for (Resource& resource : built) {
      if (resource.type_url != kExtensionType) continue;
      resource.body = *testing::Types().ToJson(kExtensionType, resource.value);
      resources->push_back(std::move(resource));
    }
  }
  return testing::Inlined(*resources, BuildBootstrap({.node_id = "edge-1",
                                                      .deployment = "acme-dev",
                                                      .control_socket = "/tmp/control.sock",
                                                      .admin_socket = "/tmp/admin.sock"}));
}

class EnvoyValidate : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(EnvoyBinary()))
        << "no Envoy binary at '" << EnvoyBinary() << "': set EXEAT_ENVOY";
  }
};

TEST_F(EnvoyValidate, AcceptsEveryResourceOfAFullPolicy) {
  const Judgement judgement = Validate(Whole(testing::SmallPolicy()), "full");
  EXPECT_TRUE(judgement.accepted) << judgement.output;
}

TEST_F(EnvoyValidate, AcceptsAClosedEdge) {
  policy::Policy policy = testing::SmallPolicy();
  policy.posture = policy::Posture::kDenyAll;
  policy.limits.reset();
  policy.credentials.clear();
  policy.destinations.clear();
  const Judgement judgement = Validate(Whole(policy), "closed");
  EXPECT_TRUE(judgement.accepted) << judgement.output;
}

TEST_F(EnvoyValidate, AcceptsAFastLimit) {
  policy::Policy policy = testing::SmallPolicy();
  policy.limits = policy::RateLimit{4'000'000'000, 4'000'000'000};
  const Judgement judgement = Validate(Whole(policy), "fast");
  EXPECT_TRUE(judgement.accepted) << judgement.output;
}

// Shows that the judge judges: the same text with one value out of range.
TEST_F(EnvoyValidate, RefusesAFillIntervalThatIsTooShort) {
  std::string text = Whole(testing::SmallPolicy()).dump();
  const std::string good = "\"fill_interval\":\"0.100000000s\"";
  ASSERT_NE(text.find(good), std::string::npos);
  for (auto at = text.find(good); at != std::string::npos; at = text.find(good)) {
    text.replace(at, good.size(), "\"fill_interval\":\"0.010000000s\"");
  }
  const Judgement judgement = Validate(Json::parse(text), "short");
  EXPECT_FALSE(judgement.accepted);
  EXPECT_NE(judgement.output.find("50ms"), std::string::npos) << judgement.output;
}

}  // namespace
}  // namespace exeat::envoy
