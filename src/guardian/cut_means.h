// What this guardian may do to its Envoy's connections, tried out rather than guessed.
//
// Why here:   capabilities, uids, Yama, seccomp filters and kernel options all have a say, so the
//             only honest answer is that of an attempt.
// Cost:       some system calls, and up to 50 ms when the child may not be looked at.
// Threads:    safe concurrently.
// Source:     docs/adr/0013-cutting-streams.md
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "guardian/descriptor_table.h"

namespace exeat::guardian {

struct CutMeans {
  std::uint32_t bits = 0;   // kCutsByDestroy, kCutsByDescriptor of link_message.h
  std::string description;  // for people: what is permitted, or "none: " and why
};

// Duplicates standard input of the child, and finds and destroys a connection of its own making.
// Where none can be found in the kernel's table there are no means: what has no name is not cut.
CutMeans TryCutMeans(const base::StatusOr<DescriptorTable>& child);

}  // namespace exeat::guardian
