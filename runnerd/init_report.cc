// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init_report.h"

#include <charconv>

#include "common/base/cat.h"
#include "runnerd/init/protocol.h"

namespace auspex::runnerd {
namespace {

// Takes the text up to `end` off `text`; false when `end` does not occur.
bool TakeUntil(std::string_view& text, char end, std::string_view& word) {
  const size_t at = text.find(end);
  if (at == std::string_view::npos) return false;
  word = text.substr(0, at);
  text.remove_prefix(at + 1);
  return true;
}

template <typename Number>
bool ParseDecimal(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

absl::StatusOr<InitReport> ParseInitReport(std::string_view text) {
  InitReport report;
  const std::string_view started = unit_init::kStarted;
  if (text.size() < started.size() && started.starts_with(text)) return report;
  if (!text.starts_with(started))
    return absl::InvalidArgumentError("sandbox report: does not begin as one");
  text.remove_prefix(started.size());
  std::string_view facts;
  if (!TakeUntil(text, '\n', facts)) return report;  // its writer ended within the line
  if (facts.size() > unit_init::kMaxStartedLine)
    return absl::InvalidArgumentError("sandbox report: first line is too long");
  report.facts = facts;
  report.kind = InitReport::Kind::kUnfinished;
  std::string_view end, kind, number, output, size_text;
  if (!TakeUntil(text, ' ', end) || !TakeUntil(text, ' ', kind) || !TakeUntil(text, ' ', number) ||
      !TakeUntil(text, ' ', output) || !TakeUntil(text, '\n', size_text)) {
    return report;
  }
  uint64_t size = 0;
  int value = 0;
  if (end != "end" || !ParseDecimal(number, value) || !ParseDecimal(size_text, size)) {
    return absl::InvalidArgumentError("sandbox report: bad end line");
  }
  if (text.size() < size) return report;
  if (text.size() > size)
    return absl::InvalidArgumentError(
        Cat("sandbox report: ", text.size() - size, " octets too many"));
  if (kind == "exited") {
    report.kind = InitReport::Kind::kExited;
  } else if (kind == "signaled") {
    report.kind = InitReport::Kind::kSignaled;
  } else if (kind == "failed") {
    report.kind = InitReport::Kind::kFailed;
  } else if (kind == "walls") {
    report.kind = InitReport::Kind::kWalls;
  } else {
    return absl::InvalidArgumentError("sandbox report: unknown end");
  }
  report.number = value;
  report.output = output;
  report.content = text;
  return report;
}

}  // namespace auspex::runnerd
