#include <array>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

// Keys and values as the file has them, in the order in which a diff shows them; an absent key is
// absent here too.
using Fields = std::vector<std::pair<std::string, std::string>>;

template <class T>
std::string JoinTexts(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(value.ToString());
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string_view KindText(CredentialKind kind) {
  switch (kind) {
    case CredentialKind::kHeader:
      return "header";
    case CredentialKind::kBearer:
      return "bearer";
    case CredentialKind::kBasic:
      return "basic";
    case CredentialKind::kMtls:
      return "mtls";
    case CredentialKind::kAwsSigv4:
      return "aws_sigv4";
  }
  return "unknown";
}

void AddText(Fields& fields, std::string key, const std::string& value) {
  if (!value.empty()) fields.emplace_back(std::move(key), value);
}

void AddLimits(Fields& fields, const std::string& prefix, const std::optional<RateLimit>& limits) {
  if (!limits) return;
  fields.emplace_back(prefix + "limits.requests_per_minute",
                      fmt::format("{}", limits->requests_per_minute));
  fields.emplace_back(prefix + "limits.burst", fmt::format("{}", limits->burst));
}

std::string RuleText(const AllowRule& rule) {
  const std::string methods =
      rule.methods.empty() ? "*" : fmt::format("{}", fmt::join(rule.methods, "|"));
  if (!rule.path) return methods;
  return fmt::format("{} {}{}", methods, rule.path->text(), rule.path->is_prefix() ? "**" : "");
}

Fields CredentialFields(const Credential& credential) {
  Fields fields;
  fields.emplace_back("kind", KindText(credential.kind));
  AddText(fields, "header", credential.header);
  AddText(fields, "username", credential.username);
  AddText(fields, "service", credential.service);
  AddText(fields, "region", credential.region);
  if (credential.kind == CredentialKind::kMtls) {
    fields.emplace_back("source.certificate", credential.file);
    fields.emplace_back("source.key", credential.key_file);
  } else {
    fields.emplace_back("source.file", credential.file);
  }
  if (!credential.hosts.empty()) {
    fields.emplace_back("hosts", fmt::format("[{}]", fmt::join(credential.hosts, ", ")));
  }
  return fields;
}

Fields DestinationFields(const Destination& destination) {
  Fields fields;
  fields.emplace_back("host", destination.host);
  fields.emplace_back("ports", fmt::format("[{}]", fmt::join(destination.ports, ", ")));
  AddText(fields, "credential", destination.credential);
  AddText(fields, "grant", destination.grant);
  if (destination.allow) {
    std::vector<std::string> rules;
    for (const AllowRule& rule : *destination.allow) rules.push_back(RuleText(rule));
    fields.emplace_back("allow", fmt::format("[{}]", fmt::join(rules, ", ")));
  }
  AddLimits(fields, "", destination.limits);
  if (destination.authorize == Authorize::kConnection) {
    fields.emplace_back("authorize", "connection");
  }
  return fields;
}

std::string_view CutText(CutBy cut) {
  switch (cut) {
    case CutBy::kAuto:
      return "auto";
    case CutBy::kSocket:
      return "socket";
    case CutBy::kMaxStreamDuration:
      return "max_stream_duration";
  }
  return "unknown";
}

constexpr std::array<std::string_view, 11> kStartKeys = {
    "deployment",          "state",       "listeners.proxy",     "listeners.transparent",
    "ca.certificate",      "ca.key",      "audit.dir",           "store",
    "store.password_file", "streams.cut", "streams.max_duration"};

// What is this edge's own and read at its start only: the keys of kStartKeys.
Fields StartFields(const Policy& policy) {
  Fields fields;
  AddText(fields, "deployment", policy.deployment);
  AddText(fields, "state", policy.state_dir);
  if (policy.listeners.proxy) {
    fields.emplace_back("listeners.proxy", policy.listeners.proxy->ToString());
  }
  if (policy.listeners.transparent) {
    fields.emplace_back("listeners.transparent", policy.listeners.transparent->ToString());
  }
  if (policy.ca) {
    fields.emplace_back("ca.certificate", policy.ca->certificate);
    fields.emplace_back("ca.key", policy.ca->key);
  }
  AddText(fields, "audit.dir", policy.audit_dir);
  fields.emplace_back("store", policy.shared_store ? policy.shared_store->url : "sqlite");
  if (policy.shared_store) {
    AddText(fields, "store.password_file", policy.shared_store->password_file);
  }
  fields.emplace_back("streams.cut", CutText(policy.streams.cut));
  fields.emplace_back("streams.max_duration",
                      fmt::format("{}s", policy.streams.max_duration.count()));
  return fields;
}

Fields LiveFields(const Policy& policy) {
  Fields fields;
  fields.emplace_back("posture", policy.posture == Posture::kBump ? "bump" : "deny-all");
  fields.emplace_back("sessions.max_lifetime",
                      fmt::format("{}s", policy.sessions.max_lifetime.count()));
  fields.emplace_back("sessions.skew", fmt::format("{}s", policy.sessions.skew.count()));
  if (!policy.resolver.upstream.empty()) {
    fields.emplace_back("resolver.upstream", JoinTexts(policy.resolver.upstream));
  }
  for (const auto& [host, answers] : policy.resolver.hosts) {
    fields.emplace_back("resolver.hosts." + host, JoinTexts(answers));
  }
  if (!policy.resolver.allow_private.empty()) {
    fields.emplace_back("resolver.allow_private", JoinTexts(policy.resolver.allow_private));
  }
  AddText(fields, "upstream_trust", policy.upstream_trust);
  AddLimits(fields, "", policy.limits);
  return fields;
}

// The lines of a diff, the removed ones of a group before the others.
std::vector<std::string> DiffFields(const Fields& from, const Fields& to,
                                    const std::string& prefix) {
  const std::map<std::string, std::string> old(from.begin(), from.end());
  const std::map<std::string, std::string> wanted(to.begin(), to.end());
  std::vector<std::string> lines;
  for (const auto& [key, value] : from) {
    if (!wanted.contains(key)) lines.push_back(fmt::format("- {}{}: {}", prefix, key, value));
  }
  for (const auto& [key, value] : to) {
    const auto before = old.find(key);
    if (before == old.end()) {
      lines.push_back(fmt::format("+ {}{}: {}", prefix, key, value));
    } else if (before->second != value) {
      lines.push_back(fmt::format("~ {}{}: {} -> {}", prefix, key, before->second, value));
    }
  }
  return lines;
}

void Append(std::vector<std::string>& lines, std::vector<std::string> more) {
  lines.insert(lines.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

// Entries of a list that are known by their names; their order carries no meaning.
template <class T>
std::vector<std::string> DiffNamed(const std::vector<T>& from, const std::vector<T>& to,
                                   const std::string& prefix, Fields (*fields_of)(const T&)) {
  std::map<std::string, const T*> old;
  std::set<std::string> wanted;
  for (const T& entry : from) old.emplace(entry.name, &entry);
  for (const T& entry : to) wanted.insert(entry.name);
  std::vector<std::string> lines;
  for (const T& entry : from) {
    if (!wanted.contains(entry.name)) lines.push_back(fmt::format("- {}.{}", prefix, entry.name));
  }
  for (const T& entry : to) {
    const auto before = old.find(entry.name);
    if (before == old.end()) {
      lines.push_back(fmt::format("+ {}.{}", prefix, entry.name));
      continue;
    }
    Append(lines, DiffFields(fields_of(*before->second), fields_of(entry),
                             fmt::format("{}.{}.", prefix, entry.name)));
  }
  return lines;
}

}  // namespace

std::vector<std::string> Diff(const Policy& from, const Policy& to) {
  std::vector<std::string> lines = DiffFields(StartFields(from), StartFields(to), "");
  Append(lines, DiffFields(LiveFields(from), LiveFields(to), ""));
  Append(lines, DiffNamed(from.credentials, to.credentials, "credentials", CredentialFields));
  Append(lines, DiffNamed(from.destinations, to.destinations, "destinations", DestinationFields));
  return lines;
}

Policy WithOwnKeys(Policy shared, const Policy& own) {
  shared.state_dir = own.state_dir;
  shared.listeners = own.listeners;
  shared.ca = own.ca;
  shared.audit_dir = own.audit_dir;
  shared.shared_store = own.shared_store;
  shared.streams = own.streams;
  return shared;
}

std::vector<std::string> RestartKeys(const Policy& running, const Policy& wanted) {
  const Fields before = StartFields(running);
  const Fields after = StartFields(wanted);
  const std::map<std::string, std::string> old(before.begin(), before.end());
  const std::map<std::string, std::string> fresh(after.begin(), after.end());
  std::vector<std::string> keys;
  for (const std::string_view name : kStartKeys) {
    const std::string key(name);
    const bool was = old.contains(key);
    const bool is = fresh.contains(key);
    if (was != is || (was && old.at(key) != fresh.at(key))) keys.push_back(key);
  }
  return keys;
}

}  // namespace exeat::policy
