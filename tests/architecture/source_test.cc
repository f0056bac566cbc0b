// SPDX-License-Identifier: AGPL-3.0-only
// What may be written where: licence lines, who may include whom, and facts that have one place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/architecture/tree.h"

namespace auspex::architecture {
namespace {

using ::testing::IsEmpty;

std::string TopFolder(const std::string& path) { return path.substr(0, path.find('/')); }

// The text between the quotes of each #include "..." line.
std::vector<std::string> Includes(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#include \"")) continue;
    found.push_back(line.substr(10, line.find('"', 10) - 10));
  }
  return found;
}

TEST(Sources, EachBeginsWithItsLicence) {
  std::vector<std::string> without;
  const std::vector<Source> sources =
      Sources({".cc", ".h", ".proto", ".py", ".sh", ".cmake", "CMakeLists.txt"});
  ASSERT_GT(sources.size(), 100u) << "the tree was not found";
  for (const Source& source : sources) {
    // A script's first line belongs to the kernel.
    const std::string head = source.text.substr(0, 200);
    if (head.find("SPDX-License-Identifier: AGPL-3.0-only") == std::string::npos) {
      without.push_back(source.path);
    }
  }
  EXPECT_THAT(without, IsEmpty());
}

// Each folder may use itself and what is named here; daemons know each other only through the
// contracts in proto/.
TEST(Sources, FoldersIncludeOnlyWhatLiesBelowThem) {
  const std::map<std::string, std::set<std::string>> may_use = {
      {"common", {}},
      {"keyd", {"common", "auspex"}},
      {"stated", {"common", "auspex"}},
      {"netd", {"common", "auspex"}},
      {"runnerd", {"common", "auspex"}},
      {"cli", {"common", "auspex"}},
      // The lab's coordinator is a program of its own: it speaks the wire protocol, not the
      // daemons' contracts.
      {"coordd", {"common"}},
      {"examples", {"common"}},
  };
  const std::set<std::string> foreign = {"absl", "nlohmann", "gtest", "gmock"};
  std::vector<std::string> wrong;
  for (const Source& source : Sources({".cc", ".h"})) {
    const std::string folder = TopFolder(source.path);
    const auto rule = may_use.find(folder);
    if (rule == may_use.end()) continue;  // tests and benchmarks look everywhere
    for (const std::string& include : Includes(source.text)) {
      const std::string used = TopFolder(include);
      if (used == folder || foreign.contains(used) || rule->second.contains(used)) continue;
      wrong.push_back(source.path + " includes " + include);
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

// What a worker asks of a coordinator is spelled in one file; keyd composes its requests from it.
TEST(Sources, RoutesHaveOnePlace) {
  std::vector<std::string> elsewhere;
  for (const Source& source : Sources({".cc", ".h"})) {
    const std::string folder = TopFolder(source.path);
    // The other side of the wire, those who play it in tests, and the lab's own calls to it.
    if (folder == "coordd" || folder == "tests" || folder == "bench" ||
        source.path.starts_with("cli/lab/")) {
      continue;
    }
    if (source.path == "common/wire/routes.cc") continue;
    std::istringstream lines(source.text);
    for (std::string line; std::getline(lines, line);) {
      const size_t at = line.find("\"/api/v0/");
      if (at == std::string::npos || line.rfind("//", at) != std::string::npos) continue;
      // The bare prefix spells no route: netd holds keyd's answers against it.
      if (line.compare(at + 9, 1, "\"") == 0) continue;
      elsewhere.push_back(source.path + ": " + line);
    }
  }
  EXPECT_THAT(elsewhere, IsEmpty());
}

// A daemon that may not do a thing does not call it either (the kernel's filters are the second
// barrier).
TEST(Sources, OnlyLaunchersStartPrograms) {
  const std::vector<std::string> calls = {"execve(",  "execv(", "execvp(",     "execl(",
                                          "fexecve(", "popen(", "posix_spawn", "std::system("};
  std::vector<std::string> found;
  for (const Source& source : Sources({".cc", ".h"})) {
    const std::string folder = TopFolder(source.path);
    if (folder != "keyd" && folder != "stated" && folder != "netd") continue;
    // The gate: a process of its own that holds no key.
    if (source.path == "keyd/gate/gate_child.cc") continue;
    for (const std::string& call : calls) {
      if (source.text.find(call) != std::string::npos) found.push_back(source.path + ": " + call);
    }
  }
  EXPECT_THAT(found, IsEmpty());
}

TEST(Sources, OnlyNetdAndTheLabReachTheNetwork) {
  const std::vector<std::string> marks = {"curl/curl.h",   "boost/asio",   "boost/beast",
                                          "openssl/ssl.h", "netinet/in.h", "AF_INET"};
  std::vector<std::string> found;
  for (const Source& source : Sources({".cc", ".h"})) {
    const std::string folder = TopFolder(source.path);
    if (folder != "keyd" && folder != "stated" && folder != "runnerd") continue;
    for (const std::string& mark : marks) {
      // A filter that denies the family has to name it, and so has the probe that shows it to be
      // out of reach.
      if (source.path.find("seccomp") != std::string::npos) continue;
      if (source.path.starts_with("runnerd/init/")) continue;
      if (source.text.find(mark) != std::string::npos) found.push_back(source.path + ": " + mark);
    }
  }
  EXPECT_THAT(found, IsEmpty());
}

TEST(Sources, NothingIsLeftForLater) {
  // Written in pieces: this file is looked at too.
  const std::vector<std::string> marks = {std::string("TO") + "DO", std::string("FIX") + "ME",
                                          std::string("not imple") + "mented"};
  std::vector<std::string> found;
  for (const Source& source : Sources({".cc", ".h", ".proto", ".py", ".sh", "CMakeLists.txt"})) {
    for (const std::string& mark : marks) {
      if (source.text.find(mark) != std::string::npos) found.push_back(source.path + ": " + mark);
    }
  }
  EXPECT_THAT(found, IsEmpty());
}

}  // namespace
}  // namespace auspex::architecture
