// SPDX-License-Identifier: AGPL-3.0-only
// What a package's folder is listed as: what its digest does not cover is refused, nothing is reached outside of it, and a write
// shows.
#include "runnerd/package_tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/runnerd/fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

absl::StatusOr<PackageTree> ListAt(const std::string& path) {
  const absl::StatusOr<UniqueFd> folder = OpenPackage(path);
  return folder.ok() ? ListPackage(folder->get()) : folder.status();
}

TEST(PackageTree, RefusesWhatTheDigestDoesNotCover) {
  ScratchFolder folder;
  folder.Write("p/a", "x");
  const std::string root = folder.path() + "/p";
  ASSERT_TRUE(ListAt(root).ok());
  const auto refused = [&](const std::string& name) {
    const std::string message(ListAt(root).status().message());
    std::filesystem::remove_all(root + "/" + name);
    return message;
  };
  std::filesystem::create_symlink("/etc/passwd", root + "/link");
  EXPECT_THAT(refused("link"), HasSubstr("no regular file"));
  ASSERT_EQ(mkfifo((root + "/fifo").c_str(), 0600), 0);
  EXPECT_THAT(refused("fifo"), HasSubstr("no regular file"));
  folder.Write("p/__pycache__/m.pyc", "x");
  EXPECT_THAT(refused("__pycache__"), HasSubstr("compiled Python"));
  folder.Write("p/suid", "x", 04755);
  EXPECT_THAT(refused("suid"), HasSubstr("set-id"));
  folder.Write("p/sgid", "x", 02755);
  EXPECT_THAT(refused("sgid"), HasSubstr("set-id"));
  folder.Write("p/sticky", "x", 01755);
  EXPECT_THAT(refused("sticky"), HasSubstr("set-id or sticky"));
  std::filesystem::create_directories(root + "/empty/inner");
  EXPECT_THAT(refused("empty"), HasSubstr("is a folder without a file"));
  std::filesystem::create_hard_link(root + "/a", root + "/b");
  EXPECT_THAT(refused("b"), HasSubstr("hard link"));
  EXPECT_TRUE(ListAt(root).ok());
  EXPECT_EQ(ListAt(folder.path() + "/none").status().code(), absl::StatusCode::kNotFound);
}

TEST(PackageTree, AttributesAreRefusedWhenFilesAreHashed) {
  ScratchFolder folder;
  folder.Write("p/a", "x");
  const std::string root = folder.path() + "/p";
  const absl::StatusOr<UniqueFd> package = OpenPackage(root);
  ASSERT_TRUE(package.ok());
  EXPECT_TRUE(DigestPackage(package->get(), *ListAt(root)).ok());
  AUSPEX_SKIP_UNLESS(setxattr((root + "/a").c_str(), "user.mode", "x", 1, 0) == 0,
                     "a file system with extended attributes of users below /tmp");
  EXPECT_THAT(std::string(DigestPackage(package->get(), *ListAt(root)).status().message()),
              HasSubstr("member 'a' has the extended attribute user.mode"));
}

TEST(PackageTree, NothingIsReachedThroughALinkOrOutOfTheFolder) {
  ScratchFolder folder;
  folder.Write("outside", "secret");
  folder.Write("p/d/a", "x");
  const std::string root = folder.path() + "/p";
  std::filesystem::create_symlink("../outside", root + "/link");
  std::filesystem::create_symlink("d", root + "/folder-link");
  const absl::StatusOr<UniqueFd> package = OpenPackage(root);
  ASSERT_TRUE(package.ok());
  for (const char* path : {"d/a", "./d/a", "d//./a"})
    EXPECT_EQ(*ReadInPackage(package->get(), path, 10), "x") << path;
  for (const char* path : {"link", "folder-link/a", "../outside", "d/../../outside", "/etc/passwd",
                           "d/..", "..", ".", "", "d", "d/a/b", "d/a/.."})
    EXPECT_FALSE(ReadInPackage(package->get(), path, 100).ok()) << path;
  EXPECT_EQ(ReadInPackage(package->get(), "d/a", 0).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(PackageTree, AnyWriteChangesTheFingerprint) {
  ScratchFolder folder;
  folder.Write("p/a", "one");
  folder.Write("p/d/b", "two");
  const std::string root = folder.path() + "/p", first = ListAt(root)->fingerprint;
  EXPECT_EQ(ListAt(root)->fingerprint, first);
  // Times of change have the grain of the kernel's clock (4 ms on Debian): two writes within one look the same.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  // Same size, and its time put back: the time of the inode's change still tells.
  struct stat info;
  ASSERT_EQ(stat((root + "/d/b").c_str(), &info), 0);
  std::ofstream(root + "/d/b") << "TWO";
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (root + "/d/b").c_str(), times, 0), 0);
  EXPECT_NE(ListAt(root)->fingerprint, first);
}

}  // namespace
}  // namespace auspex::runnerd
