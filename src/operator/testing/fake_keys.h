// SigningKeys whose tokens say in clear what they were signed for.
#pragma once

#include <string>
#include <vector>

#include "session/signing_keys.h"

namespace exeat::ops {

class FakeKeys final : public session::SigningKeys {
 public:
  base::StatusOr<std::string> Sign(const session::Claims& claims) const override {
    RETURN_IF_ERROR(failure);
    signed_claims.push_back(claims);
    return "token-of-" + claims.sid + "-" + claims.jti;
  }
  std::string Jwks() const override { return "keys" + std::to_string(generation); }
  base::Status Rotate() override {
    ++generation;
    return absl::OkStatus();
  }
  base::Status WithdrawRetired(base::UnixSeconds retired_before) override {
    withdrawn_before = retired_before;
    return absl::OkStatus();
  }

  base::Status failure;
  int generation = 1;
  base::UnixSeconds withdrawn_before = 0;
  mutable std::vector<session::Claims> signed_claims;
};

}  // namespace exeat::ops
