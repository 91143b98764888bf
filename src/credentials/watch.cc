#include "credentials/watch.h"

#include <sys/stat.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace exeat::credentials {
namespace {

constexpr std::chrono::milliseconds kPeriod{200};
constexpr int kLooksAgain = 3;

// What changes when a file is replaced or written.
using Stamp = std::tuple<dev_t, ino_t, off_t, std::int64_t, std::int64_t, mode_t, uid_t>;

std::optional<Stamp> StampOf(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  const auto nanoseconds = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return Stamp(info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim),
               nanoseconds(info.st_ctim), info.st_mode, info.st_uid);
}

// Of all files of one credential.
using Stamps = std::vector<std::optional<Stamp>>;

Stamps StampsOf(const policy::Credential& credential) {
  Stamps stamps = {StampOf(credential.file)};
  if (!credential.key_file.empty()) stamps.push_back(StampOf(credential.key_file));
  return stamps;
}

}  // namespace

class Watch::Body {
 public:
  explicit Body(Listener listener)
      : listener_(std::move(listener)),
        thread_([this](const std::stop_token& stop) { Run(stop); }) {}

  ~Body() {
    thread_.request_stop();
    wake_.NotifyAll();
  }

  void Follow(policy::PolicyPtr policy) {
    base::MutexLock lock(mutex_);
    policy_ = std::move(policy);
    seen_.clear();
    Look();
  }

 private:
  void Run(const std::stop_token& stop) {
    base::MutexLock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.WaitFor(mutex_, kPeriod);
      if (!stop.stop_requested()) Look();
    }
  }

  void Look() REQUIRES(mutex_) {
    if (policy_ == nullptr) return;
    for (const policy::Credential& credential : policy_->credentials) {
      Seen& seen = seen_[credential.name];
      Stamps stamps = StampsOf(credential);
      if (seen.stamps == stamps) continue;
      const auto material = ReadMaterial(credential);
      const bool half_replaced =
          seen.was_good && material.status().code() == base::StatusCode::kAborted;
      if (half_replaced && ++seen.looks_again <= kLooksAgain) continue;
      seen = {.stamps = std::move(stamps), .was_good = material.ok()};
      static const Material kNone;
      listener_(credential, material.ok() ? *material : kNone, material.status());
    }
  }

  struct Seen {
    std::optional<Stamps> stamps;
    bool was_good = false;
    int looks_again = 0;
  };

  const Listener listener_;
  base::Mutex mutex_;
  base::CondVar wake_;
  policy::PolicyPtr policy_ GUARDED_BY(mutex_);
  std::map<std::string, Seen> seen_ GUARDED_BY(mutex_);  // by name
  std::jthread thread_;                                  // last: it uses all of the above
};

Watch::Watch(Listener listener) : body_(std::make_unique<Body>(std::move(listener))) {}
Watch::~Watch() = default;
void Watch::Follow(policy::PolicyPtr policy) { body_->Follow(std::move(policy)); }

}  // namespace exeat::credentials
