// SPDX-License-Identifier: AGPL-3.0-only
// The shelf of installed packages: what goes when room is needed, what never goes, what a restart
// finds; what a sealed tree is made of; tenants' signatures.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "runnerd/package_signature.h"
#include "runnerd/package_tree.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr uint64_t kMiB = 1 << 20;

class ShelfTest : public testing::Test {
 protected:
  void Open() {
    shelf_.reset();
    absl::StatusOr<std::unique_ptr<PackageShelf>> shelf = PackageShelf::Open(folder_.path());
    ASSERT_TRUE(shelf.ok()) << shelf.status();
    shelf_ = *std::move(shelf);
  }
  void SetUp() override { Open(); }
  static Sha256Hex Name(char digit) { return *Sha256Hex::Parse(std::string(64, digit)); }
  absl::StatusOr<UniqueFd> Put(char digit, uint64_t cap, uint64_t octets = 4 * kMiB) {
    const std::string scratch = shelf_->NewScratch();
    EXPECT_EQ(mkdir(scratch.c_str(), 0700), 0);
    std::ofstream(scratch + "/file") << std::string(octets, 'x');
    return shelf_->Put(Name(digit), scratch, octets, cap, Cat("signature of ", digit));
  }
  std::string Names() const {
    std::string names;
    for (const PackageShelf::Entry& entry : shelf_->List()) names += entry.manifest_sha256[0];
    return names;
  }
  bool Exists(char digit) const { return fs::exists(shelf_->PathOf(Name(digit))); }

  ScratchFolder folder_;
  std::unique_ptr<PackageShelf> shelf_;
};

TEST_F(ShelfTest, TheLongestUnusedGoFirst) {
  for (char name : {'a', 'b', 'c'}) ASSERT_TRUE(Put(name, 12 * kMiB).ok());
  ASSERT_TRUE(shelf_->Take(Name('a')).ok());
  EXPECT_EQ(Names(), "bca");
  ASSERT_TRUE(Put('d', 12 * kMiB).ok());
  EXPECT_EQ(Names(), "cad");
  EXPECT_FALSE(Exists('b'));
  // The last use outlives the process: 'c' is touched, and another one opens the shelf.
  ASSERT_TRUE(shelf_->Take(Name('c')).ok());
  Open();
  EXPECT_EQ(Names(), "adc");
  // Sizes were taken from the disk.
  ASSERT_TRUE(Put('e', 13 * kMiB).ok());
  EXPECT_EQ(Names(), "dce");
  EXPECT_EQ(*shelf_->Signature(Name('e')), "signature of e");
  EXPECT_THAT(shelf_->Collect(13 * kMiB), IsEmpty());
  EXPECT_EQ(shelf_->Collect(5 * kMiB).size(), 2u);
  EXPECT_EQ(Names(), "e");
}

TEST_F(ShelfTest, WhatIsInUseStays) {
  absl::StatusOr<UniqueFd> used = Put('a', 8 * kMiB);
  ASSERT_TRUE(used.ok());
  ASSERT_TRUE(Put('b', 8 * kMiB).ok());
  ASSERT_TRUE(Put('c', 8 * kMiB).ok());
  EXPECT_EQ(Names(), "ac") << "the oldest is in use, so the next one goes";
  EXPECT_TRUE(shelf_->List()[0].in_use);
  EXPECT_FALSE(shelf_->List()[1].in_use);
  EXPECT_EQ(shelf_->Remove(Name('a'), "test").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(shelf_->Remove(Name('f'), "test").status().code(), absl::StatusCode::kNotFound);
  // No room is no reason either, and nothing is removed in vain... but what could go went.
  EXPECT_EQ(Put('d', 6 * kMiB).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Names(), "a");
  // A copy of the descriptor, as a sandbox has one, holds it as well.
  UniqueFd copy(fcntl(used->get(), F_DUPFD_CLOEXEC, 0));
  used->Reset();
  EXPECT_THAT(shelf_->Collect(0), IsEmpty());
  EXPECT_TRUE(Exists('a'));
  copy.Reset();
  EXPECT_EQ(shelf_->Collect(0).size(), 1u);
  EXPECT_FALSE(Exists('a'));
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/package-marks"));
}

TEST_F(ShelfTest, LargerThanTheCapIsRefusedWithThatReason) {
  ASSERT_TRUE(Put('a', 8 * kMiB).ok());
  const absl::Status refused = Put('b', 8 * kMiB, 9 * kMiB).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("takes 9 MiB, more than provisioning.packages_max_mb=8"));
  EXPECT_TRUE(Exists('a')) << "nothing went for what can never fit";
}

TEST_F(ShelfTest, AStartClearsAwayWhatACrashLeft) {
  ASSERT_TRUE(Put('a', 8 * kMiB).ok());
  // In the middle of a removal, of an installation, and between its two steps.
  fs::create_directories(folder_.path() + "/packages/.scratch-7/d");
  std::ofstream(folder_.path() + "/packages/.scratch-7/d/f") << "x";
  std::ofstream(folder_.path() + "/package-marks/" + Name('b').str()) << "x";
  // A tree that no longer is one.
  fs::create_directories(folder_.path() + "/packages/" + Name('c').str());
  fs::create_symlink("/etc", folder_.path() + "/packages/" + Name('c').str() + "/link");
  Open();
  EXPECT_EQ(Names(), "a");
  std::vector<std::string> left;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
    left.push_back(entry.path().string().substr(folder_.path().size()));
  std::sort(left.begin(), left.end());
  const std::string a = Name('a').str();
  EXPECT_THAT(left, ElementsAre("/package-marks", "/package-marks/" + a, "/packages",
                                "/packages/" + a, "/packages/" + a + "/file"));
}

class SealedTest : public PipelineTest {
 protected:
  BuiltPackage Good(const std::string& extra = "") {
    return BuildPackage({"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}, {"data/x", "x"}},
                        extra);
  }
  std::string RunFetched(const BuiltPackage& package, const std::vector<TarMember>& members) {
    archives_.archives[package.sha256] = Gzip(Tar(members));
    return Describe(Run(MakeUnit(package.sha256)));
  }
  std::string Folder(const BuiltPackage& package) const {
    return Cat(folder_.path(), "/packages/", package.sha256);
  }
  // Every name, mode, time and content.
  static std::string Picture(const std::string& root) {
    std::string all;
    std::vector<std::string> paths{root};
    for (const auto& entry : fs::recursive_directory_iterator(root))
      paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      struct stat info;
      EXPECT_EQ(stat(path.c_str(), &info), 0);
      all += Cat(path.substr(root.size()), " ", info.st_mode, " ", info.st_mtim.tv_sec, " ",
                 S_ISREG(info.st_mode) ? ReadWhole(path) : "", "\n");
    }
    return all;
  }
};

// Two archives that differ in all that the digests do not cover.
TEST_F(SealedTest, TheTreeIsAFunctionOfTheTwoHashes) {
  const BuiltPackage package = Good();
  ASSERT_EQ(RunFetched(package, package.members), "completed");
  const std::string first = Picture(Folder(package));
  ASSERT_TRUE(packages_->shelf().Remove(*Sha256Hex::Parse(package.sha256), "test").ok());

  std::vector<TarMember> other = package.members;
  for (TarMember& member : other) member.mode = member.path == "tenant" ? 0600 : 0777;
  other[0].content = WriteCanonical(*ReadJson(other[0].content));
  other[0].content.insert(1, " \"tenant_id\" : \"somebody\", \n");  // the last one counts
  other.push_back({"manifest.json.sig", "#!/bin/sh\n"});
  other.push_back({"yaml/", "", '5'});  // which Python would import
  ASSERT_EQ(RunFetched(package, other), "completed");
  EXPECT_EQ(archives_.fetches, 2);
  EXPECT_EQ(Picture(Folder(package)), first);
}

TEST_F(SealedTest, TheOwnersCapHoldsForWhatIsFetched) {
  config_.packages_max_mb = 1;
  const BuiltPackage large = BuildPackage(
      {"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}, {"pad", [] {
                                                                   std::string text;
                                                                   for (int i = 0; i < 300'000; ++i)
                                                                     text += Cat(i * 7919LL);
                                                                   return text;
                                                                 }()}});
  EXPECT_THAT(RunFetched(large, large.members),
              HasSubstr("more than provisioning.packages_max_mb=1 allows"));
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/packages"));
  config_.packages_max_mb = 8192;
  EXPECT_EQ(RunFetched(large, large.members), "completed");
  // Lowered while it is there: it goes with the next unit, and not what is staged.
  config_.packages_max_mb = 1;
  const std::string staged = StageTenant({"ok"});
  EXPECT_EQ(Describe(Run(MakeUnit(staged))), "completed");
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/packages"));
  EXPECT_TRUE(fs::exists(folder_.path() + "/staged/" + staged));
}

class SignedTest : public SealedTest {
 protected:
  void SetUp() override {
    SealedTest::SetUp();
    ASSERT_GE(sodium_init(), 0);
    crypto_sign_keypair(public_, secret_);
  }
  std::string Key() const {
    return HexEncode({reinterpret_cast<const char*>(public_), sizeof public_});
  }
  std::string Sign(const std::string& sha) const {
    const std::string message = ManifestSignatureMessage(*Sha256Hex::Parse(sha));
    unsigned char signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, nullptr, reinterpret_cast<const unsigned char*>(message.data()),
                         message.size(), secret_);
    return Cat("{\"maintainer_pubkey\":\"", Key(), "\",\"sig_v\":\"auspex-1\",\"signature\":\"",
               Base64Encode({reinterpret_cast<const char*>(signature), sizeof signature}), "\"}");
  }
  unsigned char public_[crypto_sign_PUBLICKEYBYTES], secret_[crypto_sign_SECRETKEYBYTES];
};

TEST_F(SignedTest, WithAPinnedKeyTheTenantMustHaveSigned) {
  const BuiltPackage package = Good();
  const auto with = [&](const std::string& signature) {
    std::vector<TarMember> members = package.members;
    if (!signature.empty()) members.push_back({"manifest.json.sig", signature});
    const std::string outcome = RunFetched(package, members);
    (void)packages_->shelf().Remove(*Sha256Hex::Parse(package.sha256), "test");
    return outcome;
  };
  EXPECT_EQ(with("no signature at all"), "completed") << "nobody asked for one";
  config_.tenant_keys["somebody-else"] = std::string(64, '1');
  EXPECT_EQ(with(""), "completed") << "another tenant's key";
  config_.tenant_keys["test-lab"] = Key();
  const std::string good = Sign(package.sha256);
  EXPECT_EQ(with(good), "completed");
  const std::string refused = "executor_refused: manifest.json.sig: ";
  EXPECT_EQ(with(""), refused + "is missing, and a key of the tenant is pinned");
  EXPECT_EQ(with(Sign(std::string(64, 'c'))), refused + "signature does not verify");
  std::string changed = good;
  changed[changed.find("\"signature\":\"") + 20] ^= 1;
  EXPECT_THAT(with(changed), StartsWith(refused + "signature "));
  std::string old = good;
  old.replace(old.find("auspex-1"), 8, "0.1");
  EXPECT_EQ(with(old), refused + "has sig_v '0.1', not 'auspex-1'");
  EXPECT_THAT(with("[]"), StartsWith(refused + "is no JSON object"));
  EXPECT_EQ(with(std::string(17 * 1024, ' ')),
            "executor_refused: manifest.json.sig has more than 16384 octets");
  EXPECT_THAT(with(good.substr(0, good.size() - 1) + ",\"sig_v\":\"auspex-1\"}"),
              HasSubstr("json: "));
  config_.tenant_keys["test-lab"] = std::string(64, '2');
  EXPECT_EQ(with(good), refused + "is by another key than the owner pinned for the tenant");
}

TEST_F(SignedTest, AKeyThatIsPinnedLaterCountsForWhatIsInstalledAndStaged) {
  const BuiltPackage package = Good();
  std::vector<TarMember> members = package.members;
  members.push_back({"manifest.json.sig", Sign(package.sha256)});
  ASSERT_EQ(RunFetched(package, members), "completed");
  const BuiltPackage bare = Good(",\"note\":1");
  ASSERT_EQ(RunFetched(bare, bare.members), "completed");
  const std::string staged = StageTenant({"ok"}, ",\"note\":2");
  config_.tenant_keys["test-lab"] = Key();
  EXPECT_EQ(Describe(Run(MakeUnit(package.sha256))), "completed");
  EXPECT_THAT(Describe(Run(MakeUnit(bare.sha256))), HasSubstr("manifest.json.sig: is missing"));
  EXPECT_THAT(Describe(Run(MakeUnit(staged))),
              StartsWith("executor_refused: staged package: manifest.json.sig: is missing"));
  folder_.Write(Cat("staged/", staged, "/manifest.json.sig"), Sign(staged));
  EXPECT_EQ(Describe(Run(MakeUnit(staged))), "completed");
  EXPECT_EQ(archives_.fetches, 2);
  // A signature of a manifest that vouches for no files.
  const BuiltPackage loose =
      BuildPackage({"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}}, "", false);
  for (const TarMember& member : loose.members)
    folder_.Write(Cat("staged/", loose.sha256, "/", member.path), member.content, 0755);
  folder_.Write(Cat("staged/", loose.sha256, "/manifest.json.sig"), Sign(loose.sha256));
  EXPECT_THAT(Describe(Run(MakeUnit(loose.sha256))), HasSubstr("does not cover the files"));
  config_.tenant_keys.clear();
  EXPECT_EQ(Describe(Run(MakeUnit(loose.sha256))), "completed");
}

// The commands of docs/formats/manifest-signature.md, as a tenant would use them.
TEST_F(SignedTest, TheDocumentedCommandsMakeOne) {
  const char* root = std::getenv("AUSPEX_SOURCE_DIR");
  const std::string page =
      ReadWhole(Cat(root == nullptr ? "." : root, "/docs/formats/manifest-signature.md"));
  const size_t begin = page.find("```sh\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string commands = page.substr(begin + 6, page.find("\n```", begin) - begin - 6);
  const std::string sha(64, 'a');
  folder_.Write("sign.sh", Cat("set -e\ncd '", folder_.path(), "'\nMANIFEST_SHA256=", sha,
                               "\nopenssl genpkey -algorithm ed25519 -out tenant.pem\n", commands,
                               "\nprintf %s \"$pubkey\" >pubkey\n"));
  ASSERT_EQ(std::system(Cat("sh '", folder_.path(), "/sign.sh'").c_str()), 0);
  const absl::StatusOr<PublicKeyHex> key =
      PublicKeyHex::Parse(ReadWhole(folder_.path() + "/pubkey"));
  ASSERT_TRUE(key.ok()) << key.status();
  const std::string signature = ReadWhole(folder_.path() + "/manifest.json.sig");
  const absl::Status status = CheckManifestSignature(signature, *Sha256Hex::Parse(sha), *key);
  EXPECT_TRUE(status.ok()) << status << signature;
  EXPECT_FALSE(
      CheckManifestSignature(signature, *Sha256Hex::Parse(std::string(64, 'b')), *key).ok());
}

// Between the check and the start somebody puts another folder in the package's place.
TEST_F(SealedTest, WhatWasVerifiedIsBoundWhateverLiesThereByThen) {
  const BuiltPackage package = Good();
  archives_.archives[package.sha256] = Gzip(Tar(package.members));
  // The settings are read again when the package has been verified.
  int reads = 0;
  UnitPipeline pipeline({*host_,
                         [&] {
                           if (++reads == 2) {
                             fs::rename(Folder(package), folder_.path() + "/away");
                             folder_.Write(Cat("packages/", package.sha256, "/tenant"), "evil",
                                           0755);
                           }
                           return config_;
                         },
                         *thermal_, *isolation_, *packages_, signer_, Clock::System()});
  EXPECT_EQ(Describe(pipeline.Run(MakeUnit(package.sha256), control_)), "completed");
  EXPECT_EQ(ReadWhole(Folder(package) + "/tenant"), "evil");
}

}  // namespace
}  // namespace auspex::runnerd
