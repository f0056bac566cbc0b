// SPDX-License-Identifier: AGPL-3.0-only
// P7 for refusals: the owner denies the tenant, and while unit after unit is refused, netd and stated
// are killed again and again. Each refusal reaches the coordinator, and counts there once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/crash/fleet.h"

namespace auspex::crash {
namespace {

using e2e::Eventually;
using e2e::Json;
using ::testing::IsEmpty;

constexpr int kUnits = 60;
constexpr int kRefusalsBetweenKills = 10;
constexpr char kKind[] = "refused_tenant_deny";

TEST(RefusalCrash, EachArrivesOnceThoughNetdAndStatedAreKilled) {
  const e2e::TempFolder folder;
  Fleet fleet(folder.path(), 1);
  e2e::Worker& worker = fleet.worker(0);
  ASSERT_EQ(worker.Verb({"tenant", "deny", "auspex-lab"}).code, 0);
  const e2e::Package noop = e2e::Pack("noop", "denied");
  const std::string experiment =
      fleet.coordinator().Submit(noop.manifest, e2e::Units(kUnits), 1, noop.archive_base64);
  fleet.Start();
  Json progress;
  const auto refused = [&] {
    progress = fleet.coordinator().Progress(experiment);
    int count = 0;
    for (const auto& [kind, number] : progress["refusals"].items()) count += number.get<int>();
    return count;
  };
  // Struck in turn whenever some more have arrived, and not on a timer: so each kill falls into
  // refusals that are on their way.
  int kills = 0;
  for (int next = kRefusalsBetweenKills; next < kUnits; next += kRefusalsBetweenKills) {
    ASSERT_TRUE(Eventually(60, [&] { return refused() >= next; })) << progress;
    const int turn = next / kRefusalsBetweenKills % 3;
    if (turn != 1) kills += fleet.KillDaemon(0, "netd") ? 1 : 0;
    if (turn != 0) kills += fleet.KillDaemon(0, "stated") ? 1 : 0;
  }
  EXPECT_GE(kills, 4);
  ASSERT_TRUE(Eventually(90, [&] { return refused() == kUnits; }))
      << progress << e2e::ReadText(worker.log());
  EXPECT_EQ(progress["refusals"], Json({{kKind, kUnits}}));
  EXPECT_EQ(progress["open_assignments"], 0);
  EXPECT_EQ(progress["results"], 0);

  // Nothing is left to be told, nothing was told twice, and the owner's log has each once.
  EXPECT_TRUE(Eventually(30, [&] {
    const Json status = worker.VerbJson({"status"});
    return status.is_object() && status["outbox"] == Json({{"refusals", 0}, {"results", 0}});
  }));
  const std::string log = e2e::ReadText(folder / "c/log");
  int told = 0;
  for (size_t at = 0; (at = log.find("unit_refused", at)) != std::string::npos; ++at) ++told;
  EXPECT_EQ(told, kUnits);
  const Json rows = worker.VerbJson({"log", "--action", kKind, "--limit", "1000"});
  ASSERT_TRUE(rows.is_object());
  std::map<std::string, int> by_assignment;
  for (const Json& row : rows["rows"]) ++by_assignment[row["assignment_id"].get<std::string>()];
  EXPECT_EQ(by_assignment.size(), static_cast<size_t>(kUnits));
  for (const auto& [assignment, count] : by_assignment) EXPECT_EQ(count, 1) << assignment;

  EXPECT_THAT(fleet.EndedByThemselves(), IsEmpty());
  EXPECT_EQ(worker.StopDaemon(), 0);
  e2e::KillOrphans();
  EXPECT_THAT(e2e::ProcessesNaming(folder.path()).size(), 1u);  // the coordinator
}

}  // namespace
}  // namespace auspex::crash
