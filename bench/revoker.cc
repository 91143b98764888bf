// P11, P12 and P13's operator: revokes on a running edge over its socket, and sees when what holds.
//
//   revoker STATE HOST HOST-PORT LISTENER-PORT ISSUER
//
// Prints "ready", and answers each line on standard input. Times are microseconds.
//   session       a new one: SID TOKEN
//   revoke SID    ACKNOWLEDGED CUT UNCUT; ACKNOWLEDGED in nanoseconds of CLOCK_MONOTONIC
//   force N       P11, N trials: median and 99th percentile of a null round trip, and of the last
//                 allow after the revoke was sent; then allows that began after the
//                 acknowledgement, and streams that were not seen cut within a second
//   durable N     P12, N trials: medians of a null round trip, of a page written and fdatasynced
//                 beside the database, and of the acknowledgement
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/status.h"
#include "bench/guests.h"
#include "bench/timing.h"
#include "cli/edge_client.h"

namespace exeat::bench {
namespace {

constexpr int kGuests = 64;
// Short ones make room: a revoked session counts as live until its token ends.
constexpr std::chrono::seconds kOfTrial{60};
constexpr std::chrono::seconds kOfHarness{3600};

// An edge by its operator's socket.
class Operator {
 public:
  explicit Operator(cli::EdgeClient client) : client_(std::move(client)) {}

  ops::v1::MintedSession Session(std::chrono::seconds lifetime) {
    ops::v1::CreateSessionRequest request;
    request.set_sub("agent-1");
    request.set_ttl_s(lifetime.count());
    ops::v1::MintedSession minted;
    Must(client_.Call(&cli::Stub::CreateSession, request, &minted));
    return minted;
  }

  // One that is refused before anything is looked at.
  Nanoseconds NullRoundTrip() {
    ops::v1::RestoreReply reply;
    const Nanoseconds sent = Now();
    const base::Status answer = client_.Call(&cli::Stub::Restore, {}, &reply);
    const Nanoseconds took = Now() - sent;
    if (answer.code() != base::StatusCode::kInvalidArgument) Fail(base::Message(answer));
    return took;
  }

  struct Revoked {
    Nanoseconds acknowledged = 0;
    ops::v1::StreamsCut streams;
  };
  template <class Told>
  Revoked Revoke(const std::string& sid, Told told) {
    ops::v1::RevokeRequest request;
    ops::v1::Revocable& what = *request.add_what();
    what.set_kind(ops::v1::REVOKED_KIND_SESSION);
    what.set_id(sid);
    request.set_reason("benchmark");
    Revoked revoked;
    auto streams = client_.Revoke(request, [&](const ops::v1::RevokeAcknowledged& said) {
      revoked.acknowledged = Now();
      if (!said.durable()) Fail(said.problem());
      told(revoked.acknowledged);
    });
    Must(streams.status());
    revoked.streams = *std::move(streams);
    return revoked;
  }

 private:
  static void Must(const base::Status& status) { bench::Must(status.ok(), base::Message(status)); }

  cli::EdgeClient client_;
};

std::string Force(Operator& edge, Guests& guests, int trials) {
  Times null, last;
  std::uint64_t late = 0;
  std::uint64_t uncut = 0;
  for (int i = 0; i < trials; ++i) {
    const ops::v1::MintedSession minted = edge.Session(kOfTrial);
    const std::string& sid = minted.session().sid();
    guests.Begin(sid, minted.token());
    null.Add(edge.NullRoundTrip());
    const Nanoseconds sent = Now();
    const auto revoked = edge.Revoke(sid, [&](Nanoseconds when) { guests.Acknowledged(when); });
    const Guests::Seen seen = guests.Finish();
    last.Add(std::max<Nanoseconds>(0, seen.last_allow - sent));
    late += seen.begun_late;
    uncut += revoked.streams.uncut();
  }
  return fmt::format("{} {} {} {} {} {}", null.MicrosecondsAt(0.5), null.MicrosecondsAt(0.99),
                     last.MicrosecondsAt(0.5), last.MicrosecondsAt(0.99), late, uncut);
}

// A file that already has its size, so that a sync of it writes what was written and nothing of the
// file system's: as it is with a database's log after its first round.
class SyncedFile {
 public:
  explicit SyncedFile(std::string path)
      : path_(std::move(path)),
        fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
    for (std::size_t i = 0; i < kPages; ++i) Put(i);
    Must(fdatasync(fd_.get()) == 0);
  }
  ~SyncedFile() { unlink(path_.c_str()); }
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;

  Nanoseconds Write() {
    const Nanoseconds began = Now();
    Put(next_++ % kPages);
    Must(fdatasync(fd_.get()) == 0);
    return Now() - began;
  }

 private:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kPages = 1024;

  static void Must(bool holds) { bench::Must(holds, "cannot write beside the database"); }
  void Put(std::size_t page) const {
    static const std::string text(kPage, 'x');
    const auto place = static_cast<off_t>(page * kPage);
    Must(pwrite(fd_.get(), text.data(), kPage, place) == static_cast<ssize_t>(kPage));
  }

  const std::string path_;
  const base::UniqueFd fd_;
  std::size_t next_ = 0;
};

std::string Durable(Operator& edge, const std::string& state, int trials) {
  SyncedFile file(state + "/fdatasync-of-bench");
  Times null, sync, acknowledged;
  for (int i = 0; i < trials; ++i) {
    const std::string sid = edge.Session(kOfTrial).session().sid();
    null.Add(edge.NullRoundTrip());
    sync.Add(file.Write());
    const Nanoseconds sent = Now();
    acknowledged.Add(edge.Revoke(sid, [](Nanoseconds) {}).acknowledged - sent);
  }
  return fmt::format("{} {} {}", null.MicrosecondsAt(0.5), sync.MicrosecondsAt(0.5),
                     acknowledged.MicrosecondsAt(0.5));
}

std::string Obey(Operator& edge, Guests& guests, const std::string& state,
                 const std::string& line) {
  std::istringstream words(line);
  std::string command, value;
  words >> command >> value;
  if (command == "session") {
    const ops::v1::MintedSession minted = edge.Session(kOfHarness);
    return minted.session().sid() + " " + minted.token();
  }
  if (command == "revoke") {
    const auto revoked = edge.Revoke(value, [](Nanoseconds) {});
    return fmt::format("{} {} {}", revoked.acknowledged, revoked.streams.cut(),
                       revoked.streams.uncut());
  }
  if (command == "force") return Force(edge, guests, std::atoi(value.c_str()));
  if (command == "durable") return Durable(edge, state, std::atoi(value.c_str()));
  return "unknown: " + line;
}

int Run(char** argv) {
  const std::string state = argv[1];
  auto client = cli::EdgeClient::ConnectState(state);
  if (!client.ok()) Fail(base::Message(client.status()));
  Operator edge(*std::move(client));
  Guests guests(state + "/run/envoy/control.sock",
                {.issuer = argv[5],
                 .host = argv[2],
                 .host_port = static_cast<std::uint16_t>(std::atoi(argv[3])),
                 .listener_port = static_cast<std::uint16_t>(std::atoi(argv[4]))},
                kGuests);
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", Obey(edge, guests, state, line));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s STATE HOST HOST-PORT LISTENER-PORT ISSUER\n", argv[0]);
    return 2;
  }
  return exeat::bench::Run(argv);
}
