// The environment of a command that `exeat run` starts.
//
// Why here:   pure, so that what each client reads is a test, not a habit.
// Shapes:     both spellings of every proxy variable; HTTP_PROXY too, so that plain HTTP is refused
//             by the edge with a reason instead of going round it; NO_PROXY is loopback only.
//             What was set before under any of these names is gone.
// Never:      in argv: the token is in the environment only. Wipe the result.
#pragma once

#include <string>
#include <vector>

namespace exeat::cli {

struct GuestSetup {
  std::string proxy_url;  // with the token
  std::string token;
  std::string bundle_file;  // the system's roots and ours
  std::string ca_file;      // ours alone
};

// `inherited` and the result are lists of NAME=value.
std::vector<std::string> GuestEnvironment(const std::vector<std::string>& inherited,
                                          const GuestSetup& setup);

}  // namespace exeat::cli
