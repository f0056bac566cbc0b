// SPDX-License-Identifier: AGPL-3.0-only
// `auspex service` where no service manager answers: what it shows, what it refuses and that it then changes nothing. With one it is
// tested by tests/deploy/user_service_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/json/reader.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

class ServiceVerbsTest : public ::testing::Test {
 protected:
  std::string units() const { return home_ / ".config/systemd/user"; }
  Outcome Auspex(std::vector<std::string> arguments) {
    return RunProgram(
        BuiltProgram("auspex"), arguments,
        {.environment = {{"HOME", home_.path()}, {"XDG_RUNTIME_DIR", home_ / "run"}}});
  }
  // The text of one file as --print shows it.
  std::string TextOf(const std::string& unit) {
    const Outcome outcome = Auspex({"service", "install", "--print", "--json"});
    const absl::StatusOr<JsonValue> document = ReadJson(outcome.out);
    if (!document.ok()) return "";
    for (const JsonValue& file : *document->Find("files")->as_array()) {
      if (file.FindString("path")->ends_with("/" + unit)) return *file.FindString("text");
    }
    return "";
  }
  std::string StandingOf(const std::string& unit) {
    const Outcome outcome = Auspex({"service", "install", "--print", "--json"});
    const absl::StatusOr<JsonValue> document = ReadJson(outcome.out);
    if (!document.ok()) return outcome.err;
    for (const JsonValue& file : *document->Find("files")->as_array()) {
      if (file.FindString("path")->ends_with("/" + unit)) return *file.FindString("standing");
    }
    return "not there";
  }
  void Put(const std::string& unit, const std::string& text) {
    fs::create_directories(units());
    std::ofstream(units() + "/" + unit) << text;
  }

  ScratchFolder home_;
};

TEST_F(ServiceVerbsTest, PrintShowsEveryUnitAndChangesNothing) {
  for (const char* word : {"--print", "--dry-run"}) {
    const Outcome outcome = Auspex({"service", "install", word});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("==> " + units() + "/auspex-runnerd.service (new)\n"));
    EXPECT_THAT(outcome.out, HasSubstr("\nDelegate=yes\n"));
    EXPECT_THAT(outcome.out, HasSubstr("\nExecStart=" + BuiltProgram("auspex-keyd") + "\n"));
  }
  EXPECT_FALSE(fs::exists(home_ / ".config"));
}

TEST_F(ServiceVerbsTest, WithoutAManagerItSaysWhatToDoAndWritesNothing) {
  const Outcome outcome = Auspex({"service", "install"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("auspex: service: "));
  EXPECT_THAT(outcome.err, HasSubstr("loginctl enable-linger"));
  EXPECT_FALSE(fs::exists(units()));
  EXPECT_EQ(Auspex({"service", "status"}).code, 1);
}

TEST_F(ServiceVerbsTest, TheServicesOfTheSystemAreThePackages) {
  const Outcome outcome = Auspex({"--system", "service", "install"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("systemctl enable --now auspex.target"));
}

TEST_F(ServiceVerbsTest, WhatStandsThereIsToldApart) {
  constexpr char kUnit[] = "auspex-keyd.service";
  const std::string text = TextOf(kUnit);
  ASSERT_THAT(text, HasSubstr("ExecStart="));
  EXPECT_EQ(StandingOf(kUnit), "new");
  Put(kUnit, text);
  EXPECT_EQ(StandingOf(kUnit), "unchanged");
  Put(kUnit, text + "MemoryMax=2G\n");
  EXPECT_EQ(StandingOf(kUnit), "CHANGED BY SOMEBODY ELSE");
  Put(kUnit, "[Service]\nExecStart=/bin/true\n");
  EXPECT_EQ(StandingOf(kUnit), "CHANGED BY SOMEBODY ELSE");
  // systemctl mask.
  fs::remove(units() + "/" + kUnit);
  fs::create_symlink("/dev/null", units() + "/" + kUnit);
  EXPECT_EQ(StandingOf(kUnit), "CHANGED BY SOMEBODY ELSE");
  fs::remove(units() + "/" + kUnit);
  // Ours of another release: whole, and other words.
  Put(kUnit, TextOf("auspex-netd.service"));
  EXPECT_EQ(StandingOf(kUnit), "replaces an older one");
}

TEST_F(ServiceVerbsTest, UninstallLeavesWhatItDidNotWrite) {
  Put("auspex-of-mine.service", "[Service]\nExecStart=/bin/true\n");
  const Outcome outcome = Auspex({"service", "uninstall"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("nothing to do"));
  EXPECT_THAT(outcome.out, HasSubstr("auspex-of-mine.service"));
  EXPECT_TRUE(fs::exists(units() + "/auspex-of-mine.service"));
}

TEST_F(ServiceVerbsTest, UninstallRefusesAChangedUnit) {
  Put("auspex-netd.service", TextOf("auspex-netd.service") + "MemoryMax=2G\n");
  const Outcome outcome = Auspex({"service", "uninstall"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("auspex-netd.service"));
  EXPECT_THAT(outcome.err, HasSubstr("--force"));
  EXPECT_TRUE(fs::exists(units() + "/auspex-netd.service"));
}

TEST_F(ServiceVerbsTest, AGroupWithoutAVerbShowsItsHelp) {
  const Outcome outcome = Auspex({"service"});
  EXPECT_EQ(outcome.code, 2);
  for (const char* verb : {"install", "uninstall", "status"})
    EXPECT_THAT(outcome.err, HasSubstr(verb));
  EXPECT_THAT(outcome.out, Not(HasSubstr("install")));
}

}  // namespace
}  // namespace auspex::cli
