// SPDX-License-Identifier: AGPL-3.0-only
// What is taken up again: an enrolment that ended half-way, a unit whose runner was killed while a
// grandchild held its pipes.
#include <signal.h>

#include <cstdio>

#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// `bootstrap` records the enrolment with stated and then pins keyd to it. Without the pin, which is
// what a crash between the two leaves, nothing starts; the next `bootstrap` brings the same worker to
// an end that works.
TEST_F(LabTest, BootstrapFinishesAnInterruptedPin) {
  Worker& worker = AddWorker();
  const Json before = worker.VerbJson({"status"});
  ASSERT_TRUE(before.is_object());
  ASSERT_EQ(std::remove((worker.home() + "/state/keyd/enrolment.toml").c_str()), 0);
  worker.LaunchDaemon();
  EXPECT_EQ(worker.daemon().Wait(30), 2);
  EXPECT_THAT(ReadText(worker.log()), HasSubstr("bootstrap finishes the interrupted enrolment"));

  ASSERT_NO_FATAL_FAILURE(worker.Bootstrap());
  const Json after = worker.VerbJson({"status"});
  ASSERT_TRUE(after.is_object());
  EXPECT_EQ(after["worker_id"], before["worker_id"]);
  EXPECT_EQ(after["public_key"], before["public_key"]);
  const Package noop = Pack("noop", "pinned");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(2), 1, noop.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 2, 30)) << coordinator_->Progress(experiment);
  EXPECT_EQ(worker.StopDaemon(), 0);
}

// The executor's child, in a session of its own, keeps standard output and error open: neither the
// kill of runnerd nor the executor's own end may leave it, and nobody waits for its pipes.
TEST_F(LabTest, AHeldPipeOutlivesNeitherRunnerdNorItsUnit) {
  Worker& worker = AddWorker({.slots = 1});
  const Package holder = ScriptPackage("held", R"(setsid sleep 86451 &
sleep 86452 &
sleep 3
while [ "$1" != --output ]; do shift; done
printf '{"payload":{"done":true}}' > "$2"
)");
  const std::string experiment =
      coordinator_->Submit(holder.manifest, Units(1), 1, holder.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const auto running = [] {
    return !PidsNaming("sleep", "86451").empty() && !PidsNaming("sleep", "86452").empty();
  };
  ASSERT_TRUE(Eventually(30, running)) << coordinator_->Progress(experiment);
  const std::vector<pid_t> first = PidsNaming("sleep", "86451");
  const pid_t runnerd = worker.PidOf("runnerd");
  ASSERT_GT(runnerd, 0);
  ASSERT_EQ(::kill(runnerd, SIGKILL), 0);
  EXPECT_TRUE(Eventually(20, [&] {
    for (const pid_t pid : PidsNaming("sleep", "86451")) {
      if (pid == first.front()) return false;
    }
    return true;
  })) << "the first run's grandchild outlived runnerd";

  // The unit runs again under the next runnerd and is not held up by the pipes of its own child.
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 1, 60)) << coordinator_->Progress(experiment);
  EXPECT_TRUE(Eventually(20, [] {
    return PidsNaming("sleep", "86451").empty() && PidsNaming("sleep", "86452").empty();
  }));
  const Json results = coordinator_->Results(experiment);
  ASSERT_EQ(results["units"].size(), 1u);
  EXPECT_EQ(results["units"][0]["consensus_payload"], Json({{"done", true}}));
  EXPECT_THAT(coordinator_->Progress(experiment)["refusals"], IsEmpty());
  EXPECT_EQ(worker.StopDaemon(), 0);
}

}  // namespace
}  // namespace auspex::e2e
