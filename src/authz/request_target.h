// The form of a request's method, authority and path, before any policy is looked at.
//
// Why here:   what Envoy normalises or refuses is judged once more, so that a changed Envoy setting
//             cannot make a path rule mean something else upstream.
// Threads:    pure functions.
// Source:     RFC 9110 section 9.1, RFC 3986 section 3.3
#pragma once

#include <string_view>

namespace exeat::authz {

// A method as RFC 9110 spells it: a non-empty token.
bool IsMethod(std::string_view method);

// True when a client might take the host of this authority for an address: a bracketed IPv6, a
// dotted quad, or a name whose last label is a number (octal, hexadecimal and short forms).
bool IsAddressLiteral(std::string_view authority);

// True unless the target begins with '/' and its path could have left Envoy's normalisation: no dot
// segments (also escaped, or with parameters, which some servers drop before they resolve dots),
// doubled or escaped slashes, backslashes, fragments, NUL or control bytes. The query may hold
// anything but control bytes.
bool IsMalformedTarget(std::string_view target);

}  // namespace exeat::authz
