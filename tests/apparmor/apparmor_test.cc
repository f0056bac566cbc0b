// SPDX-License-Identifier: AGPL-3.0-only
// The AppArmor profiles, without a kernel that enforces them: both forms are made, Debian's parser compiles its own, and what the
// profiles open is what the design and the code say. tests/apparmor/in_machine.sh shows that they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "common/paths/layout.h"
#include "tests/deploy/unit_file.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex::deploy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Lines = std::vector<std::string>;
using Set = std::set<std::string>;

constexpr char kUserNamespaces[] = "  userns,";

e2e::Finished Make(const std::string& abi, const std::string& folder,
                   const std::string& prefix = "/usr") {
  return e2e::RunCommand({DeployFile("apparmor/make"), abi, folder, prefix}, 30);
}

Lines LinesOf(const std::string& path) {
  Lines lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Files of a form, by their path in it.
std::map<std::string, Lines> FilesOf(const std::string& folder) {
  std::map<std::string, Lines> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files[entry.path().string().substr(folder.size() + 1)] = LinesOf(entry.path());
  }
  return files;
}

// The rules of each profile, its own abstractions included, without comments.
class Profiles : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(Make("4.0", folder_.path()).code, 0);
    std::string name;
    for (const std::string& line : LinesOf(folder_ / "auspex")) {
      std::smatch found;
      if (std::regex_search(line, found, std::regex(R"(^profile (\S+) ?(@\{auspex_bin\}\S*)?)"))) {
        name = found[1];
        programs_[name] = found[2];
      } else if (line == "}") {
        name.clear();
      } else if (!name.empty()) {
        Add(name, line);
      }
    }
    ASSERT_EQ(rules_.size(), 9u);
  }

  void Add(const std::string& profile, const std::string& line) {
    std::smatch found;
    if (std::regex_search(line, found, std::regex(R"(include <(abstractions/auspex-\w+)>)"))) {
      const Lines included = LinesOf(folder_ / found[1].str());
      EXPECT_FALSE(included.empty()) << line;
      for (const std::string& inner : included) Add(profile, inner);
    } else if (line.find_first_not_of(' ') != std::string::npos &&
               line[line.find_first_not_of(' ')] != '#') {
      rules_[profile].push_back(line.substr(line.find_first_not_of(' ')));
    }
  }

  // Rules of the profile that hold `text`.
  Lines With(const std::string& profile, const std::string& text) {
    Lines found;
    for (const std::string& rule : rules_[profile]) {
      if (rule.find(text) != std::string::npos) found.push_back(rule);
    }
    return found;
  }

  testing::TempDir folder_;
  std::map<std::string, Lines> rules_;
  std::map<std::string, std::string> programs_;
};

TEST(ProfileForms, DebiansParserCompilesItsOwn) {
  AUSPEX_SKIP_UNLESS(::access("/usr/sbin/apparmor_parser", X_OK) == 0 &&
                         std::filesystem::exists("/etc/apparmor.d/abi/3.0"),
                     "apparmor_parser and its abi/3.0 (package apparmor)");
  testing::TempDir folder;
  ASSERT_EQ(Make("3.0", folder.path()).code, 0);
  const e2e::Finished done =
      e2e::RunCommand({"/usr/sbin/apparmor_parser", "-Q", "-K", "-S", "-I", folder.path(), "-I",
                       "/etc/apparmor.d", folder / "auspex"},
                      60);
  EXPECT_EQ(done.code, 0) << done.err.substr(0, 2000);
  // What it says on success: the compiled profiles.
  for (const char* profile : {"auspex-keyd", "auspex-stated", "auspex-netd", "auspex-runnerd",
                              "auspex-sandbox", "auspex-unit", "auspex-coordd"}) {
    EXPECT_THAT(done.out, HasSubstr(profile));
  }
  std::ofstream(folder / "auspex", std::ios::app) << "profile broken { nonsense, }\n";
  EXPECT_NE(e2e::RunCommand({"/usr/sbin/apparmor_parser", "-Q", "-K", "-S", "-I", folder.path(),
                             "-I", "/etc/apparmor.d", folder / "auspex"},
                            60)
                .code,
            0)
      << "the parser takes anything";
}

TEST(ProfileForms, UbuntusDiffersInItsAbiAndTheRuleForUserNamespacesAlone) {
  testing::TempDir debian, ubuntu;
  ASSERT_EQ(Make("3.0", debian.path()).code, 0);
  ASSERT_EQ(Make("4.0", ubuntu.path()).code, 0);
  std::map<std::string, Lines> old = FilesOf(debian.path()), fresh = FilesOf(ubuntu.path());
  ASSERT_GE(old.size(), 8u);
  Set with_rule;
  for (auto& [name, lines] : fresh) {
    ASSERT_TRUE(old.contains(name)) << name;
    Lines same;
    for (const std::string& line : lines) {
      if (line == kUserNamespaces) {
        with_rule.insert(name);
      } else {
        same.push_back(line == "abi <abi/4.0>," ? "abi <abi/3.0>," : line);
      }
    }
    EXPECT_EQ(same, old[name]) << name;
    EXPECT_THAT(old[name], Not(Contains(HasSubstr("userns"))));
    EXPECT_THAT(lines, Not(Contains(HasSubstr("@USERNS@"))));
  }
  EXPECT_EQ(old.size(), fresh.size());
  EXPECT_THAT(with_rule, ElementsAre("abstractions/auspex-sandbox", "abstractions/auspex-view"));
  EXPECT_THAT(fresh["auspex"], Contains("abi <abi/4.0>,"));
}

TEST(ProfileForms, BadWordsAreNamed) {
  testing::TempDir folder;
  EXPECT_THAT(Make("5.0", folder.path()).err, HasSubstr("'5.0' is no form"));
  EXPECT_THAT(Make("3.0", "").err, HasSubstr("no folder"));
  EXPECT_THAT(Make("3.0", folder.path(), "usr").err, HasSubstr("'usr' is no absolute folder"));
  const e2e::Finished pattern = Make("3.0", folder.path(), "/opt/{a,b}");
  EXPECT_EQ(pattern.code, 2);
  EXPECT_THAT(pattern.err, HasSubstr("pattern"));
  EXPECT_THAT(FilesOf(folder.path()), IsEmpty());
}

// The table of docs/ARCHITECTURE.md: a daemon's rules name its own folder of sockets and, of others', those whose peer it is.
TEST_F(Profiles, ADaemonOpensTheSocketsWhosePeerItIs) {
  std::map<std::string, Set> peers;
  const std::string page =
      e2e::ReadText(std::string(std::getenv("AUSPEX_SOURCE_DIR")) + "/docs/ARCHITECTURE.md");
  const std::regex row(R"(\n\| `((?:keyd|stated|netd|runnerd)/\w+)\.sock` \| (\w+) \|)");
  size_t rows = 0;
  for (std::sregex_iterator at(page.begin(), page.end(), row), end; at != end; ++at, ++rows)
    peers[(*at)[2]].insert((*at)[1]);
  ASSERT_EQ(rows, 8u);
  for (const std::string daemon : {"keyd", "stated", "netd", "runnerd"}) {
    Set opened, keys;
    for (const std::string& rule : With("auspex-" + daemon, "@{auspex_run}/")) {
      std::smatch found;
      if (std::regex_match(rule, found, std::regex(R"(@\{auspex_run\}/(\w+/\w+)\.sock rw,)"))) {
        opened.insert(found[1]);
      } else if (std::regex_match(
                     rule, found,
                     std::regex(R"(@\{auspex_run\}/(\w+/\w+)\.role/key\{,\.new\.\*\} rwl,)"))) {
        keys.insert(found[1]);
      } else {
        // Its own folder, the folder above, and folders of roles to be made: no other's file.
        EXPECT_TRUE(rule == "@{auspex_run}/ rw," || rule == "@{auspex_run}/" + daemon + "/ rw," ||
                    rule == "@{auspex_run}/" + daemon + "/** rwkl," ||
                    rule == "@{auspex_run}/keyd/{,{request,result,owner}.role/} rw," ||
                    rule == "@{auspex_run}/stated/{,{net,run,owner}.role/} rw,")
            << daemon << ": " << rule;
      }
    }
    EXPECT_EQ(opened, peers[daemon]) << daemon;
    EXPECT_EQ(keys, peers[daemon]) << daemon;
  }
}

TEST_F(Profiles, StateIsItsOwnersAlone) {
  for (const std::string daemon : {"keyd", "stated", "netd", "runnerd"}) {
    for (const std::string& rule : With("auspex-" + daemon, "@{auspex_state}")) {
      EXPECT_TRUE(rule.starts_with("@{auspex_state}/" + daemon + "/") ||
                  rule == "@{auspex_state}/ rw,")
          << daemon << ": " << rule;
    }
  }
  EXPECT_THAT(With("auspex-netd", "@{auspex_state}"), IsEmpty());
  // bubblewrap is handed folders, and may open no file in them.
  EXPECT_THAT(With("auspex-sandbox", "@{auspex_state}"),
              ElementsAre("@{auspex_state}/runnerd/{,**/} r,"));
  for (const char* profile : {"auspex-sandbox", "auspex-unit", "auspex-keyd-secrets"}) {
    if (std::string(profile) != "auspex-sandbox") {
      EXPECT_THAT(With(profile, "@{auspex_state}"), IsEmpty()) << profile;
    }
    EXPECT_THAT(With(profile, "@{auspex_run}"), IsEmpty()) << profile;
  }
  for (const char* profile : {"auspex-sandbox", "auspex-unit"})
    EXPECT_THAT(With(profile, "@{auspex_config}"), IsEmpty()) << profile;
}

TEST_F(Profiles, TheNetworkIsNetdsTheCoordinatorsAndTheLabs) {
  Set with_network;
  for (const auto& [profile, rules] : rules_) {
    if (!With(profile, "network inet").empty()) with_network.insert(profile);
    for (const std::string& rule : rules) {
      if (rule.find("network") != 0) continue;
      EXPECT_TRUE(std::regex_match(rule, std::regex("network (unix|inet6?|netlink) \\w+,")))
          << profile << ": " << rule;
    }
  }
  EXPECT_THAT(with_network, ElementsAre("auspex", "auspex-coordd", "auspex-netd"));
}

TEST_F(Profiles, NobodyTracesAndSignalsHaveAPeer) {
  for (const auto& [profile, rules] : rules_) {
    for (const std::string& rule : rules) {
      if (rule.find("ptrace") == 0) {
        EXPECT_TRUE(
            std::regex_search(rule, std::regex(R"(^ptrace \((read|readby|read, readby)\) peer=)")))
            << profile << ": " << rule;
      }
      if (rule.find("signal") == 0) {
        EXPECT_THAT(rule, HasSubstr("peer=")) << profile;
      }
      EXPECT_THAT(rule, Not(HasSubstr("change_profile"))) << profile;
      EXPECT_THAT(rule, Not(::testing::MatchesRegex(".*[ ][rmw]*[uU]x.*")))
          << profile << ": " << rule;
    }
  }
}

TEST_F(Profiles, ProgramsAreStartedByThoseWhoMay) {
  const std::regex starts(R"( (?:[rm]*)(p?ix|px|rpix|rpx|mrix)( ->|,))");
  const auto started = [&](const std::string& profile) {
    Lines found;
    for (const std::string& rule : rules_[profile]) {
      if (std::regex_search(rule, starts)) found.push_back(rule);
    }
    return found;
  };
  EXPECT_THAT(started("auspex-stated"), IsEmpty());
  EXPECT_THAT(started("auspex-netd"), IsEmpty());
  EXPECT_THAT(started("auspex-coordd"), IsEmpty());
  EXPECT_THAT(started("auspex-keyd"),
              ElementsAre("@{auspex_bin}/auspex-keyd-secrets rpix -> &auspex-keyd-secrets,"));
  // Whatever runnerd or bubblewrap starts, it only ever becomes narrower.
  for (const char* profile : {"auspex-runnerd", "auspex-sandbox"}) {
    ASSERT_THAT(started(profile), Not(IsEmpty()));
    for (const std::string& rule : started(profile)) EXPECT_THAT(rule, HasSubstr("-> &auspex-"));
  }
}

// The programs that are attached to exist, and every daemon has its profile.
TEST_F(Profiles, AttachToProgramsThatExist) {
  Set attached;
  for (const auto& [profile, pattern] : programs_) {
    if (pattern.empty()) continue;
    std::string names = pattern.substr(std::string("@{auspex_bin}/").size());
    if (names[0] == '{') names = names.substr(1, names.size() - 2);
    std::istringstream in(names);
    for (std::string name; std::getline(in, name, ',');) {
      attached.insert(name);
      EXPECT_TRUE(std::filesystem::exists(e2e::Program(name))) << profile << ": " << name;
    }
  }
  EXPECT_THAT(attached,
              ElementsAre("auspex", "auspex-coordd", "auspex-keyd", "auspex-lab", "auspex-netd",
                          "auspex-runnerd", "auspex-stated", "auspexai-worker"));
}

// What the tunables say of folders is what Layout says.
TEST_F(Profiles, FoldersAreThoseOfTheLayout) {
  std::map<std::string, Set> values;
  for (const std::string& line : LinesOf(folder_ / "tunables/auspex")) {
    std::smatch found;
    if (!std::regex_match(line, found, std::regex(R"(@\{(\w+)\}=(.*))"))) continue;
    std::istringstream in(found[2].str());
    for (std::string value; in >> value;) values[found[1]].insert(value);
  }
  const auto is_named = [&](const char* variable, std::string path) {
    for (const auto& [place, name] : std::vector<std::pair<std::string, std::string>>{
             {"/home/x", "@{HOME}"},
             {"/run/user/1000", "@{run}/user/[0-9]*"},
             {"/tmp/auspex-lab-x/w1", "@{auspex_home}"},
             {"/run", "@{run}"}}) {
      if (path.starts_with(place)) {
        path = name + path.substr(place.size());
        break;
      }
    }
    EXPECT_THAT(values[variable], Contains(path)) << variable;
  };
  const auto check = [&](const Layout::Choice& choice,
                         std::map<std::string, std::string> variables) {
    const auto layout = Layout::Resolve(choice, [&](std::string_view name) {
      const auto found = variables.find(std::string(name));
      return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
    });
    ASSERT_TRUE(layout.ok());
    const auto parent = [](const std::string& path) { return path.substr(0, path.rfind('/')); };
    is_named("auspex_state", parent(layout->StateDir("keyd")));
    is_named("auspex_run", parent(layout->RunDir("keyd")));
    is_named("auspex_data", layout->data_dir());
    is_named("auspex_config", parent(layout->owner_config_file()));
  };
  Layout::Choice system, home;
  system.system = true;
  home.home = "/tmp/auspex-lab-x/w1";
  check(system, {});
  check(home, {});
  check({}, {{"HOME", "/home/x"}, {"XDG_RUNTIME_DIR", "/run/user/1000"}});
  check({}, {{"HOME", "/home/x"}});
}

}  // namespace
}  // namespace auspex::deploy
