// SPDX-License-Identifier: AGPL-3.0-only
// The archive library: what it takes, what it refuses, and that limits hold while reading.
#include "common/archive/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <string>

namespace auspex {
namespace {

// A .tar.gz with one hand-made member, as an attacker would make it.
std::string Crafted(const std::string& path, unsigned type, const std::string& symlink = "",
                    const std::string& hardlink = "") {
  std::string out(1 << 16, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_ustar(writer);
  archive_write_add_filter_gzip(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, path.c_str());
  archive_entry_set_filetype(entry, type);
  archive_entry_set_perm(entry, 0644);
  if (!symlink.empty()) archive_entry_set_symlink(entry, symlink.c_str());
  if (!hardlink.empty()) archive_entry_set_hardlink(entry, hardlink.c_str());
  if (type == AE_IFREG && hardlink.empty()) archive_entry_set_size(entry, 1);
  EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK) << path;
  if (type == AE_IFREG && hardlink.empty()) archive_write_data(writer, "x", 1);
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

TEST(ArchiveTest, RefusesUnsafeMembers) {
  EXPECT_TRUE(ReadTarGz(Crafted("plain", AE_IFREG)).ok());
  EXPECT_TRUE(ReadTarGz(Crafted("./plain", AE_IFREG)).ok());
  EXPECT_TRUE(ReadTarGz(Crafted("dir/", AE_IFDIR)).ok());
  for (const std::string& archive :
       {Crafted("a", AE_IFLNK, "target"), Crafted("a", AE_IFLNK, "/etc/passwd"),
        Crafted("a", AE_IFREG, "", "b"), Crafted("a", AE_IFIFO), Crafted("a", AE_IFCHR),
        Crafted("a", AE_IFBLK), Crafted("/abs", AE_IFREG), Crafted("../up", AE_IFREG),
        Crafted("a/../../up", AE_IFREG), Crafted("./../up", AE_IFREG), Crafted("../dir/", AE_IFDIR),
        Crafted("a\nb", AE_IFREG), Crafted("a\\b", AE_IFREG)}) {
    EXPECT_TRUE(absl::IsPermissionDenied(ReadTarGz(archive).status()))
        << ReadTarGz(archive).status();
  }
}

TEST(ArchiveTest, RoundTripAndDeterminism) {
  const std::vector<ArchiveMember> members = {
      {.path = "run.sh", .content = "#!/bin/sh\n", .executable = true},
      {.path = "lib/data.txt", .content = std::string(100'000, 'x')},
      {.path = "empty", .content = ""}};
  const std::string archive = WriteTarGz(members).value();
  EXPECT_EQ(archive, WriteTarGz(members).value());
  const auto read = ReadTarGz(archive);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*read)[i].path, members[i].path);
    EXPECT_EQ((*read)[i].content, members[i].content);
    EXPECT_EQ((*read)[i].executable, members[i].executable);
  }
}

TEST(ArchiveTest, RefusesDamageAndLimits) {
  const std::string archive =
      WriteTarGz({{.path = "a", .content = std::string(5000, 'a')}}).value();
  for (const size_t cut :
       {archive.size() - 1, archive.size() - 8, archive.size() / 2, size_t{10}, size_t{0}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadTarGz(archive.substr(0, cut)).status())) << cut;
  }
  std::string wrong_sum = archive;
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  EXPECT_TRUE(absl::IsInvalidArgument(ReadTarGz(wrong_sum).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadTarGz(archive + "x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadTarGz("not an archive at all, not even close").status()));
  EXPECT_TRUE(
      absl::IsResourceExhausted(ReadTarGz(archive, {.max_unpacked_octets = 4999}).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(ReadTarGz(archive, {.max_member_octets = 4999}).status()));
  EXPECT_TRUE(ReadTarGz(archive, {.max_unpacked_octets = 5000}).ok());
  // A bomb is noticed while it is read.
  const std::string bomb =
      WriteTarGz({{.path = "zeros", .content = std::string(64u << 20, '\0')}}).value();
  EXPECT_TRUE(
      absl::IsResourceExhausted(ReadTarGz(bomb, {.max_unpacked_octets = 1 << 20}).status()));
}

TEST(ArchiveTest, MemberPaths) {
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a\nb",
                          "a\\b", "\x1b[0m"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(CheckMemberPath(bad))) << bad;
  }
  for (const char* good : {"a", "a/b", "..a", "a..b", ".hidden", "caf\xc3\xa9"}) {
    EXPECT_TRUE(CheckMemberPath(good).ok()) << good;
  }
}

}  // namespace
}  // namespace auspex
