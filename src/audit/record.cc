#include "audit/record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "audit/json_line.h"

namespace exeat::audit {
namespace {

// Attributes of OCSF 1.8 with closed sets of numbers.
enum class Class : std::uint16_t {
  kAuthentication = 3002,
  kNetwork = 4001,
  kHttp = 4002,
  kApi = 6003,
};
constexpr std::uint64_t kOtherActivity = 99;
constexpr std::size_t kPathLimit = 4096;
constexpr std::size_t kDetailLimit = 1024;

struct Named {
  std::string_view name;
  std::uint64_t number;
};

template <std::size_t kSize>
std::uint64_t Lookup(const std::array<Named, kSize>& table, std::string_view name) {
  const auto* found = std::find_if(table.begin(), table.end(),
                                   [&](const Named& entry) { return entry.name == name; });
  return found == table.end() ? kOtherActivity : found->number;
}

constexpr std::array<Named, 9> kHttpActivities = {{{"CONNECT", 1},
                                                   {"DELETE", 2},
                                                   {"GET", 3},
                                                   {"HEAD", 4},
                                                   {"OPTIONS", 5},
                                                   {"POST", 6},
                                                   {"PUT", 7},
                                                   {"TRACE", 8},
                                                   {"PATCH", 9}}};
constexpr std::array<Named, 2> kSessionActivities = {
    {{"session_created", 1}, {"session_revoked", 2}}};
constexpr std::array<Named, 3> kOperatorActivities = {
    {{"policy_applied", 3}, {"policy_followed", 3}, {"key_rotated", 3}}};

Class ClassOf(EventKind kind) {
  switch (kind) {
    case EventKind::kRequest:
      return Class::kHttp;
    case EventKind::kConnection:
      return Class::kNetwork;
    case EventKind::kSession:
      return Class::kAuthentication;
    case EventKind::kOperatorAction:
    case EventKind::kLeaf:
      break;
  }
  return Class::kApi;
}

std::string_view NameOf(EventKind kind) {
  switch (kind) {
    case EventKind::kRequest:
      return "request";
    case EventKind::kConnection:
      return "connection";
    case EventKind::kSession:
      return "session";
    case EventKind::kLeaf:
      return "leaf";
    case EventKind::kOperatorAction:
      break;
  }
  return "operator_action";
}

std::uint64_t ActivityOf(const Event& event) {
  switch (event.kind) {
    case EventKind::kRequest:
      return Lookup(kHttpActivities, event.method);
    case EventKind::kConnection:
      if (!event.allowed) return 5;  // refuse
      return event.phase == Phase::kOutcome ? 2 : 1;
    case EventKind::kSession:
      return Lookup(kSessionActivities, event.activity);
    case EventKind::kLeaf:
      return 1;  // create
    case EventKind::kOperatorAction:
      break;
  }
  return Lookup(kOperatorActivities, event.activity);
}

std::uint64_t DispositionOf(const Event& event) {
  if (event.kind == EventKind::kSession && event.activity == "session_revoked") return 24;
  return event.allowed ? 1 : 2;  // allowed, blocked
}

void AddChain(JsonLine& line, const Event& event, const Position& position) {
  line.Open("unmapped");
  line.Open("exeat");
  line.Number("seq", position.seq);
  line.Text("prev", position.prev);
  line.Text("kind", NameOf(event.kind));
  if (event.phase != Phase::kNone) {
    line.Text("phase", event.phase == Phase::kIntent ? "intent" : "outcome");
  }
  line.TextIfAny("activity", event.activity);
  line.TextIfAny("sid", event.sid);
  line.TextIfAny("jti", event.jti);
  line.TextIfAny("sub", event.sub);
  line.TextIfAny("reason", event.reason, kDetailLimit);
  line.TextIfAny("destination", event.destination);
  line.TextIfAny("credential", event.credential);
  if (event.phase == Phase::kOutcome || event.bytes_in != 0 || event.bytes_out != 0) {
    line.Number("bytes_in", event.bytes_in);
    line.Number("bytes_out", event.bytes_out);
  }
  line.TextIfAny("request_id", event.request_id);
  line.TextIfAny("vetted_by", event.vetted_by);
  line.Number("policy_revision", event.policy_revision);
  line.Close();
  line.Close();
}

struct Address {
  std::string_view ip;
  std::optional<std::uint16_t> port;
};

// "192.0.2.1:80" or "[2001:db8::1]:80"; nullopt for anything else.
std::optional<Address> SplitAddress(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view ip = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
  if (ip.empty() || ip.find_first_not_of("0123456789abcdefABCDEF.:") != std::string_view::npos) {
    return std::nullopt;
  }
  return Address{ip, port};
}

// An endpoint needs at least one name; `fallback` is it when nothing is known.
void AddSource(JsonLine& line, std::string_view source, std::string_view fallback) {
  line.Open("src_endpoint");
  if (const auto address = SplitAddress(source)) {
    line.Text("ip", address->ip);
    line.Number("port", *address->port);
  } else {
    line.Text("name", source.empty() ? fallback : source);
  }
  line.Close();
}

void AddDestination(JsonLine& line, const Event& event) {
  line.Open("dst_endpoint");
  line.Text("hostname", event.host.empty() ? "unknown" : event.host);
  if (event.port != 0) line.Number("port", event.port);
  line.Close();
}

void AddUser(JsonLine& line, const Event& event) {
  line.Open("user");
  line.Text("name", event.sub.empty() ? "unknown" : event.sub);
  line.Close();
}

// Who a session's request speaks for; left out when no token was verified.
void AddActor(JsonLine& line, const Event& event) {
  if (event.sid.empty() && event.sub.empty()) return;
  line.Open("actor");
  if (!event.sub.empty()) AddUser(line, event);
  if (!event.sid.empty()) {
    line.Open("session");
    line.Text("uid", event.sid);
    line.Close();
  }
  line.Close();
}

void AddTraffic(JsonLine& line, const Event& event) {
  if (event.bytes_in == 0 && event.bytes_out == 0) return;
  line.Open("traffic");
  line.Number("bytes", event.bytes_in + event.bytes_out);
  line.Number("bytes_in", event.bytes_in);
  line.Number("bytes_out", event.bytes_out);
  line.Close();
}

void AddHttp(JsonLine& line, const Event& event) {
  line.Open("http_request");
  line.TextIfAny("http_method", event.method);
  line.TextIfAny("uid", event.request_id);
  line.Open("url");
  line.TextIfAny("hostname", event.host);
  line.Text("path", event.path, kPathLimit);
  if (event.port != 0) line.Number("port", event.port);
  line.Close();
  line.Close();
  if (event.status != 0) {
    line.Open("http_response");
    line.Number("code", static_cast<std::uint64_t>(std::max(event.status, 0)));
    line.Close();
  }
}

void AddApi(JsonLine& line, const Event& event) {
  line.Open("actor");
  line.Text("app_name", "exeat");
  if (!event.sub.empty()) AddUser(line, event);
  line.Close();
  line.Open("api");
  line.Text("operation", event.activity.empty() ? NameOf(event.kind) : event.activity);
  if (!event.request_id.empty()) {
    line.Open("request");
    line.Text("uid", event.request_id);
    line.Close();
  }
  line.Close();
  AddSource(line, event.source, "local");
  if (!event.host.empty()) {
    // What the action was about, such as the name on a leaf.
    line.Open("dst_endpoint");
    line.Text("hostname", event.host);
    line.Close();
  }
}

void AddSession(JsonLine& line, const Event& event) {
  AddUser(line, event);
  if (!event.sid.empty()) {
    line.Open("session");
    line.Text("uid", event.sid);
    line.Close();
  }
  line.Raw(R"("service":{"name":"exeat"})");
  if (!event.source.empty()) AddSource(line, event.source, "local");
}

void AddByClass(JsonLine& line, const Event& event, Class ocsf_class) {
  switch (ocsf_class) {
    case Class::kHttp:
    case Class::kNetwork:
      AddActor(line, event);
      AddSource(line, event.source, "unknown");
      AddDestination(line, event);
      if (ocsf_class == Class::kHttp) AddHttp(line, event);
      AddTraffic(line, event);
      break;
    case Class::kAuthentication:
      AddSession(line, event);
      break;
    case Class::kApi:
      AddApi(line, event);
      break;
  }
}

}  // namespace

std::string RenderMetadata(std::string_view deployment) {
  std::string out = "{";
  JsonLine line(out);
  line.Open("metadata");
  line.Text("version", "1.8.0");
  line.Raw(R"("product":{"name":"exeat","vendor_name":"exeat","version":")" EXEAT_VERSION R"("})");
  line.Raw(R"("profiles":["host","security_control"])");
  line.TextIfAny("tenant_uid", deployment);
  line.Close();
  return out.substr(1);
}

void RenderRecord(const Event& event, const Position& position, std::string_view metadata,
                  std::string& out) {
  const Class ocsf_class = ClassOf(event.kind);
  const auto class_uid = static_cast<std::uint64_t>(ocsf_class);
  const std::uint64_t activity = ActivityOf(event);
  out.clear();
  JsonLine line(out);
  line.Open();
  AddChain(line, event, position);
  line.Raw(metadata);
  line.Number("time", static_cast<std::uint64_t>(std::max<std::int64_t>(position.time_ms, 0)));
  line.Number("class_uid", class_uid);
  line.Number("category_uid", class_uid / 1000);
  line.Number("activity_id", activity);
  if (activity == kOtherActivity) {
    line.Text("activity_name", event.activity.empty() ? NameOf(event.kind) : event.activity);
  }
  line.Number("type_uid", class_uid * 100 + activity);
  line.Number("severity_id", event.allowed ? 1 : 2);  // informational, low
  line.Number("status_id", event.allowed ? 1 : 2);    // success, failure
  line.TextIfAny("status_detail", event.reason, kDetailLimit);
  line.Number("action_id", event.allowed ? 1 : 2);  // allowed, denied
  line.Number("disposition_id", DispositionOf(event));
  if (event.duration_ms != 0) line.Number("duration", event.duration_ms);
  AddByClass(line, event, ocsf_class);
  line.TextIfAny("message", event.detail, kDetailLimit);
  line.Close();
}

}  // namespace exeat::audit
