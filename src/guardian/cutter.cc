#include "guardian/cutter.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace exeat::guardian {
namespace {

using base::SocketId;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

void Disconnect(int fd, bool& done) {
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  done = connect(fd, &none, sizeof(none)) == 0;
}

void Nudge(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  shutdown(fd, SHUT_RDWR);
}

std::int64_t Microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

}  // namespace

Cutter::Cutter(std::optional<DescriptorTable> child, SocketTable sockets, std::uint32_t means,
               const CutterOptions& options)
    : child_(child ? std::make_unique<const DescriptorTable>(*std::move(child)) : nullptr),
      sockets_(std::move(sockets)),
      means_(means),
      options_(options) {}

void Cutter::Begin(const std::vector<CutRequest>& requests, base::BootTime now) {
  std::vector<Batch> fresh;
  for (const CutRequest& request : requests) {
    Batch& batch = fresh.emplace_back();
    batch.arrived = request.arrived;
    batch.answer.batch = request.sockets.batch;
    for (const SocketId& id : request.sockets.sockets) {
      Target& target = batch.waiting.emplace_back();
      target.id = id;
      Destroy(target, now);
    }
  }
  if (SeesDescriptors()) Locate(fresh);
  for (Batch& batch : fresh) {
    for (Target& target : batch.waiting) {
      if (target.number >= 0) (void)Examine(target, now);
    }
    batches_.push_back(std::move(batch));
  }
}

std::vector<SocketsCut> Cutter::Poll(base::BootTime now) {
  std::vector<SocketsCut> answers;
  const bool ended = child_ != nullptr && child_->Ended();
  for (Batch& batch : batches_) {
    const bool late = now - batch.arrived >= options_.evidence_within;
    std::erase_if(batch.waiting, [&](Target& target) {
      const Verdict verdict = ended ? Verdict::kClosed : Examine(target, now);
      if (verdict == Verdict::kClosed) {
        batch.answer.closed.push_back(target.id.cookie);
      } else if (verdict == Verdict::kOpen || late) {
        batch.answer.open.push_back(target.id.cookie);
      } else {
        return false;
      }
      return true;
    });
    if (!batch.waiting.empty()) continue;
    batch.answer.took_us = Microseconds(now - batch.arrived);
    answers.push_back(std::move(batch.answer));
  }
  std::erase_if(batches_, [](const Batch& batch) { return batch.waiting.empty(); });
  return answers;
}

void Cutter::Destroy(Target& target, base::BootTime now) {
  if ((means_ & kCutsByDestroy) == 0 || !sockets_.Destroy(target.id).ok()) return;
  target.aborted = true;
  target.aborted_at = now;
}

void Cutter::Locate(std::vector<Batch>& fresh) {
  std::unordered_set<std::uint64_t> missing;
  const auto place = [&](Target& target) {
    std::uint64_t cookie = 0;
    const int number = Known(target.id.cookie);
    if (number >= 0 && Look(number, cookie).ok() && cookie == target.id.cookie) {
      target.number = number;
    } else if (target.id.cookie != 0) {
      missing.insert(target.id.cookie);
    }
  };
  for (Batch& batch : fresh) std::for_each(batch.waiting.begin(), batch.waiting.end(), place);
  if (missing.empty()) return;
  last_scan_ = Scan(std::move(missing));
  for (Batch& batch : fresh) {
    for (Target& target : batch.waiting) {
      if (target.number < 0) target.number = Known(target.id.cookie);
    }
  }
}

Status Cutter::Scan(std::unordered_set<std::uint64_t> wanted) {
  ASSIGN_OR_RETURN(const int size, child_->Size());
  for (int number = 0; number < size && !wanted.empty(); ++number) {
    std::uint64_t cookie = 0;
    const StatusOr<UniqueFd> seen = Look(number, cookie);
    if (!seen.ok() && seen.status().code() != StatusCode::kNotFound) return seen.status();
    wanted.erase(cookie);
  }
  return absl::OkStatus();
}

// Remembers what is there; `cookie` is 0 when it is no socket.
StatusOr<UniqueFd> Cutter::Look(int number, std::uint64_t& cookie) {
  StatusOr<UniqueFd> duplicate = child_->Duplicate(number);
  cookie = 0;
  if (duplicate.ok()) {
    cookie = SocketCookie(duplicate->get()).value_or(0);
  } else if (duplicate.status().code() != StatusCode::kNotFound) {
    return duplicate;
  }
  const auto at = static_cast<std::size_t>(number);
  if (at >= cookie_at_.size()) cookie_at_.resize(at + 1024);
  if (cookie_at_[at] == cookie) return duplicate;
  const auto former = number_of_.find(cookie_at_[at]);
  if (former != number_of_.end() && former->second == number) number_of_.erase(former);
  if (cookie != 0) number_of_[cookie] = number;
  cookie_at_[at] = cookie;
  return duplicate;
}

int Cutter::Known(std::uint64_t cookie) const {
  const auto found = number_of_.find(cookie);
  return found == number_of_.end() ? -1 : found->second;
}

Cutter::Verdict Cutter::Examine(Target& target, base::BootTime now) {
  if (!SeesDescriptors() || target.id.cookie == 0) return Verdict::kOpen;
  if (target.number < 0) return ExamineUnfound(target);
  std::uint64_t cookie = 0;
  const StatusOr<UniqueFd> duplicate = Look(target.number, cookie);
  if (cookie != target.id.cookie) {
    const bool gone = duplicate.ok() || duplicate.status().code() == StatusCode::kNotFound;
    return gone && child_->IsWhole() ? Verdict::kClosed : Verdict::kWait;
  }
  if (!target.aborted) {
    Abort(target, duplicate->get(), now);
  } else if (!target.nudged && now - target.aborted_at >= options_.nudge_after) {
    target.nudged = true;
    Nudge(duplicate->get());
  }
  return Verdict::kWait;
}

// No descriptor of Envoy's is this socket: closed, unless nobody has taken it up yet.
Cutter::Verdict Cutter::ExamineUnfound(const Target& target) {
  if (!child_->IsWhole()) return Verdict::kWait;
  if (!last_scan_.ok()) return Verdict::kOpen;
  const StatusOr<bool> orphan = sockets_.IsOrphan(target.id);
  if (orphan.status().code() == StatusCode::kNotFound) return Verdict::kClosed;
  return orphan.ok() && *orphan ? Verdict::kClosed : Verdict::kOpen;
}

void Cutter::Abort(Target& target, int duplicate, base::BootTime now) {
  // One that has no remote end any more is dead already; Envoy will see it by itself.
  const auto remote = RemoteEnd(duplicate);
  if (!remote.ok() || *remote != target.id.remote) return;
  Disconnect(duplicate, target.aborted);
  target.aborted_at = now;
}

}  // namespace exeat::guardian
