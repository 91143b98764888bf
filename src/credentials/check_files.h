// What can only be seen of a policy on this machine.
#pragma once

#include <string>
#include <vector>

#include "policy/load.h"

namespace exeat::credentials {

// policy::CheckFiles, and each credential's source as it would be read: one Mistake for each, by
// line; empty when all is well. Never holds a part of a secret.
std::vector<policy::Mistake> CheckFiles(const policy::Policy& policy, const std::string& file);

}  // namespace exeat::credentials
