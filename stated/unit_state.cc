// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/unit_state.h"

#include <array>

namespace auspex::stated {
namespace {

struct Transition {
  UnitState from;
  UnitEvent event;
  UnitState to;
};

using S = UnitState;
using E = UnitEvent;

// What is not here is not allowed.
constexpr std::array<Transition, 14> kTransitions{{
    {S::kNone, E::kOfferAccepted, S::kAccepted},
    {S::kNone, E::kOfferRefused, S::kRefused},
    // Retryable refusals come back under the same assignment.
    {S::kRefused, E::kOfferAccepted, S::kAccepted},
    {S::kRefused, E::kOfferRefused, S::kRefused},
    {S::kAccepted, E::kBegin, S::kRunning},
    {S::kRunning, E::kBegin, S::kRunning},  // the first answer was lost
    {S::kRunning, E::kComplete, S::kFinished},
    {S::kAccepted, E::kComplete, S::kFinished},  // stated was restarted under a running unit
    {S::kAccepted, E::kRefuse, S::kRefused},
    {S::kRunning, E::kRefuse, S::kRefused},
    {S::kRunning, E::kRunnerLost, S::kAccepted},
    {S::kAccepted, E::kRunnerLost, S::kAccepted},
    {S::kFinished, E::kResultAccepted, S::kSubmitted},
    {S::kFinished, E::kResultTerminal, S::kTerminal},
}};

}  // namespace

std::optional<UnitState> NextState(UnitState state, UnitEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == state && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

std::string_view UnitStateWord(UnitState state) {
  switch (state) {
    case S::kNone:
      return "none";
    case S::kAccepted:
      return "accepted";
    case S::kRunning:
      return "running";
    case S::kFinished:
      return "finished";
    case S::kSubmitted:
      return "submitted";
    case S::kRefused:
      return "refused";
    case S::kTerminal:
      return "terminal";
  }
  return "none";
}

std::string_view UnitEventWord(UnitEvent event) {
  switch (event) {
    case E::kOfferAccepted:
      return "be accepted";
    case E::kOfferRefused:
      return "be refused at its offer";
    case E::kBegin:
      return "begin";
    case E::kComplete:
      return "be completed";
    case E::kRefuse:
      return "be refused";
    case E::kRunnerLost:
      return "lose its runner";
    case E::kResultAccepted:
      return "be submitted";
    case E::kResultTerminal:
      return "become terminal";
  }
  return "change";
}

}  // namespace auspex::stated
