// SPDX-License-Identifier: AGPL-3.0-only
// The pin's file: read back exactly, bound to its key, refused when somebody edited it.
#include "keyd/enrolment.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/files/files.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

const std::string kKey(64, 'a');

TEST(EnrolmentFile, ReadsBackWhatWasStored) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/enrolment.toml";
  ASSERT_FALSE(LoadEnrolment(path, kKey)->has_value());
  const Enrolment enrolment = *Enrolment::Parse("https://Coord.Example:8443/lab/", "wkr-1");
  ASSERT_TRUE(StoreEnrolment(path, kKey, enrolment).ok());
  const auto loaded = LoadEnrolment(path, kKey);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->has_value());
  EXPECT_EQ((*loaded)->base_url.str(), "https://coord.example:8443/lab");
  EXPECT_EQ((*loaded)->worker_id.str(), "wkr-1");
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(RemoveEnrolment(dir.path(), path).ok());
  EXPECT_TRUE(RemoveEnrolment(dir.path(), path).ok());
  EXPECT_FALSE(LoadEnrolment(path, kKey)->has_value());
}

TEST(EnrolmentFile, BelongsToOneKey) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/enrolment.toml";
  ASSERT_TRUE(StoreEnrolment(path, kKey, SomeEnrolment()).ok());
  EXPECT_EQ(LoadEnrolment(path, std::string(64, 'b')).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(EnrolmentFile, EveryTruncationIsRefused) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/enrolment.toml";
  ASSERT_TRUE(StoreEnrolment(path, kKey, SomeEnrolment()).ok());
  const std::string good = *ReadFile(path, 8192);
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(WriteFileAtomically(path, good.substr(0, size), 0600).ok());
    EXPECT_FALSE(LoadEnrolment(path, kKey).ok()) << size;
  }
  ASSERT_TRUE(WriteFileAtomically(path, good + "more = 1\n", 0600).ok());
  EXPECT_FALSE(LoadEnrolment(path, kKey).ok());
  std::string other = good;
  other.replace(other.find("https://"), 8, "http://");
  ASSERT_TRUE(WriteFileAtomically(path, other, 0600).ok());
  EXPECT_FALSE(LoadEnrolment(path, kKey).ok());
}

}  // namespace
}  // namespace auspex::keyd
