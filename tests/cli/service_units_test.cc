// SPDX-License-Identifier: AGPL-3.0-only
// The units for a person's own manager: systemd reads them without a word, they keep what that manager can give and claim nothing else,
// and they are of the worker at hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "cli/service/differences.h"
#include "cli/service/system_units.h"
#include "cli/service/unit_text.h"
#include "cli/service/user_units.h"
#include "tests/cli/run_command.h"
#include "tests/support/skip.h"

namespace auspex::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Variables = std::map<std::string, std::string>;

Environment EnvironmentOf(Variables variables) {
  return [variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

const Variables kPerson = {{"HOME", "/home/a b"}, {"XDG_RUNTIME_DIR", "/run/user/1000"}};

absl::StatusOr<std::vector<UserUnit>> UnitsFor(const Layout::Choice& choice,
                                               const Variables& variables = kPerson) {
  const Environment env = EnvironmentOf(variables);
  const absl::StatusOr<Layout> layout = Layout::Resolve(choice, env);
  if (!layout.ok()) return layout.status();
  return UserUnits(*layout, env, [](std::string_view name) -> absl::StatusOr<std::string> {
    return BuiltProgram(std::string(name));
  });
}

std::map<std::string, std::string> TextsFor(const Layout::Choice& choice = {},
                                            const Variables& variables = kPerson) {
  std::map<std::string, std::string> texts;
  const absl::StatusOr<std::vector<UserUnit>> units = UnitsFor(choice, variables);
  EXPECT_TRUE(units.ok()) << units.status();
  if (!units.ok()) return texts;
  for (const UserUnit& unit : *units) texts[unit.name] = unit.text;
  return texts;
}

std::vector<std::string> ValuesOf(const std::string& text, const std::string& key) {
  std::vector<std::string> values;
  for (const UnitLine& line : UnitLines(text)) {
    if (line.key == key) values.push_back(line.value);
  }
  return values;
}

Outcome Verify(const ScratchFolder& folder, const std::map<std::string, std::string>& texts) {
  std::vector<std::string> arguments = {"--user", "verify", "--man=no"};
  for (const auto& [name, text] : texts) {
    std::ofstream(folder / name) << text;
    arguments.push_back(folder / name);
  }
  return RunProgram("/usr/bin/systemd-analyze", arguments,
                    {.environment = {{"HOME", folder.path()}, {"XDG_RUNTIME_DIR", folder.path()}},
                     .timeout_seconds = 60});
}

TEST(ServiceUnitsOfAPerson, SystemdReadsThemWithoutAWord) {
  AUSPEX_SKIP_UNLESS(::access("/usr/bin/systemd-analyze", X_OK) == 0,
                     "systemd-analyze (package systemd)");
  ScratchFolder folder;
  std::map<std::string, std::string> texts = TextsFor();
  const Outcome verified = Verify(folder, texts);
  EXPECT_EQ(verified.code, 0);
  EXPECT_EQ(verified.out + verified.err, "");
  // It exits with 0 for a value that it does not know: the words are what counts.
  texts["auspex-keyd.service"] += "Restart=sometimes\n";
  EXPECT_THAT(Verify(folder, texts).err, HasSubstr("sometimes"));
}

TEST(ServiceUnitsOfAPerson, EachIsMadeFromOneOfTheSystems) {
  const std::map<std::string, std::string> texts = TextsFor();
  ASSERT_EQ(texts.size() + 1, SystemUnits().size());
  for (const SystemUnit& unit : SystemUnits())
    EXPECT_EQ(texts.contains(std::string(unit.name)), unit.name != "auspex-seal.service");
}

TEST(ServiceUnitsOfAPerson, EverySettingOfTheSystemsIsDecidedAndWhatDiffersHasAReason) {
  for (const SystemUnit& unit : SystemUnits()) {
    if (unit.name == "auspex-seal.service") continue;
    for (const UnitLine& line : UnitLines(unit.text)) {
      const Difference* row = DifferenceFor(unit.name, line.key);
      ASSERT_NE(row, nullptr) << unit.name << ": " << line.key;
      const bool differs =
          row->fate == Fate::kLeftOut || row->fate == Fate::kReplaced || row->fate == Fate::kAdded;
      EXPECT_EQ(differs, !row->reason.empty()) << line.key;
    }
  }
  EXPECT_EQ(DifferenceFor("auspex-keyd.service", "DynamicUser"), nullptr);
}

// Every line of every unit, and the order of those of one setting: SystemCallFilter= takes away what stood before it.
TEST(ServiceUnitsOfAPerson, EachSettingIsWhatItsRowSaysLineByLine) {
  const std::map<std::string, std::string> texts = TextsFor();
  size_t kept = 0;
  for (const SystemUnit& unit : SystemUnits()) {
    if (unit.name == "auspex-seal.service") continue;
    for (const UnitLine& line : UnitLines(unit.text)) {
      const Difference* row = DifferenceFor(unit.name, line.key);
      ASSERT_NE(row, nullptr) << line.key;
      const std::vector<std::string> have = ValuesOf(texts.at(std::string(unit.name)), line.key);
      std::vector<std::string> want = ValuesOf(std::string(unit.text), line.key);
      if (row->fate == Fate::kLeftOut) want.clear();
      if (row->fate == Fate::kReplaced) want = {std::string(row->value)};
      if (row->fate == Fate::kAdded) want.emplace_back(row->value);
      if (row->fate == Fate::kPlace || row->fate == Fate::kOurUnits) continue;
      EXPECT_EQ(have, want) << unit.name << " " << line.key;
      if (row->fate == Fate::kKept) ++kept;
    }
  }
  EXPECT_GT(kept, 100u);
}

TEST(ServiceUnitsOfAPerson, WhatTheManagerCanGiveIsTheSystems) {
  const std::map<std::string, std::string> texts = TextsFor();
  for (const SystemUnit& unit : SystemUnits()) {
    const std::string name(unit.name);
    if (!name.ends_with(".service") || name == "auspex-seal.service") continue;
    const std::string& text = texts.at(name);
    for (const char* key :
         {"Type", "NotifyAccess", "Restart", "RestartSec", "RestartPreventExitStatus",
          "WatchdogSec", "MemoryMax", "TasksMax", "NoNewPrivileges", "MemoryDenyWriteExecute",
          "RestrictAddressFamilies", "SystemCallArchitectures", "LimitCORE", "UMask",
          "StartLimitBurst", "StartLimitIntervalSec", "KillMode", "OOMPolicy"}) {
      EXPECT_EQ(ValuesOf(text, key), ValuesOf(std::string(unit.text), key)) << name << " " << key;
    }
    EXPECT_THAT(ValuesOf(text, "RestartPreventExitStatus"), ElementsAre("2"));
    // Ignored without a word, or the end of the service, where there are no privileges.
    for (const char* key :
         {"User", "CapabilityBoundingSet", "ProtectSystem", "ProtectHome", "PrivateTmp",
          "PrivateNetwork", "PrivateDevices", "IPAddressDeny", "ProtectProc", "RemoveIPC",
          "StateDirectory", "LoadCredentialEncrypted", "OOMScoreAdjust"}) {
      EXPECT_THAT(ValuesOf(text, key), IsEmpty()) << name << " " << key;
    }
    // With a user namespace of its own every process of the person could look into keyd.
    EXPECT_THAT(ValuesOf(text, "PrivateUsers"), ElementsAre("no")) << name;
  }
  EXPECT_THAT(ValuesOf(texts.at("auspex-runnerd.service"), "Delegate"), ElementsAre("yes"));
  EXPECT_THAT(ValuesOf(texts.at("auspex-keyd.service"), "RestrictNamespaces"), ElementsAre("yes"));
  // netd's view is made of namespaces and mounts.
  EXPECT_THAT(ValuesOf(texts.at("auspex-netd.service"), "RestrictNamespaces"), ElementsAre("no"));
  EXPECT_EQ(ValuesOf(texts.at("auspex-netd.service"), "SystemCallFilter").back(), "@mount capset");
  EXPECT_THAT(ValuesOf(texts.at("auspex.target"), "WantedBy"), ElementsAre("default.target"));
}

TEST(ServiceUnitsOfAPerson, NoUnitIsNamedThatAPersonsManagerHasNot) {
  for (const auto& [name, text] : TextsFor()) {
    for (const char* key : {"Requires", "Wants", "After"}) {
      for (const std::string& value : ValuesOf(text, key)) {
        for (const std::string& word : WordsOf(value))
          EXPECT_THAT(word, ::testing::StartsWith("auspex-")) << name;
        EXPECT_THAT(value, Not(HasSubstr("seal")));
      }
    }
  }
}

// What starts later stops earlier, and what netd and runnerd still have to tell reaches the others.
TEST(ServiceUnitsOfAPerson, NetdAndRunnerdStopBeforeThoseWhomTheyTell) {
  const std::map<std::string, std::string> texts = TextsFor();
  for (const char* name : {"auspex-netd.service", "auspex-runnerd.service"}) {
    std::vector<std::string> after;
    for (const std::string& value : ValuesOf(texts.at(name), "After"))
      for (const std::string& word : WordsOf(value)) after.push_back(word);
    EXPECT_THAT(after, ::testing::IsSupersetOf({"auspex-keyd.service", "auspex-stated.service"}))
        << name;
  }
}

TEST(ServiceUnitsOfAPerson, SocketsAreThoseOfTheWorkerAndNobodyElses) {
  const std::map<std::string, std::string> texts = TextsFor();
  const std::string& socket = texts.at("auspex-keyd-request.socket");
  EXPECT_THAT(ValuesOf(socket, "ListenStream"),
              ElementsAre("/run/user/1000/auspex/keyd/request.sock"));
  EXPECT_THAT(ValuesOf(socket, "SocketMode"), ElementsAre("0600"));
  EXPECT_THAT(ValuesOf(socket, "DirectoryMode"), ElementsAre("0700"));
  EXPECT_THAT(ValuesOf(socket, "SocketUser"), IsEmpty());
  for (const auto& [name, text] : TextsFor({.home = "/srv/w"})) {
    if (!name.ends_with(".socket")) continue;
    EXPECT_THAT(ValuesOf(text, "ListenStream").at(0), ::testing::StartsWith("/srv/w/run/"));
  }
}

TEST(ServiceUnitsOfAPerson, ThePlaceOfTheWorkerIsTheShellsAndNotTheManagers) {
  const std::string plain = TextsFor().at("auspex-keyd.service");
  EXPECT_THAT(ValuesOf(plain, "ExecStart"), ElementsAre(BuiltProgram("auspex-keyd")));
  EXPECT_THAT(ValuesOf(plain, "Environment"), IsEmpty());
  EXPECT_THAT(ValuesOf(plain, "UnsetEnvironment").at(0), HasSubstr("AUSPEX_HOME"));
  EXPECT_THAT(ValuesOf(plain, "UnsetEnvironment").at(0), HasSubstr("XDG_STATE_HOME"));

  Variables variables = kPerson;
  variables["XDG_STATE_HOME"] = "/data/my 100%";
  const std::string moved = TextsFor({}, variables).at("auspex-stated.service");
  EXPECT_THAT(ValuesOf(moved, "Environment"), ElementsAre("\"XDG_STATE_HOME=/data/my 100%%\""));
  EXPECT_THAT(ValuesOf(moved, "UnsetEnvironment").at(0), Not(HasSubstr("XDG_STATE_HOME")));

  const std::string home = TextsFor({.home = "/srv/my w"}).at("auspex-runnerd.service");
  EXPECT_THAT(ValuesOf(home, "ExecStart"),
              ElementsAre(BuiltProgram("auspex-runnerd") + " --home \"/srv/my w\""));
}

TEST(ServiceUnitsOfAPerson, APathThatNoUnitCanNameIsRefused) {
  for (const char* bad : {"/srv/a\"b", "/srv/a\nUser=root", "/srv/$HOME", "/srv/a\\x20"}) {
    const absl::StatusOr<std::vector<UserUnit>> units = UnitsFor({.home = bad});
    EXPECT_TRUE(absl::IsInvalidArgument(units.status())) << bad << " " << units.status();
  }
}

TEST(ServiceUnitsOfAPerson, AChangedFileIsRecognised) {
  const std::string text = TextsFor().at("auspex-netd.service");
  EXPECT_EQ(AuthorshipOf(text), Authorship::kOurs);
  EXPECT_EQ(AuthorshipOf(text + "MemoryMax=2G\n"), Authorship::kChanged);
  EXPECT_EQ(AuthorshipOf(text.substr(0, text.size() - 1)), Authorship::kChanged);
  EXPECT_EQ(AuthorshipOf(text.substr(text.find('\n') + 1)), Authorship::kForeign);
  EXPECT_EQ(AuthorshipOf(""), Authorship::kForeign);
}

}  // namespace
}  // namespace auspex::cli
