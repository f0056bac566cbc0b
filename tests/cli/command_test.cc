// SPDX-License-Identifier: AGPL-3.0-only
// Verbs against real daemons of a worker that is not enrolled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/json/reader.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandTest : public ::testing::Test {
 protected:
  Outcome Auspex(std::vector<std::string> arguments, const RunOptions& options = {}) {
    arguments.insert(arguments.begin(), {"--home", home_.path()});
    return RunProgram(BuiltProgram("auspex"), arguments, options);
  }
  JsonValue Json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const Outcome outcome = Auspex(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    absl::StatusOr<JsonValue> value = ReadJson(outcome.out);
    EXPECT_TRUE(value.ok()) << outcome.out;
    return value.ok() ? *value : JsonValue();
  }

  ScratchFolder home_;
};

TEST_F(CommandTest, StatusWithoutEnrolment) {
  const Outcome outcome = Auspex({"status"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("not enrolled"));
  EXPECT_THAT(outcome.out, HasSubstr("not_enrolled"));
  EXPECT_THAT(outcome.out, HasSubstr("synthetic")) << "the policy is said before that too";
  EXPECT_THAT(outcome.out, HasSubstr("auspex bootstrap"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CommandTest, EveryReadSpeaksJson) {
  const JsonValue status = Json({"status"});
  ASSERT_NE(status.FindString("state"), nullptr);
  EXPECT_EQ(*status.FindString("state"), "not_enrolled");
  EXPECT_NE(Json({"queue"}).Find("rows"), nullptr);
  EXPECT_NE(Json({"peek", "u-1"}).Find("rows"), nullptr);
  EXPECT_NE(Json({"log", "--since", "2026-01-01"}).Find("rows"), nullptr);
  EXPECT_NE(Json({"tenant", "list"}).Find("allowed"), nullptr);
  EXPECT_NE(Json({"receipts", "list"}).Find("results"), nullptr);
  EXPECT_NE(Json({"key", "show"}).Find("has_key"), nullptr);
  EXPECT_NE(Json({"audit", "show"}).Find("records"), nullptr);
}

TEST_F(CommandTest, TenantListsKeepWhatWasSaid) {
  EXPECT_THAT(Auspex({"tenant", "allow", "good-lab"}).out, HasSubstr("allowed"));
  EXPECT_THAT(Auspex({"tenant", "allow", "good-lab"}).out, HasSubstr("already"));
  EXPECT_EQ(Auspex({"tenant", "deny", "bad-lab"}).code, 0);
  const std::string lists = Auspex({"tenant", "list"}).out;
  EXPECT_THAT(lists, HasSubstr("good-lab"));
  EXPECT_THAT(lists, HasSubstr("bad-lab"));
  EXPECT_EQ(Auspex({"tenant", "forget", "good-lab"}).code, 0);
  EXPECT_THAT(Auspex({"tenant", "list"}).out, Not(HasSubstr("good-lab")));
}

TEST_F(CommandTest, ConsentCanBeTakenBack) {
  EXPECT_THAT(Auspex({"accept", "exp-1", "--undo"}).out, HasSubstr("was not accepted"));
  EXPECT_THAT(Auspex({"accept", "exp-1"}).out, HasSubstr("sensitive work is accepted"));
  EXPECT_THAT(Auspex({"accept", "exp-1"}).out, HasSubstr("already"));
  // The row has no unit; the experiment says what was accepted.
  EXPECT_THAT(Auspex({"log"}).out, ContainsRegex("owner_accepted_experiment +exp-1\n"));
  EXPECT_THAT(Auspex({"accept", "exp-1", "--undo"}).out, HasSubstr("no longer accepted"));
  EXPECT_THAT(Auspex({"unpin", "exp-1"}).out, HasSubstr("had no pin"));
}

TEST_F(CommandTest, ARefusalOfAnUnknownUnitIsWrittenDownAndAnAbortIsAnError) {
  const Outcome unknown = Auspex({"abort", "u-1"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("unit u-1 is not known to this worker"));
  EXPECT_THAT(unknown.out, HasSubstr("abort_not_running"));
  EXPECT_THAT(Auspex({"log"}).out, HasSubstr("abort_not_running"));
  EXPECT_EQ(Auspex({"abort", "u-1"}).code, 1) << "the first one's row does not make it known";
  const Outcome refused = Auspex({"refuse", "u-1", "--reason", "no\x1b[2J thanks"});
  EXPECT_EQ(refused.code, 0) << refused.err;
  // Now it has a row of its own, but it does not run.
  const Outcome aborted = Auspex({"abort", "u-1"});
  EXPECT_EQ(aborted.code, 0) << aborted.err;
  EXPECT_THAT(aborted.out, HasSubstr("abort_not_running"));
  const std::string log = Auspex({"log"}).out;
  EXPECT_THAT(log, HasSubstr("refused_manual"));
  EXPECT_THAT(log, HasSubstr("abort_not_running"));
  EXPECT_EQ(log.find('\x1b'), std::string::npos);
  EXPECT_THAT(Auspex({"peek", "u-1"}).out, HasSubstr("refused_manual"));
}

TEST_F(CommandTest, StatusTellsTheOwnersSettingsBeforeThereIsAnEnrolment) {
  const std::string status = Auspex({"status"}).out;
  EXPECT_THAT(status, HasSubstr("not enrolled"));
  EXPECT_THAT(status, ContainsRegex("policy: +[a-z]"));
  EXPECT_THAT(status, ContainsRegex("gpu: +off"));
  EXPECT_THAT(status, ContainsRegex("daemons: +not running"));
}

TEST_F(CommandTest, WithdrawHasNothingToDo) {
  const Outcome outcome = Auspex({"withdraw"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("nothing to do"));
}

TEST_F(CommandTest, VerbsThatNeedAnEnrolmentSaySo) {
  for (const char* verb : {"login", "pause", "unpause"}) {
    const Outcome outcome = Auspex({verb});
    EXPECT_EQ(outcome.code, 1) << verb;
    EXPECT_THAT(outcome.err, HasSubstr("not enrolled")) << verb;
  }
}

TEST_F(CommandTest, DaemonRefusesWithoutEnrolment) {
  const Outcome outcome = Auspex({"daemon"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("not enrolled"));
  EXPECT_THAT(outcome.err, HasSubstr("auspex bootstrap"));
  EXPECT_TRUE(ProcessesWith(home_.path()).empty());
}

TEST_F(CommandTest, ReceiptThatIsNotThere) {
  const Outcome outcome = Auspex({"receipts", "show", "u-9"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("auspex: receipts: "));
}

TEST_F(CommandTest, BootstrapWithoutCoordinatorKeepsItsKey) {
  // Nobody listens on port 1.
  RunOptions options;
  options.environment["AUSPEXAI_COORDINATOR_URL"] = "http://127.0.0.1:1";
  const Outcome first = Auspex({"bootstrap"}, options);
  EXPECT_EQ(first.code, 1) << first.err;
  const JsonValue key = Json({"key", "show"});
  ASSERT_NE(key.FindString("public_key"), nullptr);
  EXPECT_EQ(key.FindString("public_key")->size(), 64u);
  EXPECT_EQ(Auspex({"bootstrap"}, options).code, 1);
  EXPECT_EQ(*Json({"key", "show"}).FindString("public_key"), *key.FindString("public_key"));
  // The key is all that there is: withdrawing destroys it, after the word.
  const Outcome no = Auspex({"withdraw"}, {.input = "no\n"});
  EXPECT_EQ(no.code, 1);
  const Outcome yes = Auspex({"withdraw"}, {.input = "  WithDraw \n"});
  EXPECT_EQ(yes.code, 0) << yes.err;
  EXPECT_EQ(Json({"key", "show"}).FindString("public_key")->size(), 0u);
}

TEST_F(CommandTest, ColourOnlyOnATerminalThatWantsIt) {
  const std::string escape = "\x1b[";
  EXPECT_THAT(Auspex({"status"}, {.environment = {{"TERM", "xterm"}}, .on_terminal = true}).out,
              HasSubstr(escape));
  EXPECT_THAT(Auspex({"status"},
                     {.environment = {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, .on_terminal = true})
                  .out,
              Not(HasSubstr(escape)));
  EXPECT_THAT(
      Auspex({"--no-color", "status"}, {.environment = {{"TERM", "xterm"}}, .on_terminal = true})
          .out,
      Not(HasSubstr(escape)));
  EXPECT_THAT(Auspex({"status"}).out, Not(HasSubstr(escape)));
}

}  // namespace
}  // namespace auspex::cli
