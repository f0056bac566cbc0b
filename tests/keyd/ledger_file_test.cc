// SPDX-License-Identifier: AGPL-3.0-only
// The file that remembers assignments: what is put is found again over every growth, the disk's
// room is asked for before it is needed, and nothing of it stays in memory.
#include "keyd/ledger_file.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "common/base/cat.h"
#include "common/base/sanitized.h"
#include "common/crypto/sha256.h"
#include "keyd/assignment_ledger.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

using Key = std::array<unsigned char, 16>;

Key KeyOfNumber(int number) {
  Key key;
  std::memcpy(key.data(), Sha256(Cat("key ", number)).data(), key.size());
  return key;
}

absl::Status Put(LedgerFile& file, const Key& key, unsigned char mark) {
  auto place = file.Find(key);
  if (!place.ok()) return place.status();
  place->slot.body.fill(mark);
  return file.Put(*place);
}

TEST(LedgerFile, FindsWhatWasPutOverEveryGrowth) {
  const ScratchDir folder;
  LedgerFile file(folder.path());
  constexpr int kKeys = 30'000;  // five growths
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(Put(file, KeyOfNumber(i), static_cast<unsigned char>(i % 251)).ok()) << i;
  }
  EXPECT_EQ(file.size(), static_cast<uint64_t>(kKeys));
  std::set<uint64_t> indexes;
  for (int i = 0; i < kKeys; ++i) {
    const auto place = file.Find(KeyOfNumber(i));
    ASSERT_TRUE(place.ok() && place->found) << i;
    ASSERT_EQ(place->slot.body[7], static_cast<unsigned char>(i % 251)) << i;
    ASSERT_TRUE(indexes.insert(place->index).second) << i;
  }
  for (int i = kKeys; i < kKeys + 5000; ++i) {
    const auto place = file.Find(KeyOfNumber(i));
    ASSERT_TRUE(place.ok());
    ASSERT_FALSE(place->found) << i;
  }
  // The file has no name.
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// The first and the last keys that there are, in runs, so that they spill over the end.
TEST(LedgerFile, RunsOfKeysThatWantTheSameSlotAreFoundToo) {
  LedgerFile file("");
  std::vector<Key> keys;
  for (const unsigned char fill : {0x00, 0xff}) {
    for (unsigned i = 1; i <= 300; ++i) {
      Key key;
      key.fill(fill);
      key[14] = static_cast<unsigned char>(i >> 8);
      key[15] = static_cast<unsigned char>(i);
      keys.push_back(key);
    }
  }
  for (const Key& key : keys) ASSERT_TRUE(Put(file, key, key[15]).ok());
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(Put(file, KeyOfNumber(i), 9).ok());
  for (const Key& key : keys) {
    const auto place = file.Find(key);
    ASSERT_TRUE(place.ok() && place->found);
    ASSERT_EQ(place->slot.body[0], key[15]);
  }
  EXPECT_EQ(file.size(), keys.size() + 10'000);
}

TEST(LedgerFile, AFolderThatCannotHoldItIsNamed) {
  LedgerFile file("/proc/self");
  const absl::Status status = file.Find(KeyOfNumber(1)).status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("/proc/self"), absl::string_view::npos) << status;
}

class LedgerOnASmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=600k") == 0,
                       "mounting a tmpfs");
    mounted_ = true;
  }
  void TearDown() override {
    if (!mounted_) return;
    EXPECT_EQ(::umount2(folder_.path().c_str(), MNT_DETACH), 0);
  }
  ScratchDir folder_;
  bool mounted_ = false;
};

// A growth that finds no room is an error of the claim that needed it; what is remembered stays.
TEST_F(LedgerOnASmallDisk, AFullDiskAtAGrowthIsAnErrorAndForgetsNothing) {
  AssignmentLedger ledger(folder_.path());
  Digest32 body;
  body.fill(7);
  absl::Status status;
  int claimed = 0;
  for (; claimed < 20'000 && status.ok(); ++claimed) {
    status = ledger.ClaimSubmission(Cat("asg-", claimed), body);
  }
  --claimed;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_NE(status.message().find(folder_.path()), absl::string_view::npos) << status;
  EXPECT_EQ(ledger.size(), static_cast<size_t>(claimed));
  EXPECT_GT(claimed, 1000);
  Digest32 other;
  other.fill(8);
  for (int i = 0; i < claimed; ++i) {
    EXPECT_TRUE(ledger.ClaimSubmission(Cat("asg-", i), body).ok()) << i;
    EXPECT_EQ(ledger.ClaimSubmission(Cat("asg-", i), other).code(),
              absl::StatusCode::kAlreadyExists);
  }
  // With room again it goes on.
  ASSERT_EQ(::mount("none", folder_.path().c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
  EXPECT_TRUE(ledger.ClaimSubmission("asg-new", body).ok());
}

TEST_F(LedgerOnASmallDisk, AReplayThatFindsNoRoomIsToldAndNothingIsClaimedAnyMore) {
  AssignmentLedger ledger(folder_.path());
  JournalRecord record;
  record.intent = Intent::kSubmitResult;
  record.outcome = Outcome::kSigned;
  record.bound.fill(1);
  for (int i = 0; i < 20'000; ++i) {
    record.subject = Cat("asg-", i);
    ledger.Replay(record);
  }
  EXPECT_EQ(ledger.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ledger.ClaimSubmission("asg-1", record.bound).code(),
            absl::StatusCode::kResourceExhausted);
}

// Loaded at once, or put one by one: the first body and the last result of each assignment count.
TEST(AssignmentLedger, RemembersTheSameLoadedOrPutOneByOne) {
  for (const int assignments : {1, 50, 1200, 40'000}) {
    const ScratchDir folder;
    AssignmentLedger ledger(folder.path());
    const auto digest = [](int number) { return ToDigest(Sha256(Cat(number))); };
    JournalRecord record;
    record.outcome = Outcome::kSigned;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < assignments; ++i) {
        record.subject = Cat("asg-", i);
        record.digest = record.bound = digest(3 * i + round);
        record.intent = Intent::kSignResult;
        ledger.Replay(record);
        record.intent = Intent::kSubmitResult;
        if (i % 2 == 0) ledger.Replay(record);
      }
      // The first round is loaded, the others are put.
      ASSERT_TRUE(ledger.status().ok()) << ledger.status();
    }
    EXPECT_EQ(ledger.size(), static_cast<size_t>(assignments));
    for (int i = 0; i < assignments; ++i) {
      const std::string id = Cat("asg-", i);
      EXPECT_TRUE(ledger.ClaimResult(id, digest(3 * i + 2)).ok());
      EXPECT_EQ(ledger.ClaimResult(id, digest(3 * i)).ok(), i % 2 == 1);
      EXPECT_TRUE(ledger.ClaimSubmission(id, digest(3 * i)).ok());
      EXPECT_FALSE(ledger.ClaimSubmission(id, digest(3 * i + 1)).ok());
    }
    EXPECT_EQ(ledger.size(), static_cast<size_t>(assignments));
  }
}

TEST(AssignmentLedger, ALoadKeepsTheOrderWithinItself) {
  const ScratchDir folder;
  AssignmentLedger ledger(folder.path());
  const auto digest = [](int number) { return ToDigest(Sha256(Cat(number))); };
  JournalRecord record;
  record.outcome = Outcome::kSigned;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20'000; ++i) {
      record.subject = Cat("asg-", i);
      record.digest = record.bound = digest(3 * i + round);
      for (const Intent intent : {Intent::kSignResult, Intent::kSubmitResult}) {
        record.intent = intent;
        ledger.Replay(record);
      }
    }
  }
  EXPECT_EQ(ledger.size(), 20'000u);
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = Cat("asg-", i);
    EXPECT_FALSE(ledger.ClaimResult(id, digest(3 * i)).ok());
    EXPECT_TRUE(ledger.ClaimResult(id, digest(3 * i + 2)).ok());
    EXPECT_TRUE(ledger.ClaimSubmission(id, digest(3 * i)).ok());
    EXPECT_FALSE(ledger.ClaimSubmission(id, digest(3 * i + 2)).ok());
  }
}

uint64_t ResidentKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  }
  return 0;
}

TEST(LedgerFile, ManyAssignmentsTakeNoMemory) {
  AUSPEX_SKIP_UNLESS(!kSanitized,
                     "a build without a sanitizer, whose own memory would be measured");
  const ScratchDir folder;
  AssignmentLedger ledger(folder.path());
  Digest32 body;
  body.fill(7);
  ASSERT_TRUE(ledger.ClaimSubmission("asg-first", body).ok());
  const uint64_t before = ResidentKib();
  for (int i = 0; i < 200'000; ++i) {
    ASSERT_TRUE(ledger.ClaimSubmission(Cat("asg-", i), body).ok());
  }
  // 12 MiB of slots are in use.
  EXPECT_LT(ResidentKib(), before + 2048);
}

}  // namespace
}  // namespace auspex::keyd
