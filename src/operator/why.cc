#include "operator/why.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "policy/host_name.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

struct Url {
  bool cleartext = false;
  policy::Authority authority;
  std::string path;
};

base::StatusOr<Url> ParseUrl(const std::string& text) {
  Url url;
  std::string_view rest = text;
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  if (rest.substr(0, kHttps.size()) == kHttps) {
    rest.remove_prefix(kHttps.size());
  } else if (rest.substr(0, kHttp.size()) == kHttp) {
    rest.remove_prefix(kHttp.size());
    url.cleartext = true;
  } else {
    return MakeStatus(StatusCode::kInvalidArgument,
                      "the URL must start with https://, e.g. https://api.example/v1/items");
  }
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  const auto authority = policy::ParseAuthority(rest.substr(0, end), url.cleartext ? 80 : 443);
  if (!authority) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      "the URL's host must be a DNS name with an optional port; addresses, users "
                      "and passwords are not accepted");
  }
  url.authority = *authority;
  rest.remove_prefix(end);
  rest = rest.substr(0, rest.find('#'));
  url.path = std::string(rest);
  if (!url.path.starts_with('/')) url.path.insert(url.path.begin(), '/');
  return url;
}

bool IsMethod(const std::string& method) {
  return !method.empty() && method.size() <= 32 &&
         std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string RuleText(const policy::AllowRule& rule) {
  std::string text;
  for (const std::string& method : rule.methods) text += (text.empty() ? "" : ",") + method;
  if (text.empty()) text = "every method";
  if (!rule.path) return text + " on every path";
  return text + " " + rule.path->text() + (rule.path->is_prefix() ? "**" : "");
}

// What a live session that holds the destination's grant would meet with the same question.
std::string WithSession(authz::Question question, const Explanation& explanation,
                        const authz::Snapshot& snapshot) {
  session::Claims claims;
  claims.sid = claims.jti = claims.sub = "any";
  if (!explanation.grant.empty()) claims.grants.push_back(explanation.grant);
  question.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
  const authz::Verdict verdict = authz::Explain(question, snapshot);
  return verdict.allowed ? "allowed" : std::string(authz::Code(verdict.reason));
}

std::string SessionText(const Explanation& e) {
  if (!e.sid.empty()) return e.sid;
  if (e.with_session.empty()) return "none: no token presented";
  return fmt::format("none; with one{}: {}",
                     e.grant.empty() ? "" : " that holds the grant " + e.grant, e.with_session);
}

void Describe(const authz::Verdict& verdict, const policy::Policy& policy,
              Explanation& explanation) {
  // A refusal that came before the rules still has one that would have been asked.
  const policy::Destination* destination = verdict.destination != nullptr
                                               ? verdict.destination
                                               : policy.Find(explanation.host, explanation.port);
  if (destination != nullptr) {
    explanation.destination = destination->name;
    explanation.line = destination->line;
    explanation.grant = destination->grant;
    explanation.credential = destination->credential;
    if (destination->allow) {
      for (const policy::AllowRule& rule : *destination->allow) {
        explanation.allow.push_back(RuleText(rule));
      }
    }
    explanation.destination_limits = destination->limits;
    explanation.authorize = destination->authorize;
  }
  explanation.session_limits = policy.limits;
}

const char* AuthorizeText(policy::Authorize authorize) {
  return authorize == policy::Authorize::kConnection ? "connection" : "request";
}

std::string LimitText(const policy::RateLimit& limit) {
  return fmt::format("{} requests a minute, burst {}", limit.requests_per_minute, limit.burst);
}

nlohmann::json LimitJson(const std::optional<policy::RateLimit>& limit) {
  if (!limit) return nullptr;
  return {{"requests_per_minute", limit->requests_per_minute}, {"burst", limit->burst}};
}

}  // namespace

base::StatusOr<Explanation> ExplainRequest(const std::string& method, const std::string& url_text,
                                           std::shared_ptr<const session::VerifiedClaims> claims,
                                           const authz::Snapshot& snapshot) {
  if (!IsMethod(method)) {
    return MakeStatus(StatusCode::kInvalidArgument, "the method must be in capitals, e.g. GET");
  }
  if (snapshot.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet; try again");
  }
  ASSIGN_OR_RETURN(const Url url, ParseUrl(url_text));
  Explanation explanation;
  explanation.method = method;
  explanation.host = url.authority.host;
  explanation.port = url.authority.port;
  explanation.path = std::string(policy::PathOnly(url.path));
  explanation.sid = claims == nullptr ? "" : claims->sid;
  explanation.policy_revision = snapshot.policy_revision;

  authz::Question question;
  question.claims = std::move(claims);
  question.method = method;
  question.host = explanation.host;
  question.port = explanation.port;
  question.path = url.path;
  authz::Verdict verdict = authz::Explain(question, snapshot);
  if (url.cleartext) {
    verdict.allowed = false;
    verdict.reason = authz::Reason::kCleartextNotAllowed;
  }
  explanation.allowed = verdict.allowed;
  if (!verdict.allowed) {
    explanation.reason = std::string(authz::Code(verdict.reason));
    explanation.detail = std::string(authz::Detail(verdict.reason));
    explanation.status = authz::HttpStatus(verdict.reason);
  }
  Describe(verdict, *snapshot.policy, explanation);
  if (verdict.reason == authz::Reason::kTokenMissing && !verdict.allowed) {
    explanation.with_session = WithSession(std::move(question), explanation, snapshot);
  }
  return explanation;
}

std::string ToText(const Explanation& e) {
  std::string text =
      e.allowed
          ? fmt::format("allowed  {} https://{}:{}{}\n", e.method, e.host, e.port, e.path)
          : fmt::format("refused  {} {}:{}{}\n  reason       {} (HTTP {})\n  meaning      {}\n",
                        e.method, e.host, e.port, e.path, e.reason, e.status, e.detail);
  text += fmt::format("  session      {}\n", SessionText(e));
  if (e.destination.empty()) {
    text += "  destination  none serves this host and port\n";
  } else {
    text += fmt::format("  destination  {} (policy line {}, revision {})\n", e.destination, e.line,
                        e.policy_revision);
    text +=
        fmt::format("  grant        {}\n", e.grant.empty() ? "none: any live session" : e.grant);
    text += fmt::format("  credential   {}\n",
                        e.credential.empty() ? "none is attached" : e.credential);
    if (e.allow.empty()) text += "  allow        every method and path\n";
    for (const std::string& rule : e.allow) text += "  allow        " + rule + "\n";
    if (e.authorize == policy::Authorize::kConnection) {
      text += "  asked        once a tunnel; about each request on the transparent leg\n";
    }
  }
  if (e.session_limits) {
    text += fmt::format("  limit        {} (session)\n", LimitText(*e.session_limits));
  }
  if (e.destination_limits) {
    text += fmt::format("  limit        {} (session at this destination)\n",
                        LimitText(*e.destination_limits));
  }
  return text;
}

std::string ToJson(const Explanation& e) {
  const nlohmann::json json = {{"allowed", e.allowed},
                               {"reason", e.reason},
                               {"detail", e.detail},
                               {"status", e.status},
                               {"method", e.method},
                               {"host", e.host},
                               {"port", e.port},
                               {"path", e.path},
                               {"sid", e.sid},
                               {"with_session", e.with_session},
                               {"destination", e.destination},
                               {"line", e.line},
                               {"grant", e.grant},
                               {"credential", e.credential},
                               {"allow", e.allow},
                               {"authorize", AuthorizeText(e.authorize)},
                               {"session_limits", LimitJson(e.session_limits)},
                               {"destination_limits", LimitJson(e.destination_limits)},
                               {"policy_revision", e.policy_revision}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace exeat::ops
