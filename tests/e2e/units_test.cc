// SPDX-License-Identifier: AGPL-3.0-only
// Units from the coordinator to the receipt, through two whole workers.
#include <map>
#include <set>

#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> ReceiptStates(const Worker& worker) {
  std::vector<std::string> states;
  const Json list = worker.VerbJson({"receipts", "list", "--limit", "1000"});
  if (!list.is_object()) return states;
  for (const Json& result : list["results"])
    states.push_back(result["receipt_status"].get<std::string>());
  return states;
}

TEST_F(LabTest, FortyUnitsAreComputedByBothWorkersAndAgree) {
  constexpr int kUnits = 40;
  Worker& first = AddWorker();
  Worker& second = AddWorker();
  const Package noop = Pack("noop", "noop-forty");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(kUnits), 2, noop.archive_base64);
  ASSERT_NO_FATAL_FAILURE(first.StartDaemon());
  ASSERT_NO_FATAL_FAILURE(second.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, kUnits, 60))
      << coordinator_->Progress(experiment);

  const Json progress = coordinator_->Progress(experiment);
  EXPECT_EQ(progress["agreed"], kUnits);
  EXPECT_EQ(progress["disagreed"], 0);
  EXPECT_EQ(progress["results"], 2 * kUnits);
  EXPECT_THAT(progress["refusals"], IsEmpty());
  EXPECT_EQ(progress["state"], "completed");

  std::map<std::string, int> by_worker;
  const Json results = coordinator_->Results(experiment);
  for (const Json& unit : results["units"]) {
    std::set<std::string> of_unit;
    for (const Json& result : unit["results"]) {
      ++by_worker[result["worker_id"].get<std::string>()];
      of_unit.insert(result["worker_id"].get<std::string>());
      EXPECT_EQ(result["ran_under"], "strict");
      EXPECT_EQ(result["exit_code"], 0);
    }
    EXPECT_THAT(of_unit, SizeIs(2)) << unit;
    EXPECT_EQ(unit["agreed"], true) << unit;
    EXPECT_EQ(unit["consensus_payload"], Json({{"ok", true}}));
  }
  EXPECT_EQ(by_worker, (std::map<std::string, int>{{first.worker_id(), kUnits},
                                                   {second.worker_id(), kUnits}}));

  for (const Worker* worker : {&first, &second}) {
    EXPECT_TRUE(Eventually(30, [&] {
      const std::vector<std::string> states = ReceiptStates(*worker);
      return states == std::vector<std::string>(kUnits, "canonical");
    })) << worker->Verb({"receipts", "list", "--limit", "1000"}).out;
    const Json status = worker->VerbJson({"status"});
    ASSERT_TRUE(status.is_object());
    EXPECT_EQ(status["results"]["submitted"], kUnits);
    EXPECT_EQ(status["receipts"]["verified"], kUnits);
    EXPECT_EQ(status["receipts"]["bad"], 0);
    EXPECT_EQ(status["outbox"]["results"], 0);
    EXPECT_EQ(status["outbox"]["refusals"], 0);
    EXPECT_EQ(worker->Verb({"audit", "show"}).code, 0);
    // What the coordinator signed for is in the worker's own journal, and the journal is whole.
    const Finished known = worker->Verb({"audit", "prove", "--receipt-id", "u-7"});
    EXPECT_EQ(known.code, 0) << known.out << known.err;
    EXPECT_THAT(known.out, ::testing::HasSubstr("known, record "));
    EXPECT_EQ(worker->Verb({"audit", "verify"}).code, 0);
  }
  EXPECT_EQ(first.StopDaemon(), 0);
  EXPECT_EQ(second.StopDaemon(), 0);
}

// Without the owner's consent no tenant code runs: the built-in echo answers, and says that it did.
TEST_F(LabTest, SyntheticPolicyEchoes) {
  Worker& worker = AddWorker({.policy = "synthetic"});
  Json manifest = Pack("noop", "echo").manifest;
  manifest["requires_real_execution"] = false;
  const std::string experiment = coordinator_->Submit(manifest, Units(5), 1);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 5, 30)) << coordinator_->Progress(experiment);
  const Json results = coordinator_->Results(experiment);
  ASSERT_THAT(results["units"], SizeIs(5));
  for (const Json& unit : results["units"]) {
    EXPECT_EQ(unit["consensus_payload"]["echo"], unit["payload"]);
    EXPECT_TRUE(unit["consensus_payload"]["executor"].is_string());
  }
}

// A certified experiment takes only results of the declared shape: what the worker computed is
// refused, and the unit fails for everyone.
// An empty text is none: no signature goes with it, and the slot is free for the next unit.
TEST_F(LabTest, AnEmptyRawTextIsNoneAndALongOneIsRefused) {
  Worker& worker = AddWorker();
  const Json captures = {{"capture", {{"raw", true}}}};
  const Package empty = ScriptPackage(
      "raw-empty", "printf '{\"payload\":{\"a\":1,\"raw_response\":\"\"}}' > \"$4\"\n", captures);
  const Package text = ScriptPackage(
      "raw-text", "printf '{\"payload\":{\"raw_response\":\"said\"}}' > \"$4\"\n", captures);
  const Package too_long = ScriptPackage("raw-long",
                                         "{ printf '{\"payload\":{\"raw_response\":\"'; yes "
                                         "'\xd0\x96' | head -n 400000 | tr -d '\\n'; printf "
                                         "'\"}}'; } > \"$4\"\n",
                                         captures);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  for (const Package* package : {&empty, &text}) {
    const std::string experiment =
        coordinator_->Submit(package->manifest, Units(2), 1, package->archive_base64);
    ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 2, 30))
        << coordinator_->Progress(experiment);
  }
  const std::string refused =
      coordinator_->Submit(too_long.manifest, Units(1), 1, too_long.archive_base64);
  EXPECT_TRUE(Eventually(30, [&] { return !coordinator_->Progress(refused)["refusals"].empty(); }))
      << coordinator_->Progress(refused);
}

TEST_F(LabTest, AResultOfAnotherShapeFailsItsUnit) {
  Worker& worker = AddWorker();
  Package noop = Pack("noop", "schema");
  noop.manifest["feature_schema"] = {
      {"features", {{{"path", "score"}, {"kind", "number"}, {"min", 0}, {"max", 1}}}}};
  const HttpAnswer created = coordinator_->Call("POST", "/lab/experiments",
                                                {{"manifest", noop.manifest},
                                                 {"units", Units(2)},
                                                 {"replication_target", 1},
                                                 {"sandbox_level", "strict"},
                                                 {"package_tar_gz_b64", noop.archive_base64},
                                                 {"certified", true},
                                                 {"finalize", true}});
  ASSERT_EQ(created.status, 201) << created.body;
  const std::string experiment = created.json()["experiment_id"].get<std::string>();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  Json progress;
  EXPECT_TRUE(Eventually(60, [&] {
    progress = coordinator_->Progress(experiment);
    return progress["units"].value("failed", 0) == 2;
  })) << progress;
  EXPECT_EQ(progress["refusals"], Json({{"schema_violation", 2}}));
  EXPECT_EQ(progress["results"], 0);
  EXPECT_EQ(progress["state"], "completed");
}

// The package is fetched once, checked, and what it computes depends on the unit's payload.
TEST_F(LabTest, ARealComputationGivesTheSameNumbersTwice) {
  Worker& first = AddWorker();
  Worker& second = AddWorker();
  const Package sweep = Pack("robustness-sweep", "sweep");
  Json units = Json::array();
  for (int i = 0; i < 3; ++i) {
    units.push_back(
        {{"unit_id", "s-" + std::to_string(i)}, {"payload", {{"epsilon", 0.5 * i}, {"seed", 1}}}});
  }
  const std::string experiment =
      coordinator_->Submit(sweep.manifest, units, 2, sweep.archive_base64);
  ASSERT_NO_FATAL_FAILURE(first.StartDaemon());
  ASSERT_NO_FATAL_FAILURE(second.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 3, 90)) << coordinator_->Progress(experiment);
  EXPECT_EQ(coordinator_->Progress(experiment)["agreed"], 3);
  std::set<std::string> payloads;
  const Json results = coordinator_->Results(experiment);
  for (const Json& unit : results["units"]) {
    payloads.insert(unit["consensus_payload"].dump());
    EXPECT_EQ(unit["consensus_exit_code"], 0);
  }
  EXPECT_THAT(payloads, SizeIs(3)) << "the units do not differ";
}

// A package whose octets are not what its manifest pins is refused with the marker that the wire
// protocol names.
TEST_F(LabTest, APackageThatIsMissingIsARefusalWithItsMarker) {
  Worker& worker = AddWorker();
  const Package noop = Pack("noop", "noop-missing");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(1), 1);  // no archive there
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitRefused(experiment, "executor_refused", 30))
      << coordinator_->Progress(experiment);
  const Finished log = worker.Verb({"log"});
  EXPECT_THAT(log.out, ::testing::HasSubstr("package_unavailable"));
}

}  // namespace
}  // namespace auspex::e2e
