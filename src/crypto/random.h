// Unpredictable bytes and the ids made of them.
//
// Errors:   kUnavailable the system has no randomness to give: nothing may be made without it.
// Threads:  safe concurrently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"

namespace exeat::crypto {

base::Status FillRandom(std::span<std::uint8_t> out);
base::StatusOr<std::string> RandomBytes(std::size_t count);

// 128 random bits as 26 characters of a-z2-7 (RFC 4648 base32, lower case): safe in URLs, file
// names, header values and logs, and one spelling only.
base::StatusOr<std::string> RandomId();

// A random UUID (RFC 9562 version 4), for peers that want that form.
base::StatusOr<std::string> RandomUuid();

}  // namespace exeat::crypto
