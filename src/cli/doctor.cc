// exeat doctor: what is wrong on this machine, and at which hop of the real path.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/find_edge.h"
#include "cli/proxy_url.h"
#include "cli/render.h"
#include "cli/walk.h"
#include "fmt/format.h"
#include "guardian/envoy_binary.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

struct Options {
  std::string destination;
  std::string envoy;
};

struct Finding {
  std::string name;
  bool ok = false;
  std::string detail;
  std::string remedy;  // empty when ok
};

struct Report {
  std::vector<Finding> findings;
  ops::v1::EdgeStatus edge;
  std::string destination;  // that was walked to; empty: none
  std::vector<Hop> hops;

  bool ok() const {
    return std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.ok; }) &&
           std::all_of(hops.begin(), hops.end(), [](const Hop& hop) { return hop.ok; });
  }
};

Finding CheckState(const std::string& state) {
  struct stat info{};
  if (lstat(state.c_str(), &info) != 0) {
    return {"state", false, state + " is not there", "start the edge once: exeat up"};
  }
  if (!S_ISDIR(info.st_mode)) {
    return {"state", false, state + " is not a directory", "name another one with --state DIR"};
  }
  if (info.st_uid != geteuid()) {
    return {"state", false, fmt::format("{} belongs to uid {}", state, info.st_uid),
            "run this as that user"};
  }
  if ((info.st_mode & 077) != 0) {
    return {"state", false, fmt::format("{} has mode {:04o}", state, info.st_mode & 07777U),
            "run: chmod 700 " + state};
  }
  return {"state", true, state, ""};
}

Finding CheckSocket(const std::string& state) {
  const base::StatusOr<std::string> path = OperatorSocket(state);
  if (!path.ok()) return {"socket", false, base::Message(path.status()), "start: exeat up"};
  struct stat info{};
  if (lstat(path->c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) {
    return {"socket", false, *path + " is not there", "start the edge: exeat up"};
  }
  if ((info.st_mode & 077) != 0) {
    return {"socket", false, fmt::format("{} has mode {:04o}", *path, info.st_mode & 07777U),
            "restart the edge; it makes the socket with mode 0600"};
  }
  return {"socket", true, *path, ""};
}

Finding CheckEnvoy(const Options& options) {
  const base::StatusOr<std::string> path = guardian::FindEnvoy(options.envoy);
  if (!path.ok()) return {"envoy", false, base::Message(path.status()), "run: tools/fetch-envoy"};
  const base::StatusOr<guardian::EnvoyIdentity> identity = guardian::CheckEnvoyBinary(*path);
  if (!identity.ok()) {
    return {"envoy", false, base::Message(identity.status()), "name the right one with --envoy"};
  }
  return {"envoy", true, fmt::format("{} {}", identity->path, identity->version), ""};
}

Finding CheckClock(const ops::v1::EdgeStatus& edge) {
  const base::UnixSeconds here = base::SystemClock().UnixNow();
  constexpr base::UnixSeconds kBuilt = 1'735'689'600;  // 2025: before it no clock is right
  if (here < kBuilt) {
    return {"clock", false, "this machine says " + TimeText(here), "set the clock, e.g. with NTP"};
  }
  const base::UnixSeconds apart = std::abs(here - edge.unix_now());
  if (apart > 5) {
    return {"clock", false, fmt::format("{} s apart from the edge's", apart),
            "tokens end on the wall clock: set it, e.g. with NTP"};
  }
  return {"clock", true, TimeText(here), ""};
}

void CheckStore(const ops::v1::StoreStatus& store, std::vector<Finding>& findings) {
  if (!store.shared()) {
    findings.push_back({"store", true, "this edge's own", ""});
    return;
  }
  const bool holds = store.lease_ms() > 0;
  const bool up = store.problem().empty();
  findings.push_back(
      {"store", up && holds,
       up ? fmt::format("shared by {} edge{}, change {} is in force{}", store.edges(),
                        store.edges() == 1 ? "" : "s", store.applied(),
                        holds ? "" : "; no lease: all is denied")
          : fmt::format("{}: {}", holds ? "does not answer" : "does not answer, all is denied",
                        store.problem()),
       up && holds ? "" : "bring the database back; nothing here needs a restart"});
  if (store.policy_problem().empty()) return;
  findings.push_back({"shared policy", false, store.policy_problem(),
                      "mend what it names on this machine, or apply a policy without it"});
}

void CheckEdge(const ops::v1::EdgeStatus& edge, std::vector<Finding>& findings) {
  findings.push_back({"ready", edge.ready(), edge.ready() ? "every listener answers" : "not ready",
                      edge.ready() ? "" : "see the edge's log"});
  const bool confined = edge.confinement() != "none" && !edge.confinement().empty();
  findings.push_back(
      {"confinement", confined, confined ? edge.confinement() : "none",
       confined ? "" : "run as root with --envoy-uid, or on a kernel with Landlock"});
  const bool cuts = !edge.stream_cutting().empty() && !edge.stream_cutting().starts_with("none");
  findings.push_back(
      {"streams", cuts,
       edge.stream_cutting().empty() ? "not known: Envoy has not started" : edge.stream_cutting(),
       cuts ? ""
            : "a revoke cannot cut what is already open: run the edge as root, or as one user with "
              "Envoy where that user may look at its processes; or accept a bound, by streams: "
              "{cut: max_stream_duration}"});
  findings.push_back({"restrictions", edge.restrictions_in_force(),
                      edge.restrictions_in_force() ? "in force" : "not acknowledged: all is denied",
                      edge.restrictions_in_force() ? "" : "see the edge's log and its audit disk"});
  findings.push_back(
      {"configuration", edge.last_nack().empty(),
       edge.last_nack().empty() ? fmt::format("revision {}, Envoy took it", edge.policy_revision())
                                : edge.last_nack(),
       edge.last_nack().empty() ? "" : "Envoy refused this; apply a policy without it"});
  CheckStore(edge.store(), findings);
  const bool recording = edge.audit_problem().empty();
  findings.push_back({"audit", recording,
                      recording ? fmt::format("records, {} so far", edge.audit_seq())
                                : "cannot record: " + edge.audit_problem(),
                      recording ? ""
                                : "all is denied; look with: exeat audit verify, mend the disk, "
                                  "and restart the edge if it stays so"});
  for (const std::string& name : edge.unavailable_credentials()) {
    findings.push_back({"credential " + name, false, "cannot be attached",
                        "its file is missing, blank or open to others"});
  }
}

const ops::v1::Destination* Choose(const ops::v1::EdgeStatus& edge, const std::string& name) {
  for (const ops::v1::Destination& destination : edge.destinations()) {
    if (name.empty() || destination.name() == name) return &destination;
  }
  return nullptr;
}

std::string Names(const ops::v1::EdgeStatus& edge) {
  std::string names;
  for (const ops::v1::Destination& destination : edge.destinations()) {
    names += (names.empty() ? "" : ", ") + destination.name();
  }
  return names.empty() ? "none" : names;
}

// A session of its own, revoked afterwards whatever came of it.
base::Status WalkTo(EdgeClient& client, const ops::v1::Destination& destination, Report& report) {
  ops::v1::CreateSessionRequest request;
  request.set_sub("doctor");
  if (!destination.grant().empty()) request.add_grants(destination.grant());
  request.set_ttl_s(30);
  ops::v1::MintedSession minted;
  RETURN_IF_ERROR(client.Call(&Stub::CreateSession, request, &minted));
  WalkRequest walk;
  walk.proxy_address = DialAddress(report.edge.proxy_address());
  walk.token = minted.token();
  walk.ca_pem = report.edge.ca_pem();
  walk.host = destination.host();
  walk.port = static_cast<int>(destination.port());
  walk.path = destination.path();
  walk.may_get = destination.method() == "GET";
  report.destination = destination.name();
  report.hops = Walk(walk);
  base::Secret::Wipe(walk.token);
  base::Secret::Wipe(*minted.mutable_token());
  return client.RevokeSession(minted.session().sid(), "exeat doctor is done");
}

void CheckPath(EdgeClient& client, const Options& options, Report& report) {
  if (report.edge.proxy_address().empty()) {
    report.findings.push_back({"walk", true, "not walked: the policy has no listeners.proxy", ""});
    return;
  }
  const ops::v1::Destination* destination = Choose(report.edge, options.destination);
  if (destination == nullptr && options.destination.empty()) {
    report.findings.push_back({"walk", true, "not walked: the policy lists no destination", ""});
    return;
  }
  if (destination == nullptr) {
    report.findings.push_back({"walk", false,
                               "the policy has no destination " + options.destination,
                               "it has: " + Names(report.edge)});
    return;
  }
  const base::Status walked = WalkTo(client, *destination, report);
  if (!walked.ok()) {
    report.findings.push_back({"session", false, base::Message(walked), "see the edge's log"});
  }
}

void Print(Context& context, const Report& report) {
  for (const Finding& finding : report.findings) {
    context.out << fmt::format("{:<6}{:<16}{}\n", finding.ok ? "ok" : "FAIL", finding.name,
                               finding.detail);
    if (!finding.remedy.empty()) context.out << "      -> " << finding.remedy << "\n";
  }
  for (const ops::v1::Process& process : report.edge.processes()) {
    context.out << fmt::format("{:<6}{:<16}pid {}\n", "", process.role(), process.pid());
  }
  if (report.hops.empty()) return;
  context.out << "the way to " << report.destination << ":\n";
  for (const Hop& hop : report.hops) {
    context.out << fmt::format("{:<6}{:<16}{}\n", hop.ok ? "ok" : "FAIL", hop.name, hop.detail);
    if (!hop.remedy.empty()) context.out << "      -> " << hop.remedy << "\n";
  }
}

void PrintJson(Context& context, const Report& report) {
  nlohmann::json processes = nlohmann::json::array();
  for (const ops::v1::Process& process : report.edge.processes()) {
    processes.push_back({{"role", process.role()}, {"pid", process.pid()}});
  }
  nlohmann::json checks = nlohmann::json::array();
  for (const Finding& finding : report.findings) {
    checks.push_back({{"name", finding.name},
                      {"ok", finding.ok},
                      {"detail", finding.detail},
                      {"remedy", finding.remedy}});
  }
  nlohmann::json hops = nlohmann::json::array();
  for (const Hop& hop : report.hops) {
    hops.push_back(
        {{"hop", hop.name}, {"ok", hop.ok}, {"detail", hop.detail}, {"remedy", hop.remedy}});
  }
  context.out << JsonLine({{"ok", report.ok()},
                           {"processes", processes},
                           {"checks", checks},
                           {"walk", {{"destination", report.destination}, {"hops", hops}}}});
}

int Doctor(Context& context, const Options& options) {
  const base::StatusOr<std::string> state = FindState(context.state, {});
  if (!state.ok()) return Fail(context, state.status());
  Report report;
  report.findings.push_back(CheckState(*state));
  report.findings.push_back(CheckSocket(*state));
  base::StatusOr<EdgeClient> client = EdgeClient::ConnectState(*state);
  base::Status asked = client.status();
  if (client.ok()) asked = client->Call(&Stub::GetStatus, {}, &report.edge);
  report.findings.push_back(
      {"edge", asked.ok(),
       asked.ok() ? "answers, version " + report.edge.version() : base::Message(asked),
       asked.ok() ? "" : "start it: exeat up"});
  // A running edge has chosen its binary; only without one is ours looked for.
  const bool envoy_runs =
      asked.ok() && options.envoy.empty() && !report.edge.envoy_version().empty();
  report.findings.push_back(envoy_runs
                                ? Finding{"envoy", true, report.edge.envoy_version() + ", runs", ""}
                                : CheckEnvoy(options));
  if (asked.ok()) {
    report.findings.push_back(CheckClock(report.edge));
    CheckEdge(report.edge, report.findings);
    CheckPath(*client, options, report);
  }
  context.json ? PrintJson(context, report) : Print(context, report);
  return report.ok() ? kDone : kFailed;
}

}  // namespace

void AddDoctor(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(root, context,
                 {"doctor", "Check this machine and walk the real path with a throw-away session",
                  "exeat doctor\nexeat doctor --destination docs --json"},
                 [&context, options] { return Doctor(context, *options); });
  command.add_option("--destination", options->destination, "Where to walk (else the first one)")
      ->type_name("NAME");
  command.add_option("--envoy", options->envoy, "The Envoy binary to check (else the pinned one)")
      ->type_name("PATH");
}

}  // namespace exeat::cli
