// SPDX-License-Identifier: AGPL-3.0-only
// Clock: the two times a process may ask for, behind an interface so that tests own them. All methods are safe
// from any thread. Also the two text forms of time that the wire protocol knows.
#ifndef AUSPEX_COMMON_BASE_CLOCK_H_
#define AUSPEX_COMMON_BASE_CLOCK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auspex {

class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since 1970-01-01T00:00:00Z; may jump.
  virtual int64_t NowMicros() const = 0;
  // Microseconds of a clock that never goes back (CLOCK_BOOTTIME); its zero means nothing.
  virtual int64_t MonotonicMicros() const = 0;

  int64_t NowSeconds() const { return NowMicros() / 1'000'000; }
  // The system's clocks. Lives for ever.
  static const Clock& System();
};

// "2026-07-19T12:00:00+00:00" or with exactly six digits of fraction when the microseconds are not zero: the form
// that a coordinator prints again unchanged (wire protocol 4.2). `unix_micros` may be negative (before 1970).
std::string FormatWireTime(int64_t unix_micros);

// A parsed ISO 8601 timestamp.
struct ParsedTime {
  int64_t unix_micros = 0;  // UTC
  int offset_minutes = 0;   // east of UTC, as written; 0 for Z
};
// Reads "YYYY-MM-DDTHH:MM:SS[.f+](Z|(+|-)HH:MM)" ('t', 'z' and a blank for 'T' are taken too); a fraction is cut to
// microseconds. nullopt for anything else, an impossible date included.
std::optional<ParsedTime> ParseIsoTime(std::string_view untrusted_text);
// `untrusted_text` in the form of wire protocol 4.2, its offset kept and its fraction cut to six digits; nullopt when it
// is not a timestamp.
std::optional<std::string> NormalizeCompletedAt(std::string_view untrusted_text);

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_CLOCK_H_
