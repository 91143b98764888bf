// Comparison of secrets whose time does not tell where they differ.
#pragma once

#include <string_view>

namespace exeat::crypto {

// The lengths are not secret.
bool EqualConstantTime(std::string_view a, std::string_view b);

}  // namespace exeat::crypto
