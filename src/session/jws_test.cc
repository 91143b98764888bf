#include "session/jws.h"

#include "gtest/gtest.h"
#include "session/testing/token_forge.h"

namespace exeat::session {
namespace {

class Jws : public testing::Test {
 protected:
  bool Verifies(const std::string& token) const {
    return VerifyCompactJws(token, keys_).has_value();
  }
  bool VerifiesHeader(const std::string& header) const {
    return Verifies(forge_.Sign(header, "{}"));
  }

  const TokenForge forge_;
  const JwkSet keys_ = *JwkSet::Parse(forge_.Jwks());
};

TEST_F(Jws, GivesPayloadAndTypOfAGoodToken) {
  const auto jws = VerifyCompactJws(forge_.Sign(TokenForge::kHeader, "payload"), keys_);
  ASSERT_TRUE(jws.has_value());
  EXPECT_EQ(jws->payload, "payload");
  EXPECT_EQ(jws->typ, kTokenType);
  EXPECT_TRUE(VerifiesHeader(R"({"alg":"ES256","kid":"k1"})"));
}

TEST_F(Jws, RefusesEveryAlgButES256) {  // J2, J3
  for (const char* alg : {"none", "None", "nOnE", "NONE", "", "HS256", "RS256", "ES384", "es256",
                          "ES256 ", "PS256", "EdDSA"}) {
    const std::string header =
        std::string(R"({"alg":")") + alg + R"(","kid":"k1","typ":"exeat-session+jwt"})";
    EXPECT_FALSE(VerifiesHeader(header)) << alg;
    const std::string unsigned_token =
        base::Base64UrlEncode(header) + "." + base::Base64UrlEncode("{}") + ".";
    EXPECT_FALSE(Verifies(unsigned_token)) << alg;
  }
  EXPECT_FALSE(VerifiesHeader(R"({"kid":"k1"})"));
  EXPECT_FALSE(VerifiesHeader(R"({"alg":["ES256"],"kid":"k1"})"));
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"none","alg":"ES256","kid":"k1"})"));
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"ES256","alg":"ES256","kid":"k1"})"));
}

TEST_F(Jws, RefusesAKidThatIsMissingUnknownOrHostile) {  // J4
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"ES256"})"));
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"ES256","kid":1})"));
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"ES256","kid":["k1"]})"));
  for (const char* kid : {"", "k2", "K1", "k1 ", R"(k1\u0000)", "../k1", "../../etc/passwd",
                          "' OR '1'='1", "k1'; DROP TABLE keys;--", "/dev/null"}) {
    EXPECT_FALSE(VerifiesHeader(std::string(R"({"alg":"ES256","kid":")") + kid + "\"}")) << kid;
  }
  EXPECT_FALSE(VerifiesHeader(R"({"alg":"ES256","kid":")" + std::string(65536, 'k') + "\"}"));
}

TEST_F(Jws, RefusesHeadersThatBringTheirOwnKeyOrRules) {  // J6
  const TokenForge attacker;
  const std::string jwk = attacker.Jwk().dump();
  for (const std::string& member :
       {"\"jwk\":" + jwk, std::string(R"("jku":"https://evil.example/jwks")"),
        std::string(R"("x5u":"https://evil.example/c")"), std::string(R"("x5c":["AAAA"])"),
        std::string(R"("crit":["exp"])"), std::string(R"("crit":[])"),
        std::string(R"("b64":false)"), std::string(R"("zip":"DEF")"),
        "\"jwk\":null" + std::string()}) {
    const std::string header = R"({"alg":"ES256","kid":"k1",)" + member + "}";
    EXPECT_FALSE(VerifiesHeader(header)) << member;
    EXPECT_FALSE(Verifies(attacker.Sign(header, "{}"))) << member;
  }
}

TEST_F(Jws, RefusesOtherSerialisationsAndSpellings) {  // J1
  const std::string good = forge_.Sign(TokenForge::kHeader, "{}");
  ASSERT_TRUE(Verifies(good));
  const std::size_t first = good.find('.');
  const std::size_t second = good.rfind('.');
  const std::string header = good.substr(0, first);
  const std::string payload = good.substr(first + 1, second - first - 1);
  const std::string signature = good.substr(second + 1);
  for (const std::string& bad :
       {std::string("."), std::string(".."), std::string("..."), good + ".", "." + good, good + "=",
        good + " ", " " + good, good + "\n", header + "=." + payload + "." + signature,
        header + "." + payload, header + "." + payload + ".", header + ".." + signature,
        "." + payload + "." + signature, header + "." + payload + "." + signature + "AA",
        header + "." + payload + "." + signature.substr(0, 84), good + "." + signature,
        header + "\n." + payload + "." + signature,
        R"({"protected":")" + header + R"(","payload":")" + payload + R"(","signature":")" +
            signature + "\"}"}) {
    EXPECT_FALSE(Verifies(bad)) << bad;
  }
}

TEST_F(Jws, RefusesASecondSpellingOfTheSameSignature) {
  // 64 bytes leave four unused bits in the last character; only zeros there are canonical.
  std::string token = forge_.Sign(TokenForge::kHeader, "{}");
  ASSERT_TRUE(std::string("AQgw").find(token.back()) != std::string::npos);
  token.back() = static_cast<char>(token.back() + 1);
  EXPECT_FALSE(Verifies(token));
}

TEST_F(Jws, RefusesAnyChangedByte) {
  const std::string good = forge_.Sign(TokenForge::kHeader, R"({"sid":"a"})");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Verifies(bad)) << i;
  }
}

TEST_F(Jws, RefusesADerSignature) {
  const std::string input =
      base::Base64UrlEncode(TokenForge::kHeader) + "." + base::Base64UrlEncode("{}");
  EXPECT_FALSE(Verifies(input + "." + base::Base64UrlEncode(*forge_.key().SignDer(input))));
}

}  // namespace
}  // namespace exeat::session
