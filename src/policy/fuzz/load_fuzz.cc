// Whatever the bytes: Load returns, and what it accepts is coherent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "policy/host_name.h"
#include "policy/load.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

void DemandCoherent(const exeat::policy::Policy& policy) {
  Demand(!policy.deployment.empty());
  Demand(policy.listeners.proxy || policy.listeners.transparent);
  std::set<std::string> names;
  for (const auto& destination : policy.destinations) {
    Demand(names.insert(destination.name).second);
    Demand(exeat::policy::IsCanonicalHost(destination.host));
    Demand(!destination.ports.empty());
    Demand(!destination.allow || !destination.allow->empty());
    Demand(destination.credential.empty() ||
           policy.FindCredential(destination.credential) != nullptr);
    Demand(policy.Find(destination.host, destination.ports[0]) == &destination);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto loaded = exeat::policy::Load(text, "fuzz.yaml", "/nowhere");
  if (loaded.ok()) {
    DemandCoherent(loaded.policy);
    Demand(exeat::policy::Diff(loaded.policy, loaded.policy).empty());
  }
  for (const auto& mistake : loaded.mistakes) Demand(!mistake.ToString().empty());
  return 0;
}
