// SPDX-License-Identifier: AGPL-3.0-only
// The container's entry point on the real programs: it starts what it is told to, and where the host withholds a sandbox it says so and
// does not start the worker. bubblewrap stands in for the host: it can take away what a container's host does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/deploy/unit_file.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex::deploy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Quoted(const std::string& text) { return "'" + text + "'"; }

// The entry point with the programs of this build in front of PATH, and a worker's home.
std::string Line(const std::string& home, const std::string& words) {
  return "PATH=" + Quoted(std::getenv("AUSPEX_BIN_DIR")) +
         ":/usr/bin:/bin AUSPEX_HOME=" + Quoted(home) + " exec " +
         Quoted(DeployFile("container/entrypoint")) + " " + words;
}

TEST(Container, OtherVerbsGoThroughAsTheyAre) {
  testing::TempDir home;
  const e2e::Finished done =
      e2e::RunCommand({"/bin/sh", "-c", Line(home.path(), "key create")}, 60);
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("pubkey:"));
  EXPECT_THAT(done.err, Not(HasSubstr("this container")));
}

TEST(Container, AHostThatWithholdsTheSandboxIsRefusedByName) {
  AUSPEX_SKIP_UNLESS(::access("/usr/bin/bwrap", X_OK) == 0, "bubblewrap");
  testing::TempDir home;
  const e2e::Finished done =
      e2e::RunCommand({"/usr/bin/bwrap", "--dev-bind", "/", "/", "--unshare-user",
                       "--disable-userns", "/bin/sh", "-c", Line(home.path(), "daemon")},
                      60);
  EXPECT_EQ(done.code, 2) << done.out << done.err;
  EXPECT_THAT(done.err, HasSubstr("user-namespace"));
  EXPECT_THAT(done.err, HasSubstr("the worker does not start"));
  EXPECT_THAT(done.err, HasSubstr("seccomp=unconfined"));
  EXPECT_FALSE(std::filesystem::exists(home / "state/keyd/key.sealed"));
}

// Where the sandbox can be built, the worker itself answers: here that nobody has enrolled it.
TEST(Container, TheWorkerStartsWhereTheSandboxWorks) {
  testing::TempDir home;
  const e2e::Finished probe =
      e2e::RunCommand({"/bin/sh", "-c", Line(home.path(), "sandbox probe")}, 60);
  AUSPEX_SKIP_UNLESS(probe.code == 0, "a host that allows the strict sandbox");
  const e2e::Finished done = e2e::RunCommand({"/bin/sh", "-c", Line(home.path(), "")}, 60);
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.out + done.err, HasSubstr("not enrolled"));
  EXPECT_THAT(done.err, Not(HasSubstr("this container")));
}

// What the file starts is what the package has.
TEST(Container, TheFileStartsThePackagesEntryPoint) {
  const std::string text = e2e::ReadText(DeployFile("container/Containerfile"));
  EXPECT_THAT(text, HasSubstr("ENTRYPOINT [\"/usr/libexec/auspex/container-entrypoint\"]"));
  EXPECT_THAT(text, HasSubstr("\nUSER auspex-worker\n"));
  EXPECT_THAT(e2e::ReadText(DeployFile("debian/auspex.install")),
              HasSubstr("\nusr/libexec/auspex/container-entrypoint\n"));
  EXPECT_THAT(e2e::ReadText(DeployFile("CMakeLists.txt")),
              HasSubstr("install(PROGRAMS container/entrypoint DESTINATION libexec/auspex RENAME "
                        "container-entrypoint)"));
  EXPECT_EQ(::access(DeployFile("container/entrypoint").c_str(), X_OK), 0);
}

}  // namespace
}  // namespace auspex::deploy
