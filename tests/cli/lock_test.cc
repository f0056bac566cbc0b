// SPDX-License-Identifier: AGPL-3.0-only
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/process/instance_lock.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

TEST(InstanceLockTest, NamesItsHolder) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/lock";
  EXPECT_EQ(HolderOf(path), 0);
  absl::StatusOr<UniqueFd> lock = TakeLock(path, 0);
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(HolderOf(path), getpid());
  // Asking must not have given the lock away.
  EXPECT_EQ(HolderOf(path), getpid());
}

TEST(InstanceLockTest, SecondTakerIsRefused) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/lock";
  absl::StatusOr<UniqueFd> first = TakeLock(path, 0);
  ASSERT_TRUE(first.ok());
  const absl::StatusOr<UniqueFd> second = TakeLock(path, 50);
  ASSERT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()),
              ::testing::HasSubstr(std::to_string(getpid())));
  first->Reset();
  EXPECT_EQ(HolderOf(path), 0);
  EXPECT_TRUE(TakeLock(path, 0).ok());
}

TEST(InstanceLockTest, FollowsNoLink) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/lock";
  ASSERT_EQ(symlink("/dev/null", path.c_str()), 0);
  EXPECT_FALSE(TakeLock(path, 0).ok());
}

}  // namespace
}  // namespace auspex::cli
