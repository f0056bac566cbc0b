// SPDX-License-Identifier: AGPL-3.0-only
// The journal of a real keyd: checkpoints, segments, calls that follow it, a disk that is full, and
// files that were changed, removed or put back while it did not run (promise P4).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/journal/note.h"
#include "common/journal/segment.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

const std::string kFirst = SegmentName(1);

std::string Folder(const ScratchDir& home) { return home.path() + "/state/keyd/journal/"; }

grpc::Status SignText(v1::ResultSigner::Stub& stub, int number, uint64_t* sequence = nullptr) {
  v1::SignRawTextRequest request;
  request.set_unit_id("u-1");
  request.set_assignment_id("asg-" + std::to_string(number));
  request.set_raw_sha256(Sha256(std::to_string(number)));
  v1::SignRawTextResponse response;
  const grpc::Status status = stub.SignRawText(Deadline().get(), request, &response);
  if (sequence != nullptr) *sequence = response.journal_sequence();
  return status;
}

grpc::Status SignText(const KeydProcess& keyd, int number, uint64_t* sequence = nullptr) {
  return SignText(*keyd.result(), number, sequence);
}

v1::SignCheckpointResponse SignCheckpoint(const KeydProcess& keyd) {
  v1::SignCheckpointResponse response;
  const grpc::Status status = keyd.owner()->SignCheckpoint(Deadline().get(), {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

// The size that a note of this key says; fails the test for any other note.
uint64_t SizeOf(const std::string& note, const std::string& key_hex) {
  const auto parsed = ParseNote(note);
  EXPECT_TRUE(parsed.ok()) << parsed.status() << note;
  if (!parsed.ok()) return 0;
  EXPECT_TRUE(CheckNote(*parsed, *HexDecode(key_hex)).ok());
  return parsed->checkpoint.size;
}

TEST(DaemonJournal, CheckpointsAreMadeForANewKeyOnRequestAtTheEndAndAtTheNextStart) {
  const ScratchDir home;
  std::string key;
  uint64_t records = 0;
  {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    v1::SignCheckpointResponse none;
    const grpc::Status refused = keyd.owner()->SignCheckpoint(Deadline().get(), {}, &none);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(keyd.Journal().back().outcome(), "refused");
    EXPECT_EQ(keyd.Status().checkpoint(), "");

    key = keyd.CreateKey().public_key_hex();
    EXPECT_EQ(SizeOf(keyd.Status().checkpoint(), key), 2u);
    EXPECT_EQ(keyd.Journal().back().role(), "self");
    EXPECT_EQ(keyd.Journal().back().intent(), "sign_checkpoint");

    ASSERT_TRUE(SignText(keyd, 1).ok());
    const v1::SignCheckpointResponse asked = SignCheckpoint(keyd);
    EXPECT_EQ(asked.journal_sequence(), 5u);
    EXPECT_EQ(SizeOf(asked.note(), key), 4u);
    EXPECT_EQ(keyd.Status().checkpoint(), asked.note());
    EXPECT_EQ(*ReadFile(Folder(home) + "checkpoint", 1024), asked.note());
    EXPECT_EQ(keyd.Journal().back().role(), "owner");
    EXPECT_EQ(keyd.Journal().back().digest(),
              Sha256(NoteText(ParseNote(asked.note())->checkpoint)));

    ASSERT_TRUE(SignText(keyd, 2).ok());
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  EXPECT_EQ(SizeOf(*ReadFile(Folder(home) + "checkpoint", 1024), key), 6u);
  {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    records = keyd.Status().journal_records();
    EXPECT_EQ(records, 7u) << "a start without anything new signs nothing";
    ASSERT_TRUE(SignText(keyd, 3).ok());
    EXPECT_EQ(keyd.Stop(SIGKILL), 128 + SIGKILL);
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  EXPECT_EQ(SizeOf(keyd.Status().checkpoint(), key), records + 1);
}

TEST(DaemonJournal, SegmentsAreBegunAsConfiguredAndReadAgain) {
  const ScratchDir home;
  ASSERT_TRUE(
      WriteFileAtomically(home.path() + "/worker.toml", "[keyd]\njournal_segment_mb = 1\n", 0600)
          .ok());
  {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&keyd, t] {
        const auto stub = keyd.result();
        v1::SignRawTextRequest request;
        request.set_unit_id(std::string(128, 'u'));
        request.set_raw_sha256(Sha256("text"));
        for (int i = 0; i < 1100; ++i) {
          request.set_assignment_id(std::string(120, 'a') + std::to_string(t * 10'000 + i));
          v1::SignRawTextResponse response;
          ASSERT_TRUE(stub->SignRawText(Deadline().get(), request, &response).ok());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    // The segment is begun by a thread of its own: the end waits for it.
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  const v1::KeyStatus status = keyd.Status();
  EXPECT_EQ(status.journal_segments(), 2u);
  EXPECT_EQ(status.journal_path() + "/", Folder(home));
  uint64_t octets = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Folder(home))) {
    if (entry.path().extension() == ".log") octets += entry.file_size();
  }
  EXPECT_GE(octets, status.journal_octets());
  EXPECT_GT(status.journal_octets(), 1024u * 1024);
  const auto records = keyd.Journal();
  ASSERT_EQ(records.size(), status.journal_records());
  for (size_t i = 0; i < records.size(); ++i) ASSERT_EQ(records[i].sequence(), i + 1);
}

TEST(DaemonJournal, AFollowingCallGoesOnAndEndsWithItsCallerOrWithKeyd) {
  const ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  const auto stub = keyd.owner();
  v1::ListJournalRequest request;
  request.set_follow(true);
  v1::JournalRecord record;
  // Callers who go away leave no thread behind: far more of them than may follow at a time.
  for (int i = 0; i < 12; ++i) {
    const auto context = Deadline();
    const auto reader = stub->ListJournal(context.get(), request);
    if (reader->Read(&record)) {
      EXPECT_EQ(record.sequence(), 1u);
      context->TryCancel();
      EXPECT_FALSE(reader->Finish().ok());
      continue;
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    // Those before are being noticed as gone.
    --i;
  }
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientReader<v1::JournalRecord>> reader;
  do {
    if (reader) {
      EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    }
    context = Deadline();
    reader = stub->ListJournal(context.get(), request);
  } while (!reader->Read(&record));
  ASSERT_TRUE(reader->Read(&record));
  EXPECT_EQ(record.intent(), "sign_checkpoint");
  for (int i = 3; i <= 20; ++i) {
    uint64_t sequence = 0;
    ASSERT_TRUE(SignText(keyd, i, &sequence).ok());
    ASSERT_TRUE(reader->Read(&record)) << i;
    EXPECT_EQ(record.sequence(), sequence);
    EXPECT_EQ(record.subject(), "asg-" + std::to_string(i));
  }
  EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  while (reader->Read(&record)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// A full disk (here a limit on file sizes) releases nothing unrecorded, and ends keyd in a way that
// a new start mends.
void SignUntilKeydEnds(KeydProcess& keyd, std::set<uint64_t>& released) {
  grpc::Status status;
  const auto stub = keyd.result();
  for (int i = 0; i < 20'000 && status.ok(); ++i) {
    uint64_t sequence = 0;
    status = SignText(*stub, i, &sequence);
    if (status.ok()) released.insert(sequence);
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_EQ(keyd.WaitForExit(), 1) << keyd.log();
}

void ExpectGoesOn(const std::string& home, const std::set<uint64_t>& released) {
  const KeydProcess again(home);
  ASSERT_TRUE(again.ready()) << again.log();
  EXPECT_GE(again.Status().journal_records(), *released.rbegin());
  EXPECT_TRUE(SignText(again, 1).ok());
}

TEST(DaemonJournal, AFullDiskEndsKeydUntilThereIsRoomAgain) {
  const ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  const uint64_t room = std::filesystem::file_size(Folder(home) + kFirst);
  const rlimit limit{room, room};
  ASSERT_EQ(::prlimit(keyd.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  std::set<uint64_t> released;
  SignUntilKeydEnds(keyd, released);
  ExpectGoesOn(home.path(), released);
}

TEST(DaemonJournal, ASmallDiskThatIsReallyFullDoesTheSame) {
  const ScratchDir home;
  AUSPEX_SKIP_UNLESS(::mount("none", home.path().c_str(), "tmpfs", 0, "size=1600k,mode=0700") == 0,
                     "mounting a tmpfs");
  {
    KeydProcess keyd(home.path());
    EXPECT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    std::ofstream filler(home.path() + "/filler", std::ios::binary);
    while (filler.write(std::string(4096, 'f').data(), 4096) && filler.flush()) {
    }
    std::set<uint64_t> released;
    SignUntilKeydEnds(keyd, released);
    EXPECT_FALSE(released.empty());
    // While the disk is full a start fails as well, in the way that is tried again.
    KeydProcess still(home.path());
    EXPECT_FALSE(still.ready());
    EXPECT_EQ(still.WaitForExit(), 1) << still.log();
    filler.close();
    std::filesystem::remove(home.path() + "/filler");
    ExpectGoesOn(home.path(), released);
  }
  EXPECT_EQ(::umount2(home.path().c_str(), MNT_DETACH), 0);
}

// Room for records to come is there while keyd runs, and gone when it was stopped in good order.
TEST(DaemonJournal, TheJournalAtRestEndsWithItsLastFrame) {
  const ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  EXPECT_GE(std::filesystem::file_size(Folder(home) + kFirst), 256u * 1024);
  EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  EXPECT_LT(std::filesystem::file_size(Folder(home) + kFirst), 2048u);
}

class DaemonJournalDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    KeydProcess keyd(home_.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    keyd.Enrol();
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  std::string Path(const std::string& name) const { return Folder(home_) + name; }
  std::string Content(const std::string& name) const { return *ReadFile(Path(name), 1 << 20); }
  void Put(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(WriteFileAtomically(Path(name), content, 0600).ok());
  }
  // Starts keyd, which must refuse with exit code 2 and say all of `texts`.
  void ExpectRefusal(const std::vector<std::string>& texts) const {
    KeydProcess keyd(home_.path());
    EXPECT_FALSE(keyd.ready());
    EXPECT_EQ(keyd.WaitForExit(), 2);
    for (const std::string& text : texts) {
      EXPECT_NE(keyd.log().find(text), std::string::npos) << text << "\n" << keyd.log();
    }
  }
  ScratchDir home_;
};

TEST_F(DaemonJournalDamage, AChangedRecordRefusesTheStartWithFileOffsetAndRemedy) {
  std::string content = Content(kFirst);
  content[kMinSegmentHeader + 20] = static_cast<char>(content[kMinSegmentHeader + 20] ^ 1);
  Put(kFirst, content);
  ExpectRefusal({kFirst, "damaged at offset " + std::to_string(kMinSegmentHeader), "(record 1)",
                 "put a backup in its place"});
}

TEST_F(DaemonJournalDamage, ADroppedTailRefusesTheStart) {
  // Up to the frame of the second record: the checkpoints are gone.
  Put(kFirst, Content(kFirst).substr(0, kMinSegmentHeader + 20));
  ExpectRefusal({"records were dropped from the end", "put a backup in its place"});
}

TEST_F(DaemonJournalDamage, AnUnfinishedFlushIsCutAndReported) {
  Put(kFirst, Content(kFirst) + "\x80\x80");
  const KeydProcess keyd(home_.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  EXPECT_NE(keyd.log().find("journal_tail_cut"), std::string::npos);
}

TEST_F(DaemonJournalDamage, ARemovedJournalRefusesTheStartWhileThereIsAKey) {
  std::filesystem::remove_all(Folder(home_));
  ExpectRefusal({"the journal was removed"});
  // It does so each time: nothing was begun anew.
  ExpectRefusal({"the journal was removed"});
}

TEST_F(DaemonJournalDamage, AnotherKeysJournalRefusesTheStart) {
  const ScratchDir other;
  {
    KeydProcess keyd(other.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  std::filesystem::remove_all(Folder(home_));
  std::filesystem::copy(Folder(other), Folder(home_));
  std::filesystem::permissions(Folder(home_), std::filesystem::perms::owner_all);
  ExpectRefusal({"does not hold the making of the key"});
}

TEST_F(DaemonJournalDamage, AnOldBackupOfTheSegmentsRefusesTheStart) {
  const std::string early = Content(kFirst);
  {
    KeydProcess keyd(home_.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    ASSERT_TRUE(SignText(keyd, 1).ok());
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  Put(kFirst, early);
  ExpectRefusal({"checkpoint", "records were dropped"});
}

TEST_F(DaemonJournalDamage, AJournalOfTheFirstFormatRefusesTheStartWithARemedy) {
  ASSERT_TRUE(
      WriteFileAtomically(home_.path() + "/state/keyd/journal.log", "auspex journal", 0600).ok());
  ExpectRefusal({"journal.log", "format 1", "move it"});
}

}  // namespace
}  // namespace auspex::keyd
