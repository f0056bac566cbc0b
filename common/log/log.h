// SPDX-License-Identifier: AGPL-3.0-only
// Structured logs: one line an event on standard error, logfmt: `t=<ISO 8601 UTC> level=info proc=netd event=poll unit=u-1
// reason="..."`. Values are escaped so that no text from outside can forge a line or move a terminal (W-56). Never pass a
// secret or a payload. Safe from any thread; each line is one write(2).
#ifndef AUSPEX_COMMON_LOG_LOG_H_
#define AUSPEX_COMMON_LOG_LOG_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace auspex {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One key and value. Values longer than 512 octets are cut.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
  std::string_view key;
  std::string value;
};

// Names this process in every line and sets the lowest level that is written (default info). Call once at start.
void InitLog(std::string_view process, LogLevel lowest = LogLevel::kInfo);
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void LogDebug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, event, fields);
}
inline void LogError(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, event, fields);
}

}  // namespace auspex

#endif  // AUSPEX_COMMON_LOG_LOG_H_
