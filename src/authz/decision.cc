#include "authz/decision.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "authz/ascii.h"
#include "authz/request_target.h"
#include "authz/token_places.h"
#include "policy/host_name.h"

namespace exeat::authz {
namespace {

constexpr std::uint16_t kHttpsPort = 443;

// Why a step refuses; nullopt lets the next one judge.
using Refusal = std::optional<Reason>;

Refusal CheckSnapshot(const Snapshot& snapshot) {
  if (!snapshot.policy || !snapshot.verifier) return Reason::kAuthzUnavailable;
  if (!snapshot.restrictions_in_force) return Reason::kDenylistStale;
  return std::nullopt;
}

Refusal Identify(const Facts& facts, const session::Verifier& verifier, Verdict& verdict) {
  Presented presented = ReadToken(facts, verifier);
  verdict.claims = std::move(presented.claims);
  if (presented.refusal) return presented.refusal;
  verdict.presented_token = presented.token.Reveal();
  // Inside, Envoy must have verified the same session natively: rbac and ratelimit act on that one.
  if (facts.leg != Leg::kConnect && facts.metadata_sid != verdict.claims->sid) {
    return Reason::kTokenInvalid;
  }
  return std::nullopt;
}

Refusal CheckStanding(const session::VerifiedClaims& claims, const revocation::Snapshot& denylist) {
  switch (denylist.Check(claims.identity)) {
    case revocation::Standing::kClear:
      return std::nullopt;
    case revocation::Standing::kRevoked:
      return Reason::kSessionRevoked;
    case revocation::Standing::kNotLoaded:
      break;
  }
  return Reason::kDenylistStale;
}

Refusal CheckPosture(policy::Posture posture) {
  if (posture == policy::Posture::kBump) return std::nullopt;
  return Reason::kPostureDenyAll;
}

// The method as far as the leg alone decides about it.
Refusal CheckMethodForLeg(const Facts& facts) {
  if (!IsMethod(facts.method)) return Reason::kRequestMalformed;
  const bool is_connect = EqualsIgnoringCase(facts.method, "connect");
  if (facts.leg == Leg::kConnect) {
    return is_connect ? Refusal() : Refusal(Reason::kCleartextNotAllowed);
  }
  return is_connect ? Refusal(Reason::kMethodNotAllowed) : Refusal();
}

Reason RefuseAuthority(const Facts& facts) {
  if (!IsAddressLiteral(facts.authority)) return Reason::kRequestMalformed;
  return facts.leg == Leg::kConnect ? Reason::kDestinationNotAllowed : Reason::kAuthorityMismatch;
}

// HOST:PORT in canonical form, as nearly every client writes it: then it need not be parsed.
bool IsWrittenAs(std::string_view text, const policy::Authority& authority) {
  if (!text.starts_with(authority.host)) return false;
  text.remove_prefix(authority.host.size());
  std::array<char, 6> port{':'};
  const auto end = std::to_chars(port.data() + 1, port.data() + port.size(), authority.port).ptr;
  return text == std::string_view(port.data(), static_cast<std::size_t>(end - port.data()));
}

// Every name on the way must be the same one; the SNI is in canonical form or it is another name.
Refusal CheckSameAuthority(const Facts& facts, const policy::Authority& authority) {
  if (facts.leg == Leg::kConnect) return std::nullopt;
  if (facts.sni != authority.host) return Reason::kAuthorityMismatch;
  if (facts.leg == Leg::kTransparent) return std::nullopt;
  if (IsWrittenAs(facts.tunnel_target, authority)) return std::nullopt;
  if (policy::ParseAuthority(facts.tunnel_target, kHttpsPort) != authority) {
    return Reason::kAuthorityMismatch;
  }
  return std::nullopt;
}

Refusal CheckDestination(const policy::Authority& authority, const policy::Policy& policy,
                         Verdict& verdict) {
  verdict.destination = policy.FindFor(authority.host, authority.port, verdict.claims->grants);
  if (verdict.destination) return std::nullopt;
  return policy.HasHost(authority.host) ? Reason::kPortNotAllowed : Reason::kDestinationNotAllowed;
}

Refusal CheckGrant(const session::Claims& claims, const policy::Destination& destination) {
  if (destination.IsOpenTo(claims.grants)) return std::nullopt;
  return Reason::kGrantMissing;
}

bool PermitsMethod(const policy::AllowRule& rule, std::string_view method) {
  return rule.methods.empty() ||
         std::find(rule.methods.begin(), rule.methods.end(), method) != rule.methods.end();
}

Refusal CheckMethodAndPath(const Facts& facts, const policy::Destination& destination,
                           const policy::AllowRule*& permitted_by) {
  if (EqualsIgnoringCase(facts.method, "trace") || EqualsIgnoringCase(facts.method, "track")) {
    return Reason::kMethodNotAllowed;
  }
  if (IsMalformedTarget(facts.path)) return Reason::kRequestMalformed;
  if (!destination.allow) return std::nullopt;
  Reason refusal = Reason::kPathNotAllowed;
  for (const policy::AllowRule& rule : *destination.allow) {
    if (rule.path && !rule.path->Matches(facts.path)) continue;
    if (PermitsMethod(rule, facts.method)) {
      permitted_by = &rule;
      return std::nullopt;
    }
    refusal = Reason::kMethodNotAllowed;
  }
  return refusal;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Refusal CheckAddress(const policy::Destination& destination, const Snapshot& snapshot) {
  if (!Contains(snapshot.denied_hosts, destination.host)) return std::nullopt;
  return Reason::kAddressDenied;
}

Refusal CheckCredential(const policy::Destination& destination, const Snapshot& snapshot) {
  if (destination.credential.empty()) return std::nullopt;
  if (!Contains(snapshot.unavailable_credentials, destination.credential)) return std::nullopt;
  return Reason::kCredentialUnavailable;
}

// What may go there, whoever asks: the claims in `verdict` are taken as verified.
Refusal JudgeIdentified(const Facts& facts, const Snapshot& snapshot, Verdict& verdict) {
  const session::VerifiedClaims& claims = *verdict.claims;
  if (Refusal refusal = CheckStanding(claims, snapshot.denylist)) return refusal;
  if (Refusal refusal = CheckPosture(snapshot.policy->posture)) return refusal;
  if (Refusal refusal = CheckMethodForLeg(facts)) return refusal;
  const auto authority = policy::ParseAuthority(facts.authority, kHttpsPort);
  if (!authority) return RefuseAuthority(facts);
  if (Refusal refusal = CheckSameAuthority(facts, *authority)) return refusal;
  if (Refusal refusal = CheckDestination(*authority, *snapshot.policy, verdict)) return refusal;
  if (Refusal refusal = CheckGrant(claims, *verdict.destination)) return refusal;
  if (Refusal refusal = CheckAddress(*verdict.destination, snapshot)) return refusal;
  verdict.vetted = facts.leg == Leg::kConnect &&
                   verdict.destination->authorize == policy::Authorize::kConnection;
  if (facts.leg == Leg::kConnect) return std::nullopt;
  if (Refusal refusal = CheckMethodAndPath(facts, *verdict.destination, verdict.rule)) {
    return refusal;
  }
  return CheckCredential(*verdict.destination, snapshot);
}

Refusal Judge(const Facts& facts, const Snapshot& snapshot, Verdict& verdict) {
  if (Refusal refusal = CheckSnapshot(snapshot)) return refusal;
  if (Refusal refusal = Identify(facts, *snapshot.verifier, verdict)) return refusal;
  return JudgeIdentified(facts, snapshot, verdict);
}

Refusal JudgeQuestion(const Question& question, const Snapshot& snapshot, Verdict& verdict) {
  if (Refusal refusal = CheckSnapshot(snapshot)) return refusal;
  if (!question.claims) return Reason::kTokenMissing;
  verdict.claims = question.claims;
  const bool bare_ipv6 =
      question.host.find(':') != std::string_view::npos && !question.host.starts_with('[');
  const std::string host(question.host);
  const std::string authority =
      (bare_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(question.port);

  Facts facts;
  facts.leg = Leg::kConnect;
  facts.method = "CONNECT";
  facts.authority = authority;
  if (Refusal refusal = JudgeIdentified(facts, snapshot, verdict)) return refusal;
  if (EqualsIgnoringCase(question.method, "connect")) return std::nullopt;

  facts.leg = Leg::kTransparent;
  facts.method = question.method;
  facts.path = question.path.empty() ? "/" : question.path;
  facts.sni = verdict.destination->host;
  return JudgeIdentified(facts, snapshot, verdict);
}

Verdict Conclude(Verdict verdict, Refusal refusal) {
  verdict.allowed = !refusal;
  if (!refusal) return verdict;
  verdict.vetted = false;
  verdict.reason = *refusal;
  base::Secret::Wipe(verdict.presented_token);
  return verdict;
}

}  // namespace

Verdict Decide(const Facts& facts, const Snapshot& snapshot) {
  Verdict verdict;
  const Refusal refusal = Judge(facts, snapshot, verdict);
  return Conclude(std::move(verdict), refusal);
}

Verdict Explain(const Question& question, const Snapshot& snapshot) {
  Verdict verdict;
  const Refusal refusal = JudgeQuestion(question, snapshot, verdict);
  return Conclude(std::move(verdict), refusal);
}

}  // namespace exeat::authz
