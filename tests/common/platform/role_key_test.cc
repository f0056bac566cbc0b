// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/role_key.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;

class RoleKeyTest : public ::testing::Test {
 protected:
  std::string Refusal() const { return std::string(ReadRoleKey(socket_).status().message()); }

  testing::TempDir folder_;
  const std::string socket_ = folder_ / "run/keyd/request.sock";
  const std::string role_ = folder_ / "run/keyd/request.role";
  const std::string key_ = folder_ / "run/keyd/request.role/key";
};

TEST_F(RoleKeyTest, IsMadeOnceAndIsPrivate) {
  EXPECT_TRUE(absl::IsNotFound(ReadRoleKey(socket_).status()));
  const absl::StatusOr<std::string> key = EnsureRoleKey(socket_);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->size(), 64u);
  EXPECT_EQ(*EnsureRoleKey(socket_), *key);
  EXPECT_EQ(*ReadRoleKey(socket_), *key);
  struct stat info {};
  ASSERT_EQ(::stat(key_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(info.st_size, 32);
  for (const std::string& folder : {role_, folder_ / "run/keyd"}) {
    ASSERT_EQ(::stat(folder.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u) << folder;
  }
  EXPECT_NE(*EnsureRoleKey(folder_ / "run/keyd/result.sock"), *key);
}

TEST_F(RoleKeyTest, ManyWhoComeFirstAgree) {
  std::vector<std::string> keys(16);
  std::vector<std::thread> threads;
  for (std::string& key : keys) {
    threads.emplace_back([this, &key] { key = EnsureRoleKey(socket_).value_or("failed"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 1u);
  EXPECT_NE(keys[0], "failed");
  const std::filesystem::directory_iterator list(role_);
  EXPECT_EQ(std::distance(begin(list), end(list)), 1) << "a temporary file was left";
}

TEST_F(RoleKeyTest, WhatIsNoKeyOfThisUserIsRefused) {
  ASSERT_TRUE(EnsureRoleKey(socket_).ok());
  ASSERT_EQ(::chmod(key_.c_str(), 0640), 0);
  EXPECT_THAT(Refusal(), HasSubstr("request.role/key: is not this user's alone"));
  ASSERT_EQ(::chmod(key_.c_str(), 0600), 0);
  ASSERT_EQ(::chmod(role_.c_str(), 0711), 0);
  EXPECT_THAT(Refusal(), HasSubstr("request.role: is not this user's alone"));
  ASSERT_EQ(::chmod(role_.c_str(), 0700), 0);
  ASSERT_EQ(::truncate(key_.c_str(), 31), 0);
  EXPECT_THAT(Refusal(), HasSubstr("is no role key"));
  ASSERT_EQ(::truncate(key_.c_str(), 33), 0);
  EXPECT_THAT(Refusal(), HasSubstr("is no role key"));
  EXPECT_FALSE(EnsureRoleKey(socket_).ok()) << "a broken key was replaced behind its users' back";
}

TEST_F(RoleKeyTest, LinksAreNotFollowed) {
  const std::string elsewhere = folder_ / "elsewhere.sock";
  ASSERT_TRUE(EnsureRoleKey(elsewhere).ok());
  ASSERT_TRUE(EnsureRoleKey(socket_).ok());
  ASSERT_EQ(::unlink(key_.c_str()), 0);
  ASSERT_EQ(::symlink((folder_ / "elsewhere.role/key").c_str(), key_.c_str()), 0);
  EXPECT_THAT(Refusal(), HasSubstr("is a link"));
  EXPECT_FALSE(EnsureRoleKey(socket_).ok());
  std::filesystem::remove_all(role_);
  ASSERT_EQ(::symlink((folder_ / "elsewhere.role").c_str(), role_.c_str()), 0);
  EXPECT_THAT(Refusal(), HasSubstr("is a link"));
}

}  // namespace
}  // namespace auspex
