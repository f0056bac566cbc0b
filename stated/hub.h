// SPDX-License-Identifier: AGPL-3.0-only
// Hub: all of stated without the RPC: it opens the state folder, owns every part and runs the
// housekeeping thread. The services of service/ translate messages to calls of these parts. All
// methods may be called from any thread.
#ifndef AUSPEX_STATED_HUB_H_
#define AUSPEX_STATED_HUB_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/capabilities.h"
#include "stated/condition.h"
#include "stated/contact.h"
#include "stated/context.h"
#include "stated/demand.h"
#include "stated/identity.h"
#include "stated/offer.h"
#include "stated/outbox.h"
#include "stated/packages.h"
#include "stated/policy.h"
#include "stated/status.h"
#include "stated/work_queue.h"

namespace auspex::stated {

class Hub {
 public:
  // Opens <state_dir>/auspex.db and <state_dir>/spool. Units that were running when the last
  // process ended are accepted again.
  static absl::StatusOr<std::unique_ptr<Hub>> Open(const std::string& state_dir, const Clock& clock,
                                                   Settings settings = {});
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  Context& context() { return context_; }
  Enrolment& enrolment() { return enrolment_; }
  Contact& contact() { return contact_; }
  Intake& intake() { return intake_; }
  Policy& policy() { return policy_; }
  CapabilityReport& capabilities() { return capabilities_; }
  ConditionReport& condition() { return condition_; }
  WorkQueue& work() { return work_; }
  OutboxQueue& outbox() { return outbox_; }
  PackageSpool& packages() { return packages_; }

  // A runner counts from when it has said what it can do: netd tells the coordinator at that moment, and not again before the next heartbeat.
  absl::StatusOr<Demand> DemandNow() {
    const uint32_t slots = capabilities_.told() ? work_.slots() : 0;
    return ComputeDemand(context_, slots, condition_.Get().strain);
  }
  absl::StatusOr<StatusReport> StatusNow();
  // The object for a heartbeat.
  absl::StatusOr<std::string> CapabilitiesNow();

  // Deletes everything about this worker: rows, side files, spool. Streams go on, not enrolled;
  // units that run are ended.
  absl::Status Forget();

  // Counts netd's demand streams, for Status.
  void NetdConnected(bool connected);

  // Ends all waiting calls; writes that were begun are finished. Idempotent. Call before the
  // servers are shut down.
  void Stop();

 private:
  Hub(std::unique_ptr<Database> db, const Clock& clock, Settings settings,
      const std::string& state_dir);
  void HousekeepingLoop();

  const std::unique_ptr<Database> db_;
  Changes changes_;
  Context context_;
  Enrolment enrolment_;
  Contact contact_;
  Intake intake_;
  Policy policy_;
  CapabilityReport capabilities_;
  ConditionReport condition_;
  WorkQueue work_;
  OutboxQueue outbox_;
  PackageSpool packages_;
  std::atomic<int> netd_streams_{0};
  std::mutex housekeeping_mutex_;
  std::condition_variable housekeeping_wake_;
  bool housekeeping_stop_ = false;  // guarded by housekeeping_mutex_
  std::thread housekeeping_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_HUB_H_
