#include "session/verifier.h"

#include <atomic>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "session/testing/token_forge.h"

namespace exeat::session {
namespace {

constexpr base::UnixSeconds kNow = 1'800'000'000;

class VerifierTest : public testing::Test {
 protected:
  std::unique_ptr<Verifier> Make(std::size_t remembered = 100) const {
    auto made = Verifier::Make({"acme-dev", std::chrono::seconds(5), remembered}, forge_.Jwks());
    EXPECT_THAT(made, base::IsOk());
    return *std::move(made);
  }
  Rejection Judge(const std::string& token, base::UnixSeconds now = kNow) const {
    const Verification verification = verifier_->Verify(token, now);
    EXPECT_EQ(verification.ok(), verification.rejection == Rejection::kNone);
    EXPECT_EQ(verification.claims != nullptr, verification.ok());
    return verification.rejection;
  }

  const TokenForge forge_;
  const Claims claims_ = SampleClaims(kNow);
  const std::unique_ptr<Verifier> verifier_ = Make();
};

TEST(Verification, DeniesWhenNobodyFilledItIn) { EXPECT_FALSE(Verification{}.ok()); }

TEST_F(VerifierTest, GivesTheClaimsOfAGoodTokenEachTime) {
  const std::string token = forge_.Sign(claims_);
  for (int i = 0; i < 3; ++i) {
    const Verification verification = verifier_->Verify(token, kNow);
    ASSERT_TRUE(verification.ok());
    EXPECT_EQ(*verification.claims, claims_);
  }
}

TEST_F(VerifierTest, RemembersATokenInsteadOfReadingItAgain) {
  const std::string token = forge_.Sign(claims_);
  EXPECT_EQ(verifier_->Verify(token, kNow).claims, verifier_->Verify(token, kNow).claims);
  const auto forgetful = Make(0);
  EXPECT_NE(forgetful->Verify(token, kNow).claims, forgetful->Verify(token, kNow).claims);
}

TEST_F(VerifierTest, CallsAnEmptyTokenMissing) { EXPECT_EQ(Judge(""), Rejection::kMissing); }

TEST_F(VerifierTest, RejectsAtTheExactSecondOfExpPlusSkewAlsoWhenRemembered) {
  const std::string token = forge_.Sign(claims_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Judge(token, claims_.exp + 4), Rejection::kNone);
    EXPECT_EQ(Judge(token, claims_.exp + 5), Rejection::kExpired);
    EXPECT_EQ(Judge(token, claims_.nbf - 5), Rejection::kNone);
    EXPECT_EQ(Judge(token, claims_.nbf - 6), Rejection::kNotYetValid);
  }
}

TEST_F(VerifierTest, HoldsTimesToTheirWindow) {  // J8
  Claims claims = claims_;
  for (const base::UnixSeconds age : {59, 61}) {
    claims.exp = kNow - age;
    EXPECT_EQ(Judge(forge_.Sign(claims)), Rejection::kExpired);
  }
  claims = claims_;
  claims.nbf = kNow + 61;
  EXPECT_EQ(Judge(forge_.Sign(claims)), Rejection::kNotYetValid);
}

TEST_F(VerifierTest, RefusesTimesThatAreNotIntegersInRange) {  // J8
  for (const char* member : {"exp", "nbf", "iat"}) {
    for (const char* value :
         {"", "null", "\"1800000900\"", "1800000900.0", "1.8000009e9", "-1", "9223372036854775808",
          "18446744073709551616", "1e400", "true", "[1800000900]", "253402300800"}) {
      EXPECT_EQ(Judge(forge_.SignWith(claims_, member, value)), Rejection::kInvalid)
          << member << " = " << value;
    }
  }
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "exp", "1800000900")), Rejection::kNone);
}

TEST_F(VerifierTest, RefusesClaimsThatAreMissingMistypedOrNotText) {
  for (const char* member : {"iss", "sub", "sid", "jti"}) {
    for (const char* value : {"", "null", "1", "\"\"", "[\"a\"]", "\"a b\"", R"("a\u0000")",
                              R"("a\nb")", R"("\"")", R"("ä")"}) {
      EXPECT_EQ(Judge(forge_.SignWith(claims_, member, value)), Rejection::kInvalid)
          << member << " = " << value;
    }
    EXPECT_EQ(Judge(forge_.SignWith(claims_, member, "\"" + std::string(129, 'a') + "\"")),
              Rejection::kInvalid);
  }
  for (const char* value :
       {"", "null", "\"anthropic\"", "{}", "[1]", "[\"\"]", "[\"a b\"]", "[[\"a\"]]"}) {
    EXPECT_EQ(Judge(forge_.SignWith(claims_, "grants", value)), Rejection::kInvalid) << value;
  }
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "grants", "[]")), Rejection::kNone);
}

TEST_F(VerifierTest, RefusesAnotherIssuerAudienceOrType) {  // J11
  for (const char* value : {"\"other-dev\"", "\"ACME-DEV\"", "\"acme-dev/\"", "[\"acme-dev\"]"}) {
    EXPECT_EQ(Judge(forge_.SignWith(claims_, "iss", value)), Rejection::kInvalid) << value;
  }
  for (const char* value :
       {"\"other\"", "\"\"", "[]", "[\"a\",\"b\"]", "\"Exeat\"", "\"exeat2\""}) {
    EXPECT_EQ(Judge(forge_.SignWith(claims_, "aud", value)), Rejection::kAudience) << value;
  }
  for (const char* value : {"", "1", "null", "{\"exeat\":1}", "[\"exeat\",1]"}) {
    EXPECT_EQ(Judge(forge_.SignWith(claims_, "aud", value)), Rejection::kInvalid) << value;
  }
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "aud", "[\"a\",\"exeat\"]")), Rejection::kNone);
  const std::string payload = ClaimsToJson(claims_);
  for (const char* header :
       {R"({"alg":"ES256","kid":"k1"})", R"({"alg":"ES256","kid":"k1","typ":"JWT"})",
        R"({"alg":"ES256","kid":"k1","typ":"at+jwt"})", R"({"alg":"ES256","kid":"k1","typ":""})",
        R"({"alg":"ES256","kid":"k1","typ":"Exeat-Session+JWT"})",
        R"({"alg":"ES256","kid":"k1","typ":null})"}) {
    EXPECT_EQ(Judge(forge_.Sign(header, payload)), Rejection::kInvalid) << header;
  }
}

TEST_F(VerifierTest, RefusesAPayloadThatSaysOneThingTwice) {
  std::string payload = ClaimsToJson(claims_);
  payload.insert(1, R"("sid":"victim",)");
  EXPECT_EQ(Judge(forge_.Sign(TokenForge::kHeader, payload)), Rejection::kInvalid);
  EXPECT_EQ(Judge(forge_.Sign(TokenForge::kHeader, "")), Rejection::kInvalid);
  EXPECT_EQ(Judge(forge_.Sign(TokenForge::kHeader, "[]")), Rejection::kInvalid);
}

TEST_F(VerifierTest, RefusesLongAndDeepTokens) {  // J9
  for (const std::size_t size :
       {kMaxTokenBytes + 1, std::size_t{8} << 10, std::size_t{64} << 10, std::size_t{1} << 20}) {
    EXPECT_EQ(Judge(std::string(size, 'A')), Rejection::kInvalid);
  }
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "x", "\"" + std::string(4096, 'a') + "\"")),
            Rejection::kInvalid);
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "x", deep)), Rejection::kInvalid);
  EXPECT_EQ(Judge(forge_.SignWith(claims_, "x", "[[[]]]")), Rejection::kNone);
}

TEST_F(VerifierTest, DoesNotRememberWhatItRefused) {
  const TokenForge other;
  const std::string token = other.Sign(claims_);
  EXPECT_EQ(Judge(token), Rejection::kInvalid);
  EXPECT_EQ(Judge(token), Rejection::kInvalid);
  ASSERT_THAT(verifier_->SetKeys(other.Jwks()), base::IsOk());
  EXPECT_EQ(Judge(token), Rejection::kNone);
}

TEST_F(VerifierTest, ForgetsRememberedTokensWithTheirKeys) {
  const std::string token = forge_.Sign(claims_);
  EXPECT_EQ(Judge(token), Rejection::kNone);
  const TokenForge other;
  ASSERT_THAT(verifier_->SetKeys(other.Jwks()), base::IsOk());
  EXPECT_EQ(Judge(token), Rejection::kInvalid);
}

TEST_F(VerifierTest, KeepsTheOldKeysWhenTheNewOnesAreRefused) {
  EXPECT_THAT(verifier_->SetKeys(R"({"keys":[]})"),
              base::StatusIs(base::StatusCode::kFailedPrecondition));
  EXPECT_THAT(verifier_->SetKeys("nonsense"), base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_EQ(Judge(forge_.Sign(claims_)), Rejection::kNone);
}

TEST_F(VerifierTest, VerifiesManyMoreTokensThanItRemembers) {
  for (const std::size_t remembered : {std::size_t{0}, std::size_t{1}, std::size_t{200}}) {
    const auto verifier = Make(remembered);
    std::vector<std::string> tokens;
    for (int i = 0; i < 300; ++i) {
      Claims claims = claims_;
      claims.jti = "t" + std::to_string(i);
      tokens.push_back(forge_.Sign(claims));
    }
    for (int round = 0; round < 2; ++round) {
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const Verification verification = verifier->Verify(tokens[i], kNow);
        ASSERT_TRUE(verification.ok());
        EXPECT_EQ(verification.claims->jti, "t" + std::to_string(i));
      }
    }
  }
}

TEST_F(VerifierTest, NeverAcceptsAnOldTokenAfterSetKeysReturnedWhileOthersVerify) {
  const std::string token = forge_.Sign(claims_);
  const TokenForge other;
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) (void)verifier_->Verify(token, kNow);
    });
  }
  int accepted = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(verifier_->SetKeys(forge_.Jwks()), base::IsOk());
    EXPECT_EQ(Judge(token), Rejection::kNone);
    ASSERT_THAT(verifier_->SetKeys(other.Jwks()), base::IsOk());
    for (int k = 0; k < 5; ++k) accepted += verifier_->Verify(token, kNow).ok() ? 1 : 0;
  }
  stop = true;
  EXPECT_EQ(accepted, 0);
}

TEST(VerifierMake, RefusesToStartWithoutIssuerKeysOrSaneSkew) {
  const TokenForge forge;
  using base::StatusCode;
  using base::StatusIs;
  EXPECT_THAT(Verifier::Make({}, forge.Jwks()), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Verifier::Make({"acme"}, R"({"keys":[]})"),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(Verifier::Make({"acme", std::chrono::seconds(61)}, forge.Jwks()),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Verifier::Make({"acme", std::chrono::seconds(-1)}, forge.Jwks()),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace exeat::session
