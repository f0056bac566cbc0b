// SPDX-License-Identifier: AGPL-3.0-only
// The staged example packages, started as a worker starts them: the contract of executors (wire
// protocol, section 10) and the agreement of replicas.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "examples/executor/input.h"

namespace auspex {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int exit_status = -1;  // 128 + the signal's number if one ended it
  std::string errors;
};

class ExecutorTest : public testing::Test {
 protected:
  ExecutorTest() {
    std::string pattern = (fs::temp_directory_path() / "auspex-executor-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directory(root_ / "models");
  }
  ~ExecutorTest() override { fs::remove_all(root_); }

  static fs::path Package(const std::string& name) { return fs::path(AUSPEX_EXAMPLES_DIR) / name; }
  fs::path input() const { return root_ / "input.json"; }
  fs::path output() const { return root_ / "output.json"; }

  // A good envelope around `payload`, which is JSON text.
  static JsonValue Envelope(std::string_view payload) {
    JsonValue envelope;
    envelope["schema_version"] = "0.1";
    envelope["unit_id"] = "unit-1";
    envelope["tenant_id"] = "auspex-lab";
    envelope["experiment_id"] = "robustness-sweep";
    envelope["manifest_sha256"] = std::string(64, 'a');
    envelope["created_at"] = "2026-01-01T00:00:00+00:00";
    envelope["payload"] = ReadJson(payload).value();
    return envelope;
  }

  Outcome Start(const std::string& name, const std::vector<std::string>& arguments) {
    const fs::path errors = root_ / "stderr";
    std::vector<std::string> words = {"./" + name};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    // Nothing of the environment reaches a tenant.
    char* environment[] = {nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, Package(name).c_str());
    posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    pid_t child = -1;
    const int error = ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environment);
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << name;
    if (error != 0) return {};
    int status = 0;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), ReadAll(errors)};
  }

  Outcome RunText(const std::string& name, std::string_view input_text) {
    std::ofstream(input(), std::ios::binary) << input_text;
    fs::remove(output());
    return Start(name, {"--input", input(), "--output", output(), "--models", root_ / "models",
                        "--timeout", "60"});
  }
  Outcome Run(const std::string& name, const JsonValue& envelope) {
    return RunText(name, WriteCanonical(envelope));
  }

  JsonValue Output() const { return ReadJson(ReadAll(output())).value(); }

  fs::path root_;
};

TEST_F(ExecutorTest, OutputHasExactlyTheMembersOfTheContract) {
  const Outcome outcome = Run("robustness-sweep", Envelope(R"({"epsilon":0.05,"seed":1})"));
  ASSERT_EQ(outcome.exit_status, 0) << outcome.errors;
  EXPECT_EQ(outcome.errors, "");
  const JsonValue result = Output();
  std::set<std::string> names;
  for (const auto& [name, value] : *result.as_object()) names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"schema_version", "unit_id", "completed_at", "exit_code",
                                          "payload"}));
  EXPECT_EQ(*result.FindString("schema_version"), "0.1");
  EXPECT_EQ(*result.FindString("unit_id"), "unit-1");
  EXPECT_EQ(result.Find("exit_code")->AsInt64(), 0);
  const std::string completed_at = *result.FindString("completed_at");
  EXPECT_EQ(NormalizeCompletedAt(completed_at), completed_at);
  EXPECT_TRUE(completed_at.ends_with("+00:00")) << completed_at;
  const JsonValue& payload = *result.Find("payload");
  EXPECT_GT(payload.Find("clean_accuracy")->AsNumber(), 0.9);
  EXPECT_LT(payload.Find("accuracy")->AsNumber(), payload.Find("clean_accuracy")->AsNumber());
  EXPECT_EQ(payload.Find("epsilon")->AsNumber(), 0.05);
  EXPECT_EQ(payload.Find("seed")->AsInt64(), 1);
  EXPECT_EQ(payload.Find("total")->AsInt64(), 599);
  // Nothing is left beside the output.
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(root_)) files.insert(entry.path().filename());
  EXPECT_EQ(files, (std::set<std::string>{"input.json", "output.json", "models", "stderr"}));
}

TEST_F(ExecutorTest, ReplicasAgreeByteForByte) {
  std::set<std::string> payloads;
  for (int replica = 0; replica < 3; ++replica) {
    const Outcome outcome = Run("robustness-sweep", Envelope(R"({"epsilon":0.1,"seed":7})"));
    ASSERT_EQ(outcome.exit_status, 0) << outcome.errors;
    payloads.insert(WriteCanonical(*Output().Find("payload")));
  }
  EXPECT_EQ(payloads.size(), 1u);
}

TEST_F(ExecutorTest, BadPayloadIsAFailureThatNamesTheMember) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"seed":1})", "'epsilon' is missing"},
      {R"({"epsilon":0.1})", "'seed' is missing"},
      {R"({"epsilon":2,"seed":1})", "'epsilon' is not a number of 0 to 1"},
      {R"({"epsilon":0.1,"seed":"1"})", "'seed' is not an integer"},
      {R"({"epsilon":0.1,"seed":1,"extra":1})", "unknown member 'extra'"},
  };
  for (const auto& [payload, message] : cases) {
    const Outcome outcome = Run("robustness-sweep", Envelope(payload));
    EXPECT_EQ(outcome.exit_status, 1) << payload;
    EXPECT_THAT(outcome.errors, HasSubstr(message));
    EXPECT_FALSE(fs::exists(output())) << payload;
  }
}

TEST_F(ExecutorTest, EnvelopeIsReadStrictly) {
  const JsonValue good = Envelope("{}");
  for (const auto& [name, value] : *good.as_object()) {
    JsonValue without = good;
    without.as_object()->erase(name);
    Outcome outcome = Run("noop", without);
    EXPECT_EQ(outcome.exit_status, 2) << name;
    EXPECT_THAT(outcome.errors, HasSubstr("member '" + name + "' is missing"));

    JsonValue wrong = good;
    wrong[name] = 1;
    outcome = Run("noop", wrong);
    EXPECT_EQ(outcome.exit_status, 2) << name;
    EXPECT_THAT(outcome.errors, HasSubstr("member '" + name + "'"));
    EXPECT_FALSE(fs::exists(output()));
  }
  JsonValue extra = good;
  extra["surprise"] = true;
  Outcome outcome = Run("noop", extra);
  EXPECT_EQ(outcome.exit_status, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("unknown member 'surprise'"));

  JsonValue version = good;
  version["schema_version"] = "0.2";
  EXPECT_EQ(Run("noop", version).exit_status, 2);
  JsonValue time = good;
  time["created_at"] = "yesterday";
  EXPECT_EQ(Run("noop", time).exit_status, 2);
}

TEST_F(ExecutorTest, HostileInputIsRefused) {
  const std::vector<std::string> texts = {
      "",
      "[]",
      "{",
      R"({"payload":{},"payload":{}})",
      std::string(100'000, '['),
      std::string(kMaxInputOctets + 1, ' '),
  };
  for (const std::string& text : texts) {
    const Outcome outcome = RunText("noop", text);
    EXPECT_EQ(outcome.exit_status, 2) << text.substr(0, 40);
    EXPECT_FALSE(outcome.errors.empty());
    EXPECT_FALSE(fs::exists(output()));
  }
}

TEST_F(ExecutorTest, BadFlagsAreNamed) {
  std::ofstream(input()) << WriteCanonical(Envelope("{}"));
  const std::string models = root_ / "models";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "--input is required"},
      {{"--input", input()}, "--output is required"},
      {{"--input", input(), "--output", output()}, "--models is required"},
      {{"--input"}, "--input needs a value"},
      {{"--verbose", "1"}, "unknown flag '--verbose'"},
      {{"--input", input(), "--output", output(), "--models", models, "--timeout", "0"},
       "--timeout must be"},
      {{"--input", input(), "--output", output(), "--models", models, "--timeout", "1.5"},
       "--timeout must be"},
      {{"--input", input(), "--output", output(), "--models", input()}, "not a directory"},
      {{"--input", root_ / "absent", "--output", output(), "--models", models},
       "No such file or directory"},
      {{"--input", input(), "--output", root_ / "absent/x", "--models", models},
       "No such file or directory"},
  };
  for (const auto& [arguments, message] : cases) {
    const Outcome outcome = Start("noop", arguments);
    EXPECT_EQ(outcome.exit_status, 2) << message;
    EXPECT_THAT(outcome.errors, HasSubstr(message));
  }
}

TEST_F(ExecutorTest, NoopAnswers) {
  const Outcome outcome = Run("noop", Envelope(R"({"whatever":[1,2]})"));
  ASSERT_EQ(outcome.exit_status, 0) << outcome.errors;
  EXPECT_EQ(WriteCanonical(*Output().Find("payload")), R"({"ok":true})");
}

TEST_F(ExecutorTest, StagedPackagesHoldNothingElse) {
  const std::vector<std::pair<std::string, std::set<std::string>>> packages = {
      {"noop", {"manifest.json", "noop"}},
      {"robustness-sweep",
       {"manifest.json", "robustness-sweep", "data", "data/digits.csv", "data/ATTRIBUTION"}}};
  for (const auto& [name, expected] : packages) {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(Package(name))) {
      found.insert(fs::relative(entry.path(), Package(name)));
    }
    EXPECT_EQ(found, expected);
    const JsonValue manifest = ReadJson(ReadAll(Package(name) / "manifest.json")).value();
    EXPECT_EQ(*manifest.FindString("experiment_id"), name);
    EXPECT_EQ(*(*manifest.Find("executor")->Find("command")->as_array())[0].as_string(),
              "./" + name);
    EXPECT_EQ(manifest.Find("executor")->Find("package_sha256"), nullptr);
  }
}

}  // namespace
}  // namespace auspex
