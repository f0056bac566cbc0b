// SPDX-License-Identifier: AGPL-3.0-only
// Slots, and what ends or freezes a run that is in one.
#include "runnerd/slots.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "common/base/cat.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

TEST(RunControl, FirstReasonWinsAndCancelsRun) {
  RunControl control;
  int cancelled = 0;
  control.AddCancel([&] { ++cancelled; });
  control.RemoveCancel(control.AddCancel([&] { cancelled += 100; }));
  EXPECT_FALSE(control.WaitRequested(0));
  control.Request(EndReason::kThermal, 5);
  const int64_t first = *control.kill_at_micros();
  control.Request(EndReason::kEnded, 0);
  EXPECT_EQ(control.reason(), EndReason::kThermal);
  EXPECT_LT(*control.kill_at_micros(), first);
  EXPECT_EQ(cancelled, 1);
  control.AddCancel([&] { ++cancelled; });  // at once
  EXPECT_EQ(cancelled, 2);
}

TEST(RunControl, AStopEndsTheReportWhateverEndedTheUnit) {
  RunControl control;
  EXPECT_FALSE(control.WaitReportEnded(0));
  control.Request(EndReason::kAborted);
  EXPECT_FALSE(control.WaitReportEnded(0));
  control.Request(EndReason::kStopping);
  EXPECT_TRUE(control.WaitReportEnded(60));
  EXPECT_EQ(control.reason(), EndReason::kAborted);
}

TEST(RunControl, FreezingWakesOnceAndRemembersTheLastWish) {
  RunControl control;
  const auto readable = [&] {
    pollfd entry{control.freeze_fd(), POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
  };
  EXPECT_FALSE(control.frozen());
  control.SetFrozen(false);  // nothing new
  EXPECT_FALSE(readable());
  control.SetFrozen(true);
  control.SetFrozen(true);
  EXPECT_TRUE(readable());
  EXPECT_TRUE(control.frozen());
  control.ClearFreezeEvent();
  EXPECT_FALSE(readable());
  control.SetFrozen(false);
  EXPECT_TRUE(readable());
  EXPECT_FALSE(control.frozen());
  EXPECT_FALSE(control.requested());
}

Unit UnitNamed(const std::string& name) {
  return Unit{*AssignmentId::Parse("asg-" + name),
              *UnitId::Parse(name),
              *TenantId::Parse("test-lab"),
              *ExperimentLabel::Parse("some-experiment"),
              *Sha256Hex::Parse(std::string(64, 'a')),
              "2026-07-19T12:00:00Z",
              "{}",
              false};
}

TEST(Slots, RunsAsManyAsThereAreAndNoAssignmentTwice) {
  std::atomic<int> running = 0, most = 0, done = 0;
  {
    Slots slots(2, [&](const Unit&, RunControl& control) {
      most = std::max<int>(most, ++running);
      control.WaitRequested(60);
      control.Finish();
      --running;
      ++done;
    });
    for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(slots.Add(UnitNamed(name)));
    EXPECT_FALSE(slots.Add(UnitNamed("c")));  // it waits
    while (slots.ListRunning().size() < 2) std::this_thread::yield();
    EXPECT_EQ(slots.Abort(*UnitId::Parse("zzz"), 0), Slots::AbortOutcome::kNotRunning);
    EXPECT_EQ(slots.Abort(*UnitId::Parse("a"), 0), Slots::AbortOutcome::kTerminated);
    while (!slots.InHand("asg-c") || slots.ListRunning().size() < 2) std::this_thread::yield();
    slots.End("asg-b", EndReason::kEnded);
    while (slots.InHand("asg-b")) std::this_thread::yield();
    slots.Stop(0);
    EXPECT_FALSE(slots.Add(UnitNamed("d")));
  }
  EXPECT_EQ(most, 2);
  EXPECT_EQ(done, 3);
}

// An assignment that was given back may come again before the slot that gave it back is done.
TEST(Slots, WhatIsHandedOutOnceMoreFollowsWhatRuns) {
  std::atomic<int> begun = 0;
  Slots slots(2, [&](const Unit& unit, RunControl& control) {
    // Never two of one assignment at a time: the later one comes when this returns.
    if (++begun == 1) {
      EXPECT_FALSE(slots.Add(unit));
    }
    control.WaitRequested(60);
  });
  slots.Add(UnitNamed("a"));
  while (begun < 1) std::this_thread::yield();
  EXPECT_EQ(slots.Abort(*UnitId::Parse("a"), 0), Slots::AbortOutcome::kTerminated);
  while (begun < 2) std::this_thread::yield();
  // What stated withdraws is all that it handed out.
  slots.Add(UnitNamed("a"));
  slots.End("asg-a", EndReason::kEnded);
  while (slots.InHand("asg-a")) std::this_thread::yield();
  slots.Stop(0);
  EXPECT_EQ(begun, 2);
}

// The only slot is busy, so that what was ended waits to be dropped while it is handed out again.
TEST(Slots, WhatWasEndedWhileItWaitedFollowsWhenItIsHandedOutAgain) {
  std::atomic<int> begun = 0;
  Slots slots(1, [&](const Unit& unit, RunControl& control) {
    if (unit.unit_id.str() == "b") {
      ++begun;
      return;
    }
    control.WaitRequested(60);
  });
  slots.Add(UnitNamed("a"));
  while (slots.ListRunning().empty()) std::this_thread::yield();
  slots.Add(UnitNamed("b"));
  slots.End("asg-b", EndReason::kEnded);
  slots.Add(UnitNamed("b"));
  EXPECT_EQ(begun, 0);
  slots.End("asg-a", EndReason::kEnded);
  while (slots.InHand("asg-b")) std::this_thread::yield();
  EXPECT_EQ(begun, 1);
}

TEST(Slots, AUnitThatIsEndedWhileItWaitsNeverRuns) {
  std::atomic<int> begun = 0;
  Slots slots(1, [&](const Unit& unit, RunControl& control) {
    ++begun;
    EXPECT_NE(unit.unit_id.str(), "b");
    control.WaitRequested(60);
  });
  slots.Add(UnitNamed("a"));
  slots.Add(UnitNamed("b"));
  while (slots.ListRunning().empty()) std::this_thread::yield();
  slots.End("asg-b", EndReason::kEnded);
  slots.End("asg-a", EndReason::kEnded);
  while (slots.InHand("asg-a") || slots.InHand("asg-b")) std::this_thread::yield();
  EXPECT_EQ(begun, 1);
}

}  // namespace
}  // namespace auspex::runnerd
