// exeat session revoke | restore | rotate-key.
#include <unistd.h>

#include <chrono>
#include <memory>
#include <ostream>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/render.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

struct Options {
  std::string sid;
  std::string sub;
  std::string jti;
  bool all = false;
  bool yes = false;
  std::string reason;
  bool withdraw = false;
};

struct Target {
  ops::v1::RevokedKind kind = ops::v1::REVOKED_KIND_UNSPECIFIED;
  std::string id;
  std::string text;
};

// Exactly one way of saying what is meant.
base::StatusOr<Target> TargetOf(const Options& options) {
  std::vector<Target> named;
  if (!options.sid.empty()) {
    named.push_back({ops::v1::REVOKED_KIND_SESSION, options.sid, "session " + options.sid});
  }
  if (!options.sub.empty()) {
    named.push_back({ops::v1::REVOKED_KIND_SUBJECT, options.sub, "subject " + options.sub});
  }
  if (!options.jti.empty()) {
    named.push_back({ops::v1::REVOKED_KIND_TOKEN_ID, options.jti, "token " + options.jti});
  }
  if (options.all) named.push_back({ops::v1::REVOKED_KIND_ALL, "", "every session"});
  if (named.size() == 1) return named.front();
  return base::MakeStatus(base::StatusCode::kInvalidArgument,
                          "name exactly one of SID, --sub ID, --jti ID and --all");
}

ops::v1::Revocable AsProto(const Target& target) {
  ops::v1::Revocable what;
  what.set_kind(target.kind);
  what.set_id(target.id);
  return what;
}

std::int64_t MillisecondsSince(base::BootTime start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(base::SystemClock().BootNow() -
                                                               start)
      .count();
}

int ReportNotDurable(Context& context, const ops::v1::RevokeAcknowledged& reply) {
  if (!context.json) {
    return Fail(context, base::MakeStatus(base::StatusCode::kUnavailable, reply.problem()));
  }
  context.out << JsonLine({{"acknowledged", false},
                           {"in_force", true},
                           {"durable", reply.durable()},
                           {"problem", reply.problem()}});
  return kFailed;
}

// Goes out whole before anything is said of streams.
void ReportAcknowledged(Context& context, const Target& target,
                        const ops::v1::RevokeAcknowledged& reply, std::int64_t ms) {
  if (!reply.durable()) return;
  if (!reply.problem().empty()) context.err << "exeat: " << reply.problem() << "\n";
  if (context.json) {
    context.out << JsonLine({{"acknowledged", true},
                             {"in_force", true},
                             {"durable", true},
                             {"edges", reply.edges()},
                             {"ms", ms}});
  } else {
    context.out << "revoked " << target.text << ": in force and durable, " << ms << " ms\n";
  }
  context.out.flush();
}

void ReportStreams(Context& context, const ops::v1::StreamsCut& streams) {
  const double ms = static_cast<double>(streams.took_us()) / 1000;
  if (context.json) {
    context.out << JsonLine({{"cut", streams.cut()}, {"uncut", streams.uncut()}, {"ms", ms}});
  } else if (streams.cut() + streams.uncut() == 0) {
    context.out << "no stream was open\n";
  } else {
    context.out << fmt::format("{} open streams cut, {:.1f} ms\n", streams.cut(), ms);
  }
  if (streams.uncut() > 0) {
    context.err << fmt::format(
        "exeat: {} open streams are not known to have ended; every further request of theirs is "
        "refused. See: exeat doctor\n",
        streams.uncut());
  }
}

// An unknown id is refused like any other; a mistyped one leaves the meant session alive.
void WarnOfUnknownSession(Context& context, EdgeClient& edge, const Target& target) {
  if (target.kind != ops::v1::REVOKED_KIND_SESSION) return;
  ops::v1::GetSessionRequest request;
  request.set_sid(target.id);
  ops::v1::Session session;
  if (edge.Call(&Stub::GetSession, request, &session).code() != base::StatusCode::kNotFound) return;
  context.err << "exeat: this edge knows no session " << target.id
              << ": if the id is mistyped, the session that was meant still lives; see: exeat "
                 "session list\n";
}

int Revoke(Context& context, const Options& options) {
  const base::BootTime started = base::SystemClock().BootNow();
  const base::StatusOr<Target> target = TargetOf(options);
  if (!target.ok()) return FailUsage(context, base::Message(target.status()));
  if (options.all && !options.yes && isatty(STDIN_FILENO) == 1) {
    return FailUsage(context, "--all refuses every session there is and will be; add --yes");
  }
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::RevokeRequest request;
  *request.add_what() = AsProto(*target);
  request.set_reason(options.reason);
  ops::v1::RevokeAcknowledged reply;
  const auto streams = edge->Revoke(request, [&](const ops::v1::RevokeAcknowledged& said) {
    reply = said;
    ReportAcknowledged(context, *target, said, MillisecondsSince(started));
  });
  if (!streams.ok()) return Fail(context, streams.status());
  if (!reply.durable()) return ReportNotDurable(context, reply);
  ReportStreams(context, *streams);
  if (!context.json) WarnOfUnknownSession(context, *edge, *target);
  return streams->uncut() == 0 ? kDone : kFailed;
}

int Restore(Context& context, const Options& options) {
  const base::StatusOr<Target> target = TargetOf(options);
  if (!target.ok()) return FailUsage(context, base::Message(target.status()));
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::RestoreRequest request;
  *request.add_what() = AsProto(*target);
  request.set_reason(options.reason);
  ops::v1::RestoreReply reply;
  const base::Status restored = edge->Call(&Stub::Restore, request, &reply);
  if (!restored.ok()) return Fail(context, restored);
  if (context.json) {
    context.out << JsonLine({{"restored", true}});
  } else {
    context.out << "restored " << target->text << "\n";
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
  command.add_option("--reason", options.reason, "Why, for the audit log")->type_name("TEXT");
}

}  // namespace

void AddSessionRevoke(CLI::App& session, Context& context) {
  const auto revoke = std::make_shared<Options>();
  CLI::App& command = AddCommand(session, context,
                                 {"revoke", "Refuse a session from now on",
                                  "exeat session revoke 5k2mz7... --reason \"token leaked\"\n"
                                  "exeat session revoke --sub build-17"},
                                 [&context, revoke] { return Revoke(context, *revoke); });
  AddTarget(command, *revoke);
  command.add_flag("--yes", revoke->yes, "Do not ask back at a terminal: needed there by --all");

  const auto restore = std::make_shared<Options>();
  CLI::App& opposite = AddCommand(session, context,
                                  {"restore", "Take back exactly that revocation",
                                   "exeat session restore 5k2mz7...\n"
                                   "exeat session restore --sub build-17"},
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
