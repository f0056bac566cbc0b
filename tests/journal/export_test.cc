// SPDX-License-Identifier: AGPL-3.0-only
// Exports: they hold all that the folder holds, are audited to the same report, and no line of them
// can be changed, dropped, doubled or moved.
#include "common/journal/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/journal/audit.h"
#include "common/json/canonical.h"
#include "tests/journal/made_journal.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::auspex::testing::MadeJournal;
using ::auspex::testing::TempDir;
using ::auspex::testing::TestKey;
using ::auspex::testing::WriteText;
using ::testing::HasSubstr;

class ExportTest : public ::testing::Test {
 protected:
  ExportTest() : key_(1) {
    journal_.AddKey(key_);  // 1
    journal_.AddSigned("result 0");
    journal_.AddCheckpoint(key_);  // 3, over 2
    journal_.Rotate();
    JournalEntry odd;  // 4
    odd.intent = Intent::kPoll;
    odd.subject = "no \xff utf-8";
    odd.cause = "a \"quoted\"\nline \xe2\x80\x94";
    odd.created = -1;
    journal_.Add(odd);
    journal_.AddCheckpoint(key_);  // 5, over 4
    journal_.AddSigned("result 1");
    journal_.Write(folder_.path());
  }

  std::vector<std::string> Lines(const ExportRange& range = {}) {
    std::vector<std::string> lines;
    const auto summary =
        ExportJournal(*OpenJournalFolder(folder_.path()), range, [&](std::string_view line) {
          lines.emplace_back(line);
          return absl::OkStatus();
        });
    EXPECT_TRUE(summary.ok()) << summary.status();
    return lines;
  }
  AuditReport Look(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line;
    WriteText(path_, text);
    const auto report = AuditJournal(*OpenJournalExport(path_), {});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : AuditReport();
  }

  const TestKey key_;
  MadeJournal journal_;
  TempDir folder_;
  TempDir other_;
  const std::string path_ = other_ / "export.jsonl";
};

TEST_F(ExportTest, IsAuditedToTheSameReportAsTheFolder) {
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1u + 6u + 2u + 1u);
  const AuditReport report = Look(lines);
  const AuditReport folder = *AuditJournal(*OpenJournalFolder(folder_.path()), {});
  EXPECT_FALSE(report.fault.has_value()) << report.fault->cause;
  EXPECT_EQ(report.root, folder.root);
  EXPECT_EQ(report.last, folder.last);
  EXPECT_EQ(report.verified, 2u);
  EXPECT_EQ(report.attested, 4u);
  EXPECT_EQ(report.newest_note, folder.newest_note);
  EXPECT_EQ(report.keys[0].public_key, key_.public_key);
}

TEST_F(ExportTest, EveryRangeIsVerifiableForItself) {
  for (uint64_t first = 1; first <= 6; ++first) {
    for (uint64_t last = first; last <= 7; ++last) {
      const AuditReport report = Look(Lines({first, last}));
      EXPECT_FALSE(report.fault.has_value()) << first << ".." << last << report.fault->cause;
      EXPECT_EQ(report.first, first);
      EXPECT_EQ(report.last, std::min<uint64_t>(last, 6));
    }
  }
  const auto none = ExportJournal(*OpenJournalFolder(folder_.path()), {7, 9},
                                  [](std::string_view) { return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsOutOfRange(none.status()));
}

// Found by fuzzing: files that begin in the middle lost their head's tree.
TEST_F(ExportTest, WhatBeginsInTheMiddleIsExportedWhole) {
  std::filesystem::remove(folder_ / SegmentName(1));
  const AuditReport report = Look(Lines());
  EXPECT_FALSE(report.fault.has_value()) << report.fault->cause;
  EXPECT_EQ(report.first, 4u);
  EXPECT_EQ(report.root, journal_.tree().Root());
}

TEST_F(ExportTest, NoLineCanBeDroppedDoubledOrMoved) {
  const std::vector<std::string> lines = Lines();
  for (size_t at = 0; at < lines.size(); ++at) {
    std::vector<std::string> changed = lines;
    changed.erase(changed.begin() + static_cast<long>(at));
    EXPECT_TRUE(Look(changed).fault.has_value()) << "without line " << at + 1;
    changed = lines;
    changed.insert(changed.begin() + static_cast<long>(at), lines[at]);
    EXPECT_TRUE(Look(changed).fault.has_value()) << "line twice " << at + 1;
    if (at + 1 == lines.size()) continue;
    changed = lines;
    std::swap(changed[at], changed[at + 1]);
    const AuditReport swapped = Look(changed);
    // A checkpoint names its place itself and may be read later, as long as no other one follows.
    const bool checkpoint_later =
        lines[at].starts_with("{\"checkpoint") && lines[at + 1].starts_with("{\"record");
    EXPECT_EQ(swapped.fault.has_value(), !checkpoint_later) << "line later " << at + 1;
    if (checkpoint_later) {
      EXPECT_EQ(swapped.root, Look(lines).root);
    }
  }
}

// Any other octet at any place: another value, another name, or no JSON.
TEST_F(ExportTest, NoOctetCanBeChanged) {
  const std::vector<std::string> lines = Lines();
  for (size_t line = 0; line < lines.size(); ++line) {
    for (size_t at = 0; at < lines[line].size(); at += 1 + at % 7) {
      std::vector<std::string> changed = lines;
      char& octet = changed[line][at];
      // The other case of a hex digit is the same value.
      octet = octet == '0' ? '1' : '0';
      ASSERT_TRUE(Look(changed).fault.has_value())
          << "line " << line + 1 << " octet " << at << ": " << changed[line];
    }
  }
}

TEST_F(ExportTest, AFaultNamesLineAndOffset) {
  std::vector<std::string> lines = Lines();
  const size_t at = lines[2].find("asg-1");
  lines[2].replace(at, 5, "asg-2");
  const AuditReport report = Look(lines);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->file, "export.jsonl");
  EXPECT_EQ(report.fault->record, 2u);
  EXPECT_EQ(report.fault->offset, lines[0].size() + lines[1].size());
  EXPECT_THAT(report.fault->cause, HasSubstr("line 3"));
  EXPECT_THAT(report.fault->cause, HasSubstr("leaf_hash"));
}

// Whoever writes all hashes anew cannot number the records differently either.
TEST_F(ExportTest, RecordsAreNumberedWithoutGaps) {
  std::vector<std::string> lines = Lines({1, 1});
  ASSERT_EQ(lines.size(), 3u);
  JournalRecord record;
  record.intent = Intent::kPoll;
  const auto as_first_with = [&](uint64_t sequence) {
    record.sequence = sequence;
    record.leaf = LeafHash(EncodeRecordBody(record, sequence));
    CompactTree tree;
    tree.Append(record.leaf);
    return Look({lines[0], WriteCanonical(JsonObject{{"record", RecordToJson(record)}}) + "\n",
                 R"({"end":{"checkpoints":0,"records":1,"root":")" +
                     HexEncode(AsText(tree.Root())) + "\"}}\n"});
  };
  EXPECT_FALSE(as_first_with(1).fault.has_value());
  EXPECT_THAT(as_first_with(2).fault->cause, HasSubstr("wrong sequence number"));
}

TEST_F(ExportTest, ADamagedJournalIsNotExported) {
  const std::string name = SegmentName(4);
  std::string octets = journal_.segments().at(name);
  octets[octets.size() - 100] = static_cast<char>(octets[octets.size() - 100] ^ 1);
  WriteText(folder_ / name, octets);
  const auto summary = ExportJournal(*OpenJournalFolder(folder_.path()), {1, 2},
                                     [](std::string_view) { return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsDataLoss(summary.status())) << summary.status();
}

TEST_F(ExportTest, LinesWithoutEndAreBounded) {
  WriteText(path_, std::string(1 << 20, 'a'));
  const auto report = AuditJournal(*OpenJournalExport(path_), {});
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->fault->cause, HasSubstr("line 1"));
  WriteText(path_, std::string(100'000, '\n'));
  EXPECT_TRUE(AuditJournal(*OpenJournalExport(path_), {})->fault.has_value());
  WriteText(path_, "");
  EXPECT_THAT(AuditJournal(*OpenJournalExport(path_), {})->fault->cause,
              HasSubstr("without its last line"));
}

}  // namespace
}  // namespace auspex
