#include "authz/stream_right.h"

#include <algorithm>
#include <string>
#include <vector>

namespace exeat::authz {
namespace {

using policy::AllowRule;

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool CoversPath(const AllowRule& rule, const AllowRule& former) {
  if (!rule.path) return true;
  return former.path && rule.path->Covers(*former.path);
}

// Each method of the former rule may have found another rule.
bool PermitsAllOf(const std::vector<AllowRule>& rules, const AllowRule& former) {
  const auto any = [&](const auto& permits) {
    return std::any_of(rules.begin(), rules.end(), [&](const AllowRule& rule) {
      return CoversPath(rule, former) && permits(rule);
    });
  };
  if (any([](const AllowRule& rule) { return rule.methods.empty(); })) return true;
  return !former.methods.empty() &&
         std::all_of(former.methods.begin(), former.methods.end(), [&](const std::string& method) {
           return any([&](const AllowRule& rule) { return Contains(rule.methods, method); });
         });
}

}  // namespace

bool Permits(const policy::Policy& policy, const limits::OpenStream& stream) {
  if (policy.posture != policy::Posture::kBump || stream.destination == nullptr) return false;
  const auto& grants = stream.claims->grants;
  const policy::Destination* now = policy.FindFor(stream.destination->host, stream.port, grants);
  if (now == nullptr || !now->IsOpenTo(grants)) return false;
  // Which requests run in it is not known.
  if (stream.is_vetted) return now->allow == stream.destination->allow;
  if (stream.is_tunnel || !now->allow) return true;
  static const AllowRule kEverything;
  return PermitsAllOf(*now->allow, stream.rule == nullptr ? kEverything : *stream.rule);
}

bool HasRight(const limits::OpenStream& stream, const Snapshot& snapshot) {
  return snapshot.policy != nullptr && Permits(*snapshot.policy, stream) &&
         snapshot.denylist.Check(stream.claims->identity) == revocation::Standing::kClear;
}

}  // namespace exeat::authz
