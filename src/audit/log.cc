#include "audit/log.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "audit/chain.h"
#include "audit/log_file.h"
#include "audit/record.h"
#include "audit/recovery.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mutex.h"
#include "crypto/digest.h"
#include "fmt/format.h"

namespace exeat::audit {
namespace {

using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

// Between two syncs when nobody waits: many records share one.
constexpr std::chrono::milliseconds kSyncEvery{50};
// Between two looks at the file while there is nothing to sync.
constexpr std::chrono::seconds kLookEvery{1};

class ChainedLog final : public Log {
 public:
  ChainedLog(base::UniqueFd lock, std::unique_ptr<LogFile> file, const std::string& directory,
             const Tail& tail, const std::string& deployment, const base::Clock& clock)
      : directory_(directory),
        lock_(std::move(lock)),
        file_(std::move(file)),
        clock_(clock),
        metadata_(RenderMetadata(deployment)),
        size_(tail.size),
        seq_(tail.seq),
        synced_(tail.seq),
        prev_(tail.head),
        syncer_([this] { SyncLoop(); }) {}

  ~ChainedLog() override {
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      wake_.NotifyAll();
    }
    syncer_.join();
  }

  StatusOr<std::uint64_t> Append(const Event& event) override {
    const std::int64_t time_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.WallNow().time_since_epoch())
            .count();
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(poison_);
    RenderRecord(event, {.seq = seq_ + 1, .prev = prev_, .time_ms = time_ms}, metadata_, line_);
    const Status written = WriteLine();
    if (written.ok() != failure_.ok()) ReportChange(written);
    failure_ = written;
    RETURN_IF_ERROR(written);
    ++seq_;
    // Under the lock one thread at a time: no other record may be chained before this one.
    line_.pop_back();
    prev_ = crypto::Sha256Hex(line_);
    if (idle_) wake_.NotifyOne();
    return seq_;
  }

  Status Sync() override {
    base::MutexLock lock(mutex_);
    const std::uint64_t target = seq_;
    ++waiting_;
    wake_.NotifyOne();
    while (synced_ < target && poison_.ok()) synced_more_.Wait(mutex_);
    --waiting_;
    return poison_;
  }

  std::uint64_t last_seq() const override {
    base::MutexLock lock(mutex_);
    return seq_;
  }

  HeadRecord Head() const override {
    base::MutexLock lock(mutex_);
    return {seq_, prev_};
  }

  Status Health() const override {
    base::MutexLock lock(mutex_);
    return poison_.ok() ? failure_ : poison_;
  }

  const std::string& directory() const override { return directory_; }

 private:
  // Leaves either the whole line in the file, or what was there before; when even that cannot be
  // had, the next append tries again first.
  Status WriteLine() REQUIRES(mutex_) {
    if (torn_) {
      RETURN_IF_ERROR(file_->Truncate(size_));
      torn_ = false;
    }
    line_ += '\n';
    const StatusOr<std::size_t> wrote = file_->Write(line_);
    if (wrote.ok() && *wrote == line_.size()) {
      size_ += line_.size();
      return absl::OkStatus();
    }
    torn_ = !file_->Truncate(size_).ok();
    if (!wrote.ok()) return wrote.status();
    return MakeStatus(StatusCode::kUnavailable,
                      fmt::format("the audit log took {} of {} bytes", *wrote, line_.size()));
  }

  static void ReportChange(const Status& written) {
    if (!written.ok()) {
      base::LogError("audit cannot record: requests are denied until it can",
                     {{"error", base::Message(written)}});
    } else {
      base::LogInfo("audit records again");
    }
  }

  void SyncLoop() {
    while (true) {
      std::uint64_t target = 0;
      {
        base::MutexLock lock(mutex_);
        while (synced_ == seq_ && !stopping_ && poison_.ok()) {
          idle_ = true;
          if (!wake_.WaitFor(mutex_, kLookEvery)) LookAtFile();
        }
        idle_ = false;
        LookAtFile();
        if (synced_ == seq_ || !poison_.ok()) return;
        target = seq_;
      }
      const Status synced = file_->Sync();
      base::MutexLock lock(mutex_);
      if (!synced.ok()) {
        // The kernel may have dropped the pages and will not report them again.
        CloseForGood(base::Annotate(synced, "the audit log was not synced and is closed for good"));
        return;
      }
      synced_ = target;
      synced_more_.NotifyAll();
      while (waiting_ == 0 && !stopping_ && wake_.WaitFor(mutex_, kSyncEvery)) {
      }
    }
  }

  // What was written can no longer be proved from a file that somebody else changed, and records
  // chained onto it would only hide where.
  void LookAtFile() REQUIRES(mutex_) {
    if (!poison_.ok()) return;
    Status standing = file_->CheckPlace();
    if (standing.ok()) standing = CheckSize();
    if (standing.ok()) return;
    CloseForGood(base::Annotate(standing,
                                "the audit log was changed underneath and is closed for "
                                "good"));
  }

  Status CheckSize() REQUIRES(mutex_) {
    ASSIGN_OR_RETURN(const std::uint64_t size, file_->Size());
    // Bytes of a write that could not be cut back may still stand behind the last whole record.
    if (size == size_ || (size > size_ && torn_)) return absl::OkStatus();
    return MakeStatus(StatusCode::kDataLoss, fmt::format("{} holds {} bytes, {} were written",
                                                         LogPath(directory_), size, size_));
  }

  void CloseForGood(Status why) REQUIRES(mutex_) {
    poison_ = std::move(why);
    base::LogError("audit cannot record: requests are denied until a restart",
                   {{"error", base::Message(poison_)}});
    synced_more_.NotifyAll();
  }

  const std::string directory_;
  const base::UniqueFd lock_;
  const std::unique_ptr<LogFile> file_;
  const base::Clock& clock_;
  const std::string metadata_;

  mutable base::Mutex mutex_;
  base::CondVar wake_;         // the syncer: something to do
  base::CondVar synced_more_;  // callers of Sync
  std::string line_ GUARDED_BY(mutex_);
  std::uint64_t size_ GUARDED_BY(mutex_);    // bytes up to the last whole record
  std::uint64_t seq_ GUARDED_BY(mutex_);     // of the last record written
  std::uint64_t synced_ GUARDED_BY(mutex_);  // of the last record known to be on the disk
  std::string prev_ GUARDED_BY(mutex_);
  Status failure_ GUARDED_BY(mutex_);  // of the last write
  Status poison_ GUARDED_BY(mutex_);   // why the log is closed for good
  int waiting_ GUARDED_BY(mutex_) = 0;
  bool torn_ GUARDED_BY(mutex_) = false;
  bool idle_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread syncer_;  // last: the rest is there before it starts
};

StatusOr<base::UniqueFd> TakeLock(const std::string& directory) {
  const std::string path = LockPath(directory);
  base::UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return base::ErrnoStatus(errno, path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return base::ErrnoStatus(errno, path);
  return MakeStatus(StatusCode::kFailedPrecondition,
                    fmt::format("{}: another process writes this log; stop it, or set another "
                                "audit.dir",
                                LogPath(directory)));
}

Status SyncDirectory(const std::string& directory) {
  base::UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return base::ErrnoStatus(errno, directory);
  return absl::OkStatus();
}

// Torn bytes that were set aside at this place and not yet recorded: a crash may stand between the
// steps of a recovery.
StatusOr<std::string> ReadSetAside(const std::string& directory, const Tail& tail) {
  StatusOr<std::string> bytes = base::ReadPrivateFile(TornPath(directory, tail.seq + 1));
  if (bytes.status().code() == StatusCode::kNotFound) return std::string();
  return bytes;
}

// The torn bytes are kept before they are cut off: they are evidence. Returns all that is kept.
StatusOr<std::string> SetTornAside(const std::string& directory, const Tail& tail, LogFile& file) {
  ASSIGN_OR_RETURN(std::string kept, ReadSetAside(directory, tail));
  if (tail.torn.empty()) return kept;
  if (!kept.ends_with(tail.torn)) kept += tail.torn;
  RETURN_IF_ERROR(base::WriteFileAtomically(TornPath(directory, tail.seq + 1), kept, 0600));
  RETURN_IF_ERROR(file.Truncate(tail.size));
  RETURN_IF_ERROR(file.Sync());
  return kept;
}

Status RecordRecovery(const Tail& tail, const std::string& kept, Log& log) {
  Event event;
  event.kind = EventKind::kOperatorAction;
  event.allowed = true;
  event.activity = "audit_recovered";
  event.detail = fmt::format("{} torn bytes moved to torn-{}, sha256 {}", kept.size(), tail.seq + 1,
                             crypto::Sha256Hex(kept));
  RETURN_IF_ERROR(log.Append(event).status());
  base::LogWarn("audit log had a torn end", {{"detail", event.detail}});
  return log.Sync();
}

}  // namespace

StatusOr<std::unique_ptr<Log>> OpenLogWith(const LogFileOpener& opener,
                                           const std::string& directory,
                                           const std::string& deployment,
                                           const base::Clock& clock) {
  RETURN_IF_ERROR(base::EnsurePrivateDirectory(directory));
  ASSIGN_OR_RETURN(base::UniqueFd lock, TakeLock(directory));
  ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, opener(LogPath(directory)));
  RETURN_IF_ERROR(SyncDirectory(directory));
  ASSIGN_OR_RETURN(const Tail tail, ReadTail(*file, LogPath(directory)));
  ASSIGN_OR_RETURN(const std::string kept, SetTornAside(directory, tail, *file));
  auto log = std::make_unique<ChainedLog>(std::move(lock), std::move(file), directory, tail,
                                          deployment, clock);
  if (!kept.empty()) RETURN_IF_ERROR(RecordRecovery(tail, kept, *log));
  return std::unique_ptr<Log>(std::move(log));
}

StatusOr<std::unique_ptr<Log>> Log::Open(const std::string& directory,
                                         const std::string& deployment, const base::Clock& clock) {
  return OpenLogWith(OpenLogFile, directory, deployment, clock);
}

}  // namespace exeat::audit
