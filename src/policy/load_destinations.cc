#include <algorithm>
#include <map>
#include <set>

#include "fmt/format.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kMaxMethodBytes = 32;

bool IsMethod(std::string_view text) {
  if (text.empty() || text.size() > kMaxMethodBytes || text[0] < 'A' || text[0] > 'Z') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

std::string MethodObjection(const std::string& method) {
  if (method == "CONNECT" || method == "TRACE" || method == "TRACK") {
    return fmt::format("{} is always refused: remove it", method);
  }
  if (IsMethod(method)) return {};
  std::string upper = method;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (upper != method && IsMethod(upper)) {
    return fmt::format("methods are written in upper case: {}", upper);
  }
  return fmt::format("{} is not a method, like GET or POST", Quoted(method));
}

std::vector<std::uint16_t> ReadPorts(Reader& reader, const Located& destination) {
  const auto at = reader.Get(destination, "ports");
  if (!at) return {kHttpsPort};
  std::vector<std::uint16_t> ports;
  const auto items = reader.FilledList(*at, "remove the key for 443 alone");
  if (!items) return ports;
  std::set<std::int64_t> seen;
  for (const Located& item : *items) {
    const auto port = reader.Integer(item, 1, 65535);
    if (!port) continue;
    if (!seen.insert(*port).second) reader.Add(item, fmt::format("{} stands twice", *port));
  }
  for (const std::int64_t port : seen) ports.push_back(static_cast<std::uint16_t>(port));
  return ports;
}

std::vector<std::string> ReadMethods(Reader& reader, const Located& at) {
  std::vector<std::string> methods;
  const auto items = reader.FilledList(at, "remove the key for every method");
  if (!items) return methods;
  for (const Located& item : *items) {
    const auto method = reader.Text(item);
    if (!method) continue;
    if (auto objection = MethodObjection(*method); !objection.empty()) {
      reader.Add(item, std::move(objection));
    } else if (std::find(methods.begin(), methods.end(), *method) != methods.end()) {
      reader.Add(item, fmt::format("{} stands twice", *method));
    } else {
      methods.push_back(*method);
    }
  }
  return methods;
}

std::optional<PathRule> ReadPath(Reader& reader, const Located& at) {
  const auto text = reader.Text(at);
  if (!text) return std::nullopt;
  if (const std::string objection = PathRuleObjection(*text); !objection.empty()) {
    reader.Add(at, fmt::format("{} {}", Quoted(*text), objection));
    return std::nullopt;
  }
  return PathRule::Parse(*text);
}

AllowRule ReadAllowRule(Reader& reader, const Located& at) {
  AllowRule rule;
  if (!reader.Map(at, "destinations[].allow[]")) return rule;
  const auto methods = reader.Get(at, "methods");
  const auto path = reader.Get(at, "path");
  if (!methods && !path) {
    reader.Add(at,
               "names neither methods nor path and would permit everything: name one, or "
               "remove allow");
  }
  if (methods) rule.methods = ReadMethods(reader, *methods);
  if (path) rule.path = ReadPath(reader, *path);
  return rule;
}

std::optional<std::vector<AllowRule>> ReadAllow(Reader& reader, const Located& destination) {
  const auto at = reader.Get(destination, "allow");
  if (!at) return std::nullopt;
  std::vector<AllowRule> rules;
  const auto items = reader.FilledList(*at, "remove the key to permit every method and path");
  if (!items) return rules;
  for (const Located& item : *items) rules.push_back(ReadAllowRule(reader, item));
  return rules;
}

std::string ReadName(Reader& reader, const Located& destination, std::string_view key) {
  const auto at = reader.Get(destination, key);
  return at ? reader.Name(*at).value_or("") : std::string();
}

// What only Check can judge, and so must be asked about each time.
std::string_view NeedsEachRequest(const Reader& reader, const Located& destination) {
  const auto host = reader.Get(destination, "host");
  if (host && host->node->scalar.starts_with('*')) {
    return "a wildcard's names are resolved when they are asked for";
  }
  if (reader.Get(destination, "broker") || reader.Get(destination, "internal")) {
    return "what a session has read is looked at with each request";
  }
  const auto limits = reader.Get(destination, "limits");
  if (limits && reader.Get(*limits, "bytes_out_per_hour")) {
    return "a budget of bytes is counted with each request";
  }
  return {};
}

Authorize ReadAuthorize(Reader& reader, const Located& destination) {
  const auto at = reader.Get(destination, "authorize");
  if (!at) return Authorize::kRequest;
  if (reader.OneOf(*at, {"request", "connection"}) != "connection") return Authorize::kRequest;
  const std::string_view why = NeedsEachRequest(reader, destination);
  if (!why.empty()) {
    reader.Add(*at, fmt::format("connection cannot be here: {}; write request, or leave the key "
                                "out",
                                why));
  }
  return Authorize::kConnection;
}

Destination ReadDestination(Reader& reader, const Located& at) {
  Destination destination;
  destination.line = at.line();
  if (!reader.Map(at, "destinations[]")) return destination;
  if (const auto name = reader.Require(at, "name", "what audit and `exeat why` call it by")) {
    destination.name = reader.Name(*name).value_or("");
  }
  if (const auto host = reader.Require(at, "host", "the host name, like api.example.com")) {
    destination.host = ReadHost(reader, *host).value_or("");
  }
  destination.ports = ReadPorts(reader, at);
  destination.credential = ReadName(reader, at, "credential");
  destination.grant = ReadName(reader, at, "grant");
  destination.allow = ReadAllow(reader, at);
  if (const auto limits = reader.Get(at, "limits")) {
    destination.limits = ReadLimits(reader, *limits, "destinations[].limits");
  }
  if (const auto mode = reader.Get(at, "mode")) reader.OneOf(*mode, {"bump"}, {"passthrough"});
  destination.authorize = ReadAuthorize(reader, at);
  return destination;
}

}  // namespace

void ReadDestinations(Reader& reader, const Located& root, Draft& draft) {
  const auto at = reader.Get(root, "destinations");
  const auto items = at ? reader.List(*at) : std::nullopt;
  if (!items) return;
  draft.destinations = *items;
  std::map<std::string, int> first_lines;
  for (const Located& item : *items) {
    Destination destination = ReadDestination(reader, item);
    const auto name = destination.name.empty() ? std::nullopt : reader.Get(item, "name");
    if (name) {
      const auto [first, inserted] = first_lines.emplace(destination.name, name->line());
      if (!inserted) {
        reader.Add(*name, fmt::format("{} is taken by the destination on line {}: names are unique",
                                      destination.name, first->second));
      }
    }
    draft.policy.destinations.push_back(std::move(destination));
  }
}

}  // namespace exeat::policy
