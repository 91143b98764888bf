#include "resolver/resolver.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "base/mutex.h"
#include "resolver/dns_client.h"
#include "resolver/name_state.h"
#include "resolver/own_addresses.h"

namespace exeat::resolver {
namespace {

// poll(2) does not count suspend and the clock does, so a wait is never longer than this.
constexpr std::chrono::milliseconds kLongestWait{1000};
// Names asked for at one time: a long policy must not flood its DNS server at start.
constexpr std::size_t kMaxUnderWay = 100;

// The destinations that dial a name, and their ports.
std::vector<std::pair<std::string, std::vector<std::uint16_t>>> DialledBy(
    const policy::PolicyPtr& policy, const std::string& host) {
  std::vector<std::pair<std::string, std::vector<std::uint16_t>>> dialled;
  if (!policy) return dialled;
  for (const policy::Destination* destination : policy->At(host)) {
    dialled.emplace_back(destination->name, destination->ports);
  }
  return dialled;
}

using Own = base::StatusOr<std::vector<policy::SocketAddress>>;

class ThreadedResolver final : public Resolver {
 public:
  ThreadedResolver(Listener listener, const base::Clock& clock, LookupOptions options,
                   base::UniqueFd wake)
      : listener_(std::move(listener)), clock_(clock), options_(options), wake_(std::move(wake)) {
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  }
  ~ThreadedResolver() override {
    thread_.request_stop();
    Wake();
    thread_.join();
  }

  void Follow(policy::PolicyPtr policy) override {
    {
      base::MutexLock lock(mutex_);
      wanted_ = std::move(policy);
      is_new_ = true;
    }
    Wake();
  }

  std::map<std::string, Addresses> Current() const override {
    base::MutexLock lock(mutex_);
    return published_;
  }

  std::uint64_t DeniedAnswers() const override {
    base::MutexLock lock(mutex_);
    return denied_answers_;
  }

 private:
  void Run(const std::stop_token& stop);
  void Wake() const;
  void Wait();

  // The thread's steps, in the order of one round.
  void AdoptPolicy();
  void AdoptNames(const policy::PolicyPtr& before);
  void AdoptServers(const std::vector<policy::SocketAddress>& before);
  void ExpireNames();
  void StartLookups();

  void TakeAnswer(const std::string& host, const Answer& answer);
  // Filters what is known of the name and tells the listener when that, or what asks, is news.
  void Publish(const std::string& host, const std::vector<policy::IpAddress>& answered,
               const Own& own, bool asked_anew = false);
  Addresses Filter(const std::string& host, const std::vector<policy::IpAddress>& answered,
                   const Own& own) const;

  const Listener listener_;
  const base::Clock& clock_;
  const LookupOptions options_;
  const base::UniqueFd wake_;

  mutable base::Mutex mutex_;
  policy::PolicyPtr wanted_ GUARDED_BY(mutex_);
  bool is_new_ GUARDED_BY(mutex_) = false;
  std::map<std::string, Addresses> published_ GUARDED_BY(mutex_);
  std::uint64_t denied_answers_ GUARDED_BY(mutex_) = 0;

  // The thread's own.
  policy::PolicyPtr policy_;
  std::map<std::string, NameState> names_;  // those that DNS must answer
  std::size_t under_way_ = 0;
  std::unique_ptr<DnsClient> client_;

  std::jthread thread_;  // last: it uses everything above
};

void ThreadedResolver::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    AdoptPolicy();
    ExpireNames();
    StartLookups();
    Wait();
  }
  client_.reset();
}

void ThreadedResolver::Wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is about to wake anyway.
  while (write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void ThreadedResolver::Wait() {
  const base::BootTime now = clock_.BootNow();
  std::chrono::milliseconds wait = kLongestWait;
  for (const auto& [host, state] : names_) {
    const base::BootTime next = state.NextMoment();
    if (next - now >= wait) continue;
    // Names beyond kMaxUnderWay are due and wait for an answer, not for a moment.
    if (next <= now && under_way_ >= kMaxUnderWay) continue;
    wait = std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(next - now));
  }
  std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
  if (client_) {
    client_->AppendTo(fds);
    wait = client_->Wait(wait);
  }
  if (poll(fds.data(), fds.size(), static_cast<int>(wait.count())) < 0) return;
  if (fds[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t ignored = read(wake_.get(), &count, sizeof(count));
  }
  if (client_) client_->Process(fds);
}

void ThreadedResolver::AdoptPolicy() {
  policy::PolicyPtr wanted;
  {
    base::MutexLock lock(mutex_);
    if (!std::exchange(is_new_, false)) return;
    wanted = wanted_;
  }
  const policy::PolicyPtr before = std::exchange(policy_, std::move(wanted));
  AdoptServers(before ? before->resolver.upstream : std::vector<policy::SocketAddress>());
  AdoptNames(before);
}

void ThreadedResolver::AdoptServers(const std::vector<policy::SocketAddress>& before) {
  if (client_ && policy_ && policy_->resolver.upstream == before) return;
  client_.reset();
  under_way_ = 0;
  for (auto& [host, state] : names_) state.Abandon();
}

void ThreadedResolver::AdoptNames(const policy::PolicyPtr& before) {
  std::set<std::string> hosts;
  if (policy_) {
    for (const policy::Destination& destination : policy_->destinations) {
      hosts.insert(destination.host);
    }
  }
  const auto is_fixed = [&](const std::string& host) {
    return policy_->resolver.hosts.contains(host);
  };
  // A forgotten name's lookup may still be under way; TakeAnswer then finds no state and drops it.
  std::erase_if(names_, [&](const auto& entry) {
    return !hosts.contains(entry.first) || is_fixed(entry.first);
  });
  {
    base::MutexLock lock(mutex_);
    std::erase_if(published_, [&](const auto& entry) { return !hosts.contains(entry.first); });
  }
  // What dials a name may have changed while its addresses did not, and then the listener has heard
  // nothing yet of the new destination or port.
  const Own own = policy_ ? OwnAddresses(policy_->listeners) : Own();
  for (const std::string& host : hosts) {
    const bool asked_anew = DialledBy(before, host) != DialledBy(policy_, host);
    if (is_fixed(host)) {
      Publish(host, policy_->resolver.hosts.at(host), own, asked_anew);
    } else if (const auto& known = names_[host].addresses()) {
      Publish(host, *known, own, asked_anew);
    }
  }
}

void ThreadedResolver::ExpireNames() {
  const base::BootTime now = clock_.BootNow();
  for (auto& [host, state] : names_) {
    if (!state.Expire(now)) continue;
    base::LogWarn("a name's answer is too old and no DNS server gave a new one", {{"host", host}});
    Publish(host, {}, OwnAddresses(policy_->listeners));
  }
}

void ThreadedResolver::StartLookups() {
  if (!client_ && policy_ && !policy_->resolver.upstream.empty()) {
    auto client = DnsClient::Make(policy_->resolver.upstream, options_);
    if (client.ok()) {
      client_ = *std::move(client);
    } else {
      base::LogError("cannot ask DNS", {{"error", base::Message(client.status())}});
    }
  }
  const base::BootTime now = clock_.BootNow();
  for (auto& [host, state] : names_) {
    if (under_way_ >= kMaxUnderWay) return;
    if (!state.IsDue(now)) continue;
    state.Begin();
    ++under_way_;
    const auto done = [this, name = host](const Answer& answer) { TakeAnswer(name, answer); };
    if (client_) {
      client_->Lookup(host, done);
    } else {
      done(Answer{});
    }
  }
}

void ThreadedResolver::TakeAnswer(const std::string& host, const Answer& answer) {
  --under_way_;
  const auto found = names_.find(host);
  if (found == names_.end()) return;
  found->second.Take(answer, clock_.BootNow());
  Publish(host, *found->second.addresses(), OwnAddresses(policy_->listeners));
  if (answer.outcome != Answer::Outcome::kAddresses) return;
  base::MutexLock lock(mutex_);
  if (!published_.at(host).denied.empty()) ++denied_answers_;
}

void ThreadedResolver::Publish(const std::string& host,
                               const std::vector<policy::IpAddress>& answered, const Own& own,
                               bool asked_anew) {
  const Addresses addresses = Filter(host, answered, own);
  {
    base::MutexLock lock(mutex_);
    const auto known = published_.find(host);
    if (!asked_anew && known != published_.end() && known->second == addresses) return;
    published_[host] = addresses;
  }
  for (const policy::IpAddress& address : addresses.denied) {
    base::LogWarn("a name resolves into the deny-set",
                  {{"host", host}, {"address", address.ToString()}});
  }
  listener_(host, addresses);
}

Addresses ThreadedResolver::Filter(const std::string& host,
                                   const std::vector<policy::IpAddress>& answered,
                                   const Own& own) const {
  Addresses addresses;
  const std::vector<const policy::Destination*> dialling = policy_->At(host);
  // An address is judged for all ports of the name's destinations: Addresses knows no ports.
  const auto may_dial = [&](const policy::IpAddress& address) {
    if (!own.ok()) return false;
    return std::all_of(dialling.begin(), dialling.end(), [&](const policy::Destination* by) {
      return std::all_of(by->ports.begin(), by->ports.end(), [&](std::uint16_t port) {
        return MayDial(address, port, policy_->resolver.allow_private, *own);
      });
    });
  };
  for (const policy::IpAddress& address : answered) {
    (may_dial(address) ? addresses.good : addresses.denied).push_back(address);
  }
  std::sort(addresses.good.begin(), addresses.good.end());
  std::sort(addresses.denied.begin(), addresses.denied.end());
  return addresses;
}

}  // namespace

base::StatusOr<std::unique_ptr<Resolver>> Resolver::Start(Listener listener,
                                                          const base::Clock& clock,
                                                          LookupOptions options) {
  base::UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return base::ErrnoStatus(errno, "making the resolver's eventfd");
  return std::unique_ptr<Resolver>(
      std::make_unique<ThreadedResolver>(std::move(listener), clock, options, std::move(wake)));
}

}  // namespace exeat::resolver
