#include "session/jwk_set.h"

#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "session/testing/token_forge.h"

namespace exeat::session {
namespace {

using base::StatusCode;
using base::StatusIs;
using Json = nlohmann::json;

// A vector, since braces around one Json would copy it instead of making a list.
std::string Set(const std::vector<Json>& keys) { return Json{{"keys", Json(keys)}}.dump(); }

TEST(JwkSet, FindsItsKeysByKidAndNoOther) {
  const TokenForge forge;
  const TokenForge other;
  const auto set = JwkSet::Parse(Set({forge.Jwk("k1"), other.Jwk("k2")}));
  ASSERT_THAT(set, base::IsOk());
  ASSERT_NE(set->Find("k1"), nullptr);
  ASSERT_NE(set->Find("k2"), nullptr);
  EXPECT_EQ(set->Find("k1")->x(), forge.key().Public()->x());
  EXPECT_EQ(set->Find("k3"), nullptr);
  EXPECT_EQ(set->Find(""), nullptr);
  EXPECT_EQ(set->Find(std::string_view("k1\0", 3)), nullptr);
}

TEST(JwkSet, CallsAnEmptySetAPrecondition) {
  EXPECT_THAT(JwkSet::Parse(R"({"keys":[]})"), StatusIs(StatusCode::kFailedPrecondition));
}

TEST(JwkSet, RefusesADuplicateKid) {
  const TokenForge forge;
  const TokenForge other;
  EXPECT_THAT(JwkSet::Parse(Set({forge.Jwk("k1"), other.Jwk("k1")})),
              base::StatusSays(StatusCode::kInvalidArgument, "keys[1]: kid stands twice"));
}

TEST(JwkSet, RefusesEachMissingMember) {
  const TokenForge forge;
  for (const char* member : {"kty", "crv", "alg", "kid", "x", "y"}) {
    Json jwk = forge.Jwk();
    jwk.erase(member);
    EXPECT_THAT(JwkSet::Parse(Set({jwk})),
                base::StatusSays(StatusCode::kInvalidArgument, "keys[0]"))
        << member;
  }
}

TEST(JwkSet, RefusesEachMemberThatIsNotAsItMustBe) {
  const TokenForge forge;
  const std::string x = forge.Jwk()["x"];
  const std::pair<const char*, Json> cases[] = {{"kty", "RSA"},
                                                {"kty", "oct"},
                                                {"kty", 1},
                                                {"crv", "P-384"},
                                                {"crv", "p-256"},
                                                {"alg", "ES384"},
                                                {"alg", "none"},
                                                {"alg", "HS256"},
                                                {"use", "enc"},
                                                {"use", nullptr},
                                                {"key_ops", {"sign"}},
                                                {"key_ops", Json::array()},
                                                {"kid", ""},
                                                {"kid", "a b"},
                                                {"kid", std::string(129, 'k')},
                                                {"x", x + "="},
                                                {"x", x.substr(1)},
                                                {"x", "AA" + x},
                                                {"x", forge.Jwk()["y"]},
                                                {"y", x},
                                                {"d", x},
                                                {"d", nullptr},
                                                {"k", "AAAA"}};
  for (const auto& [member, value] : cases) {
    Json jwk = forge.Jwk();
    jwk[member] = value;
    EXPECT_THAT(JwkSet::Parse(Set({jwk})),
                base::StatusSays(StatusCode::kInvalidArgument, "keys[0]"))
        << member << " = " << value;
  }
}

TEST(JwkSet, RefusesDocumentsThatAreNoSets) {
  for (const char* text : {"", "{}", "[]", R"({"keys":{}})", R"({"keys":[1]})", R"({"keys":null})",
                           R"({"keys":[],"keys":[]})"}) {
    EXPECT_THAT(JwkSet::Parse(text), StatusIs(StatusCode::kInvalidArgument)) << text;
  }
  const TokenForge forge;
  std::vector<Json> many;
  for (int i = 0; i < 65; ++i) many.push_back(forge.Jwk("k" + std::to_string(i)));
  EXPECT_THAT(JwkSet::Parse(Set(many)), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(JwkSet::Parse(std::string(70000, ' ')), StatusIs(StatusCode::kInvalidArgument));
}

TEST(JwkSet, AcceptsKeyOpsOfVerifyAndUnknownMembers) {
  const TokenForge forge;
  Json jwk = forge.Jwk();
  jwk["key_ops"] = Json::array({"verify"});
  jwk["x-note"] = 1;
  EXPECT_THAT(JwkSet::Parse(Set({jwk})), base::IsOk());
}

}  // namespace
}  // namespace exeat::session
