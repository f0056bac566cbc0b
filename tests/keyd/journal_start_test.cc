// SPDX-License-Identifier: AGPL-3.0-only
// Whose journal it is: a journal that is whole in itself and was signed by another key is refused at start (promise P4).
#include "keyd/journal_start.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/keyd/journal_rig.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

// Another key than the one that KeptJournal signs with.
constexpr std::string_view kOwnersSeed =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

absl::Status Start(const ScratchDir& dir, const std::string& public_key_hex) {
  JournalStart start;
  start.state_dir = dir.path();
  start.public_key_hex = public_key_hex;
  return StartJournal(start, [](const JournalRecord&) {}).status();
}

// A journal in which `made` was created as record 1, with one more record and a checkpoint that the journal's keeper signed:
// behind them, or, when `before_making`, in front of both.
void WriteJournal(const ScratchDir& dir, const std::string& made, bool before_making) {
  auto folder = OpenJournalFolder(dir.path() + "/journal");
  ASSERT_TRUE(folder.ok()) << folder.status();
  auto opened = Journal::Open(*std::move(folder), JournalOptions{}, 1, [](const JournalRecord&) {});
  ASSERT_TRUE(opened.ok()) << opened.status();
  KeptJournal kept(*std::move(opened));
  if (before_making) {
    ASSERT_NE(kept.Append(1), 0u);
    ASSERT_TRUE(kept.checkpointer.Sign(kSelf).ok());
  }
  JournalEntry making;
  making.intent = Intent::kCreateKey;
  making.outcome = Outcome::kDone;
  making.subject = made;
  ASSERT_TRUE(kept.journal->Append(making).ok());
  ASSERT_NE(kept.Append(2), 0u);
  if (!before_making) {
    ASSERT_TRUE(kept.checkpointer.Sign(kSelf).ok());
  }
}

TEST(JournalStart, ACheckpointOfAnotherKeyOverThisKeysRecordsIsDamage) {
  const ScratchDir dir;
  const std::string owner = KeyOf(kOwnersSeed).public_key_hex();
  WriteJournal(dir, owner, false);
  const absl::Status status = Start(dir, owner);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(std::string(status.message()).find("signed by another key"), std::string::npos)
      << status;
  EXPECT_NE(std::string(status.message()).find("auspex bootstrap"), std::string::npos) << status;
}

TEST(JournalStart, ThisKeysCheckpointIsGoodAndSoIsAnEarlierKeysFromBefore) {
  const ScratchDir own, earlier;
  const std::string keeper = KeyOf(kSomeSeed).public_key_hex();
  WriteJournal(own, keeper, false);
  EXPECT_TRUE(Start(own, keeper).ok()) << Start(own, keeper);
  const std::string owner = KeyOf(kOwnersSeed).public_key_hex();
  WriteJournal(earlier, owner, true);
  EXPECT_TRUE(Start(earlier, owner).ok()) << Start(earlier, owner);
}

}  // namespace
}  // namespace auspex::keyd
