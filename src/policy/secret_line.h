// A secret that stands in a file alone, on one line.
#pragma once

#include <string_view>

namespace exeat::policy {

// The secret in a file's content: one line end cut off.
std::string_view SecretLine(std::string_view content);

// What is wrong with it, never a part of it; empty when nothing is.
std::string_view SecretLineObjection(std::string_view secret);

}  // namespace exeat::policy
