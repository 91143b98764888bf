// SHA-256 of bytes in memory.
//
// Why here:  the decision path and the audit log hash on every request, so the algorithm is looked
//            up once and each thread keeps one context.
// Errors:    none that a caller could act on: a library without SHA-256 ends the program.
// Threads:   safe concurrently.
// Source:    FIPS 180-4
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace exeat::crypto {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest Sha256(std::string_view bytes);
// The same as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);
// The same bytes as a string_view, for encoders; lives as long as `digest`.
std::string_view AsBytes(const Sha256Digest& digest);

}  // namespace exeat::crypto
