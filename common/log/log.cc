// SPDX-License-Identifier: AGPL-3.0-only
#include "common/log/log.h"

#include <unistd.h>

#include <atomic>

#include "common/base/clock.h"
#include "common/base/encoding.h"

namespace auspex {
namespace {

constexpr size_t kMaxValueOctets = 512;

// Written once by InitLog before threads exist, then only read.
std::string& ProcessName() {
  static std::string name = "auspex";
  return name;
}
std::atomic<LogLevel> lowest_level{LogLevel::kInfo};

std::string_view LevelWord(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

bool Plain(std::string_view value) {
  if (value.empty()) return false;
  for (const char c : value) {
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

// Values that need it are quoted; everything outside printable ASCII becomes \xNN, so a line is always one line.
void AppendValue(std::string& line, std::string_view value) {
  const bool cut = value.size() > kMaxValueOctets;
  value = value.substr(0, kMaxValueOctets);
  if (Plain(value) && !cut) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c >= 0x20 && c < 0x7f) {
      line += c;
    } else {
      line += "\\x";
      line += HexEncode(std::string_view(&c, 1));
    }
  }
  if (cut) line += "...";
  line += '"';
}

}  // namespace

void InitLog(std::string_view process, LogLevel lowest) {
  ProcessName() = process;
  lowest_level = lowest;
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  std::string line = "t=";
  line += FormatWireTime(Clock::System().NowMicros());
  line += " level=";
  line += LevelWord(level);
  line += " proc=";
  line += ProcessName();
  line += " event=";
  AppendValue(line, event);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    AppendValue(line, field.value);
  }
  line += '\n';
  // A log that cannot be written must not stop the work.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace auspex
