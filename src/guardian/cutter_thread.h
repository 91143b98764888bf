// Cuts on a thread of its own, so that the watchdog never waits behind a look through Envoy's
// descriptors.
//
// Why here:   the guardian's loop hands over what control asked for and picks up the answers when
//             done_fd() says so.
// Fail mode:  no Envoy attached, or more batches waiting than kMaxWaiting: all reported open.
// Threads:    the methods belong to the thread that started it; none of them waits for a cut. It
//             blocks no signals itself: start it once they are blocked. Never forks.
#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/status.h"
#include "guardian/cutter.h"

namespace exeat::guardian {

class CutterThread {
 public:
  static constexpr std::size_t kMaxWaiting = 256;

  static base::StatusOr<std::unique_ptr<CutterThread>> Start();
  ~CutterThread();
  CutterThread(const CutterThread&) = delete;
  CutterThread& operator=(const CutterThread&) = delete;

  // From now on these are Envoy's. Its predecessor has ended, so what it held is closed.
  void Attach(std::unique_ptr<Cutter> cutter);
  void Cut(CutSockets request);
  // Drops every request and every answer: who asked is gone.
  void Forget();

  // Readable when an answer waits.
  int done_fd() const { return done_fd_.get(); }
  std::vector<SocketsCut> TakeDone();

 private:
  explicit CutterThread(base::UniqueFd done_fd) : done_fd_(std::move(done_fd)) {}
  void Run();
  void AwaitWork(bool idle) REQUIRES(mutex_);
  void Publish(std::vector<SocketsCut> answers) EXCLUDES(mutex_);

  const base::UniqueFd done_fd_;
  base::Mutex mutex_;
  base::CondVar wake_;
  std::vector<CutRequest> waiting_ GUARDED_BY(mutex_);
  std::unique_ptr<Cutter> attached_ GUARDED_BY(mutex_);  // not yet taken up
  std::vector<SocketsCut> done_ GUARDED_BY(mutex_);
  bool forget_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace exeat::guardian
