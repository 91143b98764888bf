#include "cli/proxy_url.h"

namespace exeat::cli {

std::string DialAddress(const std::string& address) {
  if (address.compare(0, 8, "0.0.0.0:") == 0) return "127.0.0.1:" + address.substr(8);
  if (address.compare(0, 5, "[::]:") == 0) return "[::1]:" + address.substr(5);
  return address;
}

std::string ProxyUrl(const std::string& address, const std::string& token) {
  if (address.empty()) return "";
  return "http://session:" + token + "@" + DialAddress(address);
}

}  // namespace exeat::cli
