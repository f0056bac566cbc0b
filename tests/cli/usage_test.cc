// SPDX-License-Identifier: AGPL-3.0-only
// Help, usage errors and names: what needs no daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::vector<std::string>> kVerbs = {{"bootstrap"},
                                                      {"status"},
                                                      {"daemon"},
                                                      {"service", "install"},
                                                      {"service", "uninstall"},
                                                      {"service", "status"},
                                                      {"queue"},
                                                      {"peek"},
                                                      {"accept"},
                                                      {"unpin"},
                                                      {"refuse"},
                                                      {"abort"},
                                                      {"log"},
                                                      {"login"},
                                                      {"withdraw"},
                                                      {"pause"},
                                                      {"unpause"},
                                                      {"tenant", "allow"},
                                                      {"tenant", "deny"},
                                                      {"tenant", "forget"},
                                                      {"tenant", "list"},
                                                      {"receipts", "list"},
                                                      {"receipts", "show"},
                                                      {"packages", "list"},
                                                      {"packages", "remove"},
                                                      {"packages", "gc"},
                                                      {"sandbox", "probe"},
                                                      {"doctor"},
                                                      {"key", "show"},
                                                      {"key", "create"},
                                                      {"key", "import"},
                                                      {"key", "seal"},
                                                      {"key", "destroy"},
                                                      {"audit", "show"},
                                                      {"audit", "follow"},
                                                      {"audit", "head"},
                                                      {"audit", "verify"},
                                                      {"audit", "prove"},
                                                      {"audit", "export"},
                                                      {"lab"},
                                                      {"completion"}};

Outcome Auspex(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  return RunProgram(BuiltProgram("auspex"), arguments, options);
}

TEST(UsageTest, EveryVerbHasHelp) {
  for (std::vector<std::string> verb : kVerbs) {
    verb.push_back("--help");
    const Outcome outcome = Auspex(verb);
    EXPECT_EQ(outcome.code, 0) << verb[0];
    EXPECT_THAT(outcome.out, HasSubstr("Usage: auspex " + verb[0])) << verb[0];
    EXPECT_THAT(outcome.out, ContainsRegex("Examples?: auspex " + verb[0]));
    EXPECT_EQ(outcome.err, "");
  }
}

TEST(UsageTest, HelpOfTheCommandHasExamples) {
  const Outcome outcome = Auspex({"--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("Examples:"));
  for (const auto& verb : kVerbs) EXPECT_THAT(outcome.out, HasSubstr(verb[0]));
}

TEST(UsageTest, GroupWithoutVerbShowsItsHelp) {
  for (const char* group :
       {"tenant", "receipts", "packages", "sandbox", "key", "audit", "service"}) {
    const Outcome outcome = Auspex({group});
    EXPECT_EQ(outcome.code, 2) << group;
    EXPECT_THAT(outcome.err, HasSubstr("Subcommands:")) << group;
  }
  EXPECT_EQ(Auspex({}).code, 2);
}

TEST(UsageTest, WrongUsageIsCodeTwoAndSaysWhatToDo) {
  const std::vector<std::vector<std::string>> lines = {{"nonsense"},
                                                       {"--nonsense"},
                                                       {"status", "extra"},
                                                       {"peek"},
                                                       {"peek", "../x"},
                                                       {"peek", "a b"},
                                                       {"abort"},
                                                       {"abort", "u", "--grace-seconds", "-1"},
                                                       {"abort", "u", "--grace-seconds", "soon"},
                                                       {"log", "--since", "yesterday"},
                                                       {"log", "--limit", "0"},
                                                       {"tenant", "allow"},
                                                       {"tenant", "allow", "Not A Tenant"},
                                                       {"receipts", "show"},
                                                       {"packages", "remove"},
                                                       {"packages", "remove", "../x"},
                                                       {"receipts", "list", "--tenant", "a/b"},
                                                       {"daemon", "--max-ticks", "0"},
                                                       {"daemon", "--max-ticks", "many"},
                                                       {"completion", "tcsh"},
                                                       {"lab", "--workers", "0"},
                                                       {"lab", "--units", "1e9"},
                                                       {"tenant", "sell"},
                                                       {"accept", ".."},
                                                       {"refuse", "u/../v"}};
  for (const auto& line : lines) {
    const Outcome outcome = Auspex(line);
    EXPECT_EQ(outcome.code, 2) << line[0] << " " << line.back();
    EXPECT_THAT(outcome.err, StartsWith("auspex: ")) << line[0];
    EXPECT_THAT(outcome.err, HasSubstr("--help")) << line[0];
    EXPECT_EQ(outcome.out, "") << line[0];
  }
}

TEST(UsageTest, ForeignTextInAnErrorIsHarmless) {
  const Outcome outcome = Auspex({"peek", "a\x1b[2J\nforged: line"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
  EXPECT_THAT(outcome.err, Not(HasSubstr("\nforged")));
}

TEST(UsageTest, VersionSaysTheNameItWasCalledBy) {
  EXPECT_THAT(Auspex({"--version"}).out, StartsWith("auspex "));
  const Outcome outcome = RunProgram(BuiltProgram("auspexai-worker"), {"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, StartsWith("auspexai-worker, version "));
}

TEST(UsageTest, LabNeedsEnoughWorkers) {
  const Outcome outcome = Auspex({"lab", "--workers", "2", "--replication", "3"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--replication 3"));
}

TEST(UsageTest, MissingConfigurationFileIsAnError) {
  const Outcome outcome =
      Auspex({"--home", "/tmp/nowhere", "--config", "/nowhere/worker.toml", "status"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere/worker.toml"));
}

TEST(UsageTest, HomeAndSystemExcludeEachOther) {
  EXPECT_EQ(Auspex({"--home", "/tmp/x", "--system", "status"}).code, 2);
}

TEST(UsageTest, UnknownConfigurationKeyIsNamed) {
  ScratchFolder home;
  std::ofstream(home.path() + "/worker.toml") << "[executor]\nexecute_tenant_kode = \"off\"\n";
  const Outcome outcome = Auspex({"--home", home.path(), "status"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("execute_tenant_kode"));
  EXPECT_THAT(outcome.err, HasSubstr("worker.toml:2"));
}

TEST(UsageTest, LongHomeIsExplained) {
  const Outcome outcome = Auspex({"--home", "/tmp/" + std::string(120, 'x'), "status"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("shorter"));
}

TEST(UsageTest, OutputThatCannotBeWrittenIsAFailure) {
  const Outcome outcome =
      RunProgram("/bin/sh", {"-c", BuiltProgram("auspex") + " completion bash > /dev/full"});
  EXPECT_EQ(outcome.code, 1);
}

TEST(UsageTest, CompletionScriptsKnowTheVerbs) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome outcome = Auspex({"completion", shell});
    EXPECT_EQ(outcome.code, 0);
    for (const auto& verb : kVerbs) EXPECT_THAT(outcome.out, HasSubstr(verb.back())) << shell;
  }
}

TEST(UsageTest, BashCompletionCompletes) {
  const std::string script =
      "eval \"$(" + BuiltProgram("auspex") +
      " completion bash)\"; COMP_WORDS=(auspex tenant a); COMP_CWORD=2; _auspex; "
      "printf '%s\\n' \"${COMPREPLY[@]}\"";
  const Outcome outcome = RunProgram("/bin/bash", {"-c", script});
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, "allow\n");
}

}  // namespace
}  // namespace auspex::cli
