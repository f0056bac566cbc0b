// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/clock.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace auspex {
namespace {

class SystemClock final : public Clock {
 public:
  int64_t NowMicros() const override { return Read(CLOCK_REALTIME); }
  int64_t MonotonicMicros() const override { return Read(CLOCK_BOOTTIME); }

 private:
  static int64_t Read(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  }
};

struct Fields {
  int year, month, day, hour, minute, second, micros, offset_minutes;
};

std::optional<int> Digits(std::string_view text, size_t at, size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool CharAt(std::string_view text, size_t at, std::string_view allowed) {
  return at < text.size() && allowed.find(text[at]) != std::string_view::npos;
}

std::optional<Fields> ReadFields(std::string_view text) {
  // 64 is more than any sensible fraction; a longer text is not a timestamp but an attack on logs.
  if (text.size() > 64) return std::nullopt;
  const auto year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2),
             hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (!CharAt(text, 4, "-") || !CharAt(text, 7, "-") || !CharAt(text, 10, "Tt ") ||
      !CharAt(text, 13, ":") || !CharAt(text, 16, ":")) {
    return std::nullopt;
  }
  size_t at = 19;
  int micros = 0;
  if (CharAt(text, at, ".")) {
    ++at;
    int scale = 100'000;
    const size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      micros += (text[at] - '0') * scale;
      scale /= 10;
      ++at;
    }
    if (at == start) return std::nullopt;
  }
  int offset = 0;
  if (CharAt(text, at, "Zz")) {
    ++at;
  } else if (CharAt(text, at, "+-")) {
    const auto hours = Digits(text, at + 1, 2), minutes = Digits(text, at + 4, 2);
    if (!hours || !minutes || !CharAt(text, at + 3, ":") || *hours > 23 || *minutes > 59) {
      return std::nullopt;
    }
    offset = (*hours * 60 + *minutes) * (text[at] == '-' ? -1 : 1);
    at += 6;
  } else {
    return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (*year < 1 || !date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return Fields{*year, *month, *day, *hour, *minute, *second, micros, offset};
}

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

std::string FormatWireTime(int64_t unix_micros) {
  int64_t seconds = unix_micros / 1'000'000;
  int64_t micros = unix_micros % 1'000'000;
  if (micros < 0) {
    micros += 1'000'000;
    --seconds;
  }
  const time_t time = static_cast<time_t>(seconds);
  tm parts{};
  gmtime_r(&time, &parts);
  char buffer[64];
  int length =
      std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
                    parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  std::string out(buffer, static_cast<size_t>(length));
  if (micros != 0) {
    length = std::snprintf(buffer, sizeof buffer, ".%06d", static_cast<int>(micros));
    out.append(buffer, static_cast<size_t>(length));
  }
  return out + "+00:00";
}

std::optional<ParsedTime> ParseIsoTime(std::string_view untrusted_text) {
  const auto fields = ReadFields(untrusted_text);
  if (!fields) return std::nullopt;
  const auto days =
      std::chrono::sys_days(std::chrono::year(fields->year) / static_cast<unsigned>(fields->month) /
                            static_cast<unsigned>(fields->day));
  int64_t seconds = int64_t{days.time_since_epoch().count()} * 86400 + fields->hour * 3600 +
                    fields->minute * 60 + fields->second - fields->offset_minutes * 60;
  return ParsedTime{seconds * 1'000'000 + fields->micros, fields->offset_minutes};
}

std::optional<std::string> NormalizeCompletedAt(std::string_view untrusted_text) {
  const auto fields = ReadFields(untrusted_text);
  if (!fields) return std::nullopt;
  char buffer[64];
  int length =
      std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d", fields->year,
                    fields->month, fields->day, fields->hour, fields->minute, fields->second);
  std::string out(buffer, static_cast<size_t>(length));
  if (fields->micros != 0) {
    length = std::snprintf(buffer, sizeof buffer, ".%06d", fields->micros);
    out.append(buffer, static_cast<size_t>(length));
  }
  const int offset = fields->offset_minutes < 0 ? -fields->offset_minutes : fields->offset_minutes;
  length = std::snprintf(buffer, sizeof buffer, "%c%02d:%02d",
                         fields->offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
  return out.append(buffer, static_cast<size_t>(length));
}

}  // namespace auspex
