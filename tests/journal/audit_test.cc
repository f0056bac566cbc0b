// SPDX-License-Identifier: AGPL-3.0-only
// The audit of a journal's files: what it says of a good one, and that it names file and record of
// every fault that somebody with the files in hand can make.
#include "common/journal/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/journal/made_journal.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::auspex::testing::MadeJournal;
using ::auspex::testing::ReadText;
using ::auspex::testing::TempDir;
using ::auspex::testing::TestKey;
using ::auspex::testing::WriteText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TestKey& OwnKey() {
  static const auto* key = new TestKey(1);
  return *key;
}

// Three segments with 3 checkpoints; the last one has two records behind its newest checkpoint.
MadeJournal Good() {
  MadeJournal journal;
  journal.AddKey(OwnKey());                                                      // 1
  for (int i = 0; i < 4; ++i) journal.AddSigned("result " + std::to_string(i));  // 2..5
  journal.AddCheckpoint(OwnKey());                                               // 6, over 5
  journal.Add(Intent::kRetire, Outcome::kRefused, "w-1");                        // 7
  journal.AddCheckpoint(OwnKey());                                               // 8, over 7
  journal.Rotate();
  journal.AddSigned("result 4");    // 9
  journal.AddCheckpoint(OwnKey());  // 10, over 9
  journal.Rotate();
  journal.AddSigned("result 5");  // 11
  journal.AddSigned("result 6");  // 12
  return journal;
}

class AuditTest : public ::testing::Test {
 protected:
  absl::StatusOr<AuditReport> Look(const MadeJournal& journal, const AuditRequest& request = {}) {
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directories(folder_.path());
    journal.Write(folder_.path());
    return LookAgain(request);
  }
  absl::StatusOr<AuditReport> LookAgain(const AuditRequest& request = {}) {
    return AuditJournal(*OpenJournalFolder(folder_.path()), request);
  }
  // The cause of the fault; "good" when there is none.
  static std::string CauseOf(const absl::StatusOr<AuditReport>& report) {
    if (!report.ok()) return report.status().ToString();
    return report->fault ? report->fault->cause : "good";
  }

  TempDir folder_;
};

TEST_F(AuditTest, OfAGoodJournalSaysWhatThereIs) {
  const MadeJournal journal = Good();
  const auto report = Look(journal);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(CauseOf(report), "good");
  EXPECT_EQ(report->origin, journal.origin());
  EXPECT_EQ(report->facts.segments, 3u);
  EXPECT_EQ(report->facts.torn_octets, 0u);
  EXPECT_EQ(report->first, 1u);
  EXPECT_EQ(report->last, 12u);
  EXPECT_EQ(report->last_time_micros - report->first_time_micros, 11'000'000);
  EXPECT_EQ(report->root, journal.tree().Root());
  EXPECT_EQ(report->checkpoints, 3u);
  EXPECT_EQ(report->verified, 3u);
  EXPECT_EQ(report->attested, 9u);
  EXPECT_EQ(report->newest_note, journal.newest_note());
  ASSERT_EQ(report->keys.size(), 1u);
  EXPECT_EQ(report->keys[0].public_key, OwnKey().public_key);
  EXPECT_EQ(report->keys[0].named_at, 1u);
  EXPECT_FALSE(report->keys[0].trusted);
  EXPECT_EQ(report->intents.at(Intent::kSignResult).signed_, 7u);
  EXPECT_EQ(report->intents.at(Intent::kRetire).refused, 1u);
}

TEST_F(AuditTest, WithTheRightKeyItIsAttestedWithAnotherItIsNot) {
  const auto right = Look(Good(), {.trusted_keys = {OwnKey().public_key}});
  EXPECT_EQ(CauseOf(right), "good");
  EXPECT_EQ(right->attested, 9u);
  EXPECT_TRUE(right->keys[0].trusted);
  const auto wrong = Look(Good(), {.trusted_keys = {TestKey(2).public_key}});
  EXPECT_EQ(CauseOf(wrong), "good");  // its own key's checkpoints hold; nothing of it is attested
  EXPECT_EQ(wrong->attested, 0u);
}

TEST_F(AuditTest, EveryChangedOctetOfARecordIsAFaultOfThatFile) {
  const MadeJournal good = Good();
  ASSERT_EQ(CauseOf(Look(good)), "good");
  size_t looked = 0;
  for (const auto& [name, octets] : good.segments()) {
    const std::string path = folder_ / name;
    // Every octet of the first segment's first frames and heads, some of the rest.
    for (size_t at = 0; at < octets.size(); at += at < 200 ? 1 : 41) {
      std::string changed = octets;
      changed[at] = static_cast<char>(changed[at] ^ 0x40);
      WriteText(path, changed);
      const auto report = LookAgain();
      ASSERT_TRUE(report.ok()) << report.status();
      ASSERT_TRUE(report->fault.has_value()) << name << " octet " << at;
      ASSERT_EQ(report->fault->file, name) << at << ": " << report->fault->cause;
      ASSERT_LE(report->fault->offset, at);
      ++looked;
    }
    WriteText(path, octets);
  }
  EXPECT_GT(looked, 600u);
}

TEST_F(AuditTest, ARecordThatWasReplacedByAWholeOtherOneIsNoticedByTheNextCheckpoint) {
  // The forger computes every check anew but cannot sign.
  MadeJournal forged;
  forged.AddKey(OwnKey());
  for (int i = 0; i < 4; ++i) forged.AddSigned(i == 2 ? "another" : "result " + std::to_string(i));
  MadeJournal good = Good();
  const std::string name = SegmentName(1);
  const auto [file, end] = good.places().at(6);
  ASSERT_EQ(file, name);
  good.changeable()[name].replace(0, end, forged.segments().at(name));
  const auto report = Look(good);
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->file, name);
  EXPECT_EQ(report->fault->record, 6u);
  EXPECT_EQ(report->fault->offset, end);
  EXPECT_THAT(report->fault->cause, HasSubstr("other records"));
}

TEST_F(AuditTest, AJournalThatWasWrittenAnewNamesItsForgersKeyAndDoesNotPassForTheOwners) {
  const TestKey thief(9);
  MadeJournal forged;
  forged.AddKey(OwnKey());
  forged.AddSigned("result 0");
  forged.AddCheckpoint(thief);
  const auto report = Look(forged);
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->record, 3u);
  EXPECT_THAT(report->fault->cause, HasSubstr("key that was not given"));
  // A thief who names the own key as the journal's has no checkpoint under the owner's.
  MadeJournal renamed;
  renamed.AddKey(thief);
  renamed.AddCheckpoint(thief);
  const auto with_key = Look(renamed, {.trusted_keys = {OwnKey().public_key}});
  EXPECT_EQ(CauseOf(with_key), "good");
  EXPECT_EQ(with_key->attested, 0u);
}

TEST_F(AuditTest, ASignatureThatDoesNotHoldIsAFaultOfItsPlace) {
  MadeJournal journal;
  const uint64_t record = journal.AddKey(OwnKey());
  const Checkpoint checkpoint{journal.origin(), 1, journal.tree().Root()};
  JournalEntry entry;
  entry.caller.role = Role::kSelf;
  entry.intent = Intent::kSignCheckpoint;
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(Sha256(NoteText(checkpoint)));
  journal.Add(entry);
  const std::string name = SegmentName(record);
  const size_t at = journal.segments().at(name).size();
  const std::string body = EncodeCheckpointBody(
      ComposeNote(checkpoint, OwnKey().public_key, OwnKey().Sign("something else")));
  AppendFrame(journal.changeable()[name], body, FrameCheck(body), true);
  const auto report = Look(journal);
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->offset, at);
  EXPECT_THAT(report->fault->cause, HasSubstr("signature does not hold"));
}

TEST_F(AuditTest, MissingAndForeignSegmentsAreNoticed) {
  ASSERT_EQ(CauseOf(Look(Good())), "good");
  std::filesystem::remove(folder_ / SegmentName(9));
  auto report = LookAgain();
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->file, SegmentName(11));
  EXPECT_THAT(report->fault->cause, HasSubstr("begins with record 11"));

  MadeJournal foreign(0x22);
  foreign.AddKey(OwnKey());
  while (foreign.records() < 8) foreign.AddSigned("x");
  foreign.Rotate();
  MadeJournal mixed = Good();
  mixed.changeable()[SegmentName(9)] = foreign.segments().at(SegmentName(9));
  report = Look(mixed);
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->file, SegmentName(9));
  EXPECT_THAT(report->fault->cause, HasSubstr("another journal"));
}

TEST_F(AuditTest, RecordsCutOffAreNoticedByTheNoteBesideThem) {
  ASSERT_EQ(CauseOf(Look(Good())), "good");
  std::filesystem::remove(folder_ / SegmentName(9));
  std::filesystem::remove(folder_ / SegmentName(11));
  const auto report = LookAgain();
  ASSERT_TRUE(report->fault.has_value());
  EXPECT_EQ(report->fault->file, "checkpoint");
  EXPECT_EQ(report->fault->record, 9u);
  EXPECT_THAT(report->fault->cause, HasSubstr("cut off"));
}

TEST_F(AuditTest, ARollbackOfEverythingIsNoticedByAKeptNoteAndByNothingElse) {
  MadeJournal old;
  old.AddKey(OwnKey());
  old.AddCheckpoint(OwnKey());
  MadeJournal journal = old;
  journal.AddSigned("result");
  const KeptNote kept{"kept.txt", *ParseNote(journal.AddCheckpoint(OwnKey()))};
  const auto whole = Look(journal, {.kept = {kept}});
  EXPECT_EQ(CauseOf(whole), "good");
  EXPECT_THAT(whole->continues, ElementsAre("kept.txt"));
  // The older state, whole and with its own newest note.
  EXPECT_EQ(CauseOf(Look(old)), "good");
  const auto rolled_back = LookAgain({.kept = {kept}});
  ASSERT_TRUE(rolled_back->fault.has_value());
  EXPECT_EQ(rolled_back->fault->file, "kept.txt");
  EXPECT_THAT(rolled_back->fault->cause, HasSubstr("older journal was put back"));
  // And one that went on differently after the rollback.
  while (old.records() < journal.records()) old.AddSigned("another");
  const auto forked = Look(old, {.kept = {kept}});
  ASSERT_TRUE(forked->fault.has_value());
  EXPECT_THAT(forked->fault->cause, HasSubstr("rewritten"));
}

TEST_F(AuditTest, AKeptNoteMustBeOfThisJournalAndAKnownKey) {
  const MadeJournal journal = Good();
  MadeJournal other(0x33);
  other.AddKey(OwnKey());
  const KeptNote foreign{"kept", *ParseNote(other.AddCheckpoint(OwnKey()))};
  EXPECT_THAT(CauseOf(Look(journal, {.kept = {foreign}})), HasSubstr("another journal"));
  const KeptNote forged{"kept", *ParseNote(journal.NoteOf(TestKey(5), 5, {}))};
  EXPECT_THAT(CauseOf(Look(journal, {.kept = {forged}})), HasSubstr("not given"));
}

TEST_F(AuditTest, AnEarlierKeysCheckpointsHoldBesideThoseOfTheNext) {
  const TestKey next(2);
  MadeJournal journal = Good();
  journal.Add(Intent::kDestroyKey, Outcome::kDone, HexEncode(OwnKey().public_key));
  journal.AddKey(next);
  journal.AddCheckpoint(next);
  const auto report = Look(journal, {.trusted_keys = {next.public_key}});
  EXPECT_EQ(CauseOf(report), "good");
  EXPECT_EQ(report->verified, 4u);
  ASSERT_EQ(report->keys.size(), 2u);
  EXPECT_EQ(report->keys[0].checkpoints, 1u);
  EXPECT_EQ(report->keys[0].named_at, 14u);
  EXPECT_EQ(report->keys[1].checkpoints, 3u);
  EXPECT_EQ(report->attested, 14u);
}

TEST_F(AuditTest, ATornEndIsNoFaultAnywhereElseItIs) {
  ASSERT_EQ(CauseOf(Look(Good())), "good");
  const std::string last = folder_ / SegmentName(11);
  const std::string octets = ReadText(last);
  WriteText(last, octets.substr(0, octets.size() - 10));
  const auto torn = LookAgain();
  EXPECT_EQ(CauseOf(torn), "good");
  EXPECT_GT(torn->facts.torn_octets, 0u);
  EXPECT_EQ(torn->last, 11u);
  WriteText(last, octets);
  const std::string middle = folder_ / SegmentName(9);
  const std::string inner = ReadText(middle);
  WriteText(middle, inner.substr(0, inner.size() - 10));
  EXPECT_EQ(LookAgain()->fault->file, SegmentName(9));
}

TEST_F(AuditTest, WithoutAJournalThereIsNoReport) {
  EXPECT_TRUE(absl::IsNotFound(LookAgain().status()));
  EXPECT_TRUE(absl::IsNotFound(AuditJournal(*OpenJournalFolder(folder_ / "nothing"), {}).status()));
}

TEST_F(AuditTest, AJournalWithoutItsFirstSegmentsIsReadAsFarAsItGoes) {
  ASSERT_EQ(CauseOf(Look(Good())), "good");
  std::filesystem::remove(folder_ / SegmentName(1));
  const auto report = LookAgain({.trusted_keys = {OwnKey().public_key}});
  EXPECT_EQ(CauseOf(report), "good");
  EXPECT_EQ(report->first, 9u);
  EXPECT_EQ(report->root, Good().tree().Root());
  EXPECT_EQ(report->attested, 9u);
  const KeptNote kept{"kept", *ParseNote(Good().NoteOf(OwnKey(), 3, {}))};
  EXPECT_THAT(CauseOf(LookAgain({.kept = {kept}})), HasSubstr("begin with record 9"));
}

}  // namespace
}  // namespace auspex
