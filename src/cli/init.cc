// exeat init: a commented starter policy.
#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <ostream>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"
#include "policy/ip_address.h"
#include "policy/starter.h"

namespace exeat::cli {
namespace {

struct Options {
  std::string file = "exeat.yaml";
};

base::Status WriteNew(const std::string& path, std::string_view content) {
  const base::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd.valid() && errno == EEXIST) {
    return base::MakeStatus(base::StatusCode::kAlreadyExists,
                            path +
                                " is there already and was not touched; name another file, or "
                                "look at it with: exeat policy check " +
                                path);
  }
  if (!fd.valid()) return base::ErrnoStatus(errno, path);
  return base::WriteAll(fd.get(), content, path);
}

// What stands between the brackets of resolver.upstream; "" when resolv.conf names no server.
std::string NameServers(std::string_view resolv_conf) {
  std::istringstream lines{std::string(resolv_conf)};
  std::string servers;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword;
    std::string address;
    if (!(words >> keyword >> address) || keyword != "nameserver") continue;
    const auto ip = policy::IpAddress::Parse(address);
    if (!ip) continue;
    servers += (servers.empty() ? "\"" : ", \"") + policy::SocketAddress{*ip, 53}.ToString() + "\"";
  }
  return servers;
}

// The starter with this machine's own name servers, where outside ones may not be reachable.
std::string StarterHere() {
  std::string policy(policy::StarterPolicy());
  const base::StatusOr<std::string> resolv = base::ReadFile("/etc/resolv.conf");
  const std::string servers = NameServers(resolv.ok() ? *resolv : "");
  constexpr std::string_view kKey = "  upstream: [";
  const std::size_t start = policy.find(kKey);
  if (servers.empty() || start == std::string::npos) return policy;
  const std::size_t first = start + kKey.size();
  return policy.replace(first, policy.find(']', first) - first, servers);
}

int RunInit(Context& context, const Options& options) {
  const base::Status written = WriteNew(options.file, StarterHere());
  if (!written.ok()) return Fail(context, written);
  const std::string up = options.file == "exeat.yaml" ? "exeat up" : "exeat up -c " + options.file;
  const std::string run = "exeat run -- curl -sS https://example.com/";
  if (context.json) {
    context.out << JsonLine({{"file", options.file}, {"next", {up, run}}});
  } else {
    context.out << "wrote " << options.file << "\nnext, in this terminal:    " << up
                << "\nthen, in another one here: " << run << "\n";
  }
  return kDone;
}

}  // namespace

void AddInit(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(root, context,
                 {"init", "Write a commented starter policy", "exeat init\nexeat init agents.yaml"},
                 [&context, options] { return RunInit(context, *options); });
  command.add_option("file", options->file, "The file to write; never overwritten")
      ->type_name("FILE")
      ->capture_default_str();
}

}  // namespace exeat::cli
