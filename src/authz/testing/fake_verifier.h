// A Verifier that knows the tokens a test has given it; every other token is kInvalid.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "session/verifier.h"

namespace exeat::authz {

class FakeVerifier final : public session::Verifier {
 public:
  void Accept(const std::string& token, session::Claims claims) {
    answers_[token] = {session::Rejection::kNone,
                       std::make_shared<const session::VerifiedClaims>(std::move(claims))};
  }
  void Reject(const std::string& token, session::Rejection rejection) {
    answers_[token] = {rejection, nullptr};
  }

  session::Verification Verify(std::string_view token, base::UnixSeconds) const override {
    const auto found = answers_.find(token);
    return found == answers_.end() ? session::Verification{} : found->second;
  }
  base::Status SetKeys(std::string_view) override {
    return base::MakeStatus(base::StatusCode::kUnimplemented, "a fake has no keys");
  }

 private:
  std::map<std::string, session::Verification, std::less<>> answers_;
};

}  // namespace exeat::authz
