// What every exeat process does to itself before it holds a secret.
//
// Why here:   an exec resets dumpability, so each process must do it anew: guardian, control, and
//             the command line, which holds tokens.
// Errors:     whatever prctl or setrlimit said; the caller must not go on to load keys.
// Threads:    call once, before others start.
#pragma once

#include "base/status.h"

namespace exeat::guardian {

// No core file, and no other process of this user may read its memory or take its descriptors.
// The core limit is inherited by children; dumpability is not.
base::Status HardenProcess();

}  // namespace exeat::guardian
