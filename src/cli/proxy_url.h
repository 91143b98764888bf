// The proxy as a guest on this machine is told of it.
#pragma once

#include <string>

namespace exeat::cli {

// http://session:TOKEN@HOST:PORT; a listener on every address is named by loopback. "" when
// `address` is. The result holds the token: wipe it.
std::string ProxyUrl(const std::string& address, const std::string& token);

// HOST:PORT of that URL.
std::string DialAddress(const std::string& address);

}  // namespace exeat::cli
