// SPDX-License-Identifier: AGPL-3.0-only
// audit show, follow, head and export on a real keyd.
#include <signal.h>
#include <sys/wait.h>

#include "common/journal/note.h"
#include "tests/cli/audit_fixture.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> UnitsIn(const JsonValue& value) {
  std::vector<std::string> units;
  const JsonValue* records = value.Find("records");
  EXPECT_NE(records, nullptr);
  if (records == nullptr) return units;
  for (const JsonValue& record : *records->as_array()) {
    units.push_back(*record.FindString("unit"));
  }
  return units;
}

TEST_F(AuditVerbs, ShowFiltersAlikeFromKeydAndFromFiles) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  using ::testing::SizeIs;
  for (const std::vector<std::string>& where :
       {std::vector<std::string>{}, std::vector<std::string>{"--journal", journal()}}) {
    const auto show = [&](std::vector<std::string> words) {
      words.insert(words.begin(), "show");
      words.insert(words.end(), where.begin(), where.end());
      return UnitsIn(AuditJson(words));
    };
    EXPECT_THAT(show({"--intent", "sign_result", "--outcome", "signed"}),
                ElementsAre("u-1", "u-2", "u-3"));
    EXPECT_THAT(show({"--unit", "u-2"}), ElementsAre("u-2"));
    EXPECT_THAT(show({"--outcome", "refused"}), SizeIs(1));
    EXPECT_THAT(show({"--intent", "sign_result", "--limit", "2"}), ElementsAre("u-1", "u-2"));
    EXPECT_THAT(show({"--unit", "u-1", "--from", std::to_string(RecordOf(2))}), IsEmpty());
    EXPECT_THAT(show({"--unit", "u-1", "--from", std::to_string(RecordOf(1))}), SizeIs(1));
    EXPECT_THAT(show({"--unit", "u-1", "--since", "2020-01-01"}), SizeIs(1));
    EXPECT_THAT(show({"--unit", "u-1", "--until", "2020-01-01"}), IsEmpty());
    EXPECT_THAT(show({"--unit", "u-1", "--since", "2120-01-01"}), IsEmpty());
  }
  const Outcome text = Audit({"show"});
  EXPECT_THAT(text.out, HasSubstr("import_key"));
  EXPECT_THAT(text.out, HasSubstr("unit_id"));  // the refusal's cause
  EXPECT_THAT(text.out, Not(HasSubstr("\x1b")));
}

TEST_F(AuditVerbs, HeadShowsAndSignsWholeNotes) {
  EXPECT_THAT(Audit({"head"}).out, HasSubstr("records:"));
  const JsonValue before = AuditJson({"head"});
  const Outcome note = Audit({"head", "--sign", "--note"});
  ASSERT_EQ(note.code, 0) << note.err;
  const auto parsed = ParseNote(note.out);
  ASSERT_TRUE(parsed.ok()) << parsed.status() << note.out;
  EXPECT_TRUE(CheckNote(*parsed, key_.public_key).ok());
  EXPECT_EQ(static_cast<int64_t>(parsed->checkpoint.size), NumberIn(before, "records"));
  EXPECT_EQ(HexEncode(AsText(parsed->checkpoint.root)), *before.FindString("root"));
  // What was signed is what keyd and the files show from then on.
  EXPECT_EQ(*AuditJson({"head"}).FindString("checkpoint"), note.out);
  const JsonValue offline = AuditJson({"head", "--journal", journal()});
  EXPECT_EQ(*offline.FindString("checkpoint"), note.out);
  EXPECT_EQ(*offline.FindString("root"), *AuditJson({"head"}).FindString("root"));
}

TEST_F(AuditVerbs, FollowShowsWhatComesAndEndsWithCtrlC) {
  const std::string log = files_.path() + "/follow.log";
  const pid_t pid = StartProgram(BuiltProgram("auspex"),
                                 {"--home", home_.path(), "audit", "follow", "--json", "--last",
                                  "1", "--intent", "sign_result"},
                                 log);
  // The latest record is the refusal; then what comes.
  EXPECT_TRUE(Eventually([&] {
    return testing::ReadText(log).find("refused") != std::string::npos;
  })) << testing::ReadText(log);
  ASSERT_TRUE(Sign("u-live", 4).ok());
  EXPECT_TRUE(Eventually([&] {
    return testing::ReadText(log).find("u-live") != std::string::npos;
  })) << testing::ReadText(log);
  ::kill(pid, SIGINT);
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  // One JSON object a line.
  std::istringstream lines(testing::ReadText(log));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto value = ReadJson(line);
    ASSERT_TRUE(value.ok()) << line;
    EXPECT_EQ(*value->FindString("intent"), "sign_result");
  }
  EXPECT_EQ(count, 2);
}

TEST_F(AuditVerbs, ExportsAreVerifiableAndReplaceNothing) {
  Kept("kept.txt");
  const std::string path = files_.path() + "/journal.jsonl";
  const Outcome made = Audit({"export", "--output", path});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const JsonValue folder = AuditJson({"verify"});
  const JsonValue file = AuditJson({"verify", "--export", path, "--key", key_hex()});
  EXPECT_EQ(*file.FindString("root"), *folder.FindString("root"));
  EXPECT_EQ(NumberIn(file, "last_record"), NumberIn(folder, "last_record"));
  EXPECT_EQ(NumberIn(file, "attested_records"), last());

  const std::string text = testing::ReadText(path);
  EXPECT_EQ(Audit({"export", "--output", path}).code, 1);
  EXPECT_EQ(testing::ReadText(path), text);
  EXPECT_EQ(Audit({"export", "--output", files_.path() + "/none", "--from", "900"}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(files_.path() + "/none"));

  std::string changed = text;
  changed.replace(changed.find("asg-u-2"), 7, "asg-u-9");
  const Outcome bad = Audit({"verify", "--export", File("changed.jsonl", changed)});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("changed.jsonl"));
  EXPECT_THAT(bad.err, HasSubstr("leaf_hash"));
  const std::string part = files_.path() + "/part.jsonl";
  EXPECT_EQ(Audit({"export", "--output", part, "--from", std::to_string(RecordOf(1)), "--to",
                   std::to_string(RecordOf(3))})
                .code,
            0);
  EXPECT_EQ(Audit({"verify", "--export", part}).code, 0);
}

}  // namespace
}  // namespace auspex::cli
