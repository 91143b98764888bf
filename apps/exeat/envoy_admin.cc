#include "envoy_admin.h"

#include <curl/curl.h>

#include <memory>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat {
namespace {

constexpr long kTimeoutMs = 2000;
constexpr std::size_t kMaxAnswerBytes = 8 << 20;

std::size_t Collect(char* bytes, std::size_t size, std::size_t count, void* into) {
  auto& answer = *static_cast<std::string*>(into);
  if (answer.size() + size * count > kMaxAnswerBytes) return 0;
  answer.append(bytes, size * count);
  return size * count;
}

base::Status Unavailable(const std::string& message) {
  return base::MakeStatus(base::StatusCode::kUnavailable, "Envoy's admin socket: " + message);
}

}  // namespace

base::StatusOr<std::string> EnvoyAdmin::Ask(const char* path, bool post) const {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(),
                                                                   &curl_easy_cleanup);
  if (handle == nullptr) return Unavailable("libcurl could not be set up");
  std::string answer;
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path_.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, fmt::format("http://envoy{}", path).c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  if (post) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return Unavailable(curl_easy_strerror(code));
  return answer;
}

base::StatusOr<std::map<std::string, std::string>> EnvoyAdmin::Listeners() const {
  ASSIGN_OR_RETURN(const std::string answer, Ask("/listeners?format=json", false));
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return Unavailable("no JSON in the answer");
  std::map<std::string, std::string> listeners;
  for (const auto& status : json.value("listener_statuses", nlohmann::json::array())) {
    const auto address = status.value(nlohmann::json::json_pointer("/local_address/socket_address"),
                                      nlohmann::json::object());
    std::string& shown = listeners[status.value("name", "")];
    if (!address.contains("port_value")) continue;  // internal: it has a name only
    const std::string ip = address.value("address", "");
    const bool v6 = ip.find(':') != std::string::npos;
    shown = fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), ip, address.value("port_value", 0));
  }
  return listeners;
}

base::Status EnvoyAdmin::DrainListeners() const {
  return Ask("/drain_listeners?graceful&skip_exit", true).status();
}

base::StatusOr<std::uint64_t> EnvoyAdmin::OpenConnections() const {
  return Sum("^http\\..*downstream_cx_active$");
}

base::StatusOr<std::uint64_t> EnvoyAdmin::LogEntries() const {
  return Sum("^access_logs\\.grpc_access_log\\.logs_written$");
}

base::StatusOr<std::uint64_t> EnvoyAdmin::Sum(const char* filter) const {
  ASSIGN_OR_RETURN(const std::string answer,
                   Ask(fmt::format("/stats?format=json&filter={}", filter).c_str(), false));
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return Unavailable("no JSON in the answer");
  std::uint64_t sum = 0;
  for (const auto& stat : json.value("stats", nlohmann::json::array())) {
    if (stat.value("name", "").find("admin") != std::string::npos) continue;
    sum += stat.value("value", std::uint64_t{0});
  }
  return sum;
}

}  // namespace exeat
