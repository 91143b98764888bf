// What the desks need of the other edges of a shared store.
#pragma once

#include "operator/edges.h"
#include "operator/sequence.h"
#include "operator/shared_keys.h"

namespace exeat::ops {

struct Sharing {
  Edges& edges;
  Sequence& sequence;
  SharedKeys& keys;
};

}  // namespace exeat::ops
