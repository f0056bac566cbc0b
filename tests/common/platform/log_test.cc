// SPDX-License-Identifier: AGPL-3.0-only
#include "common/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace auspex {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Logged(const std::function<void()>& act) {
  ::testing::internal::CaptureStderr();
  act();
  return ::testing::internal::GetCapturedStderr();
}

TEST(LogTest, OneLineAnEvent) {
  InitLog("testd");
  const std::string line = Logged([] {
    LogInfo("poll", {{"unit", "u-1"}, {"status", 200}, {"reason", "no work"}});
  });
  EXPECT_THAT(
      line,
      HasSubstr(" level=info proc=testd event=poll unit=u-1 status=200 reason=\"no work\"\n"));
}

TEST(LogTest, HostileTextCannotForgeALineOrMoveATerminal) {
  const std::string line = Logged([] {
    LogInfo("x", {{"reason", "a\nt=1 level=info event=forged \x1b[2J\"quoted\" \xe2\x80\xae"}});
  });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_THAT(line, HasSubstr("\\x0at=1"));
  EXPECT_THAT(line, HasSubstr("\\\"quoted\\\""));
}

TEST(LogTest, LongValuesAreCut) {
  const std::string line = Logged([] { LogInfo("x", {{"reason", std::string(100000, 'a')}}); });
  EXPECT_LT(line.size(), 700u);
  EXPECT_THAT(line, EndsWith("...\"\n"));
}

TEST(LogTest, LevelsBelowTheLowestAreSilent) {
  InitLog("testd", LogLevel::kWarning);
  EXPECT_EQ(Logged([] { LogInfo("quiet"); }), "");
  InitLog("testd");
}

}  // namespace
}  // namespace auspex
