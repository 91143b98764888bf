// The tunnels whose requests Check is not asked about, and what keeps the kill switch above them.
//
// List:      every revoked session that still has such a tunnel stands on a list that Envoy itself
//            refuses requests by, so that it is refused while its socket is being cut. The list
//            is what the open streams and the denylist say, and nothing else is remembered.
// Fail mode: while it cannot be relied on that Envoy is told, none is vetted, and those there are
//            are cut: CutAll.
// Bounds:    kMostListed sessions; one more and all such tunnels are cut, and none is vetted until
//            the list has room again.
// Threads:   safe concurrently. CutAll, Disconnected and Refused take no lock that `push` is called
//            under.
// Source:    docs/adr/0016-asking-once.md
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "limits/open_streams.h"
#include "operator/metrics.h"
#include "revocation/denylist.h"

namespace exeat::ops {

class VettedTunnels {
 public:
  static constexpr std::size_t kMostListed = 1024;

  // All of it outlives the tunnels.
  struct Parts {
    const limits::OpenStreams& streams;
    const revocation::Denylist& denylist;
    // Gives Envoy the whole list; sorted, each sid once.
    std::function<base::Status(const std::vector<std::string>& sids)> push;
    std::function<void(limits::Whose)> cut;
    Metrics& metrics;
  };
  explicit VettedTunnels(Parts parts) : parts_(std::move(parts)) {}

  // Whether a tunnel may be vetted now. To be asked before it is registered and again after.
  bool MayVet();

  // The denylist is another one, or tunnels have ended. True when Envoy was given another list.
  bool Relist();
  // Relists while anything is listed, and cuts again while none may be vetted. Call ten times a
  // second. True as of Relist.
  bool Tidy();

  // Something that the tunnels rely on was lost: every one of them is cut. `why` is for the log.
  void CutAll(std::string_view why);

  // Whether any is registered.
  bool AnyOpen() const;

  // Envoy is there to be told, with whatever list it is given; or it is not.
  void Connected() { connected_ = true; }
  void Disconnected();
  // Envoy refused a filter, maybe the list: none is vetted until it has taken a configuration.
  void Refused();
  void Taken() { refused_ = false; }
  // Whether sockets can be cut.
  void SetCuttable(bool cuttable) { cuttable_ = cuttable; }

  std::size_t listed() const;

 private:
  bool MayBeAny() const { return asked_ != none_until_; }
  bool CanRely() const { return connected_ && cuttable_ && !refused_ && !full_; }

  const Parts parts_;
  std::atomic<bool> connected_{false};
  std::atomic<bool> refused_{false};
  std::atomic<bool> cuttable_{false};
  std::atomic<bool> full_{false};
  // How often it was asked, and up to when none was found: alike, nobody need look.
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> none_until_{0};
  std::atomic<unsigned> ticks_{0};
  mutable base::Mutex mutex_;
  std::vector<std::string> listed_ GUARDED_BY(mutex_);
};

}  // namespace exeat::ops
