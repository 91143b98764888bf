// The extensions that Envoy must have compiled in, and which of them one does not have.
//
// Why here:   the same version may be built without what we push. A listener with a filter that is
//             unknown is refused whole, late and in Envoy's words; this names what is missing
//             before anything is pushed.
// Shapes:     a need is the type of a configuration that stands somewhere in a resource, or the
//             name of a kind of filter state. HTTP filters of a cluster are registered apart from
//             those of a listener. Envoy says in its first request on a stream what it has.
// Limits:     the bootstrap's extensions are not among them: without one Envoy does not start, and
//             says so itself.
// Fail mode:  who names nothing has nothing.
// Threads:    pure functions.
// Source:     docs/adr/0001-stock-envoy.md
#pragma once

#include <compare>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "envoy/resource.h"
#include "envoy/typing.h"

namespace exeat::envoy {

// As in node.extensions; those that are switched off are left out by who fills it.
struct CompiledIn {
  std::string category;
  std::string name;
  std::vector<std::string> types;  // full names of the messages that configure it
};

struct Need {
  std::string what;      // a full message name, or filter state's own name
  std::string category;  // empty: whichever has it
  auto operator<=>(const Need&) const = default;
};

// Of resources whose bodies are there.
std::set<Need> NeedsOf(const std::vector<Resource>& resources);

// Of everything that any policy can make us push.
base::StatusOr<std::set<Need>> NeededExtensions(const Typing& typing);

// What is needed and not there, for people.
std::vector<std::string> Missing(const std::set<Need>& needed, const std::vector<CompiledIn>& has);

}  // namespace exeat::envoy
