#include "authz/token_places.h"

#include <string>
#include <string_view>
#include <utility>

#include "authz/ascii.h"
#include "base/encoding.h"

namespace exeat::authz {
namespace {

// A token and a user name, in base64: more cannot be a session token and is not decoded.
constexpr std::size_t kMaxBasicBytes = 2 * session::kMaxTokenBytes;

struct SchemeAndValue {
  std::string_view scheme;
  std::string_view value;
};

SchemeAndValue SplitScheme(std::string_view header) {
  const std::size_t space = header.find(' ');
  if (space == std::string_view::npos) return {header, {}};
  const std::size_t start = header.find_first_not_of(' ', space);
  if (start == std::string_view::npos) return {header.substr(0, space), {}};
  return {header.substr(0, space), header.substr(start)};
}

// Empty when the header holds no Bearer token.
std::string_view BearerToken(std::string_view header) {
  const auto [scheme, value] = SplitScheme(header);
  return EqualsIgnoringCase(scheme, "bearer") ? value : std::string_view();
}

Reason RefusalFor(session::Rejection rejection) {
  switch (rejection) {
    case session::Rejection::kExpired:
    case session::Rejection::kNotYetValid:
      return Reason::kTokenExpired;
    case session::Rejection::kAudience:
      return Reason::kTokenAudience;
    case session::Rejection::kNone:
    case session::Rejection::kMissing:
    case session::Rejection::kInvalid:
      break;
  }
  return Reason::kTokenInvalid;
}

Presented Refuse(Reason reason) {
  Presented presented;
  presented.refusal = reason;
  return presented;
}

Presented VerifyToken(std::string_view token, const Facts& facts,
                      const session::Verifier& verifier) {
  session::Verification verification = verifier.Verify(token, facts.now);
  if (!verification.ok()) return Refuse(RefusalFor(verification.rejection));
  // Claims that name no session could match an absent one further on.
  if (verification.claims->sid.empty()) return Refuse(Reason::kTokenInvalid);
  Presented presented;
  presented.refusal.reset();
  presented.claims = std::move(verification.claims);
  return presented;
}

std::optional<Reason> CheckDuplicates(const Facts& facts) {
  if (!facts.duplicate_credentials) return std::nullopt;
  if (facts.leg == Leg::kConnect) return Reason::kRequestMalformed;
  const bool key_places_ignored = facts.leg == Leg::kTunnel || !facts.session_header.empty();
  if (facts.only_key_places_repeat && key_places_ignored) return std::nullopt;
  return Reason::kTokenInvalid;
}

// The token of "user:token" or, for clients that can set only a user, "token:".
std::optional<base::Secret> TokenOfBasic(std::string_view encoded) {
  if (encoded.size() > kMaxBasicBytes) return std::nullopt;
  std::optional<std::string> decoded = base::Base64Decode(encoded);
  if (!decoded) return std::nullopt;
  const base::Secret pair(*std::move(decoded));
  const std::string_view text = pair.Reveal();
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view password = text.substr(colon + 1);
  return base::Secret(std::string(password.empty() ? text.substr(0, colon) : password));
}

Presented ReadConnect(const Facts& facts, const session::Verifier& verifier) {
  if (facts.proxy_authorization.empty()) return Refuse(Reason::kTokenMissing);
  const auto [scheme, value] = SplitScheme(facts.proxy_authorization);
  std::optional<base::Secret> token;
  if (EqualsIgnoringCase(scheme, "bearer")) token = base::Secret(std::string(value));
  if (EqualsIgnoringCase(scheme, "basic")) token = TokenOfBasic(value);
  if (!token) return Refuse(Reason::kTokenInvalid);
  if (token->empty()) return Refuse(Reason::kTokenMissing);
  Presented presented = VerifyToken(token->Reveal(), facts, verifier);
  if (!presented.refusal) presented.token = *std::move(token);
  return presented;
}

Presented ReadTunnel(const Facts& facts, const session::Verifier& verifier) {
  const std::string_view bearer = BearerToken(facts.tunnel_token);
  const std::string_view token = bearer.empty() ? facts.tunnel_token : bearer;
  // Envoy writes "-" for filter state that is not there.
  if (token.empty() || token == "-") return Refuse(Reason::kTokenMissing);
  Presented presented = VerifyToken(token, facts, verifier);
  if (presented.refusal || facts.session_header.empty()) return presented;
  const Presented beside = VerifyToken(facts.session_header, facts, verifier);
  if (beside.refusal) {
    presented.refusal = beside.refusal;
  } else if (beside.claims->sid != presented.claims->sid) {
    presented.refusal = Reason::kTokenConflict;
  }
  return presented;
}

Presented ReadTransparent(const Facts& facts, const session::Verifier& verifier) {
  if (!facts.session_header.empty()) return VerifyToken(facts.session_header, facts, verifier);
  Presented first = Refuse(Reason::kTokenMissing);
  bool any_present = false;
  for (const std::string_view token : {BearerToken(facts.authorization), facts.api_key}) {
    if (token.empty()) continue;
    Presented presented = VerifyToken(token, facts, verifier);
    if (!presented.refusal) return presented;
    if (!any_present) first = std::move(presented);
    any_present = true;
  }
  return first;
}

}  // namespace

Presented ReadToken(const Facts& facts, const session::Verifier& verifier) {
  if (const std::optional<Reason> refusal = CheckDuplicates(facts)) return Refuse(*refusal);
  switch (facts.leg) {
    case Leg::kConnect:
      return ReadConnect(facts, verifier);
    case Leg::kTunnel:
      return ReadTunnel(facts, verifier);
    case Leg::kTransparent:
      return ReadTransparent(facts, verifier);
  }
  return Refuse(Reason::kAuthzUnavailable);
}

}  // namespace exeat::authz
