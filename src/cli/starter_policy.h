// The policy that `exeat init` writes.
//
// Why here:   a test loads it with the real loader, so that the first thing a user sees works.
#pragma once

#include <string>
#include <string_view>

namespace exeat::cli {

// `name_servers` is what stands between the brackets of resolver.upstream.
std::string StarterPolicy(const std::string& name_servers);

// That list from a resolv.conf; a public resolver when it names none.
std::string NameServers(std::string_view resolv_conf);

}  // namespace exeat::cli
