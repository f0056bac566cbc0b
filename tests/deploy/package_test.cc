// SPDX-License-Identifier: AGPL-3.0-only
// The Debian package's own parts, as far as they can be tried without building it: what goes into which package, the list of materials, the
// signature of a release, and what a purge deletes. `./dev deb` builds it and has lintian look at it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "common/crypto/sha256.h"
#include "tests/deploy/unit_file.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex::deploy {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

bool Has(const char* program) { return ::access(program, X_OK) == 0; }

std::string BuildFolder() { return fs::path(e2e::Program("x")).parent_path().parent_path(); }

TEST(Package, ScriptsAreReadByTheShell) {
  for (const char* name : {"debian/auspex.postinst", "debian/auspex.prerm", "debian/auspex.postrm",
                           "debian/tests/lab", "debian/tests/services", "verify"}) {
    const e2e::Finished finished = e2e::RunCommand({"/bin/sh", "-n", DeployFile(name)});
    EXPECT_EQ(finished.code, 0) << name << finished.err;
  }
}

TEST(Package, EveryProgramOfTheBuildIsInOnePackage) {
  std::map<std::string, int> listed;
  for (const auto& entry : fs::directory_iterator(DeployFile("debian"))) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".install") && name != "not-installed") continue;
    std::istringstream lines(e2e::ReadText(entry.path()));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("usr/bin/")) ++listed[line.substr(8, line.find(' ') - 8)];
    }
  }
  int programs = 0;
  for (const auto& entry : fs::directory_iterator(BuildFolder() + "/bin")) {
    EXPECT_EQ(listed[entry.path().filename()], 1) << entry.path();
    ++programs;
  }
  EXPECT_GE(programs, 10);
}

TEST(Package, TheListOfMaterialsIsReadFromTheBuild) {
  AUSPEX_SKIP_UNLESS(Has("/usr/bin/dpkg-query") && Has("/usr/bin/ninja"), "dpkg-query and ninja");
  const std::string build = BuildFolder();
  const auto list = [&] {
    return e2e::RunCommand({"/usr/bin/python3", DeployFile("debian/sbom.py"), "--build", build,
                            "--programs", build + "/bin", "--version", "1.2.3"},
                           100,
                           {{"SOURCE_DATE_EPOCH", "1700000000"}, {"PYTHONDONTWRITEBYTECODE", "1"}});
  };
  const e2e::Finished first = list();
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, list().out) << "two lists of one build differ";
  const e2e::Json sbom = e2e::Json::parse(first.out, nullptr, false);
  ASSERT_TRUE(sbom.is_object());
  EXPECT_EQ(sbom["spdxVersion"], "SPDX-2.3");
  EXPECT_EQ(sbom["creationInfo"]["created"], "2023-11-14T22:13:20Z");
  std::map<std::string, std::vector<std::string>> kinds;
  for (const e2e::Json& relation : sbom["relationships"])
    kinds[relation["relationshipType"]].push_back(relation["relatedSpdxElement"]);
  EXPECT_THAT(kinds["STATIC_LINK"], Contains("SPDXRef-Debian-libgrpc-dev"));
  EXPECT_THAT(kinds["STATIC_LINK"], Contains("SPDXRef-Debian-libprotobuf-dev"));
  EXPECT_THAT(kinds["DYNAMIC_LINK"], Contains("SPDXRef-Debian-libsodium23"));
  EXPECT_THAT(kinds["DYNAMIC_LINK"], Not(Contains("SPDXRef-Debian-libgrpc-dev")));
  const std::string digest = Sha256HexOf(e2e::ReadText(e2e::Program("auspex-keyd")));
  EXPECT_THAT(first.out, HasSubstr(digest));
  EXPECT_THAT(first.out, HasSubstr("pkg:deb/debian/libsodium23@"));
}

// A folder as ./dev deb --sign leaves it, signed by a key of the test's own.
class SignedRelease : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(Has("/usr/bin/minisign"), "minisign");
    e2e::WriteText(folder_ / "auspex_1_amd64.deb", "not really a package, but octets");
    Sign("key");
  }
  void Sign(const std::string& key) {
    const std::string script =
        "cd " + folder_.path() + " && minisign -G -f -W -p ../" + Name(key) + ".pub -s ../" +
        Name(key) + ".sec >/dev/null && sha256sum *.deb > SHA256SUMS" + " && minisign -S -s ../" +
        Name(key) + ".sec -m SHA256SUMS >/dev/null";
    const e2e::Finished finished = e2e::RunCommand({"/bin/sh", "-c", script});
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  void TearDown() override {
    std::error_code none;
    for (const char* key : {"key", "other"}) {
      fs::remove("/tmp/" + Name(key) + ".pub", none);
      fs::remove("/tmp/" + Name(key) + ".sec", none);
    }
  }
  std::string Name(const std::string& key) const {
    return fs::path(folder_.path()).filename().string() + "-" + key;
  }
  std::string Public(const std::string& key) const {
    return fs::path(folder_.path()).parent_path().string() + "/" + Name(key) + ".pub";
  }
  e2e::Finished Verify(const std::string& key) const {
    return e2e::RunCommand({"/bin/sh", DeployFile("verify"), key, folder_.path()});
  }
  testing::TempDir folder_;
};

TEST_F(SignedRelease, IsTakenWithTheKeyAsFileOrText) {
  EXPECT_EQ(Verify(Public("key")).code, 0) << Verify(Public("key")).err;
  const std::string text = e2e::ReadText(Public("key"));
  const size_t begin = text.find("\nRW") + 1;
  EXPECT_EQ(Verify(text.substr(begin, text.find('\n', begin) - begin)).code, 0);
}

TEST_F(SignedRelease, AChangedPackageIsRefused) {
  e2e::WriteText(folder_ / "auspex_1_amd64.deb", "not really a package, but Octets");
  EXPECT_EQ(Verify(Public("key")).code, 1);
}

TEST_F(SignedRelease, AListThatFitsTheChangedPackageIsRefused) {
  const std::string script =
      "cd " + folder_.path() + " && echo x >> auspex_1_amd64.deb && sha256sum *.deb > SHA256SUMS";
  ASSERT_EQ(e2e::RunCommand({"/bin/sh", "-c", script}).code, 0);
  const e2e::Finished verified = Verify(Public("key"));
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.err, HasSubstr("not signed by this key"));
}

TEST_F(SignedRelease, AnotherKeyIsRefused) {
  const std::string key = Public("key"), kept = key + ".kept";
  fs::copy(key, kept);
  Sign("other");
  EXPECT_EQ(Verify(kept).code, 1);
  EXPECT_EQ(Verify(Public("other")).code, 0);
  fs::remove(kept);
}

TEST_F(SignedRelease, APackageThatTheListDoesNotNameIsRefused) {
  e2e::WriteText(folder_ / "auspex-extra_1_amd64.deb", "slipped in");
  const e2e::Finished verified = Verify(Public("key"));
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.err, HasSubstr("auspex-extra_1_amd64.deb is not named"));
}

TEST_F(SignedRelease, WhatIsNoKeyIsWrongUsage) { EXPECT_EQ(Verify("/etc/hostname").code, 2); }

// The real postrm under the real debconf, in a mount namespace whose /etc, /var/lib and answers are copies. `answer`: what the owner said
// beforehand; "": nobody can be asked. Prints what is left.
e2e::Finished Purge(const std::string& answer) {
  const e2e::TempFolder scratch;
  const std::string script = R"(set -eu
cp -a /etc "$1/etc"; cp -a /var/cache/debconf "$1/debconf"
mount --bind "$1/etc" /etc; mount --bind "$1/debconf" /var/cache/debconf
mount -t tmpfs none /var/lib; mkdir -p /var/lib/dpkg/info /etc/credstore.encrypted /etc/auspex
systemd-sysusers "$2/sysusers.d/auspex.conf" >/dev/null 2>&1
for name in keyd stated runnerd data; do mkdir -p "/var/lib/auspex/$name"; echo x > "/var/lib/auspex/$name/x"; done
echo x > /etc/credstore.encrypted/auspex-keyd-seal; echo x > /etc/auspex/worker.toml
cp "$2/debian/auspex.postrm" /var/lib/dpkg/info/auspex.postrm; chmod 755 /var/lib/dpkg/info/auspex.postrm
export DEBIAN_FRONTEND=noninteractive
# The question becomes known at the installation; at a purge dpkg has taken its text away.
cp "$2/debian/auspex.templates" /var/lib/dpkg/info/
sed '/#DEBHELPER#/,$d' "$2/debian/auspex.postinst" > /var/lib/dpkg/info/auspex.postinst; chmod 755 /var/lib/dpkg/info/auspex.postinst
/var/lib/dpkg/info/auspex.postinst configure ""
rm /var/lib/dpkg/info/auspex.templates
[ -z "$3" ] || echo "auspex auspex/purge-key select $3" | debconf-set-selections
/var/lib/dpkg/info/auspex.postrm purge >/dev/null
find /var/lib/auspex /etc/auspex /etc/credstore.encrypted/auspex-keyd-seal -type f 2>/dev/null || true
cut -d: -f1 /etc/passwd /etc/group | grep auspex || true
)";
  return e2e::RunCommand({"/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c",
                          script, "sh", scratch.path(), DeployFile("."), answer},
                         60);
}

bool CanPurge() {
  return ::geteuid() == 0 && Has("/usr/bin/debconf-set-selections") &&
         Has("/usr/share/debconf/frontend") && Has("/usr/bin/systemd-sysusers");
}

TEST(Purge, KeepsTheKeyWhenNobodySaidOtherwise) {
  AUSPEX_SKIP_UNLESS(CanPurge(), "root, debconf and systemd-sysusers");
  for (const std::string answer : {"", "keep"}) {
    const e2e::Finished left = Purge(answer);
    EXPECT_EQ(left.code, 0) << left.err;
    EXPECT_EQ(left.out,
              "/var/lib/auspex/keyd/x\n/etc/credstore.encrypted/"
              "auspex-keyd-seal\nauspex-keyd\nauspex-keyd\n");
    EXPECT_THAT(left.err, HasSubstr("left in place: /var/lib/auspex/keyd"));
  }
}

TEST(Purge, LeavesNothingWhenTheOwnerSaidSo) {
  AUSPEX_SKIP_UNLESS(CanPurge(), "root, debconf and systemd-sysusers");
  const e2e::Finished left = Purge("delete");
  EXPECT_EQ(left.code, 0) << left.err;
  EXPECT_EQ(left.out, "");
}

// What the question says is deleted is what the script deletes.
TEST(Purge, TheQuestionNamesEveryPlace) {
  const std::string question = e2e::ReadText(DeployFile("debian/auspex.templates"));
  for (const char* place :
       {"/var/lib/auspex/stated", "/var/lib/auspex/runnerd", "/var/lib/auspex/data", "/etc/auspex",
        "/var/lib/auspex/keyd", "/etc/credstore.encrypted/auspex-keyd-seal"}) {
    EXPECT_THAT(question, HasSubstr(place));
  }
}

}  // namespace
}  // namespace auspex::deploy
