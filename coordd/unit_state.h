// SPDX-License-Identifier: AGPL-3.0-only
// The states of units and experiments (coordinator section 10, 14.3). Pure functions, any thread.
#ifndef AUSPEX_COORDD_UNIT_STATE_H_
#define AUSPEX_COORDD_UNIT_STATE_H_

#include <cstdint>
#include <string_view>

namespace auspex::coordd {

// The values are stored; below kCompleted a unit is open.
enum class UnitStatus : int64_t {
  kPending = 0,
  kInProgress = 1,
  kCompleted = 2,
  kFailed = 3,
  kCancelled = 4,
};

constexpr std::string_view UnitStatusWord(int64_t status) {
  switch (static_cast<UnitStatus>(status)) {
    case UnitStatus::kPending:
      return "pending";
    case UnitStatus::kInProgress:
      return "in_progress";
    case UnitStatus::kCompleted:
      return "completed";
    case UnitStatus::kFailed:
      return "failed";
    case UnitStatus::kCancelled:
      break;
  }
  return "cancelled";
}

// experiments.state
inline constexpr std::string_view kSubmitted = "submitted";
inline constexpr std::string_view kApproved = "approved";
inline constexpr std::string_view kPaused = "paused";
inline constexpr std::string_view kAborted = "aborted";
inline constexpr std::string_view kDone = "completed";
inline constexpr std::string_view kArchived = "archived";

// Whether an experiment may go from one state to the other (14.3).
constexpr bool MayMove(std::string_view from, std::string_view to) {
  if (from == kSubmitted) return to == kApproved || to == kAborted;
  if (from == kApproved) return to == kPaused || to == kAborted || to == kDone;
  if (from == kPaused) return to == kApproved || to == kAborted;
  if (from == kAborted || from == kDone) return to == kArchived;
  return false;
}

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_UNIT_STATE_H_
