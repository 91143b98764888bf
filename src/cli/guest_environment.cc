#include "cli/guest_environment.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace exeat::cli {
namespace {

std::map<std::string, std::string, std::less<>> Variables(const GuestSetup& setup) {
  constexpr const char* kLoopback = "localhost,127.0.0.1,::1";
  return {
      {"HTTPS_PROXY", setup.proxy_url},
      {"https_proxy", setup.proxy_url},
      {"HTTP_PROXY", setup.proxy_url},
      {"http_proxy", setup.proxy_url},
      {"NO_PROXY", kLoopback},
      {"no_proxy", kLoopback},
      {"EXEAT_SESSION_TOKEN", setup.token},
      {"SSL_CERT_FILE", setup.bundle_file},
      {"REQUESTS_CA_BUNDLE", setup.bundle_file},
      {"CURL_CA_BUNDLE", setup.bundle_file},
      {"AWS_CA_BUNDLE", setup.bundle_file},
      {"GIT_SSL_CAINFO", setup.bundle_file},
      {"PIP_CERT", setup.bundle_file},
      {"CARGO_HTTP_CAINFO", setup.bundle_file},
      // Node adds this one to its own roots.
      {"NODE_EXTRA_CA_CERTS", setup.ca_file},
      {"NODE_USE_ENV_PROXY", "1"},
  };
}

// Another way round the proxy, past the check of certificates, or to the operator's own socket.
constexpr std::string_view kDropped[] = {"ALL_PROXY", "all_proxy", "SSL_CERT_DIR", "EXEAT_STATE",
                                         "GIT_SSL_CAPATH"};

}  // namespace

std::vector<std::string> GuestEnvironment(const std::vector<std::string>& inherited,
                                          const GuestSetup& setup) {
  const auto ours = Variables(setup);
  std::vector<std::string> environment;
  for (const std::string& entry : inherited) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    const bool dropped =
        std::find(std::begin(kDropped), std::end(kDropped), name) != std::end(kDropped);
    if (!dropped && ours.find(name) == ours.end()) environment.push_back(entry);
  }
  for (const auto& [name, value] : ours) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace exeat::cli
