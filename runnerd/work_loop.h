// SPDX-License-Identifier: AGPL-3.0-only
// WorkLoop: keeps the work stream to stated open for ever, turns its items into units in the slots,
// and reports what became of them. Owns the slots. One thread reads the stream; each slot reports
// from its own. Public methods are safe from any thread.
#ifndef AUSPEX_RUNNERD_WORK_LOOP_H_
#define AUSPEX_RUNNERD_WORK_LOOP_H_

#include <functional>
#include <memory>

#include "runnerd/slots.h"
#include "runnerd/stated_client.h"
#include "runnerd/unit_pipeline.h"

namespace auspex::runnerd {

class WorkLoop {
 public:
  // Client and pipeline are lent. `on_open` is called from the reading thread whenever a stream
  // was opened.
  WorkLoop(std::shared_ptr<grpc::Channel> channel, StatedClient& stated, UnitPipeline& pipeline,
           int slots, std::function<void()> on_open);
  ~WorkLoop();

  void Start();
  // Takes nothing new, gives running units `grace_seconds` to finish and report, then kills them
  // and closes the stream: stated hands unfinished ones out again. Idempotent.
  void Stop(double grace_seconds);
  Slots& slots() { return slots_; }

 private:
  struct Stream;
  void ReadForEver();
  void RunUnit(const Unit& unit, RunControl& control);

  StatedClient& stated_;
  UnitPipeline& pipeline_;
  const std::function<void()> on_open_;
  const std::unique_ptr<Stream> stream_;
  Slots slots_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_WORK_LOOP_H_
