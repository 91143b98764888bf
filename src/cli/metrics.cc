// exeat metrics: the Prometheus text, also while Envoy is down.
#include <ostream>
#include <sstream>

#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

// Each sample line as {"series", "value"}; the value stays text, since it may be NaN or +Inf.
nlohmann::json AsJson(const std::string& text) {
  nlohmann::json samples = nlohmann::json::array();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.empty() || line.front() == '#' || space == std::string::npos) continue;
    samples.push_back({{"series", line.substr(0, space)}, {"value", line.substr(space + 1)}});
  }
  return samples;
}

int Metrics(Context& context) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::GetMetricsReply reply;
  const base::Status read = edge->Call(&Stub::GetMetrics, {}, &reply);
  if (!read.ok()) return Fail(context, read);
  if (context.json) {
    context.out << JsonLine({{"samples", AsJson(reply.text())}});
  } else {
    context.out << reply.text();
  }
  return kDone;
}

}  // namespace

void AddMetrics(CLI::App& root, Context& context) {
  AddCommand(root, context, {"metrics", "Print the metrics as Prometheus text", "exeat metrics"},
             [&context] { return Metrics(context); });
}

}  // namespace exeat::cli
