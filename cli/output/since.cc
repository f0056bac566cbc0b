// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/since.h"

#include "common/base/cat.h"
#include "common/base/clock.h"

namespace auspex::cli {
namespace {

constexpr size_t kDateLength = 10;      // YYYY-MM-DD
constexpr size_t kDateTimeLength = 19;  // YYYY-MM-DDTHH:MM:SS
constexpr int64_t kMicros = 1'000'000;

}  // namespace

std::optional<int64_t> ParseSince(std::string_view untrusted_text) {
  std::string text(untrusted_text);
  if (text.size() == kDateLength) {
    text += "T00:00:00Z";
  } else if (text.size() == kDateTimeLength) {
    text += 'Z';
  }
  const std::optional<ParsedTime> time = ParseIsoTime(text);
  if (!time) return std::nullopt;
  return time->unix_micros;
}

std::string ShowTime(int64_t unix_micros) {
  int64_t seconds = unix_micros / kMicros;
  if (unix_micros % kMicros < 0) --seconds;
  return Cat(FormatWireTime(seconds * kMicros).substr(0, kDateTimeLength), "Z");
}

}  // namespace auspex::cli
