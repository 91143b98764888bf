// exeat session revoke | restore | rotate-key.
#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <set>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/render.h"
#include "cli/revocation_file.h"
#include "cli/streams.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

constexpr std::size_t kNamedAtMost = 3;

struct Options {
  std::string sid;
  std::string sub;
  std::string jti;
  bool all = false;
  std::string file;
  bool yes = false;
  std::string reason;
  bool withdraw = false;

  int ways() const {
    return static_cast<int>(!sid.empty()) + static_cast<int>(!sub.empty()) +
           static_cast<int>(!jti.empty()) + static_cast<int>(all) + static_cast<int>(!file.empty());
  }
};

struct Targets {
  std::vector<ops::v1::Revocable> what;  // at least one
  std::string text;
};

Targets One(ops::v1::RevokedKind kind, const std::string& id, std::string text) {
  ops::v1::Revocable what;
  what.set_kind(kind);
  what.set_id(id);
  return {{what}, std::move(text)};
}

// Of options that name exactly one way.
base::StatusOr<Targets> TargetsOf(const Options& options) {
  if (options.all) return One(ops::v1::REVOKED_KIND_ALL, "", "every session");
  if (!options.sid.empty()) {
    return One(ops::v1::REVOKED_KIND_SESSION, options.sid, "session " + options.sid);
  }
  if (!options.sub.empty()) {
    return One(ops::v1::REVOKED_KIND_SUBJECT, options.sub, "subject " + options.sub);
  }
  if (!options.jti.empty()) {
    return One(ops::v1::REVOKED_KIND_TOKEN_ID, options.jti, "token " + options.jti);
  }
  ASSIGN_OR_RETURN(std::vector<ops::v1::Revocable> what, ReadRevocations(options.file));
  const std::string text =
      fmt::format("{} entr{} of {}", what.size(), what.size() == 1 ? "y" : "ies",
                  options.file == "-" ? "standard input" : options.file);
  return Targets{std::move(what), text};
}

int FailUnlessOneWay(Context& context, const Options& options) {
  if (options.ways() == 1) return kDone;
  return FailUsage(context,
                   "name exactly one of SID, --sub ID, --jti ID, --all and --from-file FILE");
}

template <class Request>
Request RequestFor(const Targets& targets, const Options& options) {
  Request request;
  for (const ops::v1::Revocable& what : targets.what) *request.add_what() = what;
  request.set_reason(options.reason);
  return request;
}

std::int64_t MillisecondsSince(base::BootTime start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(base::SystemClock().BootNow() -
                                                               start)
      .count();
}

int ReportUnacknowledged(Context& context, const ops::v1::RevokeAcknowledged& reply) {
  if (!context.json) {
    return Fail(context, base::MakeStatus(base::StatusCode::kUnavailable, reply.problem()));
  }
  context.out << JsonLine({{"acknowledged", false},
                           {"in_force", reply.uncut() == 0},
                           {"durable", reply.durable()},
                           {"edges", reply.edges()},
                           {"problem", reply.problem()}});
  return kFailed;
}

bool IsAcknowledged(const ops::v1::RevokeAcknowledged& reply) {
  return reply.durable() && !reply.pending() && reply.uncut() == 0;
}

std::string EdgesText(const ops::v1::RevokeAcknowledged& reply) {
  std::string text = reply.edges() > 1 ? fmt::format(" on {} edges", reply.edges()) : "";
  if (reply.ended() > 0) {
    text += fmt::format(" ({} more had no lease and den{} everything)", reply.ended(),
                        reply.ended() == 1 ? "ies" : "y");
  }
  return text;
}

// Goes out whole before anything is said of streams.
void ReportAcknowledged(Context& context, const Targets& targets,
                        const ops::v1::RevokeAcknowledged& reply, std::int64_t ms) {
  if (!IsAcknowledged(reply)) return;
  if (!reply.problem().empty()) context.err << "exeat: " << reply.problem() << "\n";
  if (context.json) {
    context.out << JsonLine({{"acknowledged", true},
                             {"in_force", true},
                             {"durable", true},
                             {"entries", targets.what.size()},
                             {"edges", reply.edges()},
                             {"edges_ended", reply.ended()},
                             {"ms", ms}});
  } else {
    context.out << fmt::format("revoked {}: in force{} and durable, {} ms\n", targets.text,
                               EdgesText(reply), ms);
  }
  context.out.flush();
}

// Those named that are not among this edge's sessions; empty when it does not say.
std::vector<std::string> UnknownSessions(EdgeClient& edge, const Targets& targets) {
  std::vector<std::string> unknown;
  const auto is_session = [](const ops::v1::Revocable& what) {
    return what.kind() == ops::v1::REVOKED_KIND_SESSION;
  };
  if (targets.what.size() == 1 && is_session(targets.what.front())) {
    ops::v1::GetSessionRequest request;
    request.set_sid(targets.what.front().id());
    ops::v1::Session session;
    const base::Status asked = edge.Call(&Stub::GetSession, request, &session);
    if (asked.code() == base::StatusCode::kNotFound) unknown.push_back(request.sid());
  } else if (std::any_of(targets.what.begin(), targets.what.end(), is_session)) {
    ops::v1::ListSessionsReply reply;
    if (!edge.Call(&Stub::ListSessions, {}, &reply).ok()) return unknown;
    std::set<std::string> known;
    for (const ops::v1::Session& session : reply.sessions()) known.insert(session.sid());
    for (const ops::v1::Revocable& what : targets.what) {
      if (is_session(what) && !known.contains(what.id())) unknown.push_back(what.id());
    }
  }
  return unknown;
}

// An unknown id is refused like any other; a mistyped one leaves the meant session alive.
void WarnOfUnknownSessions(Context& context, EdgeClient& edge, const Targets& targets) {
  const std::vector<std::string> unknown = UnknownSessions(edge, targets);
  if (unknown.empty()) return;
  std::string names;
  for (std::size_t i = 0; i < std::min(unknown.size(), kNamedAtMost); ++i) {
    names += (i == 0 ? "" : ", ") + unknown[i];
  }
  if (unknown.size() > kNamedAtMost) {
    names += fmt::format(" and {} more", unknown.size() - kNamedAtMost);
  }
  context.err << fmt::format(
      "exeat: this edge knows no session {}: if an id is mistyped, the session that was meant "
      "still lives; see: exeat session list\n",
      names);
}

int Revoke(Context& context, const Options& options) {
  const base::BootTime started = base::SystemClock().BootNow();
  if (FailUnlessOneWay(context, options) != kDone) return kWrongUsage;
  if (options.all && !options.yes) {
    return FailUsage(context, "--all refuses every session there is and will be; add --yes");
  }
  const base::StatusOr<Targets> targets = TargetsOf(options);
  if (!targets.ok()) return Fail(context, targets.status());
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::RevokeAcknowledged reply;
  const auto streams =
      edge->Revoke(RequestFor<ops::v1::RevokeRequest>(*targets, options),
                   [&](const ops::v1::RevokeAcknowledged& said) {
                     reply = said;
                     ReportAcknowledged(context, *targets, said, MillisecondsSince(started));
                   });
  if (!streams.ok()) return Fail(context, streams.status());
  if (!IsAcknowledged(reply)) return ReportUnacknowledged(context, reply);
  if (context.json) {
    context.out << JsonLine(StreamsJson(*streams));
  } else {
    PrintStreams(context, *streams);
    WarnOfUnknownSessions(context, *edge, *targets);
  }
  return JudgeStreams(context, *streams);
}

int Restore(Context& context, const Options& options) {
  if (FailUnlessOneWay(context, options) != kDone) return kWrongUsage;
  const base::StatusOr<Targets> targets = TargetsOf(options);
  if (!targets.ok()) return Fail(context, targets.status());
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::RestoreReply reply;
  const base::Status restored =
      edge->Call(&Stub::Restore, RequestFor<ops::v1::RestoreRequest>(*targets, options), &reply);
  if (!restored.ok() && targets->what.size() > 1) {
    return Fail(context, base::Annotate(restored, "nothing was restored"));
  }
  if (!restored.ok()) return Fail(context, restored);
  if (context.json) {
    context.out << JsonLine({{"restored", true}, {"entries", targets->what.size()}});
  } else {
    context.out << "restored " << targets->text << "\n";
  }
  return kDone;
}

int RotateKey(Context& context, const Options& options) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::RotateSigningKeyRequest request;
  request.set_withdraw(options.withdraw);
  ops::v1::RotateSigningKeyReply reply;
  const base::Status rotated = edge->Call(&Stub::RotateSigningKey, request, &reply);
  if (!rotated.ok()) return Fail(context, rotated);
  if (context.json) {
    context.out << JsonLine({{"rotated", true}, {"withdrawn", options.withdraw}});
  } else {
    context.out << (options.withdraw
                        ? "a new key signs; tokens of the former keys are invalid now\n"
                        : "a new key signs; tokens of the former key stay good until they end\n");
  }
  return kDone;
}

void AddTarget(CLI::App& command, Options& options) {
  command.add_option("sid", options.sid, "The session")->type_name("SID");
  command.add_option("--sub", options.sub, "Every session of this subject, new ones too")
      ->type_name("ID");
  command.add_option("--jti", options.jti, "One token of a session")->type_name("ID");
  command.add_flag("--all", options.all, "Every session, new ones too");
  command
      .add_option("--from-file", options.file,
                  "A list, whole or not at all: one ID, session ID, sub ID or jti ID a line; - for "
                  "standard input")
      ->type_name("FILE");
  command.add_option("--reason", options.reason, "Why, for the audit log")->type_name("TEXT");
}

}  // namespace

void AddSessionRevoke(CLI::App& session, Context& context) {
  const auto revoke = std::make_shared<Options>();
  CLI::App& command = AddCommand(session, context,
                                 {"revoke", "Refuse a session from now on",
                                  "exeat session revoke 5k2mz7... --reason \"token leaked\"\n"
                                  "exeat session revoke --sub build-17\n"
                                  "exeat session revoke --from-file leaked.txt"},
                                 [&context, revoke] { return Revoke(context, *revoke); });
  AddTarget(command, *revoke);
  command.add_flag("--yes", revoke->yes, "--all is meant");

  const auto restore = std::make_shared<Options>();
  CLI::App& opposite = AddCommand(session, context,
                                  {"restore", "Take back exactly that revocation",
                                   "exeat session restore 5k2mz7...\n"
                                   "exeat session restore --sub build-17\n"
                                   "exeat session restore --from-file leaked.txt"},
                                  [&context, restore] { return Restore(context, *restore); });
  AddTarget(opposite, *restore);
}

void AddSessionRotateKey(CLI::App& session, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = AddCommand(session, context,
                                 {"rotate-key", "Sign session tokens with a new key",
                                  "exeat session rotate-key\nexeat session rotate-key --withdraw"},
                                 [&context, options] { return RotateKey(context, *options); });
  command.add_flag("--withdraw", options->withdraw,
                   "Make every token of the former keys invalid before this returns");
}

}  // namespace exeat::cli
