// SPDX-License-Identifier: AGPL-3.0-only
// The states of a unit and the only transitions there are. Every change of a state in the database
// goes through NextState. Pure functions, any thread.
//
//          offer accepted          begin          complete          result accepted
//   (none) ----------------> ACCEPTED ----> RUNNING --------> FINISHED ----------> SUBMITTED
//     |                       |  ^           |  |                |
//     | offer refused         |  +-----------+  |                +------------> TERMINAL
//     |                       |  runner lost    |                  result terminal
//     v          refuse       |                 |
//   REFUSED <-----------------+-----------------+
//     |
//     +---> ACCEPTED again when the coordinator offers the assignment again and the gates let it in
#ifndef AUSPEX_STATED_UNIT_STATE_H_
#define AUSPEX_STATED_UNIT_STATE_H_

#include <optional>
#include <string_view>

namespace auspex::stated {

// The numbers are stored; never reuse one.
enum class UnitState : int {
  kNone = 0,  // no row
  kAccepted = 1,
  kRunning = 2,
  kFinished = 3,
  kSubmitted = 4,
  kRefused = 5,
  kTerminal = 6,
};
inline constexpr int kLastUnitState = 6;

enum class UnitEvent : int {
  kOfferAccepted,
  kOfferRefused,
  kBegin,
  kComplete,
  kRefuse,      // by runnerd or by the owner
  kRunnerLost,  // its stream ended
  kResultAccepted,
  kResultTerminal,  // the coordinator will never take it
};
inline constexpr int kLastUnitEvent = 7;

// The state after `event`, or nullopt when `event` is not allowed in `state`.
std::optional<UnitState> NextState(UnitState state, UnitEvent event);

// "accepted", "running", ...; "none" for kNone.
std::string_view UnitStateWord(UnitState state);
// What cannot be done, for messages: "begin", "complete", ...
std::string_view UnitEventWord(UnitEvent event);

// True while the unit takes up a slot.
constexpr bool InHand(UnitState state) {
  return state == UnitState::kAccepted || state == UnitState::kRunning;
}

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_UNIT_STATE_H_
