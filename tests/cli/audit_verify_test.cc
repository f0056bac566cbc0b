// SPDX-License-Identifier: AGPL-3.0-only
// audit verify on copies of a real keyd's journal, changed in the ways in which somebody with the
// files in hand can change them.
#include <fstream>

#include "tests/cli/audit_fixture.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;

std::string OnlySegment(const std::string& folder) {
  std::string name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".log") name = entry.path().filename();
  }
  return name;
}

TEST_F(AuditVerbs, VerifySaysWhatWasAndWhatCannotBeVerified) {
  const std::string kept = Kept("kept.txt");
  const Outcome good = Audit({"verify"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("good"));
  EXPECT_THAT(good.out, HasSubstr("records 1 to " + std::to_string(last() + 1)));
  EXPECT_THAT(good.out, HasSubstr("enrolled with"));
  EXPECT_THAT(good.out, HasSubstr("an older copy of all files"));
  const Outcome with_note = Audit({"verify", "--checkpoint", kept});
  EXPECT_EQ(with_note.code, 0) << with_note.err;
  EXPECT_THAT(with_note.out, HasSubstr("continues the checkpoint in " + kept));

  const JsonValue json = AuditJson({"verify", "--journal", journal()});
  EXPECT_TRUE(*json.Find("good")->as_bool());
  EXPECT_THAT(*json.FindString("keys_from"), HasSubstr("names itself"));
  EXPECT_EQ(NumberIn(json, "attested_records"), last());
  EXPECT_EQ(*json.Find("keys")->as_array()->at(0).FindString("public_key"), key_hex());
}

TEST_F(AuditVerbs, VerifyTakesNoOthersKeyForTheOwners) {
  Kept("kept.txt");
  EXPECT_EQ(Audit({"verify", "--key", key_hex()}).code, 0);
  const Outcome wrong = Audit({"verify", "--key", std::string(64, 'a')});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("no checkpoint of this journal is signed by the key"));
  EXPECT_EQ(Audit({"verify", "--key", "nonsense"}).code, 2);
}

TEST_F(AuditVerbs, VerifyNamesFileAndRecordOfEveryChange) {
  Kept("kept.txt");
  const std::string name = OnlySegment(journal());
  const std::string octets = testing::ReadText(journal() + "/" + name);
  // The subject of each signed result is in its record.
  for (int i = 1; i <= 3; ++i) {
    const std::string copy = CopyOfJournal("changed-" + std::to_string(i));
    std::string changed = octets;
    const std::string subject = "asg-u-" + std::to_string(i);
    changed.replace(changed.find(subject), subject.size(), "asg-x-9");
    testing::WriteText(copy + "/" + name, changed);
    const Outcome outcome = Audit({"verify", "--journal", copy});
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_THAT(outcome.err, HasSubstr("NOT GOOD"));
    EXPECT_THAT(outcome.err, HasSubstr(name));
    EXPECT_THAT(outcome.err, HasSubstr("record " + std::to_string(RecordOf(i))));
    const JsonValue json = AuditJson({"verify", "--journal", copy}, 1);
    EXPECT_FALSE(*json.Find("good")->as_bool());
    EXPECT_EQ(*json.Find("fault")->FindString("file"), name);
    EXPECT_EQ(NumberIn(*json.Find("fault"), "record"), RecordOf(i));
    EXPECT_LT(NumberIn(*json.Find("fault"), "offset"), static_cast<int64_t>(octets.find(subject)));
    EXPECT_EQ(Audit({"show", "--journal", copy}).code, 1);
    EXPECT_EQ(Audit({"export", "--journal", copy, "--output", copy + ".jsonl"}).code, 1);
  }
}

TEST_F(AuditVerbs, VerifySeesRecordsThatWereCutOff) {
  const std::string early = CopyOfJournal("early");
  Kept("kept.txt");
  // Segments as they were, beside the newest note.
  std::filesystem::copy_file(journal() + "/checkpoint", early + "/checkpoint",
                             std::filesystem::copy_options::overwrite_existing);
  const std::string name = OnlySegment(early);
  std::string octets = testing::ReadText(early + "/" + name);
  const size_t cut = octets.find("asg-u-3") - 104 - 4;
  testing::WriteText(early + "/" + name, octets.substr(0, cut));
  const Outcome outcome = Audit({"verify", "--journal", early});
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_THAT(outcome.err, HasSubstr("checkpoint"));
  EXPECT_THAT(outcome.err, HasSubstr("cut off"));
}

TEST_F(AuditVerbs, VerifyCatchesARollbackWithTheKeptNoteAndOnlyWithIt) {
  Kept("first.txt");
  const std::string old = CopyOfJournal("old");
  ASSERT_TRUE(Sign("u-later", 9).ok());
  const std::string kept = Kept("kept.txt");
  EXPECT_EQ(Audit({"verify", "--checkpoint", kept}).code, 0);
  EXPECT_EQ(Audit({"verify", "--journal", old, "--key", key_hex()}).code, 0);
  const Outcome caught =
      Audit({"verify", "--journal", old, "--key", key_hex(), "--checkpoint", kept});
  EXPECT_EQ(caught.code, 1) << caught.out;
  EXPECT_THAT(caught.err, HasSubstr("kept.txt"));
  EXPECT_THAT(caught.err, HasSubstr("older journal was put back"));
}

TEST_F(AuditVerbs, VerifyNeedsNeitherKeydNorAnythingElse) {
  const std::string kept = Kept("kept.txt");
  EXPECT_EQ(keyd_->Stop(SIGTERM), 0);
  EXPECT_EQ(Audit({"verify", "--checkpoint", kept}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/run/keyd/owner.sock"));
  EXPECT_EQ(Audit({"verify", "--journal", files_.path() + "/nothing"}).code, 1);
}

}  // namespace
}  // namespace auspex::cli
