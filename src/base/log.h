// The operator's log: one JSON object a line on standard error.
//
// Why here:  one place that formats, so no caller can print a half line or forget the level.
// Errors:    none; a log that cannot be written is dropped.
// Never:     tokens, keys, credential values, whole claim sets. Name things by id.
// Threads:   safe concurrently.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace exeat::base {

using LogField = std::pair<std::string_view, std::string>;

// Names this process in every line, e.g. "control"; levels below `level` ("debug", "info", "warn",
// "error") are dropped. Call once, before other threads start.
void StartLog(std::string_view role, std::string_view level);

void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {});
void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {});
void LogWarn(std::string_view message, std::initializer_list<LogField> fields = {});
void LogError(std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace exeat::base
