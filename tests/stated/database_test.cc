// SPDX-License-Identifier: AGPL-3.0-only
// Group commit, isolation, migration, permissions, a full disk.
#include "stated/database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>
#include <latch>

#include "common/base/cat.h"
#include "stated/schema.h"
#include "tests/stated/fixture.h"
#include "tests/support/skip.h"

namespace auspex::stated {
namespace {

absl::Status InsertTenant(Connection& db, const std::string& tenant) {
  return Statement(db, "INSERT INTO tenants (tenant_id, list, added_at) VALUES (?, 'allow', 0)",
                   tenant)
      .Run();
}

int64_t CountTenants(Database& database) {
  int64_t count = -1;
  const absl::Status status = database.Read([&](Connection& db) -> absl::Status {
    const absl::StatusOr<int64_t> number = SingleNumber(db, "SELECT COUNT(*) FROM tenants");
    if (number.ok()) count = *number;
    return number.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return count;
}

class DatabaseTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/auspex.db"; }
  std::unique_ptr<Database> Open() {
    absl::StatusOr<std::unique_ptr<Database>> database = Database::Open(path(), Clock::System());
    EXPECT_TRUE(database.ok()) << database.status();
    return database.ok() ? *std::move(database) : nullptr;
  }
  TempFolder folder_;
};

// Runs `writes` so that all of them wait before the first transaction of theirs begins: a first
// write holds the writer.
std::vector<absl::Status> WriteTogether(Database& database,
                                        const std::vector<Database::Work>& writes) {
  std::latch holding(1), release(1);
  std::thread holder([&] {
    database
        .Write([&](Connection&) {
          holding.count_down();
          release.wait();
          return absl::CancelledError("only holds");
        })
        .IgnoreError();
  });
  holding.wait();
  std::vector<absl::Status> statuses(writes.size());
  std::vector<std::thread> threads;
  std::latch submitted(static_cast<ptrdiff_t>(writes.size()));
  for (size_t i = 0; i < writes.size(); ++i) {
    threads.emplace_back([&, i] {
      submitted.count_down();
      statuses[i] = database.Write(writes[i]);
    });
  }
  submitted.wait();
  release.count_down();
  holder.join();
  for (std::thread& thread : threads) thread.join();
  return statuses;
}

TEST_F(DatabaseTest, GroupsWaitingWritesIntoFewTransactions) {
  const std::unique_ptr<Database> database = Open();
  std::vector<Database::Work> writes;
  for (int i = 0; i < 64; ++i) {
    writes.push_back([i](Connection& db) { return InsertTenant(db, Cat("t-", i)); });
  }
  const uint64_t before = database->commits();
  for (const absl::Status& status : WriteTogether(*database, writes))
    EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(CountTenants(*database), 64);
  EXPECT_LT(database->commits() - before, 64u);
}

TEST_F(DatabaseTest, OneFailingWriteUndoesItselfAlone) {
  const std::unique_ptr<Database> database = Open();
  const auto good = [](const char* tenant) {
    return [tenant](Connection& db) { return InsertTenant(db, tenant); };
  };
  const Database::Work half_done = [](Connection& db) -> absl::Status {
    const absl::Status inserted = InsertTenant(db, "half-done");
    return inserted.ok() ? absl::InvalidArgumentError("second thoughts") : inserted;
  };
  const Database::Work broken = [](Connection& db) -> absl::Status {
    const absl::Status inserted = InsertTenant(db, "broken");
    return inserted.ok() ? InsertTenant(db, "broken") : inserted;  // breaks the primary key
  };
  const std::vector<absl::Status> statuses =
      WriteTogether(*database, {good("one"), half_done, good("two"), broken, good("three")});
  EXPECT_TRUE(statuses[0].ok() && statuses[2].ok() && statuses[4].ok());
  EXPECT_TRUE(absl::IsInvalidArgument(statuses[1]));
  EXPECT_FALSE(statuses[3].ok());
  EXPECT_EQ(CountTenants(*database), 3);
}

TEST_F(DatabaseTest, ReadersDoNotSeeWhatIsNotCommitted) {
  const std::unique_ptr<Database> database = Open();
  std::latch written(1), looked(1);
  std::thread writer([&] {
    const absl::Status status = database->Write([&](Connection& db) {
      const absl::Status inserted = InsertTenant(db, "later");
      written.count_down();
      looked.wait();
      return inserted;
    });
    EXPECT_TRUE(status.ok()) << status;
  });
  written.wait();
  EXPECT_EQ(CountTenants(*database), 0);
  looked.count_down();
  writer.join();
  EXPECT_EQ(CountTenants(*database), 1);
}

TEST_F(DatabaseTest, ReadConnectionCannotWrite) {
  const std::unique_ptr<Database> database = Open();
  EXPECT_FALSE(database->Read([](Connection& db) { return InsertTenant(db, "sneaky"); }).ok());
}

TEST_F(DatabaseTest, FilesArePrivateAndDurable) {
  ::umask(0);
  const std::unique_ptr<Database> database = Open();
  ASSERT_TRUE(database->Write([](Connection& db) { return InsertTenant(db, "one"); }).ok());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(::stat((path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
  const auto pragma = [&](SqlText sql) {
    std::string text;
    EXPECT_TRUE(database
                    ->Write([&](Connection& db) -> absl::Status {
                      Statement row(db, sql);
                      const absl::StatusOr<bool> stepped = row.Step();
                      text = row.Text(0);
                      return stepped.status();
                    })
                    .ok());
    return text;
  };
  EXPECT_EQ(pragma("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(pragma("PRAGMA synchronous"), "2");
  EXPECT_EQ(pragma("PRAGMA foreign_keys"), "1");
}

TEST_F(DatabaseTest, MigratesAnEmptyFileAndKeepsItsVersion) {
  { std::ofstream(path()).flush(); }
  Open().reset();
  const std::unique_ptr<Database> database = Open();
  int64_t version = 0;
  ASSERT_TRUE(database
                  ->Read([&](Connection& db) -> absl::Status {
                    const absl::StatusOr<int64_t> number = SingleNumber(db, "PRAGMA user_version");
                    version = number.value_or(-1);
                    return number.status();
                  })
                  .ok());
  EXPECT_EQ(version, SchemaVersion());
}

TEST_F(DatabaseTest, RefusesANewerSchema) {
  Open().reset();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const absl::StatusOr<std::unique_ptr<Database>> newer = Database::Open(path(), Clock::System());
  EXPECT_TRUE(absl::IsFailedPrecondition(newer.status())) << newer.status();
  EXPECT_NE(std::string(newer.status().message()).find("99"), std::string::npos);
}

TEST_F(DatabaseTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path()) << std::string(8192, 'x');
  const absl::StatusOr<std::unique_ptr<Database>> broken = Database::Open(path(), Clock::System());
  EXPECT_TRUE(absl::IsDataLoss(broken.status())) << broken.status();
}

TEST_F(DatabaseTest, RefusesASymbolicLink) {
  const std::string elsewhere = folder_.path() + "/elsewhere";
  std::ofstream(elsewhere).flush();
  ASSERT_EQ(::symlink(elsewhere.c_str(), path().c_str()), 0);
  EXPECT_FALSE(Database::Open(path(), Clock::System()).ok());
}

TEST_F(DatabaseTest, AMigrationThatFailsLeavesNothing) {
  // A table of the first step's name is in the way: the step fails half-way and must leave version
  // 0 and no other table.
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "CREATE TABLE outbox (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_FALSE(Database::Open(path(), Clock::System()).ok());
  sqlite3_stmt* count = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(
                raw, "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('identity', 'units')", -1,
                &count, nullptr),
            SQLITE_OK);
  ASSERT_EQ(sqlite3_step(count), SQLITE_ROW);
  EXPECT_EQ(sqlite3_column_int(count, 0), 0);
  sqlite3_finalize(count);
  sqlite3_close(raw);
}

TEST_F(DatabaseTest, RecreateEmptiesAndGoesOn) {
  const std::unique_ptr<Database> database = Open();
  ASSERT_TRUE(database->Write([](Connection& db) { return InsertTenant(db, "one"); }).ok());
  ASSERT_TRUE(database->Recreate().ok());
  EXPECT_EQ(CountTenants(*database), 0);
  ASSERT_TRUE(database->Write([](Connection& db) { return InsertTenant(db, "two"); }).ok());
  EXPECT_EQ(CountTenants(*database), 1);
}

TEST_F(DatabaseTest, StopRefusesLaterWrites) {
  const std::unique_ptr<Database> database = Open();
  database->Stop();
  EXPECT_TRUE(
      absl::IsUnavailable(database->Write([](Connection& db) { return InsertTenant(db, "one"); })));
}

// A file system of 2 MiB for the life of the object.
class SmallDisk {
 public:
  SmallDisk() { mounted_ = ::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=2m") == 0; }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
  bool mounted_ = false;
};

TEST(DatabaseDiskFull, IsNamedAndLeavesNothingHalfWritten) {
  const SmallDisk disk;
  AUSPEX_SKIP_UNLESS(disk.mounted(), "the right to mount a tmpfs");
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Open(disk.path() + "/auspex.db", Clock::System());
  ASSERT_TRUE(database.ok()) << database.status();
  const std::string big(256 * 1024, 'b');
  const auto two_rows = [&](int n) {
    return (*database)->Write([&](Connection& db) -> absl::Status {
      const absl::Status first = InsertTenant(db, Cat("first-", n));
      if (!first.ok()) return first;
      return Statement(db, "INSERT INTO outbox (kind, due, created_at, body) VALUES (1, 0, 0, ?)",
                       Blob{big})
          .Run();
    });
  };
  int stored = 0;
  absl::Status status;
  while (stored < 64 && (status = two_rows(stored)).ok()) ++stored;
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(CountTenants(**database), stored);
  // What was there can be read after a restart, and room lets writes go on.
  database->reset();
  absl::StatusOr<std::unique_ptr<Database>> again =
      Database::Open(disk.path() + "/auspex.db", Clock::System());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(CountTenants(**again), stored);
}

// A file system that became read-only is no "no" to what was asked; a file that was never opened is.
TEST_F(DatabaseTest, OneThatCannotBeWrittenAnyMoreIsUnavailable) {
  ASSERT_NE(Open(), nullptr);
  const auto reader = Connection::Open(path(), Connection::Mode::kReadOnly);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(InsertTenant(**reader, "a").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      Connection::Open(folder_.path() + "/absent", Connection::Mode::kReadOnly).status().code(),
      absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace auspex::stated
