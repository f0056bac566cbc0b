// SPDX-License-Identifier: AGPL-3.0-only
// The state machine, exhaustively: every pair of state and event.
#include "stated/unit_state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace auspex::stated {
namespace {

using S = UnitState;
using E = UnitEvent;

TEST(UnitState, AllowsExactlyTheDocumentedTransitions) {
  const std::map<std::pair<S, E>, S> allowed = {
      {{S::kNone, E::kOfferAccepted}, S::kAccepted},
      {{S::kNone, E::kOfferRefused}, S::kRefused},
      {{S::kRefused, E::kOfferAccepted}, S::kAccepted},
      {{S::kRefused, E::kOfferRefused}, S::kRefused},
      {{S::kAccepted, E::kBegin}, S::kRunning},
      {{S::kRunning, E::kBegin}, S::kRunning},
      {{S::kRunning, E::kComplete}, S::kFinished},
      {{S::kAccepted, E::kComplete}, S::kFinished},
      {{S::kAccepted, E::kRefuse}, S::kRefused},
      {{S::kRunning, E::kRefuse}, S::kRefused},
      {{S::kRunning, E::kRunnerLost}, S::kAccepted},
      {{S::kAccepted, E::kRunnerLost}, S::kAccepted},
      {{S::kFinished, E::kResultAccepted}, S::kSubmitted},
      {{S::kFinished, E::kResultTerminal}, S::kTerminal},
  };
  for (int state = 0; state <= kLastUnitState; ++state) {
    for (int event = 0; event <= kLastUnitEvent; ++event) {
      const auto found = allowed.find({static_cast<S>(state), static_cast<E>(event)});
      const std::optional<S> next = NextState(static_cast<S>(state), static_cast<E>(event));
      EXPECT_EQ(next.has_value(), found != allowed.end()) << state << " " << event;
      if (next.has_value() && found != allowed.end()) {
        EXPECT_EQ(*next, found->second);
      }
    }
  }
}

TEST(UnitState, SubmittedAndTerminalAreFinal) {
  for (int event = 0; event <= kLastUnitEvent; ++event) {
    EXPECT_FALSE(NextState(S::kSubmitted, static_cast<E>(event)).has_value());
    EXPECT_FALSE(NextState(S::kTerminal, static_cast<E>(event)).has_value());
  }
}

TEST(UnitState, WordsAreDistinct) {
  std::set<std::string_view> states, events;
  for (int state = 0; state <= kLastUnitState; ++state)
    states.insert(UnitStateWord(static_cast<S>(state)));
  for (int event = 0; event <= kLastUnitEvent; ++event)
    events.insert(UnitEventWord(static_cast<E>(event)));
  EXPECT_EQ(states.size(), static_cast<size_t>(kLastUnitState) + 1);
  EXPECT_EQ(events.size(), static_cast<size_t>(kLastUnitEvent) + 1);
}

}  // namespace
}  // namespace auspex::stated
