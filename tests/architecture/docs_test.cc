// SPDX-License-Identifier: AGPL-3.0-only
// The pages in docs/ name tests, configuration keys, variables and sockets. What they name exists,
// and what exists is named: a page that fell behind the code fails here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/tree.h"

namespace auspex::architecture {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using Set = std::set<std::string>;

constexpr const char* kPages[] = {"README.md",
                                  "docs/ARCHITECTURE.md",
                                  "docs/CONFIGURATION.md",
                                  "docs/INSTALL.md",
                                  "docs/PROMISES.md",
                                  "docs/SIGNING.md",
                                  "docs/THREATS.md",
                                  "docs/VM.md",
                                  "docs/formats/database.md",
                                  "docs/formats/feature-schema.md",
                                  "docs/formats/journal-export.md",
                                  "docs/formats/journal.md",
                                  "docs/formats/manifest-signature.md",
                                  "docs/formats/runnerd.md",
                                  "docs/formats/sealed-key.md"};

// A file of the tree; a missing one fails the test with its name.
std::string ReadTreeFile(const std::string& path) {
  const char* root = std::getenv("AUSPEX_SOURCE_DIR");
  std::ifstream in(std::string(root == nullptr ? "." : root) + "/" + path);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path << " is missing or empty";
  return text.str();
}

// What the first group of `pattern` matches in `text`.
Set All(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  Set found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    found.insert((*at)[1].str());
  }
  return found;
}

Set Without(const Set& names, const Set& known) {
  Set rest;
  for (const std::string& name : names) {
    if (!known.contains(name)) rest.insert(name);
  }
  return rest;
}

// "Suite.Name" of every test in tests/, and "Suite.*" of every suite.
Set TestsOfTheTree() {
  const std::regex regex(R"(\nTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
  Set names;
  for (const Source& source : Sources({".cc"})) {
    if (!source.path.starts_with("tests/")) continue;
    for (std::sregex_iterator at(source.text.begin(), source.text.end(), regex), end; at != end;
         ++at) {
      names.insert((*at)[1].str() + "." + (*at)[2].str());
      names.insert((*at)[1].str() + ".*");
    }
  }
  return names;
}

Set TestsNamedIn(const std::string& text) { return All(text, R"(`([A-Z]\w*\.(?:[A-Z]\w*|\*))`)"); }

// The text between `## <heading>` and the next heading of that rank.
std::string Section(const std::string& page, const std::string& heading) {
  const size_t begin = page.find("\n## " + heading);
  if (begin == std::string::npos) return "";
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

TEST(Docs, EveryTestThatIsNamedExists) {
  const Set tests = TestsOfTheTree();
  ASSERT_GT(tests.size(), 400u) << "the tests were not found";
  for (const char* page : {"docs/PROMISES.md", "docs/SIGNING.md", "docs/THREATS.md", "docs/VM.md",
                           "docs/ARCHITECTURE.md"}) {
    EXPECT_THAT(Without(TestsNamedIn(ReadTreeFile(page)), tests), IsEmpty()) << page;
  }
}

TEST(Docs, TheReadingOrderHasEveryFileOfKeyd) {
  const std::string section = Section(ReadTreeFile("docs/SIGNING.md"), "Reading the code");
  const Set named = All(section, "`(?:keyd/)?([a-z_]+/?)`");
  Set files;
  for (const Source& source : Sources({".cc", ".h"})) {
    if (!source.path.starts_with("keyd/")) continue;
    const std::string name = source.path.substr(5);
    const size_t folder = name.find('/');
    files.insert(folder == std::string::npos ? name.substr(0, name.find('.'))
                                             : name.substr(0, folder + 1));
  }
  ASSERT_GT(files.size(), 30u) << "keyd's files were not found";
  EXPECT_THAT(Without(files, named), IsEmpty());
}

TEST(Docs, EveryPromiseIsBoundToTests) {
  const std::string page = ReadTreeFile("docs/PROMISES.md");
  for (int number = 1; number <= 16; ++number) {
    const std::string section = Section(page, "P" + std::to_string(number) + ":");
    EXPECT_THAT(TestsNamedIn(section), Not(IsEmpty())) << "P" << number;
  }
}

TEST(Docs, EveryKnownWeaknessIsAnswered) {
  const Set rows = All(ReadTreeFile("docs/THREATS.md"), R"(\n\| (W-?[0-9]+) \|)");
  for (int number = 1; number <= 69; ++number) {
    EXPECT_THAT(rows, Contains("W-" + std::to_string(number)));
  }
  for (int number = 1; number <= 18; ++number) {
    EXPECT_THAT(rows, Contains("W" + std::to_string(number)));
  }
}

TEST(Docs, ConfigurationKeysAreThoseOfTheReader) {
  const Set keys = All(ReadTreeFile("common/config/config.cc"), R"re(\{"([a-z]\w*(?:\.\w+)+)",)re");
  ASSERT_GT(keys.size(), 30u) << "the table of setters was not found";
  const std::string page = ReadTreeFile("docs/CONFIGURATION.md");
  EXPECT_THAT(Without(keys, All(page, R"(`([a-z]\w*(?:\.\w+)+)`)")), IsEmpty())
      << "not in the page";
  EXPECT_THAT(Without(All(page, R"(\n\| `([a-z]\w*(?:\.\w+)+)` \|)"), keys), IsEmpty())
      << "not read";
}

TEST(Docs, VariablesAreThoseThatAreRead) {
  const std::string page = ReadTreeFile("docs/CONFIGURATION.md");
  const Set named = All(page, R"(`(AUSPEX\w+)`)");
  Set read;
  for (const Source& source : Sources({".cc"})) {
    if (source.path.starts_with("tests/") || source.path.starts_with("bench/")) continue;
    // Those that executors and sandboxes get are set, not read.
    if (source.path.starts_with("runnerd/executor_call")) continue;
    if (source.path.starts_with("runnerd/sandbox_arguments")) continue;
    read.merge(All(source.text, R"re("(AUSPEX(?:AI)?_\w+)")re"));
  }
  ASSERT_GT(read.size(), 8u);
  EXPECT_THAT(Without(read, named), IsEmpty()) << "not in the page";
  EXPECT_THAT(Without(named, read), IsEmpty()) << "not read";
}

// Roles.TheTableIsWhole holds its own table against the daemons that run; here the page is held
// against that table and against the folders of the daemons.
TEST(Docs, SocketsAreThoseOfTheDaemons) {
  const Set roles = All(ReadTreeFile("tests/roles/roles_test.cc"),
                        R"re(\{"((?:keyd|stated|netd|runnerd)/\w+)")re");
  ASSERT_EQ(roles.size(), 8u);
  const Set named =
      All(ReadTreeFile("docs/ARCHITECTURE.md"), R"(`((?:keyd|stated|netd|runnerd)/\w+)\.sock`)");
  EXPECT_EQ(named, roles);
  for (const std::string& socket : named) {
    const size_t slash = socket.find('/');
    EXPECT_THAT(ReadTreeFile(socket.substr(0, slash) + "/main.cc"),
                ::testing::HasSubstr("\"" + socket.substr(slash + 1) + "\""))
        << socket;
  }
}

TEST(Docs, VerbsThatAreNamedExist) {
  Set verbs;
  for (const Source& source : Sources({".cc"})) {
    if (!source.path.starts_with("cli/")) continue;
    verbs.merge(All(source.text, R"re(add_subcommand\(\s*"([a-z]+)")re"));
  }
  ASSERT_GT(verbs.size(), 15u);
  for (const char* page : kPages) {
    const std::string text = ReadTreeFile(page);
    EXPECT_THAT(Without(All(text, R"(`auspex ([a-z]+)(?![a-z]|` CR))"), verbs), IsEmpty()) << page;
    EXPECT_THAT(Without(All(text, R"(\n    auspex ([a-z]+))"), verbs), IsEmpty()) << page;
  }
}

TEST(Docs, NothingIsLeftForLater) {
  for (const char* page : kPages) {
    EXPECT_THAT(All(ReadTreeFile(page), "(TO[D]O|FIX[M]E|not impl[e]mented|for no[w])"), IsEmpty())
        << page;
  }
}

TEST(Docs, LinksLeadSomewhere) {
  for (const std::string page : kPages) {
    const std::string folder = page.substr(0, page.rfind('/') + 1);
    for (const std::string& link : All(ReadTreeFile(page), R"(\]\(([\w/.-]+)\))")) {
      ReadTreeFile(folder + link);
    }
  }
}

}  // namespace
}  // namespace auspex::architecture
