// SPDX-License-Identifier: AGPL-3.0-only
#include "common/files/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;

TEST(FilesTest, AtomicWriteReplacesWholeAndLeavesNoTemporary) {
  testing::TempDir folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "f", "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(folder / "f", "two", 0640).ok());
  EXPECT_EQ(ReadFile(folder / "f", 10).value(), "two");
  struct stat info {};
  ASSERT_EQ(::stat((folder / "f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_TRUE(::rmdir(folder.path().c_str()) != 0);
  ASSERT_EQ(::unlink((folder / "f").c_str()), 0);
  EXPECT_EQ(::rmdir(folder.path().c_str()), 0) << "a temporary file was left";
}

TEST(FilesTest, FailedWriteKeepsTheOldContent) {
  testing::TempDir folder;
  EXPECT_THAT(std::string(WriteFileAtomically(folder / "none/f", "x", 0600).message()),
              HasSubstr("none/f"));
}

TEST(FilesTest, ReadIsBoundedAndFollowsNoLink) {
  testing::TempDir folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "f", "12345", 0600).ok());
  EXPECT_EQ(ReadFile(folder / "f", 4).status().code(), absl::StatusCode::kResourceExhausted);
  ASSERT_EQ(::symlink("f", (folder / "link").c_str()), 0);
  EXPECT_FALSE(ReadFile(folder / "link", 10).ok());
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(std::string(ReadFile(folder / "fifo", 10).status().message()),
              HasSubstr("not a regular file"));
}

TEST(FilesTest, PrivateDirectoryRefusesOpenOnes) {
  testing::TempDir folder;
  ASSERT_TRUE(MakePrivateDirectory(folder / "a/b").ok());
  ASSERT_TRUE(MakePrivateDirectory(folder / "a/b").ok());
  ASSERT_EQ(::chmod((folder / "a/b").c_str(), 0755), 0);
  EXPECT_THAT(std::string(MakePrivateDirectory(folder / "a/b").message()), HasSubstr("chmod 700"));
}

TEST(FilesTest, OneInstancePerLock) {
  testing::TempDir folder;
  const auto lock = LockInstance(folder / "lock");
  ASSERT_TRUE(lock.ok());
  const auto second = LockInstance(folder / "lock");
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("in use by process " + std::to_string(::getpid())));
}

TEST(FilesTest, RemoveTreeStaysInside) {
  testing::TempDir folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "outside", "keep", 0600).ok());
  ASSERT_TRUE(MakePrivateDirectory(folder / "tree/sub").ok());
  ASSERT_TRUE(WriteFileAtomically(folder / "tree/sub/file", "x", 0400).ok());
  ASSERT_EQ(::symlink(folder.path().c_str(), (folder / "tree/sub/up").c_str()), 0);
  ASSERT_EQ(::chmod((folder / "tree/sub").c_str(), 0555), 0);
  ASSERT_TRUE(RemoveTree(folder / "tree").ok());
  EXPECT_NE(::access((folder / "tree").c_str(), F_OK), 0);
  EXPECT_EQ(ReadFile(folder / "outside", 10).value(), "keep");
  EXPECT_TRUE(RemoveTree(folder / "tree").ok()) << "a missing tree is fine";
}

// Whoever may write into a folder can nest without end, and close each level to himself.
TEST(FilesTest, RemoveTreeTakesWhatIsNestedDeeply) {
  testing::TempDir folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "outside", "keep", 0600).ok());
  ASSERT_TRUE(MakePrivateDirectory(folder / "tree").ok());
  UniqueFd at(::open((folder / "tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 400; ++depth) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    ASSERT_EQ(::symlinkat("../../../../..", at.get(), "up"), 0);
    UniqueFd next(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(next);
    ASSERT_EQ(::fchmod(at.get(), 0), 0);
    at = std::move(next);
  }
  const absl::Status removed = RemoveTree(folder / "tree");
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_NE(::access((folder / "tree").c_str(), F_OK), 0);
  EXPECT_EQ(ReadFile(folder / "outside", 10).value(), "keep");
}

}  // namespace
}  // namespace auspex
