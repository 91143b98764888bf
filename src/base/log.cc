#include "base/log.h"

#include <memory>

#include "nlohmann/json.hpp"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace exeat::base {
namespace {

struct OperatorLog {
  std::string role = "exeat";
  std::shared_ptr<spdlog::logger> sink = Make();

  static std::shared_ptr<spdlog::logger> Make() {
    auto logger = std::make_shared<spdlog::logger>(
        "exeat", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})",
                        spdlog::pattern_time_type::utc);
    return logger;
  }
};

OperatorLog& Instance() {
  static OperatorLog log;
  return log;
}

void Write(spdlog::level::level_enum level, std::string_view message,
           std::initializer_list<LogField> fields) {
  OperatorLog& log = Instance();
  if (!log.sink->should_log(level)) return;
  nlohmann::ordered_json line = {{"role", log.role}, {"msg", message}};
  for (const auto& [key, value] : fields) line[std::string(key)] = value;
  const std::string text = line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  log.sink->log(level, "{}", std::string_view(text).substr(1, text.size() - 2));
}

}  // namespace

void StartLog(std::string_view role, std::string_view level) {
  Instance().role = role;
  Instance().sink->set_level(spdlog::level::from_str(std::string(level)));
}

void LogDebug(std::string_view message, std::initializer_list<LogField> fields) {
  Write(spdlog::level::debug, message, fields);
}
void LogInfo(std::string_view message, std::initializer_list<LogField> fields) {
  Write(spdlog::level::info, message, fields);
}
void LogWarn(std::string_view message, std::initializer_list<LogField> fields) {
  Write(spdlog::level::warn, message, fields);
}
void LogError(std::string_view message, std::initializer_list<LogField> fields) {
  Write(spdlog::level::err, message, fields);
}

}  // namespace exeat::base
