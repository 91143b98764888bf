// exeat run: a command in a session of its own.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <ostream>

#include "base/file.h"
#include "base/secret.h"
#include "cli/child.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/edge_client.h"
#include "cli/guest_environment.h"
#include "cli/proxy_url.h"
#include "cli/refusals.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace exeat::cli {
namespace {

constexpr int kCannotExecute = 126;
constexpr int kNoSuchCommand = 127;
constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";

struct Options {
  std::string sub = "run";
  std::vector<std::string> grants;
  std::string ttl = "15m";
};

// A directory of this user's alone that is gone with the object.
class PrivateTemporary {
 public:
  static base::StatusOr<std::unique_ptr<PrivateTemporary>> Make() {
    const char* base = std::getenv("TMPDIR");
    std::string path = std::string(base == nullptr || *base == '\0' ? "/tmp" : base);
    path += "/exeat-run.XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return base::ErrnoStatus(errno, path);
    return std::unique_ptr<PrivateTemporary>(new PrivateTemporary(path));
  }
  ~PrivateTemporary() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateTemporary(const PrivateTemporary&) = delete;
  PrivateTemporary& operator=(const PrivateTemporary&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit PrivateTemporary(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// The roots that programs here trust already, so that nothing that worked stops working.
std::string TrustedRoots() {
  const char* named = std::getenv("SSL_CERT_FILE");
  const base::StatusOr<std::string> roots =
      base::ReadFile(named == nullptr || *named == '\0' ? kSystemRoots : named);
  return roots.ok() ? *roots + "\n" : "";
}

base::Status WriteTrust(const std::string& ca_pem, const GuestSetup& setup) {
  RETURN_IF_ERROR(base::WriteFileAtomically(setup.ca_file, ca_pem, 0600));
  return base::WriteFileAtomically(setup.bundle_file, TrustedRoots() + ca_pem, 0600);
}

base::StatusOr<ops::v1::MintedSession> OpenSession(EdgeClient& edge, const Options& options,
                                                   std::chrono::seconds ttl) {
  ops::v1::CreateSessionRequest request;
  request.set_sub(options.sub);
  for (const std::string& grant : options.grants) request.add_grants(grant);
  request.set_ttl_s(ttl.count());
  ops::v1::MintedSession minted;
  RETURN_IF_ERROR(edge.Call(&Stub::CreateSession, request, &minted));
  return minted;
}

bool Revoke(Context& context, EdgeClient& edge, const std::string& sid) {
  const base::Status revoked = edge.RevokeSession(sid, "exeat run ended");
  if (revoked.ok()) return true;
  Fail(context, base::Annotate(revoked, "session " + sid + " may live until its time is over"));
  return false;
}

base::StatusOr<int> RunInSession(Context& context, const SignalGate& gate,
                                 const std::string& ca_pem, ops::v1::MintedSession& minted) {
  ASSIGN_OR_RETURN(const std::unique_ptr<PrivateTemporary> temporary, PrivateTemporary::Make());
  GuestSetup setup;
  setup.proxy_url = ProxyUrl(minted.proxy_address(), minted.token());
  setup.token = minted.token();
  setup.bundle_file = temporary->path() + "/bundle.pem";
  setup.ca_file = temporary->path() + "/exeat-ca.pem";
  RETURN_IF_ERROR(WriteTrust(ca_pem, setup));
  std::vector<std::string> inherited;
  for (char** entry = environ; *entry != nullptr; ++entry) inherited.emplace_back(*entry);
  std::vector<std::string> environment = GuestEnvironment(inherited, setup);
  base::StatusOr<int> status = RunChild(gate, context.trailing, environment);
  for (std::string& entry : environment) base::Secret::Wipe(entry);
  base::Secret::Wipe(setup.proxy_url);
  base::Secret::Wipe(setup.token);
  return status;
}

// `edge` null: it does not answer. On standard error: standard output is the command's own.
void Report(Context& context, EdgeClient* edge, const std::string& sid, int ended,
            std::uint64_t audit_seq_before) {
  std::vector<std::string> refused;
  if (ended != 0 && edge != nullptr) refused = RefusedTo(*edge, sid, audit_seq_before);
  if (context.json) {
    context.err << JsonLine({{"sid", sid}, {"status", ended}, {"refused", refused}});
    return;
  }
  for (const std::string& refusal : refused) context.err << "exeat: refused: " << refusal << "\n";
}

int CodeOf(const base::Status& status) {
  if (status.code() == base::StatusCode::kNotFound) return kNoSuchCommand;
  if (status.code() == base::StatusCode::kPermissionDenied) return kCannotExecute;
  return kFailed;
}

int Run(Context& context, const Options& options) {
  if (context.trailing.empty()) {
    return FailUsage(context, "name the command behind `--`, e.g. exeat run -- curl https://...");
  }
  const auto ttl = ParseDuration(options.ttl);
  if (!ttl) return FailUsage(context, "--ttl: expected a duration such as 30s, 15m or 1h");
  const SignalGate gate;
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::EdgeStatus status;
  const base::Status asked = edge->Call(&Stub::GetStatus, {}, &status);
  if (!asked.ok()) return Fail(context, asked);
  if (status.proxy_address().empty()) {
    return Fail(context,
                base::MakeStatus(base::StatusCode::kFailedPrecondition,
                                 "this edge has no listeners.proxy, which `run` needs; set "
                                 "it in the policy and restart"));
  }
  base::StatusOr<ops::v1::MintedSession> minted = OpenSession(*edge, options, *ttl);
  if (!minted.ok()) return Fail(context, minted.status());
  const base::StatusOr<int> ended = RunInSession(context, gate, status.ca_pem(), *minted);
  base::Secret::Wipe(*minted->mutable_token());
  const bool answers = Revoke(context, *edge, minted->session().sid());
  if (!ended.ok()) {
    Fail(context, ended.status());
    return CodeOf(ended.status());
  }
  Report(context, answers ? &*edge : nullptr, minted->session().sid(), *ended, status.audit_seq());
  return *ended;
}

}  // namespace

void AddRun(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = AddCommand(
      root, context,
      {"run", "Run the command behind `--` in a session of its own, revoked when it ends",
       "exeat run -- curl -sS https://api.example/\n"
       "exeat run --grant anthropic --ttl 30m -- python3 agent.py"},
      [&context, options] { return Run(context, *options); });
  // The hook runs while parsing, before what stands behind `--` is judged.
  command.parse_complete_callback([&context] { context.takes_trailing = true; });
  command.add_option("--grant", options->grants, "A grant it holds; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->take_all();
  command.add_option("--sub", options->sub, "Whom the session stands for")
      ->type_name("ID")
      ->capture_default_str();
  command.add_option("--ttl", options->ttl, "Lifetime of its token: 30s, 15m, 1h")
      ->type_name("TIME")
      ->capture_default_str();
}

}  // namespace exeat::cli
