#include "guardian/cutter_thread.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/clock.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr std::chrono::milliseconds kLookAgain{1};

SocketsCut AllOpen(const CutSockets& request) {
  SocketsCut answer;
  answer.batch = request.batch;
  for (const base::SocketId& id : request.sockets) answer.open.push_back(id.cookie);
  return answer;
}

}  // namespace

StatusOr<std::unique_ptr<CutterThread>> CutterThread::Start() {
  UniqueFd done(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!done.valid()) return ErrnoStatus(errno, "eventfd");
  std::unique_ptr<CutterThread> started(new CutterThread(std::move(done)));
  try {
    started->thread_ = std::jthread([cutter = started.get()] { cutter->Run(); });
  } catch (const std::system_error& error) {
    return MakeStatus(StatusCode::kUnavailable, std::string("thread: ") + error.what());
  }
  return started;
}

CutterThread::~CutterThread() {
  base::MutexLock lock(mutex_);
  stopping_ = true;
  wake_.NotifyAll();
}

void CutterThread::Attach(std::unique_ptr<Cutter> cutter) {
  base::MutexLock lock(mutex_);
  attached_ = std::move(cutter);
  wake_.NotifyAll();
}

void CutterThread::Cut(CutSockets request) {
  base::MutexLock lock(mutex_);
  if (waiting_.size() < kMaxWaiting) {
    waiting_.push_back({std::move(request), base::SystemClock().BootNow()});
    wake_.NotifyAll();
  } else {
    done_.push_back(AllOpen(request));
    eventfd_write(done_fd_.get(), 1);
  }
}

void CutterThread::Forget() {
  base::MutexLock lock(mutex_);
  waiting_.clear();
  done_.clear();
  forget_ = true;
}

std::vector<SocketsCut> CutterThread::TakeDone() {
  eventfd_t count = 0;
  eventfd_read(done_fd_.get(), &count);
  base::MutexLock lock(mutex_);
  return std::exchange(done_, {});
}

void CutterThread::AwaitWork(bool idle) {
  if (!idle) {
    if (!stopping_ && waiting_.empty() && attached_ == nullptr) wake_.WaitFor(mutex_, kLookAgain);
    return;
  }
  while (!stopping_ && waiting_.empty() && attached_ == nullptr) wake_.Wait(mutex_);
}

void CutterThread::Publish(std::vector<SocketsCut> answers) {
  if (answers.empty()) return;
  base::MutexLock lock(mutex_);
  if (forget_) return;
  std::move(answers.begin(), answers.end(), std::back_inserter(done_));
  eventfd_write(done_fd_.get(), 1);
}

void CutterThread::Run() {
  std::unique_ptr<Cutter> cutter;
  while (true) {
    std::vector<CutRequest> requests;
    std::unique_ptr<Cutter> next;
    {
      base::MutexLock lock(mutex_);
      AwaitWork(cutter == nullptr || cutter->idle());
      if (stopping_) return;
      requests = std::exchange(waiting_, {});
      next = std::move(attached_);
      if (std::exchange(forget_, false) && cutter != nullptr) cutter->Forget();
    }
    if (next != nullptr) {
      if (cutter != nullptr) Publish(cutter->Poll(base::SystemClock().BootNow()));
      cutter = std::move(next);
    }
    if (cutter == nullptr) {
      std::vector<SocketsCut> answers;
      answers.reserve(requests.size());
      for (const CutRequest& request : requests) answers.push_back(AllOpen(request.sockets));
      Publish(std::move(answers));
      continue;
    }
    if (!requests.empty()) cutter->Begin(requests, base::SystemClock().BootNow());
    Publish(cutter->Poll(base::SystemClock().BootNow()));
  }
}

}  // namespace exeat::guardian
