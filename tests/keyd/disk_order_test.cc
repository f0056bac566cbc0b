// SPDX-License-Identifier: AGPL-3.0-only
// What reaches the kernel, and in which order: the other tests of durability stand on simulated disks, and would not notice a
// real file whose flush was forgotten. This program has its own words for the calls that matter, which write each down with the
// name of its file and then make it (promises P1 and P4).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "keyd/journal.h"
#include "keyd/journal_file.h"
#include "keyd/key_store.h"
#include "keyd/secret_memory.h"
#include "tests/keyd/journal_rig.h"
#include "tests/keyd/rig.h"

namespace {

// Where secret octets lie, or nullptr.
std::atomic<const char*> watched = nullptr;
constexpr size_t kWatchedOctets = 32;

std::mutex calls_mutex;
std::vector<std::string> calls;

// The last part of a path.
std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string NameOf(int fd) {
  char path[PATH_MAX];
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, PATH_MAX);
  return size <= 0 ? "?" : NameOf(std::string(path, static_cast<size_t>(size)));
}

void Note(const std::string& call) {
  const std::lock_guard lock(calls_mutex);
  calls.push_back(call);
}

}  // namespace

// In place of the C library's, for everything that is linked into this program.
extern "C" {
int fdatasync(int fd) {
  Note("flush " + NameOf(fd));
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int fsync(int fd) {
  Note("flush " + NameOf(fd));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
ssize_t pwrite(int fd, const void* octets, size_t size, off_t offset) {
  Note("write " + NameOf(fd));
  return ::syscall(SYS_pwrite64, fd, octets, size, offset);
}
int rename(const char* from, const char* to) noexcept {
  Note("rename " + NameOf(std::string(from)) + " " + NameOf(std::string(to)));
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) noexcept {
  Note("rename " + NameOf(std::string(from)) + " " + NameOf(std::string(to)));
  return static_cast<int>(::syscall(SYS_renameat, from_fd, from, to_fd, to));
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to,
              unsigned int flags) noexcept {
  Note("rename " + NameOf(std::string(from)) + " " + NameOf(std::string(to)));
  return static_cast<int>(::syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}
int munmap(void* begin, size_t size) noexcept {
  const char* at = watched.load();
  if (at >= begin && at < static_cast<char*>(begin) + size) {
    Note(std::all_of(at, at + kWatchedOctets, [](char c) { return c == 0; }) ? "unmap zeros"
                                                                             : "unmap a secret");
  }
  return static_cast<int>(::syscall(SYS_munmap, begin, size));
}
int open(const char* path, int flags, ...) {
  const bool makes = (flags & O_CREAT) != 0;
  // Every caller in this program that makes a file gives it this mode.
  if (makes)
    Note(std::string((flags & O_EXCL) != 0 ? "make " : "take ") + NameOf(std::string(path)));
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, makes ? 0600 : 0));
}
}

namespace auspex::keyd {
namespace {

std::vector<std::string> CallsSince(size_t begin) {
  const std::lock_guard lock(calls_mutex);
  return {calls.begin() + static_cast<ptrdiff_t>(begin), calls.end()};
}

size_t Mark() {
  const std::lock_guard lock(calls_mutex);
  return calls.size();
}

std::string Joined(const std::vector<std::string>& made) {
  std::string out;
  for (const std::string& call : made) out += call + "; ";
  return out;
}

// `wanted` stand in `made` in this order; others may stand between.
void ExpectInOrder(const std::vector<std::string>& made, const std::vector<std::string>& wanted) {
  auto at = made.begin();
  for (const std::string& call : wanted) {
    at = std::find(at, made.end(), call);
    ASSERT_NE(at, made.end()) << "'" << call << "' is missing or too early in: " << Joined(made);
    ++at;
  }
}

constexpr char kFirst[] = "00000000000000000001.log";

std::unique_ptr<Journal> OpenIn(const std::string& path) {
  auto folder = OpenJournalFolder(path);
  EXPECT_TRUE(folder.ok()) << folder.status();
  auto journal =
      Journal::Open(*std::move(folder), JournalOptions{}, 1, [](const JournalRecord&) {});
  EXPECT_TRUE(journal.ok()) << journal.status();
  return *std::move(journal);
}

TEST(DiskOrder, ARecordIsFlushedAfterItWasWrittenAndBeforeItsProof) {
  const ScratchDir dir;
  const std::unique_ptr<Journal> journal = OpenIn(dir.path() + "/journal");
  for (int number = 1; number <= 3; ++number) {
    const size_t before = Mark();
    ASSERT_TRUE(journal->Append(EntryOf(number)).ok());
    const std::vector<std::string> made = CallsSince(before);
    ExpectInOrder(made, {std::string("write ") + kFirst, std::string("flush ") + kFirst});
    EXPECT_EQ(made.back(), std::string("flush ") + kFirst) << Joined(made);
  }
}

TEST(DiskOrder, ASegmentIsWholeBeforeItsNameAndTheNameBeforeARecord) {
  const ScratchDir dir;
  const size_t before = Mark();
  const std::unique_ptr<Journal> journal = OpenIn(dir.path() + "/journal");
  const std::string unfinished = std::string(kFirst) + ".new";
  ExpectInOrder(CallsSince(before), {"write " + unfinished, "flush " + unfinished,
                                     "rename " + unfinished + " " + kFirst, "flush journal"});
  ASSERT_TRUE(journal->Append(EntryOf(1)).ok());
  const size_t closing = Mark();
  ASSERT_TRUE(journal->Rotate(2).ok());
  const std::string second = "00000000000000000002.log";
  ExpectInOrder(CallsSince(closing), {std::string("flush ") + kFirst, "write " + second + ".new",
                                      "flush " + second + ".new",
                                      "rename " + second + ".new " + second, "flush journal"});
}

SealSources LocalIn(const ScratchDir& dir) {
  SealSources sources;
  sources.local_secret_path = dir.path() + "/seal.key";
  return sources;
}

TEST(DiskOrder, ASealedKeyIsANewFileThatIsFlushedBeforeItsNameAndItsNameAfterwards) {
  const ScratchDir dir;
  KeyStore store(dir.path(), LocalIn(dir), nullptr);
  const std::string folder = NameOf(dir.path());
  const std::vector<std::string> wanted = {"make key.sealed.new", "flush key.sealed.new",
                                           "rename key.sealed.new key.sealed", "flush " + folder};
  size_t before = Mark();
  ASSERT_TRUE(store.Save(KeyOf(kSomeSeed), SealKind::kLocalSecret).ok());
  ExpectInOrder(CallsSince(before), wanted);
  before = Mark();
  ASSERT_TRUE(store.Reseal(KeyOf(kSomeSeed), SealKind::kLocalSecret).ok());
  ExpectInOrder(CallsSince(before), wanted);
  before = Mark();
  ASSERT_TRUE(store.Destroy().ok());
  ExpectInOrder(CallsSince(before), {"flush key.sealed", "flush seal.key", "flush " + folder});
}

// The octets of the file behind `fd`, whatever name it has by now.
std::string ContentOf(int fd) {
  std::string content(4096, 'x');
  const ssize_t size = ::pread(fd, content.data(), content.size(), 0);
  content.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return content;
}

TEST(KeyStoreWipe, WhatWasReplacedOrDestroyedIsOverwrittenNotOnlyUnlinked) {
  const ScratchDir dir;
  SealSources sources = LocalIn(dir);
  sources.credential_path = dir.path() + "/credential";
  ASSERT_TRUE(WriteFileAtomically(sources.credential_path, std::string(40, 'c'), 0600).ok());
  KeyStore store(dir.path(), sources);
  ASSERT_TRUE(store.Save(KeyOf(kSomeSeed), SealKind::kLocalSecret).ok());
  const auto holding = [&](const char* name) {
    return UniqueFd(::open((dir.path() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  };
  const UniqueFd old_key = holding("key.sealed"), old_secret = holding("seal.key");
  ASSERT_TRUE(store.Reseal(KeyOf(kSomeSeed), SealKind::kCredential).ok());
  EXPECT_EQ(ContentOf(old_key.get()), std::string(kSealedOctets, '\0'));
  EXPECT_EQ(ContentOf(old_secret.get()), std::string(32, '\0'));
  const UniqueFd new_key = holding("key.sealed");
  EXPECT_NE(ContentOf(new_key.get()), std::string(kSealedOctets, '\0'));
  ASSERT_TRUE(store.Destroy().ok());
  EXPECT_EQ(ContentOf(new_key.get()), std::string(kSealedOctets, '\0'));
}

// Whatever becomes of an import.
TEST(KeyStoreWipe, TheFileThatAnImportCameInIsOverwrittenAndRemoved) {
  const ScratchDir dir;
  Rig rig;
  const std::string path = dir.path() + "/import.key";
  ASSERT_TRUE(WriteFileAtomically(path, kSomeSeed, 0600).ok());
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const absl::Status status =
      rig.custody.ImportKey({Role::kOwner, 1, 1}, path, KeyFormat::kGuess, Place{});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_EQ(ContentOf(file.get()), std::string(kSomeSeed.size(), '\0'));
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(SecretMemoryEnd, IsWipedBeforeItIsGivenBack) {
  for (const bool locked : {false, true}) {
    auto memory =
        locked ? SecretMemory::CreateLocked(kWatchedOctets) : SecretMemory::Create(kWatchedOctets);
    ASSERT_TRUE(memory.ok()) << memory.status();
    std::memset(memory->octets().data(), 0x5a, kWatchedOctets);
    const size_t before = Mark();
    watched = reinterpret_cast<const char*>(memory->octets().data());
    { const SecretMemory taken = *std::move(memory); }
    watched = nullptr;
    EXPECT_EQ(CallsSince(before), std::vector<std::string>{"unmap zeros"});
  }
}

// A second keyd, or whoever else has the folder, is quicker than Save.
TEST(KeyStoreRace, AFirstKeyReplacesNoneThatCameMeanwhile) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/key.sealed";
  KeyStore store(dir.path(), LocalIn(dir), [&](std::string_view step) {
    return step == "name the new file" ? WriteFileAtomically(path, "another's", 0600)
                                       : absl::OkStatus();
  });
  const absl::Status status = store.Save(KeyOf(kSomeSeed), SealKind::kLocalSecret);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_EQ(ReadFile(path, 100).value_or(""), "another's");
}

// What a disk gives back is opened before it takes the old file's place.
TEST(KeyStoreRace, AFileThatReadsBackAsAnotherKeyReplacesNothing) {
  const ScratchDir dir;
  const SealSources sources = LocalIn(dir);
  bool exchange = false;
  KeyStore store(dir.path(), sources, [&](std::string_view step) -> absl::Status {
    if (!exchange || step != "read it back") return absl::OkStatus();
    const auto other = SealKey(KeyOf(std::string(64, '7')), SealKind::kLocalSecret, sources);
    return WriteFileAtomically(dir.path() + "/key.sealed.new", other.value_or(""), 0600);
  });
  ASSERT_TRUE(store.Save(KeyOf(kSomeSeed), SealKind::kLocalSecret).ok());
  const std::string before = ReadFile(dir.path() + "/key.sealed", 4096).value_or("");
  exchange = true;
  const absl::Status status = store.Reseal(KeyOf(kSomeSeed), SealKind::kLocalSecret);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_EQ(ReadFile(dir.path() + "/key.sealed", 4096).value_or(""), before);
}

}  // namespace
}  // namespace auspex::keyd
