// SPDX-License-Identifier: AGPL-3.0-only
// P7: kill -9 of any process, at any moment, loses no accepted unit, result, refusal or receipt,
// and submits nothing twice.
//
// Units flow through two workers, each unit through both. Round after round something is killed at
// a random moment: one daemon, all daemons of a worker, its supervisor, the coordinator. Then the
// flow runs dry, and the books must balance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/crash/fleet.h"

namespace auspex::crash {
namespace {

using e2e::Eventually;
using e2e::Json;
using ::testing::IsEmpty;

constexpr size_t kWorkers = 2;
const char* const kDaemons[] = {"keyd", "stated", "runnerd", "netd"};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Crash : public ::testing::Test {
 protected:
  void SetUp() override {
    seed_ = FromEnvironment("AUSPEX_CRASH_SEED", std::random_device{}());
    std::printf("AUSPEX_CRASH_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    random_.seed(seed_);
    fleet_ = std::make_unique<Fleet>(folder_.path(), static_cast<int>(kWorkers));
    ASSERT_FALSE(HasFailure());
  }

  void TearDown() override {
    if (HasFailure()) {
      for (size_t i = 0; i < fleet_->size(); ++i) PrintTail(fleet_->worker(i).log());
      PrintTail(folder_ / "c/log");
      std::printf("AUSPEX_CRASH_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    }
    fleet_.reset();
    e2e::KillOrphans();
    EXPECT_THAT(e2e::ProcessesNaming(folder_.path()), IsEmpty());
  }

  static void PrintTail(const std::string& log) {
    const std::string text = e2e::ReadText(log);
    constexpr size_t kMost = 8000;
    std::printf("---- %s\n%s\n", log.c_str(),
                text.substr(text.size() > kMost ? text.size() - kMost : 0).c_str());
  }

  int Random(int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random_);
  }

  // Kills something; says what.
  std::string Strike() {
    const size_t worker = static_cast<size_t>(Random(0, static_cast<int>(kWorkers) - 1));
    const std::string who = "worker " + std::to_string(worker) + " ";
    const int choice = Random(0, 99);
    if (choice < 72) {
      const std::string name = kDaemons[choice % 4];
      return fleet_->KillDaemon(worker, name) ? who + name : "";
    }
    if (choice < 80) {
      bool any = false;
      for (const char* name : kDaemons) any = fleet_->KillDaemon(worker, name) || any;
      return any ? who + "all four" : "";
    }
    if (choice < 90) {
      fleet_->KillSupervisor(worker);
      return who + "supervisor";
    }
    fleet_->KillCoordinator();
    return "coordinator";
  }

  // Every unit has one result of each worker, all agree, nothing was refused.
  void ExpectCoordinatorBalances() {
    for (const std::string& experiment : fleet_->experiments()) {
      const Json progress = fleet_->coordinator().Progress(experiment);
      EXPECT_THAT(progress["refusals"], IsEmpty()) << "a kill must not cost a unit: " << progress;
      EXPECT_EQ(progress["disagreed"], 0) << progress;
      const Json results = fleet_->coordinator().Results(experiment);
      for (const Json& unit : results["units"]) {
        std::map<std::string, int> by_worker;
        for (const Json& result : unit["results"])
          ++by_worker[result["worker_id"].get<std::string>()];
        EXPECT_EQ(by_worker.size(), kWorkers) << "lost: " << unit;
        for (const auto& [id, count] : by_worker)
          EXPECT_EQ(count, 1) << "doubled by " << id << ": " << unit;
      }
    }
  }

  // The worker's own books: empty outbox, each assignment once, each receipt verified, a journal
  // that reads from end to end.
  void ExpectWorkerBalances(e2e::Worker& worker) {
    const auto units = static_cast<size_t>(fleet_->units());
    Json status;
    EXPECT_TRUE(Eventually(60, [&] {
      status = worker.VerbJson({"status"});
      return status.is_object() && status["outbox"] == Json({{"refusals", 0}, {"results", 0}}) &&
             status["receipts"].value("verified", size_t{0}) == units;
    })) << status;
    EXPECT_EQ(status["results"]["submitted"], units);
    EXPECT_EQ(status["results"]["terminal"], 0);
    EXPECT_EQ(status["receipts"]["bad"], 0);
    EXPECT_EQ(status["units"], Json({{"frozen", 0}, {"running", 0}, {"waiting", 0}}));
    std::set<std::string> assignments, results;
    const Json list = worker.VerbJson({"receipts", "list", "--limit", "100000"});
    ASSERT_TRUE(list.is_object());
    EXPECT_EQ(list["results"].size(), units);
    for (const Json& result : list["results"]) {
      EXPECT_TRUE(assignments.insert(result["assignment_id"].get<std::string>()).second)
          << "twice: " << result;
      EXPECT_TRUE(results.insert(result["result_id"].get<std::string>()).second)
          << "twice: " << result;
    }
    // Nothing half unpacked is left: every package folder bears its manifest's hash.
    const e2e::Finished odd =
        e2e::RunCommand({"/usr/bin/find", worker.home() + "/state/runnerd/packages", "-mindepth",
                         "1", "-maxdepth", "1", "-not", "-regex", ".*/[0-9a-f]*"});
    EXPECT_THAT(odd.out, IsEmpty());
    // keyd is started afresh for this and reads its whole journal.
    ASSERT_EQ(worker.StopDaemon(), 0);
    const Json journal = worker.VerbJson({"audit", "show"}, 60);
    ASSERT_TRUE(journal.is_object()) << "the journal cannot be read";
    uint64_t sequence = 0;
    for (const Json& record : journal["records"]) EXPECT_EQ(record["sequence"], ++sequence);
    EXPECT_GE(sequence, 2 * units) << "a result without its record";
  }

  e2e::TempFolder folder_;
  std::unique_ptr<Fleet> fleet_;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

TEST_F(Crash, NothingIsLostAndNothingDoubled) {
  const uint64_t rounds = FromEnvironment("AUSPEX_CRASH_ROUNDS", 50);
  fleet_->Feed(40);
  ASSERT_NO_FATAL_FAILURE(fleet_->Start());
  std::map<std::string, int> strikes;
  for (uint64_t round = 0; round < rounds;) {
    // The moment is what is random here; nothing waits for it to have passed.
    std::this_thread::sleep_for(std::chrono::milliseconds(Random(20, 800)));
    fleet_->Feed(40);
    ASSERT_THAT(fleet_->EndedByThemselves(), IsEmpty()) << "round " << round;
    const std::string struck = Strike();
    ASSERT_FALSE(HasFailure());
    if (struck.empty()) continue;  // it was down already
    ++strikes[struck];
    ++round;
  }
  for (const auto& [what, times] : strikes) std::printf("killed %3d x %s\n", times, what.c_str());
  EXPECT_TRUE(fleet_->Drain(90)) << fleet_->Completed() << " of " << fleet_->units() << " units";
  std::printf("%d units, %zu experiments\n", fleet_->units(), fleet_->experiments().size());
  EXPECT_THAT(fleet_->EndedByThemselves(), IsEmpty());
  ExpectCoordinatorBalances();
  for (size_t i = 0; i < kWorkers; ++i) {
    SCOPED_TRACE("worker " + std::to_string(i));
    ExpectWorkerBalances(fleet_->worker(i));
  }
}

}  // namespace
}  // namespace auspex::crash
