// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/terminal.h"

#include <gtest/gtest.h>

#include <map>

#include "cli/output/output.h"

namespace auspex::cli {
namespace {

Environment With(std::map<std::string, std::string> variables) {
  return [variables](std::string_view name) -> std::optional<std::string> {
    auto it = variables.find(std::string(name));
    if (it == variables.end()) return std::nullopt;
    return it->second;
  };
}

TEST(TerminalTest, LocaleDecidesAboutUtf8) {
  EXPECT_TRUE(DetectTerminal(-1, false, With({{"LANG", "en_GB.UTF-8"}})).utf8);
  EXPECT_TRUE(DetectTerminal(-1, false, With({{"LC_ALL", "C.utf8"}})).utf8);
  EXPECT_TRUE(DetectTerminal(-1, false, With({{"LC_CTYPE", "de_DE.UTF-8@euro"}})).utf8);
  EXPECT_FALSE(DetectTerminal(-1, false, With({{"LC_ALL", "C"}, {"LANG", "en_GB.UTF-8"}})).utf8);
  EXPECT_FALSE(DetectTerminal(-1, false, With({})).utf8);
}

TEST(TerminalTest, WidthFromTheEnvironmentIsBounded) {
  EXPECT_EQ(DetectTerminal(-1, false, With({{"COLUMNS", "132"}})).width, 132);
  EXPECT_EQ(DetectTerminal(-1, false, With({{"COLUMNS", "3"}})).width, 20);
  EXPECT_EQ(DetectTerminal(-1, false, With({{"COLUMNS", "999999"}})).width, 1000);
  EXPECT_EQ(DetectTerminal(-1, false, With({{"COLUMNS", "wide"}})).width, 80);
}

TEST(TerminalTest, NoColourWithoutATerminal) {
  const Terminal terminal = DetectTerminal(-1, false, With({{"TERM", "xterm"}}));
  EXPECT_FALSE(terminal.color);
  EXPECT_EQ(terminal.Paint("x", Style::kBad), "x");
}

TEST(TerminalTest, ForeignTextCannotMoveTheCursor) {
  EXPECT_EQ(Clean("a\x1b[2J\r\nb").find('\x1b'), std::string::npos);
  EXPECT_EQ(Clean("a\nb").find('\n'), std::string::npos);
}

}  // namespace
}  // namespace auspex::cli
