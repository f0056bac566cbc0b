// SPDX-License-Identifier: AGPL-3.0-only
// The store of packages through a unit's own way: fetched, checked, sealed, used again, and each refusal by its marker.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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

// The test tenant in the place of auspex-unpack: it has the archive's word for what to do.
TEST_F(StoreTest, AnUnpackerThatWasTakenOverWritesNoMoreThanAPackageMayHave) {
  host_->unpack = TenantPath();
  const BuiltPackage package = Good();
  const auto refused = [&](const std::string& archive) {
    const std::string described = Describe(RunFetched(package, archive));
    EXPECT_EQ(Entries(), 0) << described;
    EXPECT_EQ(SandboxProcesses(host_->etc_folder), 0);
    return described;
  };
  EXPECT_EQ(refused("many"), "executor_refused: archive: it has more than 10000 members");
  EXPECT_EQ(refused("large"),
            "executor_refused: archive: it unpacks to more than 268435456 octets");
  EXPECT_EQ(refused("climb"), "executor_refused: archive: member '../../x' leaves the package");
  EXPECT_EQ(refused("write"), "executor_refused: archive: did all that it could")
      << "it has no place to write to";
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

// A manifest may have a mebibyte, and takes eleven times that in memory when it is all short words.
TEST_F(StoreTest, WhatIsRememberedOfManifestsIsBounded) {
  constexpr size_t kPad = 900'000;
  for (int i = 0; i < 4; ++i) {
    const std::string sha =
        StageTenant({"ok"}, Cat(",\"pad\":\"", i, std::string(kPad, 'x'), "\""));
    EXPECT_EQ(Describe(Run(MakeUnit(sha))), "completed");
    EXPECT_GT(packages_->RememberedOctets(), kPad);
    EXPECT_LE(packages_->RememberedOctets(), size_t{2} << 20);
  }
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
