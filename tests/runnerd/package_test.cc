// SPDX-License-Identifier: AGPL-3.0-only
// Packages: archives taken apart under limits, digests, the sealed store, and every kind of archive
// that must not get in.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "runnerd/package_tree.h"
#include "runnerd/sandbox_run.h"
#include "runnerd/unpack/unpack.h"
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
  return Unpack(file->get(), target.get(), limits);
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
  EXPECT_EQ(info.st_mode & 07777, 0555u);
  ASSERT_EQ(stat((folder.path() + "/a/b.txt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444u);
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

TEST(PackageTree, RefusesWhatTheDigestDoesNotCover) {
  ScratchFolder folder;
  folder.Write("p/a", "x");
  const std::string root = folder.path() + "/p";
  ASSERT_TRUE(ListPackage(root).ok());
  const auto refused = [&](const std::string& name) {
    const std::string message(ListPackage(root).status().message());
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
  EXPECT_TRUE(ListPackage(root).ok());
  EXPECT_EQ(ListPackage(folder.path() + "/none").status().code(), absl::StatusCode::kNotFound);
}

TEST(PackageTree, AnyWriteChangesTheFingerprint) {
  ScratchFolder folder;
  folder.Write("p/a", "one");
  folder.Write("p/d/b", "two");
  const std::string root = folder.path() + "/p", first = ListPackage(root)->fingerprint;
  EXPECT_EQ(ListPackage(root)->fingerprint, first);
  // Same size, and its time put back: the time of the inode's change still tells.
  struct stat info;
  ASSERT_EQ(stat((root + "/d/b").c_str(), &info), 0);
  std::ofstream(root + "/d/b") << "TWO";
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (root + "/d/b").c_str(), times, 0), 0);
  EXPECT_NE(ListPackage(root)->fingerprint, first);
}

class StoreTest : public PipelineTest {
 protected:
  // Runs a unit whose package is fetched as `archive`.
  UnitOutcome RunFetched(const BuiltPackage& package, const std::string& archive) {
    archives_.archives[package.sha256] = archive;
    return Run(MakeUnit(package.sha256));
  }
  BuiltPackage Good(const std::string& extra = "") {
    return BuildPackage({"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}, {"data/x", "x"}},
                        extra);
  }
  std::string Folder(const BuiltPackage& package) const {
    return Cat(folder_.path(), "/packages/", package.sha256);
  }
  int Entries() const {
    int count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/packages"))
      ++count;
    return count;
  }
};

TEST_F(StoreTest, FetchesInstallsSealsAndFetchesOnce) {
  const BuiltPackage package = Good();
  EXPECT_EQ(Describe(RunFetched(package, Gzip(Tar(package.members)))), "completed");
  EXPECT_EQ(Describe(Run(MakeUnit(package.sha256))), "completed");
  EXPECT_EQ(archives_.fetches, 1);
  EXPECT_EQ(archives_.drops, 1);
  EXPECT_EQ(Entries(), 1);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Folder(package))) {
    EXPECT_EQ(static_cast<int>(entry.status().permissions()) & 0222, 0) << entry.path();
  }
}

TEST_F(StoreTest, ADamagedStoreHealsByFetchingAgain) {
  const BuiltPackage package = Good();
  ASSERT_EQ(Describe(RunFetched(package, Gzip(Tar(package.members)))), "completed");
  ASSERT_EQ(chmod((Folder(package) + "/data/x").c_str(), 0644), 0);
  std::ofstream(Folder(package) + "/data/x") << "y";
  EXPECT_EQ(Describe(Run(MakeUnit(package.sha256))), "completed");
  EXPECT_EQ(archives_.fetches, 2);
  EXPECT_EQ(ReadWhole(Folder(package) + "/data/x"), "x");
}

TEST_F(StoreTest, RefusalsCarryTheMarkersOfTheWire) {
  const BuiltPackage package = Good();
  const std::string whole = Gzip(Tar(package.members));
  const auto refused = [&](const BuiltPackage& p, const std::string& archive) {
    const std::string described = Describe(RunFetched(p, archive));
    EXPECT_EQ(Entries(), 0) << described;
    EXPECT_EQ(described.find(folder_.path()), std::string::npos)
        << "a path of this host goes to the coordinator: " << described;
    return described;
  };
  EXPECT_THAT(Describe(Run(MakeUnit(std::string(64, 'b')))),
              StartsWith("executor_refused: package_unavailable: stated.GetPackage"));
  EXPECT_THAT(refused(package, whole.substr(0, whole.size() - 8)),
              StartsWith("executor_refused: package_unavailable: archive: "));
  EXPECT_THAT(refused(package, "rubbish"),
              StartsWith("executor_refused: package_unavailable: archive: "));
  std::vector<TarMember> changed = package.members;
  changed.back().content += "!";
  EXPECT_THAT(
      refused(package, Gzip(Tar(changed))),
      StartsWith("executor_refused: auto_fetch_digest_mismatch: the package has the digest"));
  const BuiltPackage other = Good(",\"note\":1");
  EXPECT_THAT(
      refused(package, Gzip(Tar(other.members))),
      StartsWith("executor_refused: auto_fetch_digest_mismatch: manifest.json has the hash"));
  const BuiltPackage unpinned = BuildPackage({"./tenant"}, {{"tenant", "x"}}, "", false);
  EXPECT_THAT(refused(unpinned, Gzip(Tar(unpinned.members))),
              StartsWith("executor_refused: auto_fetch_digest_mismatch: the manifest has no"));
  std::vector<TarMember> linked = package.members;
  linked.push_back({"link", "", '2', 0777, "/etc"});
  EXPECT_THAT(refused(package, Gzip(Tar(linked))),
              StartsWith("executor_refused: archive: member 'link'"));
  std::vector<TarMember> headless(package.members.begin() + 1, package.members.end());
  EXPECT_THAT(refused(package, Gzip(Tar(headless))),
              StartsWith("executor_refused: manifest.json of the package"));
  config_.auto_fetch = false;
  EXPECT_THAT(refused(package, whole), StartsWith("executor_refused: no provisioned executor"));
}

TEST_F(StoreTest, ManifestMustBeTheTenantsAndWithinWhatIsOffered) {
  const auto described = [&](const BuiltPackage& package, Unit unit) {
    archives_.archives[package.sha256] = Gzip(Tar(package.members));
    return Describe(Run(unit));
  };
  const BuiltPackage plain = Good();
  Unit unit = MakeUnit(plain.sha256);
  unit.tenant_id = *TenantId::Parse("somebody-else");
  EXPECT_THAT(described(plain, unit),
              StartsWith("executor_refused: the manifest is tenant test-lab's"));
  unit = MakeUnit(plain.sha256);
  unit.experiment_label = *ExperimentLabel::Parse("another-one");
  EXPECT_THAT(described(plain, unit),
              StartsWith("executor_refused: the manifest is of experiment"));
  const BuiltPackage sensitive = Good(",\"sensitive_content_flags\":[\"red_team\"]");
  EXPECT_THAT(described(sensitive, MakeUnit(sensitive.sha256)), StartsWith("refused_sensitive: "));
  unit = MakeUnit(sensitive.sha256);
  unit.sensitive_accepted = true;
  EXPECT_EQ(described(sensitive, unit), "completed");
  const BuiltPackage pinned =
      Good(",\"inference_determinism\":{\"serving_version_pin\":\"ollama/0.30.0\"}");
  EXPECT_THAT(described(pinned, MakeUnit(pinned.sha256)),
              StartsWith("executor_refused: serving_version_mismatch"));
  const BuiltPackage weights = Good(",\"models\":[{\"id\":\"m\",\"local_weights_required\":true}]");
  EXPECT_THAT(described(weights, MakeUnit(weights.sha256)), HasSubstr("requires the weights"));
  const BuiltPackage climbing = Good(",\"models\":[{\"id\":\"../m\"}]");
  EXPECT_THAT(described(climbing, MakeUnit(climbing.sha256)), HasSubstr("is not usable"));
  const BuiltPackage optional = Good(",\"models\":[{\"id\":\"m\"}]");
  EXPECT_EQ(described(optional, MakeUnit(optional.sha256)), "completed");
}

TEST_F(StoreTest, StagedPackagesAreCheckedBeforeEveryUnit) {
  const std::string sha = StageTenant({"ok"});
  EXPECT_EQ(Describe(Run(MakeUnit(sha))), "completed");
  std::ofstream(Cat(folder_.path(), "/staged/", sha, "/extra")) << "x";
  EXPECT_THAT(Describe(Run(MakeUnit(sha))),
              StartsWith("executor_refused: staged package: the package has the digest"));
  EXPECT_EQ(archives_.fetches, 0);
}

}  // namespace
}  // namespace auspex::runnerd
