#include "credentials/watch.h"

#include <sys/stat.h>

#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "base/mutex.h"

namespace exeat::credentials {
namespace {

constexpr std::chrono::milliseconds kPeriod{200};

base::Status Invalid(const char* what) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument, what);
}

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

base::StatusOr<base::Secret> ReadValue(const std::string& path) {
  auto content = base::ReadPrivateFile(path, kMaxValueBytes);
  if (!content.ok()) return content.status();
  auto value = ValueOf(*content);
  base::Secret::Wipe(*content);
  if (!value.ok()) return base::Annotate(value.status(), path);
  return value;
}

}  // namespace

base::StatusOr<base::Secret> ValueOf(std::string content) {
  if (content.ends_with('\n')) content.pop_back();
  if (content.ends_with('\r')) content.pop_back();
  const bool blank = content.find_first_not_of(" \t") == std::string::npos;
  bool controls = false;
  for (const char c : content) controls = controls || std::iscntrl(static_cast<unsigned char>(c));
  base::Secret value(content);
  base::Secret::Wipe(content);
  if (blank) return Invalid("the credential is blank; write its value into the file");
  if (controls) {
    return Invalid(
        "the credential holds a control character or more than one line; write its "
        "value alone, on one line");
  }
  return value;
}

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
      const std::optional<Stamp> stamp = StampOf(credential.file);
      const auto seen = seen_.find(credential.name);
      if (seen != seen_.end() && seen->second == stamp) continue;
      seen_[credential.name] = stamp;
      const auto value = ReadValue(credential.file);
      static const base::Secret kNone;
      listener_(credential, value.ok() ? *value : kNone, value.status());
    }
  }

  const Listener listener_;
  base::Mutex mutex_;
  base::CondVar wake_;
  policy::PolicyPtr policy_ GUARDED_BY(mutex_);
  std::map<std::string, std::optional<Stamp>> seen_ GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses all of the above
};

Watch::Watch(Listener listener) : body_(std::make_unique<Body>(std::move(listener))) {}
Watch::~Watch() = default;
void Watch::Follow(policy::PolicyPtr policy) { body_->Follow(std::move(policy)); }

}  // namespace exeat::credentials
