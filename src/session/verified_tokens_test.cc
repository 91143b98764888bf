#include "session/verified_tokens.h"

#include <string>
#include <utility>

#include "crypto/digest.h"
#include "gtest/gtest.h"

namespace exeat::session {
namespace {

// As long as a token, and no two of them end alike.
std::string Token(int number) {
  return "header.claims-" + std::to_string(number) + "." + crypto::Sha256Hex("a") +
         crypto::Sha256Hex(std::to_string(number)).substr(0, 22);
}

std::shared_ptr<const VerifiedClaims> ClaimsOf(int number) {
  Claims claims;
  claims.jti = std::to_string(number);
  return std::make_shared<const VerifiedClaims>(std::move(claims));
}

TEST(VerifiedTokens, FindsWhatWasRememberedAndNothingElse) {
  VerifiedTokens tokens(1000);
  const auto claims = ClaimsOf(1);
  tokens.Insert(Token(1), claims, 0);
  EXPECT_EQ(tokens.Find(Token(1)), claims);
  EXPECT_EQ(tokens.Find(Token(2)), nullptr);
}

TEST(VerifiedTokens, IsNotTakenInByATokenThatEndsAlike) {
  VerifiedTokens tokens(1000);
  const std::string token = Token(1);
  tokens.Insert(token, ClaimsOf(1), 0);
  ASSERT_NE(tokens.Find(token), nullptr);
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::string other = token;
    other[at] = other[at] == 'x' ? 'y' : 'x';
    EXPECT_EQ(tokens.Find(other), nullptr) << at;
  }
  EXPECT_EQ(tokens.Find("more." + token), nullptr);
  EXPECT_EQ(tokens.Find(token.substr(1)), nullptr);
  EXPECT_EQ(tokens.Find(token.substr(token.size() - 9)), nullptr);
  EXPECT_EQ(tokens.Find(""), nullptr);
}

TEST(VerifiedTokens, ForgetsEverythingAtARestart) {
  VerifiedTokens tokens(1000);
  for (int i = 0; i < 200; ++i) tokens.Insert(Token(i), ClaimsOf(i), 0);
  tokens.Restart(1);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(tokens.Find(Token(i)), nullptr);
}

TEST(VerifiedTokens, TakesNothingVerifiedInAnEarlierEpoch) {
  VerifiedTokens tokens(1000);
  tokens.Restart(2);
  tokens.Insert(Token(1), ClaimsOf(1), 1);
  EXPECT_EQ(tokens.Find(Token(1)), nullptr);
  tokens.Insert(Token(1), ClaimsOf(1), 2);
  EXPECT_NE(tokens.Find(Token(1)), nullptr);
}

TEST(VerifiedTokens, StaysBoundedAndKeepsWhatIsInUse) {
  constexpr int kCapacity = 1280;
  VerifiedTokens tokens(kCapacity);
  tokens.Insert(Token(-1), ClaimsOf(-1), 0);
  for (int i = 0; i < 20 * kCapacity; ++i) {
    tokens.Insert(Token(i), ClaimsOf(i), 0);
    EXPECT_NE(tokens.Find(Token(-1)), nullptr) << i;
  }
  int held = 0;
  for (int i = 0; i < 20 * kCapacity; ++i) held += tokens.Find(Token(i)) != nullptr ? 1 : 0;
  EXPECT_LE(held, kCapacity);
  EXPECT_GE(held, kCapacity / 4);
}

TEST(VerifiedTokens, RemembersNothingWithoutCapacity) {
  VerifiedTokens tokens(0);
  tokens.Insert(Token(1), ClaimsOf(1), 0);
  EXPECT_EQ(tokens.Find(Token(1)), nullptr);
}

}  // namespace
}  // namespace exeat::session
