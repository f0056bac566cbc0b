// SPDX-License-Identifier: AGPL-3.0-only
// The real program's files, start and end: privacy, privileges, second instances, newer files, clean
// stops, kill -9 in the middle of many writes.
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/stated/daemon_fixture.h"

namespace auspex::stated {
namespace {

TEST_F(DaemonTest, ForgetDeletesTheFilesAndServesOn) {
  Enrol();
  v1::OfferResponse decision;
  ASSERT_TRUE(Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(1), &decision).ok());
  v1::PolicyResponse changed;
  ASSERT_TRUE(Call(*policy_, &v1::Policy::Stub::Forget, v1::ForgetRequest(), &changed).ok());
  EXPECT_EQ(Status().state(), "not_enrolled");
  for (const char* suffix : {"", "-wal"}) {
    EXPECT_EQ(auspex::testing::ReadAll(Database() + suffix).find("tenant-a"), std::string::npos)
        << suffix;
  }
  Enrol();
  EXPECT_TRUE(Status().identity().enrolled());
}

TEST_F(DaemonTest, FilesAndSocketsArePrivate) {
  for (const std::string& path : {Database(), Socket("net"), Socket("run"), Socket("owner")}) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
}

TEST_F(DaemonTest, PrivilegesAreGoneBeforeItServes) {
  const std::string status = auspex::testing::ReadAll(Cat("/proc/", process_->pid(), "/status"));
  EXPECT_NE(status.find("NoNewPrivs:\t1\n"), std::string::npos);
  EXPECT_NE(status.find("Seccomp:\t2\n"), std::string::npos);
  const std::string limits = auspex::testing::ReadAll(Cat("/proc/", process_->pid(), "/limits"));
  EXPECT_NE(limits.find("Max core file size        0                    0"), std::string::npos);
}

TEST_F(DaemonTest, ASecondInstanceIsRefused) {
  Process second({ProgramPath("auspex-stated"), "--home", folder_.path()}, folder_ / "second");
  EXPECT_EQ(second.Wait(std::chrono::seconds(20)), 2);
}

TEST_F(DaemonTest, StopsCleanlyWithStreamsOpen) {
  Enrol();
  Stream<v1::Demand> demand;
  demand.reader = intake_->WatchDemand(&demand.context, v1::WatchDemandRequest());
  v1::Demand wanted;
  ASSERT_TRUE(demand.reader->Read(&wanted));
  EXPECT_EQ(process_->Stop(), 0);
}

TEST_F(DaemonTest, ANewerDatabaseIsRefusedWithExitCode2) {
  ASSERT_EQ(process_->Stop(), 0);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  Process newer({ProgramPath("auspex-stated"), "--home", folder_.path()}, folder_ / "newer");
  EXPECT_EQ(newer.Wait(std::chrono::seconds(20)), 2);
  EXPECT_NE(auspex::testing::ReadAll(folder_ / "newer").find("newer program"), std::string::npos);
}

// Promise P7: what was answered with OK is there after kill -9, whatever was going on.
TEST_F(DaemonTest, KillNineLosesNothingThatWasAcknowledged) {
  Enrol();
  std::set<int> completed, accepted;
  int next = 1;
  for (int round = 0; round < 4; ++round) {
    Stream<v1::WorkItem> work;
    v1::WatchWorkRequest watch;
    watch.set_slots(64);
    work.reader = work_->WatchWork(&work.context, watch);
    std::mutex mutex;
    std::atomic<int> number{next};
    std::atomic<int> writes{0};
    std::vector<std::thread> clients;
    for (int client = 0; client < 6; ++client) {
      clients.emplace_back([&] {
        while (true) {
          const int n = number++;
          v1::OfferResponse decision;
          if (!Call(*intake_, &v1::Intake::Stub::Offer, OfferOf(n), &decision).ok()) return;
          {
            const std::lock_guard lock(mutex);
            accepted.insert(n);
          }
          v1::CompleteUnitResponse done;
          if (!Call(*work_, &v1::Work::Stub::CompleteUnit, CompletionOf(n), &done).ok()) return;
          const std::lock_guard lock(mutex);
          completed.insert(n);
          ++writes;
        }
      });
    }
    while (writes < 40 * (round + 1)) std::this_thread::yield();
    process_->Kill();
    for (std::thread& client : clients) client.join();
    work.context.TryCancel();
    v1::WorkItem item;
    while (work.reader->Read(&item)) {
    }
    next = number;
    Start();
    // Every acknowledged offer is known, every acknowledged result is in the outbox exactly once.
    v1::ListUnitsRequest list;
    list.set_all(true);
    list.set_limit(10'000);
    v1::ListUnitsResponse units;
    ASSERT_TRUE(Call(*query_, &v1::Query::Stub::ListUnits, list, &units).ok());
    std::map<std::string, std::string> states;
    for (const v1::Unit& unit : units.units()) {
      EXPECT_TRUE(states.emplace(unit.assignment_id(), unit.state()).second)
          << unit.assignment_id();
    }
    for (const int n : accepted) EXPECT_TRUE(states.contains(Cat("asg-", n))) << n;
    for (const int n : completed) EXPECT_EQ(states[Cat("asg-", n)], "finished") << n;
    EXPECT_GE(Status().outbox_results(), completed.size());
  }
  // Each result is handed to netd once, with its whole body.
  Stream<v1::OutboxItem> outbox;
  SetDeadline(outbox.context, 30);
  outbox.reader = outbox_->WatchOutbox(&outbox.context, v1::WatchOutboxRequest());
  std::set<std::string> sent;
  const size_t expected = Status().outbox_results();
  while (sent.size() < expected) {
    v1::OutboxItem item;
    ASSERT_TRUE(outbox.reader->Read(&item));
    if (!item.has_send_result()) continue;
    EXPECT_TRUE(sent.insert(item.send_result().assignment_id()).second);
    v1::SettleRequest settle;
    settle.set_id(item.id());
    settle.mutable_result_accepted()->set_result_id(Cat("res-", sent.size()));
    v1::SettleResponse settled;
    ASSERT_TRUE(Call(*outbox_, &v1::Outbox::Stub::Settle, settle, &settled).ok());
  }
  for (const int n : completed) EXPECT_TRUE(sent.contains(Cat("asg-", n))) << n;
  outbox.context.TryCancel();
}

}  // namespace
}  // namespace auspex::stated
