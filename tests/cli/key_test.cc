// SPDX-License-Identifier: AGPL-3.0-only
// The verbs on the key, with the real daemons: as a person uses them, with and without daemons that
// run already, and with a real keyring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "common/base/encoding.h"
#include "common/files/files.h"
#include "common/json/reader.h"
#include "keyd/existing_keystore.h"
#include "tests/cli/run_command.h"
#include "tests/keyd/desktop_session.h"
#include "tests/keyd/keystore_vectors.h"
#include "tests/support/skip.h"

namespace auspex::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSeed[] = "33f6089385685bdfee3d1ff168199693e102efe53e066ee1c8c135803cbabf3a";

class KeyTest : public ::testing::Test {
 protected:
  Outcome Auspex(std::vector<std::string> arguments) {
    if (!user_mode_) arguments.insert(arguments.begin(), {"--home", home_.path()});
    return RunProgram(BuiltProgram("auspex"), arguments, options_);
  }
  // The text member `name` of what the verb prints with --json.
  std::string Field(std::vector<std::string> arguments, const std::string& name) {
    arguments.push_back("--json");
    const Outcome outcome = Auspex(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const absl::StatusOr<JsonValue> value = ReadJson(outcome.out);
    if (!value.ok() || value->FindString(name) == nullptr) return "(none): " + outcome.out;
    return *value->FindString(name);
  }
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = home_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(path, content, 0600).ok());
    return path;
  }
  std::string PublicKeyOfSeed() {
    ScratchFolder other;
    const std::string file = Write("seed", kSeed);
    const Outcome outcome = RunProgram(BuiltProgram("auspex"),
                                       {"--home", other.path(), "key", "import", file, "--json"});
    return *ReadJson(outcome.out)->FindString("public_key");
  }

  ScratchFolder home_;
  RunOptions options_;
  bool user_mode_ = false;
};

TEST_F(KeyTest, IsCreatedSealedAndDestroyedByVerbs) {
  const std::string key = Field({"key", "create", "--keystore", "sealed-file"}, "public_key");
  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(Field({"key", "show"}, "seal"), "local-secret");
  const Outcome second = Auspex({"key", "create"});
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, HasSubstr("there is a key already"));

  options_.environment["AUSPEX_KEYD_PASSPHRASE_FILE"] = Write("phrase", "correct horse\n");
  EXPECT_EQ(Field({"key", "seal", "--seal", "passphrase"}, "was"),
            "sealed-file under local-secret");
  EXPECT_EQ(Field({"key", "show"}, "seal"), "passphrase");
  EXPECT_EQ(Field({"key", "show"}, "public_key"), key);
  const Outcome machine = Auspex({"key", "seal", "--seal", "machine"});
  EXPECT_EQ(machine.code, 1);
  EXPECT_THAT(machine.err, HasSubstr("keyd.allow_machine_bound_key"));
  const Outcome odd = Auspex({"key", "seal", "--keystore", "secret-service", "--seal", "machine"});
  EXPECT_EQ(odd.code, 2) << odd.err;

  const Outcome unasked = Auspex({"key", "destroy"});
  EXPECT_EQ(unasked.code, 2);
  EXPECT_THAT(unasked.err, HasSubstr("key destroy --yes"));
  EXPECT_EQ(Field({"key", "show"}, "public_key"), key);
  const Outcome destroyed = Auspex({"key", "destroy", "--yes"});
  EXPECT_EQ(destroyed.code, 0) << destroyed.err;
  EXPECT_THAT(destroyed.out, HasSubstr("removed: " + home_.path() + "/state/keyd/key.sealed"));
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/state/keyd/key.sealed"));
  EXPECT_THAT(Auspex({"key", "destroy", "--yes"}).out, HasSubstr("there was no key"));
}

TEST_F(KeyTest, TheMachineSealIsForThoseWhoAllowIt) {
  AUSPEX_SKIP_UNLESS(!keyd::MachineIdentity().empty(), "a machine id");
  Write("worker.toml", "[keyd]\nallow_machine_bound_key = true\n");
  EXPECT_EQ(Field({"key", "create", "--seal", "machine"}, "seal"), "machine");
  EXPECT_THAT(Field({"key", "show"}, "advice"), HasSubstr("no secret"));
  EXPECT_EQ(Field({"key", "seal"}, "seal"), "local-secret");
}

TEST_F(KeyTest, ImportsLeaveNoCopyAndKeepTheOwnersFile) {
  const std::string file = Write("seed.hex", std::string(kSeed) + "\n");
  const std::string copy = home_.path() + "/state/keyd/import.key";
  const Outcome wrong = Auspex({"key", "import", Write("pem", "-----BEGIN PRIVATE KEY-----\n")});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("PEM"));
  EXPECT_FALSE(std::filesystem::exists(copy));
  EXPECT_EQ(Auspex({"key", "import", home_.path() + "/missing"}).code, 1);
  EXPECT_EQ(Auspex({"key", "import"}).code, 2);
  EXPECT_EQ(Auspex({"key", "import", home_.path()}).code, 2);

  EXPECT_EQ(Field({"key", "import", file}, "public_key"), PublicKeyOfSeed());
  EXPECT_FALSE(std::filesystem::exists(copy));
  EXPECT_EQ(std::filesystem::file_size(file), 65u);
  const Outcome again = Auspex({"key", "import", file});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("there is a key already"));
  EXPECT_FALSE(std::filesystem::exists(copy));
}

TEST_F(KeyTest, AnInterruptedImportIsWipedAtTheNextStart) {
  ASSERT_EQ(Auspex({"key", "show"}).code, 0);
  const std::string copy = home_.path() + "/state/keyd/import.key";
  std::ofstream(copy) << kSeed;
  EXPECT_EQ(Auspex({"key", "show"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(copy));
}

TEST_F(KeyTest, AnExistingWorkersKeystoreIsOfferedAndNeverIgnored) {
  const std::string machine = keyd::MachineIdentity();
  AUSPEX_SKIP_UNLESS(!machine.empty(), "a machine id");
  const std::string data = home_.path() + "/existing";
  ASSERT_EQ(::mkdir(data.c_str(), 0700), 0);
  options_.environment["AUSPEXAI_WORKER_DATA_DIR"] = data;
  const std::string file = data + "/keystore.enc";
  std::ofstream(file, std::ios::binary) << keyd::KeystoreEncByOpenSsl(*HexDecode(kSeed), machine);

  EXPECT_THAT(Auspex({"key", "show"}).out, HasSubstr("auspex key import " + file));
  const Outcome bootstrap = Auspex({"bootstrap"});
  EXPECT_EQ(bootstrap.code, 2);
  EXPECT_THAT(bootstrap.err,
              AllOf(HasSubstr("auspex key import " + file), HasSubstr("bootstrap --new-key")));
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/state/keyd/key.sealed"));

  EXPECT_EQ(Field({"key", "import", file}, "public_key"), PublicKeyOfSeed());
  EXPECT_EQ(Field({"key", "show"}, "advice"), "");

  // On another machine the file does not open, which is told apart from one that is none.
  ASSERT_EQ(Auspex({"key", "destroy", "--yes"}).code, 0);
  std::ofstream(file, std::ios::binary)
      << keyd::KeystoreEncByOpenSsl(*HexDecode(kSeed), "f" + machine);
  EXPECT_THAT(Auspex({"key", "import", file}).err, HasSubstr("another machine"));
  std::ofstream(file, std::ios::binary) << "AKWv\x02 and more";
  EXPECT_THAT(Auspex({"key", "import", file}).err, HasSubstr("only version 1 is known"));
}

// A person at a terminal: answers `phrases` in turn, each when it is asked for. The exit code.
int AtATerminal(const std::vector<std::string>& arguments, const std::vector<std::string>& phrases,
                std::string& shown) {
  std::vector<std::string> argv{BuiltProgram("auspex")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<char*> args;
  for (std::string& text : argv) args.push_back(text.data());
  args.push_back(nullptr);
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::execv(args[0], args.data());
    ::_exit(127);
  }
  size_t asked = 0;
  char buffer[512];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;) {
    shown.append(buffer, static_cast<size_t>(got));
    // Each question ends in a colon and a blank.
    if (asked < phrases.size() && shown.ends_with(": ")) {
      const std::string line = phrases[asked++] + "\n";
      EXPECT_EQ(::write(terminal, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    }
  }
  ::close(terminal);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(KeyTest, APassphraseIsAskedForWithoutEchoAndTwiceBeforeItSeals) {
  const std::string phrase = "correct horse battery";
  std::string shown;
  const std::vector<std::string> create = {
      "--home", home_.path(), "key", "create", "--seal", "passphrase", "--ask-passphrase"};
  EXPECT_EQ(AtATerminal(create, {phrase, phrase + "x"}, shown), 2) << shown;
  EXPECT_THAT(shown, HasSubstr("not the same"));
  shown.clear();
  EXPECT_EQ(AtATerminal(create, {phrase, phrase}, shown), 0) << shown;
  EXPECT_THAT(shown, AllOf(HasSubstr("passphrase"), Not(HasSubstr(phrase))));
  EXPECT_THAT(shown, HasSubstr("daemon --ask-passphrase"));
  shown.clear();
  const std::vector<std::string> show = {"--home", home_.path(), "key", "show", "--ask-passphrase"};
  EXPECT_EQ(AtATerminal(show, {phrase}, shown), 0) << shown;
  shown.clear();
  EXPECT_EQ(AtATerminal(show, {"another phrase"}, shown), 2) << shown;
  // Without a terminal there is nobody to ask.
  EXPECT_THAT(Auspex({"key", "show"}).err, HasSubstr("--ask-passphrase"));
}

// User mode, no word in the configuration: the choice is automatic.
TEST_F(KeyTest, ADesktopWorkerUsesTheKeyringByItself) {
  AUSPEX_SKIP_UNLESS(keyd::DesktopSession::Available(), "dbus-daemon and gnome-keyring-daemon");
  const keyd::DesktopSession session(home_.path(), keyd::DesktopSession::Keyring::kUnlocked);
  for (const std::string& variable : session.environment()) {
    const size_t equals = variable.find('=');
    options_.environment[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  user_mode_ = true;
  const std::string key = Field({"key", "create"}, "public_key");
  EXPECT_EQ(Field({"key", "show"}, "keystore"), "secret-service");
  EXPECT_EQ(Field({"key", "show"}, "public_key"), key);
  EXPECT_EQ(session.Helper("probe").out, "1 0\n");

  EXPECT_EQ(Field({"key", "seal", "--keystore", "sealed-file"}, "was"), "secret-service");
  EXPECT_EQ(session.Helper("probe").out, "0 0\n");
  EXPECT_EQ(Field({"key", "show"}, "public_key"), key);
  EXPECT_EQ(Field({"key", "seal", "--keystore", "secret-service"}, "was"),
            "sealed-file under local-secret");
  EXPECT_EQ(session.Helper("probe").out, "1 0\n");
  EXPECT_EQ(Field({"key", "show"}, "public_key"), key);

  // The desktop is gone: a refusal that says what to do, and no second key.
  options_.environment.erase("DBUS_SESSION_BUS_ADDRESS");
  options_.environment["XDG_RUNTIME_DIR"] = home_.path() + "/services";
  for (const char* verb : {"show", "create"}) {
    const Outcome lost = Auspex({"key", verb});
    EXPECT_EQ(lost.code, 2) << lost.out;
    EXPECT_THAT(lost.err, HasSubstr("desktop session"));
  }
  EXPECT_EQ(Auspex({"bootstrap"}).code, 2);
}

}  // namespace
}  // namespace auspex::cli
