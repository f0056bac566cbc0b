// SPDX-License-Identifier: AGPL-3.0-only
// RunControl: how other threads end or freeze a running unit. One object a unit; the thread that
// runs the unit polls its descriptors, any thread may ask. The first reason for an end wins; a later
// request can only shorten the grace time.
#ifndef AUSPEX_RUNNERD_RUN_CONTROL_H_
#define AUSPEX_RUNNERD_RUN_CONTROL_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/unique_fd.h"

namespace auspex::runnerd {

enum class EndReason {
  kNone,
  kEnded,          // stated withdrew the unit: nothing is to be reported
  kAborted,        // the owner aborted it
  kThermal,        // too hot
  kLoad,           // the machine has other work
  kMemory,         // the machine is short of memory
  kDisk,           // the machine is short of free disk
  kFrozenTooLong,  // frozen for longer than the owner allows
  kStopping,       // runnerd stops: refused when its executor ran, else stated hands it out again
};

// Where a unit is between its start and its report. The governor holds what prepares, freezes or
// ends what executes, and leaves alone what is only to be reported.
enum class UnitPhase { kPreparing, kExecuting, kDone };

class RunControl {
 public:
  explicit RunControl(const Clock& clock = Clock::System());

  // Asks for the end: SIGTERM at once and SIGKILL when the grace is over; a grace of 0 kills at
  // once.
  void Request(EndReason reason, double grace_seconds = 0);
  EndReason reason() const;
  bool requested() const { return reason() != EndReason::kNone; }
  // When to kill, on the clock's monotonic scale; nullopt while nothing was asked.
  std::optional<int64_t> kill_at_micros() const;
  // Readable once an end was asked for; stays so. Poll only.
  int fd() const { return event_.get(); }

  // Calls `cancel` when an end is asked for (at once when it already was), from the asking thread.
  // For waits that are not on fd(), such as a call to another process. The returned key takes it
  // away again; after Remove returns it is not running and will not run.
  int AddCancel(std::function<void()> cancel);
  void RemoveCancel(int key);

  // Asks for the unit's processes to be frozen, or to go on; as often as wanted, also before the
  // first of them runs. A unit that has no cgroup cannot be frozen and goes on: ask
  // CgroupTree::can_freeze before. While it is frozen its wall clock stands still, but not for
  // longer in all than RunRequest::max_frozen_seconds: then it ends as kFrozenTooLong. An end that
  // is asked for meanwhile kills at once, since nothing frozen can use a grace time.
  void SetFrozen(bool frozen);
  bool frozen() const;
  // Readable after SetFrozen changed something, until ClearFreezeEvent.
  int freeze_fd() const { return freeze_event_.get(); }
  void ClearFreezeEvent();

  // While held no executor begins.
  void SetHeld(bool held);
  // kPreparing -> kExecuting: waits while held. False when an end was asked for: nothing is to be
  // started.
  bool BeginExecutor();
  // kExecuting -> kDone.
  void EndExecutor();
  UnitPhase phase() const;

  // SIGKILL was needed.
  void NoteKilled();
  // No process of the unit is left, and none will be started.
  void Finish();
  // Waits for Finish; whether SIGKILL was needed.
  bool WaitFinished();
  // Blocks up to `seconds`; true when an end was asked for.
  bool WaitRequested(double seconds);
  // Blocks up to `seconds`; true once nobody is to hear of the unit any more: kEnded or kStopping was asked for, also after another reason.
  bool WaitReportEnded(double seconds);

 private:
  const Clock& clock_;
  UniqueFd event_, freeze_event_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  EndReason reason_ = EndReason::kNone;
  int64_t kill_at_ = 0;
  bool finished_ = false, killed_ = false, frozen_ = false, held_ = false, report_ended_ = false;
  UnitPhase phase_ = UnitPhase::kPreparing;
  int next_key_ = 1;
  std::map<int, std::function<void()>> cancels_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_RUN_CONTROL_H_
