// SPDX-License-Identifier: AGPL-3.0-only
// RunControl: how other threads end a running unit. One object a unit; the thread that runs the
// unit polls its descriptor, any thread may ask for an end. The first reason wins; a later request
// can only shorten the grace time.
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
  kEnded,     // stated withdrew the unit: nothing is to be reported
  kAborted,   // the owner aborted it
  kThermal,   // too hot
  kStopping,  // runnerd stops: nothing is reported, stated hands the unit out again
};

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

  // SIGKILL was needed.
  void NoteKilled();
  // No process of the unit is left, and none will be started.
  void Finish();
  // Waits for Finish; whether SIGKILL was needed.
  bool WaitFinished();
  // Blocks up to `seconds`; true when an end was asked for.
  bool WaitRequested(double seconds);

 private:
  const Clock& clock_;
  UniqueFd event_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  EndReason reason_ = EndReason::kNone;
  int64_t kill_at_ = 0;
  bool finished_ = false, killed_ = false;
  int next_key_ = 1;
  std::map<int, std::function<void()>> cancels_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_RUN_CONTROL_H_
