// SPDX-License-Identifier: AGPL-3.0-only
// StatedClient: what runnerd asks of stated, but for the work stream (work_loop.h). Calls wait out
// a stated that is away. Safe from any thread.
#ifndef AUSPEX_RUNNERD_STATED_CLIENT_H_
#define AUSPEX_RUNNERD_STATED_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "runnerd/condition.h"
#include "runnerd/package_store.h"
#include "runnerd/run_control.h"
#include "runnerd/unit.h"

namespace grpc {
class Channel;
}

namespace auspex::runnerd {

class StatedClient final : public ArchiveSource {
 public:
  // `channel` to stated's run role; a stated in trouble gets two minutes for a result, or `trouble_seconds`.
  explicit StatedClient(std::shared_ptr<grpc::Channel> channel);
  StatedClient(std::shared_ptr<grpc::Channel> channel, double trouble_seconds);
  ~StatedClient() override;

  // stated takes a unit that it handed out for this worker's until it has heard of it: a stated that cannot write is asked until it can, or until
  // `control` asks for the end. FAILED_PRECONDITION or NOT_FOUND: the unit is not to run any more.
  absl::Status Begin(const Unit& unit, RunControl& control);
  // Reports the outcome. A stated that restarted meanwhile has the unit as accepted again: it is
  // begun once more and then reported. FAILED_PRECONDITION or NOT_FOUND: stated does not want it any more. Any other failure, before the unit
  // or this process was ended, means that stated cannot store it, and has to hear a refusal instead; while it is in trouble it is asked for
  // `trouble_seconds`.
  absl::Status Complete(const Unit& unit, const SignedResult& result, RunControl& control);
  absl::Status Refuse(const Unit& unit, const Refusal& refusal, RunControl& control);
  // For an item that did not parse into a Unit. One attempt.
  absl::Status RefuseUnparsed(const std::string& assignment_id, const std::string& reason);

  // One attempt of a few seconds; a later report follows anyway. CANCELLED after EndReports.
  absl::Status ReportCapabilities(const std::string& canonical_json);
  absl::Status ReportCondition(const Condition& condition);
  // For good: no report is waited for any more, also of those under way. What else is asked of
  // stated is as before.
  void EndReports();

  absl::Status Fetch(const Sha256Hex& manifest_sha256, int fd, RunControl& control) override;
  void Drop(const Sha256Hex& manifest_sha256) override;

 private:
  template <typename Call>
  absl::Status Report(std::string_view what, Call call);
  absl::Status FetchOnce(const Sha256Hex& manifest_sha256, int fd, RunControl& control);

  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_STATED_CLIENT_H_
