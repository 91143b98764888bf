// The policy that `exeat init` writes.
//
// Shapes:   loads without a mistake and needs no file of its own, so `exeat up` starts with it at
//           once; a test holds both.
#pragma once

#include <string_view>

namespace exeat::policy {

std::string_view StarterPolicy();

}  // namespace exeat::policy
