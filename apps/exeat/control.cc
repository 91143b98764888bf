#include "control.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "base/file.h"
#include "base/log.h"
#include "base/worker.h"
#include "envoy_admin.h"
#include "envoy_drain.h"
#include "envoy_start.h"
#include "fmt/format.h"
#include "guardian/confine.h"
#include "guardian/envoy_binary.h"
#include "guardian/harden.h"
#include "guardian/link.h"
#include "guardian/socket_path.h"
#include "guest_connections.h"
#include "issuer/issuer.h"
#include "leaf_source.h"
#include "listener_ports.h"
#include "operator/cut_record.h"
#include "policy_source.h"
#include "running_edge.h"
#include "services.h"
#include "session/signing_keys.h"
#include "shared_edge.h"
#include "state_directory.h"
#include "stream_cutter.h"

namespace exeat {
namespace {

constexpr std::uint32_t kMaxLiveSessions = 20'000;
constexpr std::size_t kStoreQueue = 1024;
constexpr std::chrono::milliseconds kTick{100};
constexpr int kTicksPerLease = 10;
constexpr int kTicksPerSweep = 2;
constexpr int kTicksPerTidy = 600;
constexpr std::chrono::milliseconds kAcknowledgeProbe{50};

class Control {
 public:
  Control(ControlOptions options, guardian::ControlLink& link)
      : options_(std::move(options)), link_(link), store_worker_(kStoreQueue) {}
  ~Control() { Stop(); }

  base::Status Start(Refusal& refusal);
  void Hear(const guardian::ToControl& message);
  // Whether decisions are being made: decides one request, on locks that every decision takes, so
  // that a beat cannot outlive a decision path that hangs.
  bool Healthy() const;
  void Stop();

 private:
  base::StatusOr<StartingPolicy> OpenPolicy(Refusal& refusal);
  base::StatusOr<StartingPolicy> Join(StartingPolicy own, Refusal& refusal);
  base::Status ClaimPlaces(const policy::Policy& policy);
  base::Status OpenState(const policy::Policy& policy);
  base::Status OpenEdge(const StartingPolicy& starting);
  base::Status OpenServices();
  void Housekeep(const std::stop_token& stop);
  void Tidy();
  void WatchReadiness();
  void Reload();
  base::Status RecordOfItself(const char* activity);
  void RecordOutcome(audit::Event event);
  void RecordRefusedName(std::string_view name, std::uint64_t unreported);
  std::string ReadyLine(const ops::EdgeStatus& status) const;

  const ControlOptions options_;
  guardian::ControlLink& link_;
  const base::Clock& clock_ = base::SystemClock();

  StateDirectory state_;
  EnvoyAdmin admin_{""};
  guardian::EnvoyIdentity envoy_;
  base::Secret access_;
  policy::Listeners listeners_;
  ops::Metrics metrics_;
  revocation::Denylist denylist_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<audit::Log> audit_;
  std::unique_ptr<session::SigningKeys> keys_;
  std::unique_ptr<issuer::Authority> authority_;
  std::unique_ptr<issuer::Issuer> issuer_;
  std::unique_ptr<envoy::Typing> typing_;
  std::unique_ptr<LeafSource> leaves_;
  std::unique_ptr<StreamCutter> cutter_;
  std::unique_ptr<EnvoyStart> envoy_start_;
  std::unique_ptr<RunningEdge> edge_;
  std::unique_ptr<ops::Recorder> recorder_;
  std::unique_ptr<ops::RevocationDesk> revocations_;
  std::unique_ptr<ops::SessionDesk> sessions_;
  std::unique_ptr<ops::PolicyDesk> policies_;
  std::unique_ptr<rpc::AuthzServer> authz_;
  std::unique_ptr<rpc::ConnectionCheck> connections_;
  std::unique_ptr<rpc::AccessLogServer> access_log_;
  std::unique_ptr<rpc::OperatorService> operator_;
  base::Worker store_worker_;
  base::Worker reloads_{1};
  base::Worker tidying_{1};
  std::unique_ptr<SharedEdge> shared_;  // null: this edge is alone
  std::unique_ptr<EnvoyServer> envoy_server_;
  std::unique_ptr<OperatorServer> operator_server_;
  std::atomic<bool> serving_{false};
  std::atomic<bool> envoy_runs_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> said_ready_{false};
  bool stopped_ = false;  // the main thread
  std::jthread housekeeping_;
};

// A handshake for a listed name that got no leaf: not in its canonical form, or too many new ones.
void Control::RecordRefusedName(std::string_view name, std::uint64_t unreported) {
  audit::Event event;
  event.kind = audit::EventKind::kConnection;
  event.phase = audit::Phase::kOutcome;
  event.activity = "connection";
  event.reason = authz::Code(authz::Reason::kDestinationNotAllowed);
  event.host = name;
  event.detail = fmt::format("no leaf; {} more since the record before", unreported);
  (void)recorder_->Record(event);
}

// Envoy does not know what was attached; the policy does.
void Control::RecordOutcome(audit::Event event) {
  if (event.allowed) {
    const auto snapshot = edge_->snapshot();
    const policy::Destination* served = snapshot->policy->FindDestination(event.destination);
    if (served != nullptr) event.credential = served->credential;
  }
  const base::Status recorded = recorder_->Record(std::move(event));
  if (!recorded.ok()) {
    base::LogError("an outcome could not be recorded", {{"error", base::Message(recorded)}});
  }
}

// Reads and looks for what may be wrong before anything is made.
base::StatusOr<StartingPolicy> Control::OpenPolicy(Refusal& refusal) {
  std::optional<StartingPolicy> from_file;
  const std::string database = options_.state + "/exeat.db";
  if (options_.config_named || options_.state.empty() || access(database.c_str(), F_OK) != 0) {
    ASSIGN_OR_RETURN(from_file, ReadPolicyFile(options_.config, refusal));
  }
  ASSIGN_OR_RETURN(const std::string binary, guardian::FindEnvoy(options_.envoy));
  ASSIGN_OR_RETURN(envoy_, guardian::CheckEnvoyBinary(binary));
  ASSIGN_OR_RETURN(state_, OpenStateDirectory(options_.state.empty() ? from_file->policy->state_dir
                                                                     : options_.state));
  ASSIGN_OR_RETURN(store_, store::OpenSqlite(state_.path + "/exeat.db"));
  if (options_.config_named) return Join(*std::move(from_file), refusal);
  auto stored = StoredPolicy(*store_, refusal);
  if (stored.ok()) WarnWhenFileDiffers(*stored, options_.config);
  if (stored.ok()) return Join(*std::move(stored), refusal);
  if (stored.status().code() != base::StatusCode::kNotFound) return stored;
  if (!from_file.has_value()) {
    ASSIGN_OR_RETURN(from_file, ReadPolicyFile(options_.config, refusal));
  }
  return Join(*std::move(from_file), refusal);
}

// From here on the store is the one that edges share, where the policy names one.
base::StatusOr<StartingPolicy> Control::Join(StartingPolicy own, Refusal& refusal) {
  if (!own.policy->shared_store.has_value()) return own;
  ASSIGN_OR_RETURN(std::unique_ptr<store::Store> shared, OpenShared(*own.policy->shared_store));
  ASSIGN_OR_RETURN(StartingPolicy joined, JoinEdges(std::move(own), *store_, *shared, refusal));
  store_ = std::move(shared);
  return joined;
}

base::Status Control::ClaimPlaces(const policy::Policy& policy) {
  RETURN_IF_ERROR(
      guardian::PrepareRunDirectory(state_.envoy_run, options_.envoy_uid, options_.envoy_uid));
  admin_ = EnvoyAdmin(state_.AdminSocket());
  ASSIGN_OR_RETURN(listeners_, ClaimListeners(policy.listeners, state_.run + "/listeners.json",
                                              admin_.Listeners().ok()));
  return absl::OkStatus();
}

base::Status Control::OpenState(const policy::Policy& policy) {
  // A state directory named on the command line takes its audit log with it.
  const bool moved = policy.audit_dir == policy.state_dir + "/audit";
  const std::string audit_dir = moved ? state_.path + "/audit" : policy.audit_dir;
  ASSIGN_OR_RETURN(audit_, audit::Log::Open(audit_dir, policy.deployment, clock_));
  recorder_ = std::make_unique<ops::Recorder>(*audit_, metrics_, [this] {
    return edge_ == nullptr ? std::uint64_t{0} : edge_->snapshot()->policy_revision;
  });
  ASSIGN_OR_RETURN(keys_, session::SigningKeys::Open(state_.path + "/keys", clock_));
  if (policy.shared_store.has_value()) {
    ASSIGN_OR_RETURN(
        shared_, SharedEdge::Open(*policy.shared_store, {*store_, store_worker_, *keys_, clock_}));
  }
  if (policy.ca.has_value()) {
    ASSIGN_OR_RETURN(authority_, issuer::Authority::Import(*policy.ca, clock_));
  } else {
    ASSIGN_OR_RETURN(authority_,
                     issuer::Authority::Open(state_.path + "/ca", policy.deployment, clock_));
  }
  const auto record_leaf = [this](std::string_view name, std::string_view serial) {
    audit::Event event;
    event.kind = audit::EventKind::kLeaf;
    event.phase = audit::Phase::kIntent;
    event.activity = "leaf_signed";
    event.allowed = true;
    event.host = name;
    event.detail = serial;
    return recorder_->Record(event);
  };
  ASSIGN_OR_RETURN(issuer_, issuer::Issuer::Make(*authority_, {}, record_leaf, clock_));
  ASSIGN_OR_RETURN(typing_, envoy::Typing::Embedded());
  return absl::OkStatus();
}

base::Status Control::OpenEdge(const StartingPolicy& starting) {
  leaves_ = std::make_unique<LeafSource>(
      *issuer_, metrics_,
      [this](std::string_view name, std::uint64_t unreported) {
        RecordRefusedName(name, unreported);
      },
      clock_);
  cutter_ = std::make_unique<StreamCutter>(StreamCutter::Parts{
      [this](const guardian::CutSockets& sockets) { return link_.Send(sockets); },
      [this](const ops::CutReport& report) { ops::RecordCut(*recorder_, "token_expired", report); },
      starting.policy->streams, metrics_, clock_});
  ASSIGN_OR_RETURN(envoy_start_, EnvoyStart::Make(*typing_, envoy_, starting.policy->deployment));
  ASSIGN_OR_RETURN(
      edge_,
      RunningEdge::Make(
          {.typing = *typing_,
           .jwks = [this] { return shared_ == nullptr ? keys_->Jwks() : shared_->Jwks(); },
           .denylist = denylist_,
           .leaves = *leaves_,
           .envoy_start = *envoy_start_,
           .cutter = *cutter_,
           .metrics = metrics_,
           .clock = clock_,
           .ca_pem = authority_->CertificatePem(),
           .listeners = listeners_,
           .envoy_version = envoy_.version,
           .max_live_sessions = kMaxLiveSessions,
           .store =
               [this] { return shared_ == nullptr ? ops::StoreStatus() : shared_->status(); }}));
  const ops::Sharing* const sharing = shared_ == nullptr ? nullptr : shared_->sharing();
  revocations_ = std::make_unique<ops::RevocationDesk>(
      ops::RevocationDesk::Parts{*edge_, denylist_, *store_, store_worker_, *recorder_, metrics_,
                                 clock_, sharing},
      ops::RevocationDesk::Options{});
  sessions_ = std::make_unique<ops::SessionDesk>(
      ops::SessionDesk::Parts{*edge_, *keys_, *revocations_, *store_, store_worker_, *recorder_,
                              metrics_, clock_, sharing},
      ops::SessionDesk::Options{.max_live_sessions = kMaxLiveSessions});
  policies_ = std::make_unique<ops::PolicyDesk>(
      ops::PolicyDesk::Parts{*edge_, *store_, store_worker_, *recorder_, metrics_, clock_});
  if (shared_ != nullptr) {
    RETURN_IF_ERROR(shared_->Start({*revocations_, *sessions_, *policies_, *edge_}));
  } else {
    RETURN_IF_ERROR(base::Annotate(revocations_->Load(), "revocations"));
    RETURN_IF_ERROR(base::Annotate(sessions_->Load(), "sessions"));
  }
  return edge_->Begin(starting.policy, starting.revision);
}

base::Status Control::OpenServices() {
  const revocation::Lease* const lease = shared_ == nullptr ? nullptr : shared_->lease();
  authz_ = CheckGuestRequests(*edge_, *leaves_, *cutter_, *recorder_, metrics_, lease, clock_);
  connections_ = CheckGuestConnections(*edge_, *leaves_, *cutter_, *recorder_, metrics_);
  access_log_ = std::make_unique<rpc::AccessLogServer>(rpc::AccessLogServer::Hooks{
      .record = [this](const audit::Event& event) { RecordOutcome(event); },
      .leaf_used = [this](std::string_view host) { leaves_->Used(host); },
      .ended = [this](std::string_view id) { cutter_->streams().End(id); },
      .vetted_ended = [this](std::string_view id) { cutter_->streams().EndIfOpen(id); },
      .lost = [this] { edge_->vetted().CutAll("a stream of Envoy's access log has ended"); }});
  ASSIGN_OR_RETURN(access_, ops::MakeAccessSecret(state_.path));
  operator_ = std::make_unique<rpc::OperatorService>(
      rpc::OperatorService::Parts{*sessions_, *revocations_, *policies_, *edge_, metrics_,
                                  denylist_, *audit_, clock_, access_});
  ASSIGN_OR_RETURN(envoy_server_, ServeEnvoy(state_.ControlSocket(), options_.envoy_uid,
                                             edge_->ads(), *authz_, *connections_, *access_log_));
  ASSIGN_OR_RETURN(operator_server_, ServeOperator(state_.OperatorSocket(), *operator_));
  return absl::OkStatus();
}

base::Status Control::Start(Refusal& refusal) {
  ASSIGN_OR_RETURN(StartingPolicy starting, OpenPolicy(refusal));
  RETURN_IF_ERROR(ClaimPlaces(*starting.policy));
  if (starting.revision == 0) {
    ASSIGN_OR_RETURN(starting.revision,
                     store_->AppendPolicy(starting.source.text, starting.source.base_directory,
                                          clock_.UnixNow()));
  }
  RETURN_IF_ERROR(OpenState(*starting.policy));
  RETURN_IF_ERROR(OpenEdge(starting));
  RETURN_IF_ERROR(OpenServices());
  metrics_.SetPolicyRevision(starting.revision);
  serving_ = true;
  RETURN_IF_ERROR(RecordOfItself("edge_started"));
  RETURN_IF_ERROR(link_.Send(
      guardian::StartEnvoy{envoy_start_->Command(state_.envoy_run, options_.envoy_uid)}));
  housekeeping_ = std::jthread([this](const std::stop_token& stop) { Housekeep(stop); });
  return absl::OkStatus();
}

base::Status Control::RecordOfItself(const char* activity) {
  audit::Event event;
  event.kind = audit::EventKind::kOperatorAction;
  event.activity = activity;
  event.allowed = true;
  return recorder_->Record(event);
}

bool Control::Healthy() const {
  if (!serving_) return true;
  (void)audit_->last_seq();
  if (shared_ != nullptr && !shared_->MayBeat(*edge_)) return false;
  return !authz::Decide({}, *edge_->snapshot()).allowed;
}

void Control::Housekeep(const std::stop_token& stop) {
  for (int tick = 1; !stop.stop_requested(); ++tick) {
    std::this_thread::sleep_for(kTick);  // tidy: allow the tick itself is what is waited for
    WatchReadiness();
    edge_->ConfirmRestrictions();
    cutter_->Keep(*edge_->snapshot());
    if (tick % kTicksPerLease == 0) edge_->ads().RenewLeases();
    if (tick % kTicksPerLease == 0 && shared_ != nullptr) shared_->Tick();
    if (tick % kTicksPerSweep == 0) edge_->SweepLeaves();
    // Not here: a database may let it wait.
    if (tick % kTicksPerTidy == 0) (void)tidying_.TryPost([this] { Tidy(); });
  }
}

void Control::Tidy() {
  const base::Status tidied = sessions_->Tidy();
  if (!tidied.ok()) base::LogWarn("housekeeping failed", {{"error", base::Message(tidied)}});
}

// Ready is more than Envoy's word: it has acknowledged everything and every listener accepts.
void Control::WatchReadiness() {
  if (said_ready_ && edge_->Status().ready) return;
  if (!envoy_runs_) return;
  const bool acknowledged =
      edge_->ads().streams() > 0 && edge_->ads().WaitAcknowledged(kAcknowledgeProbe).ok();
  const auto refused = said_ready_ ? std::nullopt : envoy_start_->Refused(edge_->Status());
  if (refused.has_value()) (void)link_.Send(*refused);
  if (refused.has_value() || !acknowledged) return;
  const auto found = admin_.Listeners();
  if (!found.ok()) return;
  const bool proxy = !listeners_.proxy.has_value() ||
                     (found->contains(envoy::kExplicitListener) && Answers(*listeners_.proxy));
  const bool transparent =
      !listeners_.transparent.has_value() ||
      (found->contains(envoy::kTransparentListener) && Answers(*listeners_.transparent));
  // Both lead to the inner listener, which a dial cannot show.
  if (!proxy || !transparent || !found->contains(envoy::kBumpListener)) return;
  edge_->ListeningAt(*found, true);
  base::LogInfo("every listener answers");
  if (said_ready_) return;
  said_ready_ = link_.Send(guardian::Ready{ReadyLine(edge_->Status())}).ok();
}

std::string Control::ReadyLine(const ops::EdgeStatus& status) const {
  const auto shown = [](const std::string& address) { return address.empty() ? "-" : address; };
  return fmt::format("ready proxy={} transparent={} operator=unix:{}", shown(status.proxy_address),
                     shown(status.transparent_address), state_.OperatorSocket());
}

void Control::Hear(const guardian::ToControl& message) {
  if (const auto* started = std::get_if<guardian::EnvoyStarted>(&message)) {
    envoy_runs_ = true;
    cutter_->EnvoyStarted(*started);
    edge_->EnvoyStarted(*started);
    edge_->vetted().Taken();
    edge_->vetted().SetCuttable(cutter_->ending()->how == ops::StreamEnding::How::kCut);
    access_log_->EnvoyStarted();
    base::LogInfo("Envoy runs",
                  {{"pid", std::to_string(started->pid)}, {"confinement", started->confinement}});
  } else if (std::holds_alternative<guardian::EnvoyExited>(message)) {
    envoy_runs_ = false;
    cutter_->EnvoyEnded();
    edge_->ListeningAt({}, false);
    base::LogWarn("Envoy ended");
    const auto fatal = said_ready_ ? std::nullopt : envoy_start_->Ended();
    if (fatal.has_value()) (void)link_.Send(*fatal);
  } else if (const auto* failed = std::get_if<guardian::EnvoyFailed>(&message)) {
    base::LogError("Envoy could not be started", {{"error", failed->message}});
    if (!said_ready_) {
      (void)link_.Send(
          guardian::Fatal{1, "exeat up: Envoy could not be started: " + failed->message});
    }
  } else if (const auto* cut = std::get_if<guardian::SocketsCut>(&message)) {
    cutter_->Heard(*cut);
  } else if (std::holds_alternative<guardian::Drain>(message)) {
    if (draining_.exchange(true)) return;
    base::LogInfo("draining");
    if (envoy_runs_) DrainEnvoy(admin_, *access_log_, *cutter_, clock_);
    (void)link_.Send(guardian::Drained{});
  } else if (std::holds_alternative<guardian::Reload>(message)) {
    // Not here: an apply may wait for Envoy, and the next message may be to drain.
    (void)reloads_.TryPost([this] { Reload(); });
  }
}

void Control::Reload() {
  if (options_.config.empty()) {
    base::LogWarn("SIGHUP: no policy file was named at start, so none is read again");
    return;
  }
  Refusal refusal;
  const auto read = ReadPolicyFile(options_.config, refusal);
  if (!read.ok()) {
    base::LogError("SIGHUP: policy refused, the former one stays", {{"error", refusal.message}});
    return;
  }
  const auto applied = policies_->Apply(read->source);
  if (applied.ok()) {
    base::LogInfo("SIGHUP: policy applied", {{"revision", std::to_string(applied->revision)}});
  } else {
    base::LogError("SIGHUP: policy refused, the former one stays",
                   {{"error", base::Message(applied.status())}});
  }
}

void Control::Stop() {
  if (std::exchange(stopped_, true)) return;
  if (housekeeping_.joinable()) {
    housekeeping_.request_stop();
    housekeeping_.join();
  }
  const auto soon = clock_.WallNow() + std::chrono::milliseconds(300);
  if (shared_ != nullptr) shared_->LetGo();
  if (operator_ != nullptr) operator_->Stop();
  if (operator_server_ != nullptr) operator_server_->Shutdown(soon);
  if (envoy_server_ != nullptr) envoy_server_->Shutdown(soon);
  if (shared_ != nullptr) shared_->Stop();
  // Envoy has ended before control is asked to, and leaves its socket behind.
  if (!state_.path.empty()) (void)guardian::RemoveStaleSocket(state_.AdminSocket());
  if (audit_ == nullptr) return;
  if (edge_ != nullptr) (void)RecordOfItself("edge_stopped");
  (void)audit_->Sync();
  operator_server_.reset();
  envoy_server_.reset();
}

}  // namespace

int RunControl(const ControlOptions& options) {
  base::StartLog("control", options.log_level);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto link = guardian::ControlLink::Adopt(options.link_fd);
  if (!link.ok()) {
    base::LogError("control is started by `exeat up` alone",
                   {{"error", base::Message(link.status())}});
    return 2;
  }
  const base::Status hardened = guardian::HardenProcess();
  Refusal refusal;
  Control control(options, **link);
  std::optional<guardian::BeatThread> beats;
  beats.emplace(**link, base::SystemClock(), [&] { return control.Healthy(); });
  base::Status started = hardened.ok() ? control.Start(refusal) : hardened;
  if (!started.ok()) {
    if (refusal.message.empty()) refusal.message = "exeat up: " + base::Message(started);
    (void)(*link)->Send(guardian::Fatal{refusal.exit_code, refusal.message});
  } else {
    (*link)->Listen([&](const guardian::ToControl& message) { control.Hear(message); },
                    [] { kill(getpid(), SIGTERM); });
  }
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  // Nothing may call into what is about to end.
  control.Stop();
  beats.reset();
  link->reset();
  return 0;
}

}  // namespace exeat
