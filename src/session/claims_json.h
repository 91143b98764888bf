// Claims as the JSON of a token's payload, both ways.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "session/claims.h"

namespace exeat::session {

std::string ClaimsToJson(const Claims& claims);

struct ParsedClaims {
  Claims claims;
  bool for_us = false;  // aud is kTokenAudience or a list that holds it
};
// nullopt unless every claim is there, of its type and in its range; other members are not looked
// at. Times must be written as integers: 1.0 and 1e9 are refused.
std::optional<ParsedClaims> ClaimsFromJson(std::string_view payload);

}  // namespace exeat::session
