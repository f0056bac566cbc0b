// SPDX-License-Identifier: AGPL-3.0-only
// A real keyd on a disk that fails at one call: at each call in turn of a session that makes a key and signs. Whichever it is, keyd
// says what happened, gives away no signature that its journal does not hold, and is as good as before once the disk is (promise P4).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "common/base/cat.h"
#include "common/base/sanitized.h"
#include "common/crypto/sha256.h"
#include "common/journal/archive.h"
#include "common/journal/audit.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/call_faults.h"

namespace auspex::keyd {
namespace {

using auspex::testing::CallFaults;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

constexpr char kCause[] = "Input/output error";
constexpr int kSignatures = 5;
// Each session takes seconds under a sanitizer: there, one call in eleven fails.
constexpr int kStep = kSanitized ? 11 : 1;

// The calls by which keyd changes what is on the disk.
std::vector<int> DiskCalls() {
  return {SYS_openat,         SYS_write,     SYS_pwrite64, SYS_fdatasync, SYS_fsync,
          SYS_ftruncate,      SYS_fallocate, SYS_renameat, SYS_renameat2, SYS_unlinkat,
#ifdef SYS_rename
          SYS_rename,         SYS_unlink,
#endif
          SYS_sync_file_range};
}

// The log, and descriptors that wake a thread or say that keyd is ready, are no disk; a sanitizer asks by writing to a pipe whether there
// is memory at an address.
bool IsOfTheDisk(const CallFaults::Call& call) {
  if (call.number == SYS_write) {
    std::error_code error;
    const auto file =
        std::filesystem::read_symlink(Cat("/proc/", call.thread, "/fd/", call.arguments[0]), error);
    // Of a process that cannot be dumped only root sees the files.
    const bool is_file = error ? call.arguments[2] > 8 : file.string().starts_with("/");
    return call.arguments[0] > 2 && is_file;
  }
  if (call.number == SYS_openat) return (call.arguments[2] & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
  return true;
}

// Which calls fail: from `first` on, counted from 1, only that one or all.
struct Fault {
  int first = 0;
  bool for_good = false;
};

struct Session {
  bool reached = false;                   // the call that is to fail was made
  int failed_call = 0;                    // its number
  std::map<uint64_t, std::string> given;  // released signatures: record, subject
};

std::string Said(const grpc::Status& status) {
  return std::to_string(status.error_code()) + " " + status.error_message();
}

// OK, or an error after which a caller tries again. With the journal keyd ends, and a call that is under way then is cut off.
void ExpectTyped(const grpc::Status& status) {
  EXPECT_THAT(status.error_code(),
              AnyOf(grpc::StatusCode::OK, grpc::StatusCode::UNAVAILABLE,
                    grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::CANCELLED))
      << Said(status);
}

grpc::Status SignText(const KeydProcess& keyd, const std::string& assignment, uint64_t* sequence) {
  v1::SignRawTextRequest request;
  request.set_unit_id("u-1");
  request.set_assignment_id(assignment);
  request.set_raw_sha256(Sha256(assignment));
  v1::SignRawTextResponse response;
  const grpc::Status status = keyd.result()->SignRawText(Deadline().get(), request, &response);
  *sequence = response.journal_sequence();
  EXPECT_EQ(status.ok(), !response.signature().empty());
  return status;
}

// Makes a key, pins an enrolment, signs, ends.
Session Run(const std::string& home, Fault fault) {
  Session session;
  std::atomic<int> calls = 0, failed_call = 0;
  CallFaults faults(DiskCalls(), [&](const CallFaults::Call& call) {
    if (!IsOfTheDisk(call)) return 0;
    const int number = ++calls;
    if (number != fault.first && !(fault.for_good && number > fault.first)) return 0;
    if (number == fault.first) failed_call = call.number;
    return EIO;
  });
  KeydProcess keyd(home, {}, [&faults] { faults.WatchThisProcess(); });
  if (!keyd.ready()) {
    // 2 would end the worker for good. Of the list of system calls alone, which is written too before the kernel has it,
    // libseccomp does not say why.
    const int end = keyd.WaitForExit();
    const bool of_the_list = keyd.log().find("allow-list export") != std::string::npos;
    EXPECT_EQ(end, of_the_list ? 2 : 1) << keyd.log();
    EXPECT_TRUE(of_the_list || keyd.log().find(kCause) != std::string::npos) << keyd.log();
  } else {
    v1::KeyIdentity identity;
    ExpectTyped(keyd.owner()->CreateKey(Deadline().get(), {}, &identity));
    v1::SetEnrolmentRequest enrolment;
    enrolment.set_base_url("http://127.0.0.1:8080/");
    enrolment.set_worker_id("wkr-1");
    v1::SetEnrolmentResponse enrolled;
    ExpectTyped(keyd.owner()->SetEnrolment(Deadline().get(), enrolment, &enrolled));
    for (int i = 0; i < kSignatures; ++i) {
      const std::string assignment = "asg-" + std::to_string(i);
      uint64_t sequence = 0;
      const grpc::Status status = SignText(keyd, assignment, &sequence);
      ExpectTyped(status);
      if (status.ok()) session.given[sequence] = assignment;
    }
    // A journal that failed has ended keyd; what failed elsewhere has not.
    const bool journal_failed =
        keyd.log().find("the journal cannot be written") != std::string::npos;
    const int end = keyd.Stop(SIGTERM);
    EXPECT_THAT(end, AnyOf(0, 1)) << keyd.log();
    if (journal_failed) {
      EXPECT_EQ(end, 1) << keyd.log();
    }
  }
  session.reached = calls >= fault.first;
  session.failed_call = failed_call;
  return session;
}

// The disk is good again: keyd starts, its journal holds every signature that was given, and nothing is wrong with it.
void ExpectWhole(const std::string& home, const Session& session) {
  KeydProcess keyd(home);
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  std::map<uint64_t, std::string> recorded;
  for (const v1::JournalRecord& record : keyd.Journal()) {
    if (record.outcome() == "signed" && record.intent() == "sign_raw_text") {
      recorded[record.sequence()] = record.subject();
    }
  }
  for (const auto& [sequence, assignment] : session.given) {
    EXPECT_EQ(recorded[sequence], assignment) << "record " << sequence;
  }
  if (!keyd.Status().identity().has_key()) keyd.CreateKey();
  uint64_t sequence = 0;
  const grpc::Status again = SignText(keyd, "asg-again", &sequence);
  EXPECT_TRUE(again.ok()) << Said(again);
  EXPECT_EQ(keyd.Stop(SIGTERM), 0) << keyd.log();
  const auto report =
      AuditJournal(*auspex::OpenJournalFolder(home + "/state/keyd/journal"), AuditRequest{});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->fault.has_value()) << report->fault->cause;
  EXPECT_GE(report->last, sequence);
  EXPECT_EQ(report->verified, report->checkpoints);
}

void FailAtEachCall(bool for_good) {
  std::map<int, int> failed;      // how often which call
  std::set<size_t> given_before;  // a flush failed: signatures that were released
  for (int n = 1;; n += kStep) {
    SCOPED_TRACE("call " + std::to_string(n));
    const ScratchDir home;
    const Session session = Run(home.path(), {n, for_good});
    if (!session.reached) {
      EXPECT_EQ(session.given.size(), static_cast<size_t>(kSignatures)) << "nothing failed";
      break;
    }
    ++failed[session.failed_call];
    if (session.failed_call == SYS_fdatasync) given_before.insert(session.given.size());
    ExpectWhole(home.path(), session);
    if (::testing::Test::HasFatalFailure()) return;
  }
  if (kStep > 1) return;
  // Each kind of call that a session cannot do without had its turn.
  EXPECT_GE(failed[SYS_openat], 4);
  EXPECT_GE(failed[SYS_write], 2);
  EXPECT_GE(failed[SYS_pwrite64], kSignatures);
  EXPECT_GE(failed[SYS_fdatasync], kSignatures);
  EXPECT_GE(failed[SYS_fsync], 2);
  // The one whose flush it was is never among them.
  EXPECT_THAT(given_before, IsSupersetOf({0, 1, 2, 3, 4}));
}

// The first submission makes the ledger's table. Not every file system can give room for it in advance; the C library writes it then,
// by calls that are in keyd's list.
TEST(DaemonDiskFaults, ADiskThatCannotGiveRoomInAdvanceIsAsGood) {
  std::atomic<int> asked = 0;
  CallFaults faults({SYS_fallocate}, [&asked](const CallFaults::Call&) {
    ++asked;
    return EOPNOTSUPP;
  });
  const ScratchDir home;
  {
    KeydProcess keyd(home.path(), {}, [&faults] { faults.WatchThisProcess(); });
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    keyd.Enrol();
    v1::SignRequestRequest submission;
    submission.mutable_submit_result()->set_unit_id("u-1");
    submission.mutable_submit_result()->set_assignment_id("asg-1");
    submission.mutable_submit_result()->set_body_sha256(Sha256("a body"));
    v1::SignedRequest answer;
    const grpc::Status status = keyd.request()->SignRequest(Deadline().get(), submission, &answer);
    EXPECT_TRUE(status.ok()) << Said(status) << keyd.log();
    EXPECT_EQ(keyd.Stop(SIGTERM), 0) << keyd.log();
  }
  EXPECT_GE(asked, 1);
  ExpectWhole(home.path(), Session{});
}

TEST(DaemonDiskFaults, OneErrorAtAnyCallLosesNothingThatWasGiven) { FailAtEachCall(false); }

TEST(DaemonDiskFaults, ADiskThatIsGoneFromAnyCallOnLosesNothingThatWasGiven) {
  FailAtEachCall(true);
}

}  // namespace
}  // namespace auspex::keyd
