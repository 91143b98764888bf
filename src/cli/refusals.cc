#include "cli/refusals.h"

#include <algorithm>

#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

constexpr std::uint64_t kMostRecords = 5000;
constexpr std::size_t kMostRefusals = 5;

// "" for a record that is no refusal of this session.
std::string Refusal(const std::string& line, const std::string& sid) {
  if (line.find(sid) == std::string::npos) return "";
  const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
  if (!record.is_object()) return "";
  const auto text = [&record](const char* pointer) {
    const auto found = record.value(nlohmann::json::json_pointer(pointer), nlohmann::json());
    return found.is_string() ? found.get<std::string>() : found.is_null() ? "" : found.dump();
  };
  const std::string reason = text("/unmapped/exeat/reason");
  if (text("/unmapped/exeat/sid") != sid || text("/unmapped/exeat/phase") != "outcome") return "";
  if (reason.empty()) return "";
  return text("/http_request/http_method") + " " + text("/dst_endpoint/hostname") + ":" +
         text("/dst_endpoint/port") + ", " + reason;
}

}  // namespace

std::vector<std::string> RefusedTo(EdgeClient& edge, const std::string& sid,
                                   std::uint64_t after_seq) {
  std::vector<std::string> refused;
  ops::v1::EdgeStatus status;
  if (!edge.Call(&Stub::GetStatus, {}, &status).ok()) return refused;
  const std::uint64_t newest = status.audit_seq();
  ops::v1::TailAuditRequest request;
  request.set_from_seq(std::max(after_seq, newest > kMostRecords ? newest - kMostRecords : 0) + 1);
  const base::Status read = edge.TailAudit(request, [&](const std::string& line) {
    const std::string refusal = Refusal(line, sid);
    const bool told = std::find(refused.begin(), refused.end(), refusal) != refused.end();
    if (!refusal.empty() && !told) refused.push_back(refusal);
    return refused.size() < kMostRefusals;
  });
  return read.ok() ? refused : std::vector<std::string>{};
}

}  // namespace exeat::cli
