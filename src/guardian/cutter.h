// Cuts connections of Envoy at once, and says when Envoy has let go of them.
//
// Why here:   Envoy authorises a stream once; whoever takes a right away must end what is running.
//             Only the parent may reach into the child.
// How:        SOCK_DESTROY where permitted; then, or instead, the descriptor is found by the
//             socket's cookie, duplicated, and disconnected (connect to AF_UNSPEC): the guest is
//             reset and nothing that was queued for it can be drained any more. A little later the
//             duplicate is shut down too, which wakes an owner that was not waiting to read.
// Evidence:   a socket counts as closed when Envoy's descriptor is gone or another socket's, or
//             when Envoy has ended. An aborted socket alone does not: requests that were parsed
//             already could still run. Without pidfd_getfd there is no evidence, so all are open.
// Never:      touches a socket whose cookie and remote end are not both the ones asked for.
// Cost:       a known descriptor some microseconds; else one pass over the child's table, about
//             4 microseconds a descriptor, whatever the number of sockets asked for.
// Threads:    one.
// Source:     docs/adr/0013-cutting-streams.md
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/socket_id.h"
#include "base/status.h"
#include "guardian/descriptor_table.h"
#include "guardian/link_message.h"
#include "guardian/socket_table.h"

namespace exeat::guardian {

struct CutterOptions {
  std::chrono::milliseconds nudge_after{2};         // from the abort to the shutdown
  std::chrono::milliseconds evidence_within{1000};  // then what is not closed is reported open
};

struct CutRequest {
  CutSockets sockets;
  base::BootTime arrived{0};
};

class Cutter {
 public:
  // `means` as of TryCutMeans; a child that could not be opened can only be destroyed for.
  Cutter(std::optional<DescriptorTable> child, SocketTable sockets, std::uint32_t means,
         const CutterOptions& options = {});

  // Aborts what these name. All of them share one pass over the child's table.
  void Begin(const std::vector<CutRequest>& requests, base::BootTime now);
  // Looks again; the answers to the batches of which every socket is closed, or late.
  std::vector<SocketsCut> Poll(base::BootTime now);
  bool idle() const { return batches_.empty(); }
  // Drops every batch without an answer.
  void Forget() { batches_.clear(); }

 private:
  struct Target {
    base::SocketId id;
    int number = -1;  // Envoy's descriptor; -1: not found
    bool aborted = false;
    bool nudged = false;
    base::BootTime aborted_at{0};
  };
  struct Batch {
    base::BootTime arrived{0};
    std::vector<Target> waiting;
    SocketsCut answer;
  };
  enum class Verdict { kClosed, kOpen, kWait };

  bool SeesDescriptors() const { return child_ != nullptr && (means_ & kCutsByDescriptor) != 0; }
  void Destroy(Target& target, base::BootTime now);
  void Locate(std::vector<Batch>& fresh);
  base::Status Scan(std::unordered_set<std::uint64_t> wanted);
  base::StatusOr<base::UniqueFd> Look(int number, std::uint64_t& cookie);
  int Known(std::uint64_t cookie) const;
  Verdict Examine(Target& target, base::BootTime now);
  Verdict ExamineUnfound(const Target& target);
  void Abort(Target& target, int duplicate, base::BootTime now);

  const std::unique_ptr<const DescriptorTable> child_;  // null: not to be seen
  SocketTable sockets_;
  const std::uint32_t means_;
  const CutterOptions options_;
  std::vector<Batch> batches_;
  base::Status last_scan_;
  // Where each cookie was at the last look: proved again before use.
  std::unordered_map<std::uint64_t, int> number_of_;
  std::vector<std::uint64_t> cookie_at_;  // by descriptor; 0: no socket
};

}  // namespace exeat::guardian
