// SPDX-License-Identifier: AGPL-3.0-only
// Archives taken apart under limits, and what of it comes over auspex-unpack's pipe: every kind of archive and of stream that must
// not get in.
#include "runnerd/unpack/unpack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/base/cat.h"
#include "runnerd/sandbox_run.h"
#include "runnerd/unpack/folder_writer.h"
#include "runnerd/unpack/stream.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Outcome = UnpackResult::Outcome;

UnpackResult UnpackInto(const std::string& folder, const std::string& archive,
                        UnpackLimits limits = {}) {
  absl::StatusOr<UniqueFd> file = MemoryFile(archive);
  const UniqueFd target(open(folder.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  // As auspex-unpack and runnerd do it, over a pipe's octets.
  FolderWriter writer(target.get(), limits);
  UnpackStream stream(writer, limits);
  const UniqueFd spool(memfd_create("stream", MFD_CLOEXEC));
  StreamSink sink(spool.get());
  const UnpackResult said = Unpack(file->get(), sink, limits);
  EXPECT_TRUE(sink.Finish(said));
  std::string octets(static_cast<size_t>(lseek(spool.get(), 0, SEEK_CUR)), ' ');
  EXPECT_EQ(pread(spool.get(), octets.data(), octets.size(), 0),
            static_cast<ssize_t>(octets.size()));
  for (size_t at = 0; at < octets.size(); at += 4099) {
    if (!stream.Take(std::string_view(octets).substr(at, 4099))) break;
  }
  return stream.result();
}

UnpackResult UnpackOnce(const std::string& archive, UnpackLimits limits = {}) {
  ScratchFolder folder;
  return UnpackInto(folder.path(), archive, limits);
}

TEST(Unpack, TakesOrdinaryArchives) {
  ScratchFolder folder;
  const UnpackResult result = UnpackInto(folder.path(), Gzip(Tar({{"./", "", '5', 0755, ""},
                                                                  {"./a/b.txt", "hello"},
                                                                  {"run", "x", '0', 0755, ""},
                                                                  {"empty", ""},
                                                                  {"d/", "", '5', 0755, ""}})));
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(ReadWhole(folder.path() + "/a/b.txt"), "hello");
  struct stat info;
  ASSERT_EQ(stat((folder.path() + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444u);  // whatever the archive said
  ASSERT_EQ(stat((folder.path() + "/a/b.txt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444u);
  EXPECT_NE(stat((folder.path() + "/d").c_str(), &info), 0) << "no file vouches for it";
}

TEST(Unpack, OfWhatTheCoordinatorAppendsTheLastCounts) {
  ScratchFolder folder;
  const UnpackResult result = UnpackInto(folder.path(), Gzip(Tar({{"manifest.json", "old"},
                                                                  {"./manifest.json.sig", "old"},
                                                                  {"x", "x"},
                                                                  {"manifest.json", "new"},
                                                                  {"manifest.json.sig", "new"}})));
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(ReadWhole(folder.path() + "/manifest.json"), "new");
  EXPECT_EQ(ReadWhole(folder.path() + "/manifest.json.sig"), "new");
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"d/manifest.json", "x"}, {"d/manifest.json", "y"}}))).why,
              HasSubstr("comes twice"));
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"manifest.json/a", "x"}, {"manifest.json", "y"}}))).why,
              HasSubstr("comes twice"));
}

// One pax record, "LENGTH KEY=VALUE\n" with the length of itself.
std::string Pax(const std::string& key, const std::string& value) {
  const std::string rest = Cat(" ", key, "=", value, "\n");
  size_t length = rest.size() + 1;
  while (Cat(length, rest).size() != length) length = Cat(length, rest).size();
  return Cat(length, rest);
}

TEST(Unpack, NamesThatDeceiveAreRefusedAndShownAsPrintableText) {
  const std::vector<std::pair<std::string, const char*>> names = {
      {std::string("a\0b", 3), "control character"},
      {"a\nb", "control character"},
      {"a\x1b[2Jb", "control character"},
      {"a\x7f", "control character"},
      {"a\xc2\x9b"
       "2J",
       "direction-changing"},  // CSI in one character
      {"a\xe2\x80\xae"
       "gpj.sh",
       "direction-changing"},                       // right-to-left override
      {"a\xe2\x80\x8f", "direction-changing"},      // right-to-left mark
      {"a\xe2\x81\xa7", "direction-changing"},      // isolate
      {"a\xe2\x80\xa8", "direction-changing"},      // line separator
      {"a\xef\xbb\xbf", "direction-changing"},      // byte order mark
      {"a\xf3\xa0\x81\x81", "direction-changing"},  // tag
      {"a\xff", "not UTF-8"},
      {"a\xed\xa0\x80", "not UTF-8"},  // a surrogate
      {"a\xc0\xaf", "not UTF-8"},      // an overlong slash
      {std::string(256, 'x'), "too long"},
      {std::string(129, 'x'), "too long"},
      {std::string(200, 'x') + "/" + std::string(400, 'y'), "too long"},
  };
  for (const auto& [name, why] : names) {
    const UnpackResult result = UnpackOnce(Gzip(Tar({{"p", Pax("path", name), 'x'}, {"n", "x"}})));
    EXPECT_EQ(result.outcome, Outcome::kUnsafe) << why;
    EXPECT_THAT(result.why, HasSubstr(why));
    for (char c : result.why) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << result.why;
  }
  // What people write is not refused.
  for (const char* name : {"r\xc3\xa9sum\xc3\xa9.txt", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "a b"}) {
    EXPECT_EQ(UnpackOnce(Gzip(Tar({{"p", Pax("path", name), 'x'}, {"n", "x"}}))).outcome,
              Outcome::kOk)
        << name;
  }
}

TEST(Unpack, TricksOfTheFormatAreRefused) {
  const auto why = [](const std::vector<TarMember>& members) {
    const UnpackResult result = UnpackOnce(Gzip(Tar(members)));
    EXPECT_NE(result.outcome, Outcome::kOk);
    return result.why;
  };
  // A sparse file in the pax spelling: small here, as large as it says there.
  EXPECT_THAT(why({{"p", Pax("GNU.sparse.realsize", "1099511627776"), 'x'}, {"n", "x"}}),
              HasSubstr("type 'S'"));
  EXPECT_THAT(why({{"old", "x", 'S'}}), HasSubstr("type 'S'"));
  // Headers for all that follows.
  EXPECT_THAT(why({{"g", Pax("path", "n"), 'g'}, {"m", "x"}}), HasSubstr("bad pax header"));
  EXPECT_THAT(why({{"g", Pax("size", "5"), 'g'}, {"m", "x"}}), HasSubstr("bad pax header"));
  EXPECT_EQ(UnpackOnce(Gzip(Tar({{"g", Pax("comment", "0123"), 'g'}, {"m", "x"}}))).outcome,
            Outcome::kOk);  // as git archive writes it
  // Sizes.
  EXPECT_THAT(why({{"p", Pax("size", "99999999999999999999"), 'x'}, {"n", "x"}}),
              HasSubstr("bad pax header"));
  EXPECT_THAT(why({{"p", Pax("size", "1000000000"), 'x'}, {"n", "x"}}), HasSubstr("octets"));
  // Extension headers that are large, many, or no records.
  EXPECT_THAT(why({{"p", Pax("comment", std::string(70'000, 'c')), 'x'}, {"n", "x"}}),
              HasSubstr("too large"));
  std::vector<TarMember> many(20, {"p", Pax("comment", "c"), 'x'});
  many.push_back({"n", "x"});
  EXPECT_THAT(why(many), HasSubstr("extension header"));
  EXPECT_THAT(why({{"p", "5 a=b\n", 'x'}, {"n", "x"}}), HasSubstr("bad pax header"));
  EXPECT_THAT(why({{"p", "-1 path=x\n", 'x'}, {"n", "x"}}), HasSubstr("bad pax header"));
  EXPECT_THAT(why({{"k", "/etc/passwd", 'K'}, {"n", "", '2'}}), HasSubstr("type 'K'"));
}

TEST(Unpack, TakesLongNamesOfBothKinds) {
  const std::string long_name = std::string(60, 'd') + "/" + std::string(90, 'f');
  const std::string record = "path=" + long_name + "\n";
  const std::string pax = Cat(record.size() + 4, " ", record);
  for (const std::vector<TarMember>& members :
       {std::vector<TarMember>{{"././@LongLink", long_name + std::string(1, '\0'), 'L'},
                               {"short", "x"}},
        std::vector<TarMember>{{"pax", pax, 'x'}, {"short", "x"}}}) {
    ScratchFolder folder;
    const UnpackResult result = UnpackInto(folder.path(), Gzip(Tar(members)));
    ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
    EXPECT_EQ(ReadWhole(folder.path() + "/" + long_name), "x");
  }
}

TEST(Unpack, RefusesUnsafeMembersByName) {
  const std::vector<std::pair<TarMember, const char*>> cases = {
      {{"/etc/passwd", "x"}, "absolute"},
      {{"../x", "x"}, "leaves the package"},
      {{"a/../../x", "x"}, "leaves the package"},
      {{"a/..", "", '5'}, "leaves the package"},
      {{"a//b", "x"}, "empty path component"},
      {{"link", "", '2', 0777, "/etc"}, "type '2'"},
      {{"hard", "", '1', 0644, "/etc/passwd"}, "type '1'"},
      {{"device", "", '3'}, "type '3'"},
      {{"block", "", '4'}, "type '4'"},
      {{"fifo", "", '6'}, "type '6'"},
      {{"sparse", "", 'S'}, "type 'S'"},
      {{"m.pyc", "x"}, "compiled Python"},
      {{"a/__pycache__/x", "x"}, "compiled Python"},
      {{"setuid", "x", '0', 04755}, "set-id"},
      {{"two\nlines", "x"}, "control character"},
      {{std::string(99, 'x').replace(3, 1, "/") + "", "x"}, ""},
  };
  for (const auto& [member, why] : cases) {
    if (*why == 0) continue;
    const UnpackResult result = UnpackOnce(Gzip(Tar({{"ok", "x"}, member})));
    EXPECT_EQ(result.outcome, Outcome::kUnsafe) << member.path;
    EXPECT_THAT(result.why, HasSubstr(why)) << member.path;
  }
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", "x"}, {"a", "y"}}))).why, HasSubstr("comes twice"));
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", "x"}, {"./a", "y"}}))).why, HasSubstr("comes twice"));
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", "x"}, {"a/b", "y"}}))).why,
              HasSubstr("uses a file as a folder"));
}

TEST(Unpack, LimitsHold) {
  UnpackLimits limits;
  limits.members = 3;
  EXPECT_EQ(UnpackOnce(Gzip(Tar({{"a", ""}, {"b", ""}, {"c", ""}})), limits).outcome, Outcome::kOk);
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}})), limits).why,
              HasSubstr("more than 3 members"));
  limits = {};
  limits.unpacked_octets = 100;
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", std::string(101, 'x')}})), limits).why,
              HasSubstr("more than 100 octets"));
  limits = {};
  limits.compressed_octets = 100;
  EXPECT_THAT(
      UnpackOnce(Gzip(Tar({{"a", ReadWhole("/proc/self/exe").substr(0, 4096)}})), limits).why,
      HasSubstr("larger than 100"));
  // A bomb: megabytes out of kilobytes.
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{"a", std::string(8 << 20, '\0')}}))).why,
              HasSubstr("200 times its size"));
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "d/";
  EXPECT_THAT(UnpackOnce(Gzip(Tar({{deep + "x", "x"}}))).why, HasSubstr("too deeply"));
}

TEST(Unpack, DamageIsUnreadableWhereverItIs) {
  std::string content;
  for (int i = 0; i < 5000; ++i) content += Cat(i * 7919 % 1000, " ");
  const std::string tar = Tar({{"a", content}, {"b", "y"}}), whole = Gzip(tar);
  ASSERT_EQ(UnpackOnce(whole).outcome, Outcome::kOk);
  // Cut anywhere, the last eight octets (the gzip trailer) included.
  for (size_t size = 0; size < whole.size(); size += size + 20 < whole.size() ? 97 : 1) {
    EXPECT_EQ(UnpackOnce(whole.substr(0, size)).outcome, Outcome::kUnreadable)
        << size << " of " << whole.size();
  }
  std::string wrong_crc = whole;
  wrong_crc[whole.size() - 6] ^= 1;
  EXPECT_EQ(UnpackOnce(wrong_crc).outcome, Outcome::kUnreadable);
  EXPECT_EQ(UnpackOnce(whole + "x").outcome, Outcome::kUnreadable);
  EXPECT_EQ(UnpackOnce(Gzip(Tar({{"a", "x"}}, false))).outcome, Outcome::kUnreadable);
  EXPECT_EQ(UnpackOnce(Gzip(tar.substr(0, 700))).outcome, Outcome::kUnreadable);
  std::string bad_header = tar;
  bad_header[3] = 'z';
  EXPECT_EQ(UnpackOnce(Gzip(bad_header)).outcome, Outcome::kUnreadable);
  EXPECT_EQ(UnpackOnce("<html>not an archive</html>").outcome, Outcome::kUnreadable);
  EXPECT_EQ(UnpackOnce(tar).outcome, Outcome::kUnreadable);
}

// What a taken-over auspex-unpack may say, and what comes of it.
TEST(UnpackStream, NothingIsWrittenThatIsNotAPackagesFile) {
  UnpackLimits limits;
  limits.unpacked_octets = 100;
  limits.members = 5;
  const auto said = [&limits](const std::string& octets, size_t step) {
    ScratchFolder folder;
    const UniqueFd target(open(folder.path().c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
    FolderWriter writer(target.get(), limits);
    UnpackStream stream(writer, limits);
    for (size_t at = 0; at < octets.size(); at += step) {
      if (!stream.Take(std::string_view(octets).substr(at, step))) break;
    }
    size_t entries = 0;
    uintmax_t written = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
      ++entries;
      if (entry.is_regular_file()) written += entry.file_size();
    }
    EXPECT_LE(entries, limits.members + 1) << octets;
    EXPECT_LE(written, limits.unpacked_octets) << octets;
    const UnpackResult result = stream.result();
    return Cat(UnpackWord(result.outcome), ": ", result.why);
  };
  std::string many;
  for (int i = 0; i < 9; ++i) many += Cat("file 0 ", i, "\n");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"file 3 a/b\ndata 2\nxydata 1\nzok 1 3 \n", "ok: "},
      {"file 3 a\ndata 2\nxyunreadable 1 3 cut \x1b[31moff\n", "unreadable: cut ?[31moff"},
      {"", "failed: "},
      {"file 3 a\ndata 3\nxyz", "failed: "},
      {many, "unsafe: it has more than 5 members"},
      {"file 0 a/b/c/d/e/f/g\n", "unsafe: it has more than 5 members"},
      {"file 101 a\n", "unsafe: it unpacks to more than 100 octets"},
      {"file 18446744073709551615 a\n", "unsafe: it unpacks to more than 100 octets"},
      {"file 90 a\ndata 90\n" + std::string(90, 'x') + "file 11 b\n",
       "unsafe: it unpacks to more than 100 octets"},
      {"file 1 ../a\n", "unsafe: member '../a' leaves the package"},
      {"file 1 /a\n", "unsafe: member '/a' is absolute"},
      {"file 1 \n", "unsafe: member '' has no name"},
      {"file 0 a\nfile 0 a\n", "unsafe: member 'a' comes twice"},
      {"file 0 a\nfile 0 a/b\n", "unsafe: member 'a/b' uses a file as a folder"},
      {"file 2 a\nfile 0 b\n", "unsafe: the unpacker says what is no file"},
      {"file -1 a\n", "unsafe: the unpacker says what is no file"},
      {"data 1\nx", "unsafe: the unpacker says octets of no file"},
      {"file 2 a\ndata 3\nxyz", "unsafe: the unpacker says octets of no file"},
      {"file 2 a\ndata 0\n", "unsafe: the unpacker says octets of no file"},
      {"file 2 a\nok 1 2 \n", "unsafe: the unpacker says what is no outcome"},
      {"hello\n", "unsafe: the unpacker says what is no outcome"},
      {"ok 1 2 \nfile 0 a\n", "unsafe: the unpacker says more after its end"},
      {std::string(2000, 'x'), "unsafe: the unpacker says a line that is too long"}};
  for (const auto& [octets, expected] : cases) {
    for (const size_t step : {size_t{1}, size_t{7}, octets.size() + 1})
      EXPECT_EQ(said(octets, step), expected) << octets << " by " << step;
  }
}

}  // namespace
}  // namespace auspex::runnerd
