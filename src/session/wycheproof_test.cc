// The published JSON Web Signature and JSON Web Key vectors against the signature layer. The files
// are no part of the source; EXEAT_SHARED_DATA names their directory, ../shared/data otherwise.
#include <cstdlib>
#include <iostream>

#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "session/jws.h"
#include "session/testing/token_forge.h"

namespace exeat::session {
namespace {

using Json = nlohmann::json;

std::string VectorPath(const std::string& name) {
  const char* directory = std::getenv("EXEAT_SHARED_DATA");
  return std::string(directory != nullptr ? directory : "../shared/data") + "/wycheproof/" + name;
}

struct Tally {
  std::size_t vectors = 0;
  std::size_t judged_by_key = 0;  // reached a signature check or header rule with the group's key
  std::size_t valid_es256 = 0;
};

// The group's public key or keys as a JWKS document.
std::string JwksOf(const Json& group) {
  const Json& key = group.contains("public") ? group["public"] : group["private"];
  return key.contains("keys") ? key.dump() : Json{{"keys", Json::array({key})}}.dump();
}

bool IsGoodEs256(const Json& group) {
  const Json& key = group.contains("public") ? group["public"] : group["private"];
  if (key.contains("keys")) return false;
  return key.value("alg", "") == "ES256" && key.value("crv", "") == "P-256" &&
         key.value("kty", "") == "EC";
}

void JudgeGroup(const Json& group, const JwkSet& ours, Tally& tally) {
  const auto keys = JwkSet::Parse(JwksOf(group));
  if (IsGoodEs256(group) && group["type"] == "JsonWebSignature") {
    ASSERT_THAT(keys, base::IsOk()) << group["comment"];
  }
  for (const Json& vector : group["tests"]) {
    ++tally.vectors;
    const std::string token =
        vector["jws"].is_string() ? vector["jws"].get<std::string>() : vector["jws"].dump();
    EXPECT_FALSE(VerifyCompactJws(token, ours).has_value()) << vector;
    if (!keys.ok()) continue;
    ++tally.judged_by_key;
    const bool verified = VerifyCompactJws(token, *keys).has_value();
    EXPECT_EQ(verified, vector["result"] == "valid") << vector;
    if (verified) ++tally.valid_es256;
  }
}

void RunFile(const std::string& name, Tally& tally) {
  const std::string path = VectorPath(name);
  const auto text = base::ReadFile(path);
  if (text.status().code() == base::StatusCode::kNotFound) {
    std::cerr << "NOT RUN: " << path
              << " is not there; set EXEAT_SHARED_DATA to the directory that "
              << "holds wycheproof/" << name << "\n";
    GTEST_SKIP() << path << " is missing";
  }
  ASSERT_THAT(text, base::IsOk());
  const TokenForge forge;
  const JwkSet ours = *JwkSet::Parse(forge.Jwks("kid-ec-sign"));
  const Json document = Json::parse(*text);
  for (const Json& group : document["testGroups"]) JudgeGroup(group, ours, tally);
}

TEST(Wycheproof, EveryInvalidSignatureVectorIsRefusedAndEveryValidES256OneVerifies) {  // J1
  Tally tally;
  RunFile("json_web_signature_test.json", tally);
  if (IsSkipped()) return;
  EXPECT_EQ(tally.vectors, 401U);
  EXPECT_EQ(tally.judged_by_key, 39U) << "the two groups with an ES256 key";
  EXPECT_EQ(tally.valid_es256, 2U);
}

TEST(Wycheproof, EveryKeySetWithABadOrForeignKeyIsRefused) {
  Tally tally;
  RunFile("json_web_key_test.json", tally);
  if (IsSkipped()) return;
  EXPECT_EQ(tally.vectors, 26U);
  EXPECT_EQ(tally.valid_es256, 0U) << "no set in this file is a good ES256 set";
}

}  // namespace
}  // namespace exeat::session
