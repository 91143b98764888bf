// exeat session create | list | show | renew.
#include <memory>
#include <ostream>

#include "base/secret.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/edge_client.h"
#include "cli/proxy_url.h"
#include "cli/render.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

struct Options {
  std::string sid;
  std::string sub = "local";
  std::vector<std::string> grants;
  std::string ttl = "15m";
  bool revoked = false;
};

void PrintMinted(Context& context, ops::v1::MintedSession& minted) {
  const ops::v1::Session& session = minted.session();
  std::string url = ProxyUrl(minted.proxy_address(), minted.token());
  if (context.json) {
    context.out << JsonLine({{"sid", session.sid()},
                             {"token", minted.token()},
                             {"expires_at", session.expires_at()},
                             {"proxy_url", url}});
  } else {
    context.out << "session  " << session.sid() << "\nexpires  " << TimeText(session.expires_at())
                << "\ntoken    " << minted.token() << "\nproxy    "
                << (url.empty() ? "off: the policy has no listeners.proxy" : url) << "\n";
  }
  context.out.flush();
  base::Secret::Wipe(url);
  base::Secret::Wipe(*minted.mutable_token());
}

template <class Request>
int Mint(Context& context, const Options& options, Request request,
         ::grpc::Status (Stub::*method)(::grpc::ClientContext*, const Request&,
                                        ops::v1::MintedSession*)) {
  const auto ttl = ParseDuration(options.ttl);
  if (!ttl) return FailUsage(context, "--ttl: expected a duration such as 30s, 15m or 1h");
  request.set_ttl_s(ttl->count());
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::MintedSession minted;
  const base::Status made = edge->Call(method, request, &minted);
  if (!made.ok()) return Fail(context, made);
  PrintMinted(context, minted);
  return kDone;
}

int Create(Context& context, const Options& options) {
  ops::v1::CreateSessionRequest request;
  request.set_sub(options.sub);
  for (const std::string& grant : options.grants) request.add_grants(grant);
  return Mint(context, options, request, &Stub::CreateSession);
}

int Renew(Context& context, const Options& options) {
  ops::v1::RenewSessionRequest request;
  request.set_sid(options.sid);
  return Mint(context, options, request, &Stub::RenewSession);
}

const char* Standing(const ops::v1::Session& session) {
  if (session.revoked()) return "revoked";
  return session.ended() ? "ended" : "live";
}

nlohmann::json AsJson(const ops::v1::Session& session) {
  nlohmann::json grants = nlohmann::json::array();
  for (const std::string& grant : session.grants()) grants.push_back(grant);
  return {{"sid", session.sid()},
          {"sub", session.sub()},
          {"jti", session.jti()},
          {"grants", grants},
          {"created_at", session.created_at()},
          {"expires_at", session.expires_at()},
          {"standing", Standing(session)}};
}

std::string Grants(const ops::v1::Session& session) {
  std::string text;
  for (const std::string& grant : session.grants()) text += (text.empty() ? "" : ",") + grant;
  return text.empty() ? "-" : text;
}

// As --from-file of revoke and restore has it.
const char* KindWord(ops::v1::RevokedKind kind) {
  switch (kind) {
    case ops::v1::REVOKED_KIND_SESSION:
      return "session";
    case ops::v1::REVOKED_KIND_TOKEN_ID:
      return "jti";
    case ops::v1::REVOKED_KIND_SUBJECT:
      return "sub";
    case ops::v1::REVOKED_KIND_ALL:
      return "all";
    default:
      return "unknown";
  }
}

void PrintJson(Context& context, const ops::v1::ListRevocationsReply& reply) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ops::v1::Revocation& revocation : reply.revocations()) {
    nlohmann::json row = {{"kind", KindWord(revocation.what().kind())},
                          {"id", revocation.what().id()},
                          {"reason", revocation.reason()},
                          {"since", revocation.revoked_at()},
                          {"until", nullptr}};
    if (revocation.expires_at() != 0) row["until"] = revocation.expires_at();
    rows.push_back(std::move(row));
  }
  context.out << JsonLine({{"revocations", rows}, {"not_stored", reply.not_stored()}});
}

int ListRevoked(Context& context) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::ListRevocationsReply reply;
  const base::Status listed = edge->Call(&Stub::ListRevocations, {}, &reply);
  if (!listed.ok()) return Fail(context, listed);
  if (context.json) {
    PrintJson(context, reply);
    return kDone;
  }
  context.out << fmt::format("{:<9}{:<28}{:<22}{:<22}{}\n", "KIND", "ID", "SINCE", "UNTIL",
                             "REASON");
  for (const ops::v1::Revocation& revocation : reply.revocations()) {
    const std::string& id = revocation.what().id();
    const auto ends = revocation.expires_at();
    context.out << fmt::format("{:<9}{:<28}{:<22}{:<22}{}\n", KindWord(revocation.what().kind()),
                               id.empty() ? "-" : id, TimeText(revocation.revoked_at()),
                               ends == 0 ? "restored" : TimeText(ends),
                               Printable(revocation.reason()));
  }
  if (reply.not_stored() > 0) {
    context.err << fmt::format(
        "exeat: {} more in force, but not stored and lost when the edge restarts: repair the store "
        "and revoke again\n",
        reply.not_stored());
  }
  return kDone;
}

int List(Context& context, const Options& options) {
  if (options.revoked) return ListRevoked(context);
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::ListSessionsReply reply;
  const base::Status listed = edge->Call(&Stub::ListSessions, {}, &reply);
  if (!listed.ok()) return Fail(context, listed);
  if (context.json) {
    nlohmann::json sessions = nlohmann::json::array();
    for (const ops::v1::Session& session : reply.sessions()) sessions.push_back(AsJson(session));
    context.out << JsonLine({{"sessions", sessions}});
    return kDone;
  }
  context.out << fmt::format("{:<28}{:<9}{:<22}{:<20}{}\n", "SID", "STATE", "EXPIRES", "SUB",
                             "GRANTS");
  for (const ops::v1::Session& session : reply.sessions()) {
    context.out << fmt::format("{:<28}{:<9}{:<22}{:<20}{}\n", session.sid(), Standing(session),
                               TimeText(session.expires_at()), session.sub(), Grants(session));
  }
  return kDone;
}

int Show(Context& context, const Options& options) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::GetSessionRequest request;
  request.set_sid(options.sid);
  ops::v1::Session session;
  const base::Status found = edge->Call(&Stub::GetSession, request, &session);
  if (!found.ok()) return Fail(context, found);
  if (context.json) {
    context.out << JsonLine(AsJson(session));
    return kDone;
  }
  context.out << "session  " << session.sid() << "\nstate    " << Standing(session) << "\nsub      "
              << session.sub() << "\ngrants   " << Grants(session) << "\nopened   "
              << TimeText(session.created_at()) << "\nexpires  " << TimeText(session.expires_at())
              << "\ntoken id " << session.jti() << "\n";
  return kDone;
}

void AddCreate(CLI::App& group, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(group, context,
                 {"create", "Open a session and print its token",
                  "exeat session create --sub build-17 --grant anthropic --ttl 15m\n"
                  "export HTTPS_PROXY=$(exeat session create --json | jq -r .proxy_url)"},
                 [&context, options] { return Create(context, *options); });
  command.add_option("--sub", options->sub, "Whom the session stands for")
      ->type_name("ID")
      ->capture_default_str();
  command.add_option("--grant", options->grants, "A grant it holds; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->take_all();
  command.add_option("--ttl", options->ttl, "Lifetime of its token: 30s, 15m, 1h")
      ->type_name("TIME")
      ->capture_default_str();
}

void AddRenew(CLI::App& group, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = AddCommand(
      group, context,
      {"renew", "Print a new token of the same session", "exeat session renew 5k2mz7... --ttl 15m"},
      [&context, options] { return Renew(context, *options); });
  command.add_option("sid", options->sid, "The session")->type_name("SID")->required();
  command.add_option("--ttl", options->ttl, "Lifetime of the new token: 30s, 15m, 1h")
      ->type_name("TIME")
      ->capture_default_str();
}

}  // namespace

void AddSession(CLI::App& root, Context& context) {
  CLI::App& group = AddGroup(root, {"session", "Open, look at and end sessions",
                                    "exeat session create --grant anthropic\nexeat session list"});
  AddCreate(group, context);
  const auto listed = std::make_shared<Options>();
  CLI::App& list =
      AddCommand(group, context,
                 {"list", "List the sessions that have not ended, revoked ones among them",
                  "exeat session list --json\nexeat session list --revoked"},
                 [&context, listed] { return List(context, *listed); });
  list.add_flag("--revoked", listed->revoked,
                "Every revocation in force instead: of sessions, tokens, subjects and all");
  const auto options = std::make_shared<Options>();
  CLI::App& show =
      AddCommand(group, context,
                 {"show", "Show one session, without its token", "exeat session show 5k2mz7..."},
                 [&context, options] { return Show(context, *options); });
  show.add_option("sid", options->sid, "The session")->type_name("SID")->required();
  AddRenew(group, context);
  AddSessionRevoke(group, context);
  AddSessionRotateKey(group, context);
}

}  // namespace exeat::cli
