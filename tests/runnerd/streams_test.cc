// SPDX-License-Identifier: AGPL-3.0-only
// What comes out of a sandbox: the init's report, and streams that are bounded.
#include <gmock/gmock.h>
#include <unistd.h>

#include "common/base/cat.h"
#include "runnerd/bounded_reader.h"
#include "runnerd/init_report.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

TEST(InitReport, FormsAndDamage) {
  const std::string started = "auspex-unit 2 started pid=1\n";
  EXPECT_EQ(ParseInitReport("")->kind, InitReport::Kind::kNotStarted);
  EXPECT_EQ(ParseInitReport(started)->kind, InitReport::Kind::kUnfinished);
  EXPECT_EQ(ParseInitReport(started)->facts, " pid=1");
  // Facts count only as a whole line.
  EXPECT_EQ(ParseInitReport(started.substr(0, started.size() - 1))->kind,
            InitReport::Kind::kNotStarted);
  EXPECT_EQ(ParseInitReport(started + "end walls 0 seccomp 0\n")->output, "seccomp");
  EXPECT_EQ(ParseInitReport(started + "end walls 0 seccomp 0\n")->kind, InitReport::Kind::kWalls);
  EXPECT_EQ(ParseInitReport(started + "end exited 0 ok 5\n{}")->kind,
            InitReport::Kind::kUnfinished);
  const auto whole = ParseInitReport(started + "end exited 0 ok 2\n{}");
  EXPECT_EQ(whole->kind, InitReport::Kind::kExited);
  EXPECT_EQ(whole->content, "{}");
  EXPECT_EQ(ParseInitReport(started + "end signaled 9 none 0\n")->number, 9);
  EXPECT_FALSE(ParseInitReport("something else\n").ok());
  EXPECT_FALSE(ParseInitReport(started + "end exited 0 ok 1\n{}").ok());
  EXPECT_FALSE(ParseInitReport(started + "end exited x ok 0\n").ok());
  EXPECT_FALSE(ParseInitReport(started + "end vanished 0 ok 0\n").ok());
}

TEST(BoundedReader, TailAndLimit) {
  absl::StatusOr<Pipe> pipe = Pipe::Make();
  ASSERT_TRUE(pipe.ok());
  const std::string text = "first line\nsecond line\nthird\n";
  ASSERT_EQ(write(pipe->write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  TailReader tail(20);
  EXPECT_TRUE(tail.Drain(pipe->read.get()));  // the writer lives: no end, and no waiting for it
  EXPECT_EQ(tail.Tail(), "second line\nthird");
  ASSERT_EQ(write(pipe->write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  pipe->write.Reset();
  BoundedReader bounded(10);
  EXPECT_FALSE(bounded.Drain(pipe->read.get()));
  EXPECT_TRUE(bounded.overflow());
  EXPECT_EQ(bounded.text(), "");
}

}  // namespace
}  // namespace auspex::runnerd
