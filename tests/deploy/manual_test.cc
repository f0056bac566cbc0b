// SPDX-License-Identifier: AGPL-3.0-only
// Manual pages and completion scripts as the build makes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <regex>

#include "cli/manual/roff.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex::deploy {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<std::string> kPages = {"auspex.1",        "worker.toml.5", "auspex-keyd.8",
                                         "auspex-stated.8", "auspex-netd.8", "auspex-runnerd.8",
                                         "auspex-coordd.8"};

std::string Made(const std::string& name) { return std::string(AUSPEX_MANUAL) + "/" + name; }

bool Has(const char* program) { return ::access(program, X_OK) == 0; }

TEST(ManualPages, MandocFindsNoFault) {
  AUSPEX_SKIP_UNLESS(Has("/usr/bin/mandoc"), "mandoc");
  for (const std::string& page : kPages) {
    const e2e::Finished done =
        e2e::RunCommand({"/usr/bin/mandoc", "-T", "lint", "-W", "warning", Made(page)}, 30);
    EXPECT_EQ(done.code, 0) << page;
    EXPECT_EQ(done.out + done.err, "") << page;
  }
  testing::TempDir folder;
  e2e::WriteText(folder / "bad.1", ".TH BAD 1\n.SH NAME\n.nonsense\n");
  EXPECT_NE(
      e2e::RunCommand({"/usr/bin/mandoc", "-T", "lint", "-W", "warning", folder / "bad.1"}, 30)
          .code,
      0)
      << "mandoc takes anything";
}

std::string Shown(const std::string& page) {
  // ASCII without overstriking.
  const std::string line = "/usr/bin/mandoc -T ascii '" + Made(page) + "' | sed 's/.\\x08//g'";
  const e2e::Finished done = e2e::RunCommand({"/bin/sh", "-c", line}, 30);
  EXPECT_EQ(done.code, 0) << page;
  return std::regex_replace(done.out, std::regex("\\s+"), " ");
}

std::string Squeezed(const std::string& text) {
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

// Every verb's own help, line by line of what it can be given.
TEST(ManualPages, TheCommandsHasEveryVerbWithItsOptions) {
  AUSPEX_SKIP_UNLESS(Has("/usr/bin/mandoc"), "mandoc");
  const std::string page = Shown("auspex.1");
  const e2e::Finished script = e2e::RunCommand({e2e::Program("auspex"), "completion", "bash"}, 30);
  ASSERT_EQ(script.code, 0);
  const std::regex line(R"(\n    '([a-z ]+)'\) words='([^']*)')");
  int verbs = 0;
  for (std::sregex_iterator at(script.out.begin(), script.out.end(), line), end; at != end;
       ++at, ++verbs) {
    EXPECT_THAT(page, HasSubstr("auspex " + (*at)[1].str())) << "verb";
    std::istringstream words((*at)[2].str());
    for (std::string word; words >> word;) {
      if (word.starts_with("--")) {
        EXPECT_THAT(page, HasSubstr(word)) << (*at)[1];
      }
    }
  }
  EXPECT_GT(verbs, 30);
}

TEST(ManualPages, ADaemonsHasWhatItsHelpSays) {
  AUSPEX_SKIP_UNLESS(Has("/usr/bin/mandoc"), "mandoc");
  for (const std::string name :
       {"auspex-keyd", "auspex-stated", "auspex-netd", "auspex-runnerd", "auspex-coordd"}) {
    const std::string page = Shown(name + ".8");
    const e2e::Finished help = e2e::RunCommand({e2e::Program(name), "--help"}, 30);
    ASSERT_EQ(help.code, 0) << name;
    std::istringstream lines(help.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("Usage:") != std::string::npos || line.empty()) continue;
      EXPECT_THAT(page, HasSubstr(Squeezed(line))) << name;
    }
  }
}

TEST(ManualPages, TheConfigurationsHasEveryKey) {
  AUSPEX_SKIP_UNLESS(Has("/usr/bin/mandoc"), "mandoc");
  const std::string page = Shown("worker.toml.5");
  const std::string source =
      e2e::ReadText(std::string(std::getenv("AUSPEX_SOURCE_DIR")) + "/docs/CONFIGURATION.md");
  const std::regex row(R"(\n\| `([a-z_]+\.[a-z_.]+)` \|)");
  int keys = 0;
  for (std::sregex_iterator at(source.begin(), source.end(), row), end; at != end; ++at, ++keys)
    EXPECT_THAT(page, HasSubstr((*at)[1].str()));
  EXPECT_GT(keys, 30);
  // Nothing of Markdown is left.
  EXPECT_THAT(page, Not(HasSubstr("](")));
  EXPECT_THAT(page, Not(HasSubstr("| ---")));
  EXPECT_THAT(page, Not(HasSubstr("`")));
}

// Two builds of one source are the same.
TEST(ManualPages, AreTheSameWheneverTheyAreMade) {
  testing::TempDir first, second;
  for (const auto& [folder, epoch] : {std::pair{&first, "0"}, std::pair{&second, "0"}}) {
    const std::string line = std::string("SOURCE_DATE_EPOCH=") + epoch +
                             " '" AUSPEX_MANUAL_PROGRAM "' '" + std::getenv("AUSPEX_SOURCE_DIR") +
                             "' '" + std::getenv("AUSPEX_BIN_DIR") + "' '" + folder->path() + "'";
    const e2e::Finished done = e2e::RunCommand({"/bin/sh", "-c", line}, 60);
    ASSERT_EQ(done.code, 0) << done.err;
  }
  for (const std::string& page : kPages) {
    const std::string text = e2e::ReadText(first / page);
    EXPECT_EQ(text, e2e::ReadText(second / page)) << page;
    EXPECT_THAT(text, HasSubstr("1970-01-01")) << page;
  }
}

TEST(Completion, ShellsTakeTheInstalledScripts) {
  EXPECT_EQ(e2e::RunCommand({"/bin/bash", "-n", Made("auspex.bash")}, 30).err, "");
  const std::string offered =
      e2e::RunCommand(
          {"/bin/bash", "-c",
           ". '" + Made("auspex.bash") +
               "'; COMP_WORDS=(auspex tenant a); COMP_CWORD=2; _auspex; echo ${COMPREPLY[@]}"},
          30)
          .out;
  EXPECT_EQ(offered, "allow\n");
}

// What roff would read as a request or an escape stays text.
TEST(Roff, TextStaysText) {
  using cli::manual::FromMarkdown;
  using cli::manual::Inline;
  using cli::manual::Plain;
  EXPECT_EQ(Plain(".so /etc/passwd\n'x\na\\b--c"), "\\&.so /etc/passwd\n\\&'x\na\\eb\\-\\-c");
  EXPECT_EQ(Inline("`a.b` and [**this**](x.md), not `open"),
            "\\fBa.b\\fR and \\fBthis\\fR, not `open");
  EXPECT_EQ(Inline("ends.\n.pl 1"), "ends.\n\\&.pl 1");
  EXPECT_EQ(
      FromMarkdown(
          "# T\n\n## Part\n\n| key | type | meaning |\n| --- | --- | --- |\n| `k` | `a|b` | m |\n"),
      ".SH PART\n.TP\n\\fBk\\fR\ntype: \\fBa|b\\fR.\n.br\nm\n");
  EXPECT_EQ(FromMarkdown("* one\n  more\n* two\n"), ".IP \\(bu 2\none more\n.IP \\(bu 2\ntwo\n");
}

}  // namespace
}  // namespace auspex::deploy
