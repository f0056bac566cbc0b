// SPDX-License-Identifier: AGPL-3.0-only
// Any change of a journal at rest is noticed at the next start (promise P4): octets, frames, whole
// files.
#include <gtest/gtest.h>

#include "common/crypto/sha256.h"
#include "tests/keyd/journal_rig.h"

namespace auspex::keyd {
namespace {

// Three segments or more, some records behind the newest checkpoint.
const Files& Good() {
  static const Files files = FilesOf(19);
  return files;
}

void ExpectRefused(const Files& files, const std::string& what) {
  const Opened opened = OpenFiles(files);
  EXPECT_FALSE(opened.status.ok()) << what;
  EXPECT_NE(opened.status.message().find("journal: "), absl::string_view::npos) << opened.status;
}

TEST(JournalDamage, TheGoodOneOpensAndHasSeveralSegments) {
  const Opened opened = OpenFiles(Good());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_GE(SegmentsOf(Good()).size(), 3u);
  EXPECT_EQ(opened.files, Good()) << "opening changed something";
  EXPECT_EQ(opened.records.back().intent, Intent::kSubmitResult) << "nothing behind a checkpoint";
}

TEST(JournalDamage, EveryFlippedBitPatternInAnyOctetIsNoticed) {
  for (const auto& [name, octets] : Good()) {
    for (size_t at = 0; at < octets.size(); ++at) {
      for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
        Files bad = Good();
        bad[name][at] = static_cast<char>(octets[at] ^ mask);
        const Opened opened = OpenFiles(bad);
        ASSERT_FALSE(opened.status.ok()) << name << " octet " << at << " mask " << mask;
        if (name != "checkpoint") {
          ASSERT_NE(opened.status.message().find("offset"), absl::string_view::npos)
              << opened.status;
          ASSERT_NE(opened.status.message().find(name), absl::string_view::npos) << opened.status;
        }
      }
    }
  }
}

// Only the last segment may end in the middle of a frame, and only behind the newest checkpoint.
TEST(JournalDamage, TruncationKeepsWholeFramesOfTheLastFlushesOnly) {
  const std::vector<std::string> names = SegmentsOf(Good());
  const size_t all = OpenFiles(Good()).records.size();
  for (const std::string& name : names) {
    const std::string& octets = Good().at(name);
    const std::vector<RawFrame> frames = FramesOf(octets);
    size_t covered = octets.size() + 1;
    if (name == names.back()) {
      covered = HeaderOctets(octets);
      for (const RawFrame& frame : frames) {
        if (!frame.is_record()) covered = frame.end;
      }
    }
    for (size_t size = 0; size < octets.size(); ++size) {
      Files cut = Good();
      cut[name].resize(size);
      const Opened opened = OpenFiles(cut);
      ASSERT_EQ(opened.status.ok(), size >= covered) << name << " " << size << opened.status;
      if (!opened.status.ok()) continue;
      size_t lost = 0, whole = covered;
      for (const RawFrame& frame : frames) {
        if (frame.end > size) {
          ++lost;
        } else {
          whole = std::max(whole, frame.end);
        }
      }
      EXPECT_EQ(opened.records.size(), all - lost) << size;
      EXPECT_EQ(opened.torn, size - whole) << size;
      EXPECT_EQ(opened.files.at(name), octets.substr(0, whole)) << size;
    }
  }
}

TEST(JournalDamage, ARemovedFrameIsNoticed) {
  const std::vector<std::string> names = SegmentsOf(Good());
  for (const std::string& name : names) {
    const std::vector<RawFrame> frames = FramesOf(Good().at(name));
    for (size_t i = 0; i < frames.size(); ++i) {
      // The very last record, if no checkpoint covers it, is what a crash may lose as well.
      if (name == names.back() && i + 1 == frames.size()) continue;
      Files bad = Good();
      bad[name].erase(frames[i].begin, frames[i].end - frames[i].begin);
      ExpectRefused(bad, name + " frame " + std::to_string(i));
    }
  }
}

TEST(JournalDamage, SwappedAndRepeatedRecordsAreNoticed) {
  for (const std::string& name : SegmentsOf(Good())) {
    const std::string& octets = Good().at(name);
    const std::vector<RawFrame> frames = FramesOf(octets);
    const auto text = [&](const RawFrame& f) { return octets.substr(f.begin, f.end - f.begin); };
    for (size_t i = 0; i + 1 < frames.size(); ++i) {
      if (!frames[i].is_record() || !frames[i + 1].is_record()) continue;
      Files bad = Good();
      bad[name].replace(frames[i].begin, frames[i + 1].end - frames[i].begin,
                        text(frames[i + 1]) + text(frames[i]));
      ExpectRefused(bad, name + " swapped " + std::to_string(i));
      bad = Good();
      bad[name].insert(frames[i].end, text(frames[i]));
      ExpectRefused(bad, name + " repeated " + std::to_string(i));
    }
  }
}

// Who changes a record and mends its check is given away by the next checkpoint or header.
TEST(JournalDamage, AChangedRecordWithAMendedCheckIsNoticed) {
  const std::vector<std::string> names = SegmentsOf(Good());
  for (const std::string& name : names) {
    const std::vector<RawFrame> frames = FramesOf(Good().at(name));
    for (size_t i = 0; i < frames.size(); ++i) {
      if (!frames[i].is_record()) continue;
      bool covered = name != names.back();
      for (size_t j = i; j < frames.size(); ++j) covered = covered || !frames[j].is_record();
      if (!covered) continue;
      std::string body = frames[i].body;
      body[36] = static_cast<char>(body[36] ^ 1);
      Files bad = Good();
      bad[name].replace(frames[i].begin + 4, body.size() + 32,
                        body + Sha256(std::string(1, '\0') + body));
      ExpectRefused(bad, name + " forged " + std::to_string(i));
    }
  }
}

TEST(JournalDamage, AMissingEmptyOrForeignSegmentIsNoticed) {
  const Files other = FilesOf(19);
  for (const std::string& name : SegmentsOf(Good())) {
    Files bad = Good();
    bad.erase(name);
    ExpectRefused(bad, "without " + name);
    bad = Good();
    bad[name].clear();
    ExpectRefused(bad, "emptied " + name);
    bad[name] = std::string(Good().at(name).size(), '\0');
    ExpectRefused(bad, "zeroed " + name);
    bad[name] = other.at(name);
    ExpectRefused(bad, "other journal's " + name);
  }
  Files bad = Good();
  bad[SegmentName(OpenFiles(Good()).records.size() + 5)] = Good().at(SegmentsOf(Good()).front());
  ExpectRefused(bad, "a segment under another name");
  bad = other;
  bad["checkpoint"] = Good().at("checkpoint");
  ExpectRefused(bad, "all segments of another journal");
}

// A header that is right in itself, and wrong where it stands.
TEST(JournalDamage, EveryFieldOfAHeaderMustCarryOnWhatWasRead) {
  const std::vector<std::string> names = SegmentsOf(Good());
  for (size_t i = 1; i < names.size(); ++i) {
    const std::string& octets = Good().at(names[i]);
    const auto start = ReadSegmentHeader(MemoryJournalSource(octets), names[i]);
    ASSERT_TRUE(start.ok()) << start.status();
    const auto put = [&](const SegmentHeader& header) {
      Files files = Good();
      files[names[i]] = EncodeSegmentHeader(header) + octets.substr(start->octets);
      return files;
    };
    EXPECT_TRUE(OpenFiles(put(start->header)).status.ok());
    SegmentHeader header = start->header;
    header.time_micros += 1;
    EXPECT_TRUE(OpenFiles(put(header)).status.ok()) << "the time says nothing";
    header = start->header;
    header.journal_id[3] ^= 1;
    ExpectRefused(put(header), "another id");
    header = start->header;
    std::vector<Digest32> subtrees = header.before.subtrees();
    subtrees.at(0)[0] ^= 1;
    header.before = *CompactTree::Continue(header.before.size(), subtrees);
    ExpectRefused(put(header), "another tree");
    header = start->header;
    header.last_note.clear();
    ExpectRefused(put(header), "no checkpoint");
  }
}

// Their checks are right; what they say is not.
TEST(JournalDamage, ForgedCheckpointsAndSequenceNumbersAreNoticed) {
  const std::string name = SegmentsOf(Good()).back();
  const std::string note = Good().at("checkpoint");
  const auto with = [&](const std::string& body) {
    Files files = Good();
    AppendFrame(files[name], body, FrameCheck(body), true);
    return files;
  };
  ExpectRefused(with(EncodeCheckpointBody(note)), "the newest checkpoint once more");
  ExpectRefused(with(EncodeCheckpointBody("no note" + std::string(200, '.'))), "no note");
  const uint64_t next = OpenFiles(Good()).records.size() + 1;
  EXPECT_TRUE(OpenFiles(with(EncodeRecordBody(EntryOf(1), next))).status.ok());
  ExpectRefused(with(EncodeRecordBody(EntryOf(1), next + 1)), "a gap");
  ExpectRefused(with(EncodeRecordBody(EntryOf(1), next - 1)), "a number twice");
  JournalEntry announcement = EntryOf(1);
  announcement.intent = Intent::kSignCheckpoint;
  announcement.bound = ToDigest(Sha256(note));
  ExpectRefused(with(EncodeRecordBody(announcement, next)), "a checkpoint of another tree");
}

TEST(JournalDamage, AnotherSegmentUnderTheFirstOnesNameIsNoticed) {
  const std::vector<std::string> names = SegmentsOf(Good());
  Files bad = Good();
  for (const std::string& name : names) bad.erase(name);
  bad[SegmentName(1)] = Good().at(names.back());
  ExpectRefused(bad, "the last segment as the first");
  bad.erase(SegmentName(1));
  bad[names.back()] = Good().at(names.back());
  ExpectRefused(bad, "the last segment alone");
}

TEST(JournalDamage, AnOlderBackupIsNoticedByTheCheckpointFile) {
  auto disk = std::make_shared<FaultyDisk>();
  Files early;
  {
    KeptJournal kept(*Journal::Open(std::make_unique<FaultyFolder>(disk), kSmall, 0,
                                    [](const JournalRecord&) {}));
    for (int i = 1; i <= 8; ++i) ASSERT_NE(kept.Append(i), 0u);
    early = disk->Written();
    for (int i = 9; i <= 30; ++i) ASSERT_NE(kept.Append(i), 0u);
  }
  ASSERT_TRUE(OpenFiles(early).status.ok());
  Files mixed = early;
  mixed["checkpoint"] = disk->Written().at("checkpoint");
  const Opened opened = OpenFiles(mixed);
  EXPECT_EQ(opened.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(opened.status.message().find("records were dropped"), absl::string_view::npos)
      << opened.status;
  // Another way round: the journal goes on, the file is an old one. It is brought up to date.
  Files behind = disk->Written();
  behind["checkpoint"] = early.at("checkpoint");
  const Opened mended = OpenFiles(behind);
  ASSERT_TRUE(mended.status.ok()) << mended.status;
  EXPECT_EQ(mended.files.at("checkpoint"), disk->Written().at("checkpoint"));
}

TEST(JournalDamage, ACheckpointFileThatWasRemovedOrStandsAloneIsNoticed) {
  Files bad = Good();
  bad.erase("checkpoint");
  ExpectRefused(bad, "without the checkpoint file");
  ExpectRefused({{"checkpoint", Good().at("checkpoint")}}, "the checkpoint file alone");
}

// What a crash leaves of a file that was being made means nothing, whatever it holds.
TEST(JournalDamage, UnfinishedFilesAreRemoved) {
  Files files = Good();
  files["checkpoint.new"] = "half";
  files["00000000000000000099.log.new"] = "";
  const Opened opened = OpenFiles(files);
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(opened.files, Good());
}

}  // namespace
}  // namespace auspex::keyd
