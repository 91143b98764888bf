#include "policy/load.h"

#include <utility>
#include <variant>

#include "fmt/format.h"
#include "policy/document.h"
#include "policy/reader.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMaxRequestsPerMinute = 1'000'000;
constexpr std::string_view kDefaultTrust = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::string_view kDefaultState = "state";

void ReadDeployment(Reader& reader, const Located& root, Policy& policy) {
  const auto at =
      reader.Require(root, "deployment", "a short name for this edge, for tokens and audit");
  if (!at) return;
  const auto text = reader.Text(*at);
  if (!text) return;
  if (!IsName(*text) || text->find('_') != std::string::npos) {
    return reader.Add(*at, fmt::format("{} is not a deployment name: use 1 to 63 of a-z, 0-9, '.' "
                                       "and '-', starting with a letter or digit",
                                       Quoted(*text)));
  }
  policy.deployment = *text;
}

std::optional<SocketAddress> ReadListener(Reader& reader, const Located& listeners,
                                          std::string_view key) {
  const auto at = reader.Get(listeners, key);
  if (!at) return std::nullopt;
  const auto text = reader.Text(*at);
  if (!text) return std::nullopt;
  auto address = SocketAddress::Parse(*text);
  if (!address) {
    reader.Add(*at, fmt::format("{} is not IP:PORT: write it like 127.0.0.1:3128 or, with quotes, "
                                "\"[::1]:3128\"",
                                Quoted(*text)));
  }
  return address;
}

bool IsUnspecified(const IpAddress& ip) { return ip.bytes() == std::array<std::uint8_t, 16>{}; }

// Whether the kernel would let both listen, and a guest reach either by chance.
bool Collide(const SocketAddress& a, const SocketAddress& b) {
  if (a.port == 0 || a.port != b.port || a.ip.is_v4() != b.ip.is_v4()) return false;
  return a.ip == b.ip || IsUnspecified(a.ip) || IsUnspecified(b.ip);
}

void ReadListeners(Reader& reader, const Located& root, Policy& policy) {
  const auto at = reader.Require(root, "listeners", "where guests come in: {proxy: IP:PORT}");
  if (!at || !reader.Map(*at, "listeners")) return;
  policy.listeners.proxy = ReadListener(reader, *at, "proxy");
  policy.listeners.transparent = ReadListener(reader, *at, "transparent");
  const auto proxy = reader.Get(*at, "proxy");
  const auto transparent = reader.Get(*at, "transparent");
  if (!proxy && !transparent && !reader.HasLaterKey(*at, "listeners")) {
    reader.Add(*at, "names no listener: give proxy, transparent, or both an IP:PORT");
  }
  if (policy.listeners.proxy && policy.listeners.transparent &&
      Collide(*policy.listeners.proxy, *policy.listeners.transparent)) {
    reader.Add(transparent->line() < proxy->line() ? *proxy : *transparent,
               "proxy and transparent listen on one address: give them different ports");
  }
}

void ReadPosture(Reader& reader, const Located& root, Policy& policy) {
  const auto at = reader.Get(root, "posture");
  if (!at) return;
  const std::string& found = at->node->scalar;
  if (!found.empty() && found != "bump" && found != "deny-all" && found != "passthrough") {
    reader.Add(*at, fmt::format("expected bump | deny-all, found {}", Quoted(found)));
    return;
  }
  const auto word = reader.OneOf(*at, {"bump", "deny-all"}, {"passthrough"});
  if (word == "bump") policy.posture = Posture::kBump;
}

void ReadSessions(Reader& reader, const Located& root, Policy& policy) {
  const auto at = reader.Get(root, "sessions");
  if (!at || !reader.Map(*at, "sessions")) return;
  if (const auto lifetime = reader.Get(*at, "max_lifetime")) {
    const DurationRange range{seconds(1), seconds(3600), "1s to 60m"};
    const auto value = reader.Duration(*lifetime, range);
    policy.sessions.max_lifetime = value.value_or(policy.sessions.max_lifetime);
  }
  if (const auto skew = reader.Get(*at, "skew")) {
    const auto value = reader.Duration(*skew, {seconds(0), seconds(60), "0s to 60s"});
    policy.sessions.skew = value.value_or(policy.sessions.skew);
  }
}

void ReadStreams(Reader& reader, const Located& root, Policy& policy) {
  const auto at = reader.Get(root, "streams");
  if (!at || !reader.Map(*at, "streams")) return;
  if (const auto cut = reader.Get(*at, "cut")) {
    const auto word = reader.OneOf(*cut, {"auto", "socket", "max_stream_duration"}, {"ext_proc"});
    if (word == "socket") policy.streams.cut = CutBy::kSocket;
    if (word == "max_stream_duration") policy.streams.cut = CutBy::kMaxStreamDuration;
  }
  const auto longest = reader.Get(*at, "max_duration");
  if (!longest) return;
  const auto value = reader.Duration(*longest, {seconds(1), seconds(3600), "1s to 60m"});
  policy.streams.max_duration = value.value_or(policy.streams.max_duration);
  if (policy.streams.cut == CutBy::kSocket) {
    reader.Add(*longest,
               "bounds streams that cannot be cut, and with cut: socket there are none: leave it "
               "out, or write cut: auto");
  }
}

void ReadCa(Reader& reader, const Located& root, Policy& policy) {
  const auto at = reader.Get(root, "ca");
  if (!at || !reader.Map(*at, "ca")) return;
  const auto certificate = reader.Require(*at, "certificate", "the path of its PEM file");
  const auto key = reader.Require(*at, "key", "the path of its PEM file");
  if (!certificate || !key) return;
  policy.ca = ImportedCa{reader.FilePath(*certificate).value_or(""),
                         reader.FilePath(*key).value_or(""), certificate->line(), key->line()};
}

void ReadFiles(Reader& reader, const Located& root, Policy& policy) {
  policy.state_dir = reader.Absolute(kDefaultState);
  if (const auto at = reader.Get(root, "state")) {
    policy.state_dir = reader.FilePath(*at).value_or(policy.state_dir);
  }
  policy.upstream_trust = kDefaultTrust;
  if (const auto at = reader.Get(root, "upstream_trust")) {
    policy.upstream_trust = reader.FilePath(*at).value_or(policy.upstream_trust);
    policy.upstream_trust_line = at->line();
  }
  policy.audit_dir = policy.state_dir + (policy.state_dir == "/" ? "audit" : "/audit");
  const auto audit = reader.Get(root, "audit");
  if (!audit || !reader.Map(*audit, "audit")) return;
  if (const auto at = reader.Get(*audit, "dir")) {
    policy.audit_dir = reader.FilePath(*at).value_or(policy.audit_dir);
  }
}

// What has one value in this version.
void ReadFixedChoice(Reader& reader, const Located& root, std::string_view key,
                     std::string_view only, std::initializer_list<std::string_view> later) {
  const auto at = reader.Get(root, key);
  if (!at) return;
  const auto text = reader.Text(*at);
  if (!text || *text == only) return;
  for (const std::string_view prefix : later) {
    if (!text->starts_with(prefix)) continue;
    return reader.AddNotYet(*at, fmt::format("{}...; this version has: {}", prefix, only));
  }
  reader.Add(*at, fmt::format("expected {}", only));
}

void ReadVersion(Reader& reader, const Located& root) {
  const auto at = reader.Require(root, "version", "write version: 1");
  if (!at) return;
  const auto version = reader.Integer(*at, 0, 1'000'000);
  if (version && *version != kVersion) {
    reader.Add(*at, fmt::format("this exeat reads version {} only", kVersion));
  }
}

Draft ReadPolicy(Reader& reader, const Located& root) {
  Draft draft;
  Policy& policy = draft.policy;
  ReadVersion(reader, root);
  ReadDeployment(reader, root, policy);
  ReadFiles(reader, root, policy);
  ReadListeners(reader, root, policy);
  ReadPosture(reader, root, policy);
  ReadSessions(reader, root, policy);
  ReadStreams(reader, root, policy);
  ReadResolver(reader, root, draft);
  ReadCa(reader, root, policy);
  policy.shared_store = ReadStore(reader, root);
  if (policy.shared_store && !reader.Get(root, "ca")) {
    reader.Add(*reader.Get(root, "store"),
               "edges that share a store need one CA, which their guests trust: import it on each "
               "by ca: {certificate: PATH, key: PATH}");
  }
  ReadFixedChoice(reader, root, "ratelimit", "local", {"grpc://"});
  ReadCredentials(reader, root, draft);
  ReadDestinations(reader, root, draft);
  if (const auto at = reader.Get(root, "limits")) policy.limits = ReadLimits(reader, *at, "limits");
  CheckCoherence(reader, root, draft);
  return draft;
}

}  // namespace

std::string Mistake::ToString() const {
  std::string text = line > 0 ? fmt::format("{}:{}: ", file, line) : fmt::format("{}: ", file);
  if (!key.empty()) text += key + ": ";
  return text + message;
}

std::optional<RateLimit> ReadLimits(Reader& reader, const Located& at, std::string_view map) {
  if (!reader.Map(at, map)) return std::nullopt;
  const auto rate_at = reader.Get(at, "requests_per_minute");
  if (!rate_at) {
    if (!reader.HasLaterKey(at, map)) {
      reader.Require(at, "requests_per_minute", "how many requests a session may make in a minute");
    }
    return std::nullopt;
  }
  const auto rate = reader.Integer(*rate_at, 1, kMaxRequestsPerMinute);
  auto burst = rate;
  if (const auto burst_at = reader.Get(at, "burst")) {
    burst = reader.Integer(*burst_at, 1, kMaxRequestsPerMinute);
  }
  if (!rate || !burst) return std::nullopt;
  return RateLimit{static_cast<std::uint32_t>(*rate), static_cast<std::uint32_t>(*burst)};
}

LoadResult Load(std::string_view text, const std::string& file, const std::string& base_directory) {
  LoadResult result;
  auto parsed = ParseDocument(text);
  if (auto* error = std::get_if<DocumentError>(&parsed)) {
    result.mistakes.push_back({file, error->line, "", std::move(error->message), false});
    return result;
  }
  Reader reader(file, base_directory);
  const Located root{&std::get<Node>(parsed), ""};
  if (reader.Map(root, "")) result.policy = ReadPolicy(reader, root).policy;
  result.mistakes = reader.TakeMistakes();
  // Nobody may use half a policy: what a mistake left behind denies everything.
  if (!result.mistakes.empty()) result.policy = Policy{};
  return result;
}

}  // namespace exeat::policy
