// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/retry.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

constexpr int64_t kNow = 1'784'462'400;  // 2026-07-19T12:00:00Z

uint32_t After(const char* text, int status = 429) {
  HttpResponse response{.status = status};
  response.headers["retry-after"] = text;
  return RetryAfterSeconds(response, kNow);
}

TEST(RetryAfter, TakesSecondsAndDates) {
  EXPECT_EQ(After("120"), 120u);
  EXPECT_EQ(After("120", 503), 120u);
  EXPECT_EQ(After("Sun, 19 Jul 2026 12:01:00 GMT"), 60u);
  EXPECT_EQ(After("Sun, 19 Jul 2026 11:00:00 GMT"), 0u);
}

TEST(RetryAfter, IsCutAndNeverBelievedWhenOdd) {
  EXPECT_EQ(After("86400"), 3600u);
  EXPECT_EQ(After("99999999999999999999999"), 3600u);
  EXPECT_EQ(After("Sun, 19 Jul 2099 12:01:00 GMT"), 3600u);
  for (const char* text : {"", "-5", "soon", "12 s", "1e9", "Sun, 19 Jul 2026"})
    EXPECT_EQ(After(text), 0u) << text;
  EXPECT_EQ(After("120", 500), 0u);
}

TEST(Backoff, DoublesUpToItsCapAndStartsAgain) {
  Backoff backoff(1, 8);
  for (const double expected : {1, 2, 4, 8, 8, 8}) {
    const double delay = backoff.Next();
    EXPECT_GE(delay, expected * 0.75);
    EXPECT_LE(delay, expected * 1.25);
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next(), 1.25);
  EXPECT_GE(backoff.Next(100), 100);
}

TEST(PollBackoff, StaysNearThePaceOfThePolls) {
  struct Case {
    double interval, first, most;
  };
  for (const Case& c :
       {Case{0, 0.25, 2}, Case{1, 1, 4}, Case{30, 30, 120}, Case{3600, 3600, 3600}}) {
    Backoff backoff = PollBackoff(c.interval);
    EXPECT_LE(backoff.Next(), c.first * 1.25) << c.interval;
    for (int i = 0; i < 20; ++i) EXPECT_LE(backoff.Next(), c.most * 1.25) << c.interval;
    EXPECT_GE(backoff.Next(), c.most * 0.75) << c.interval;
  }
}

TEST(Jitter, StaysWithinItsFraction) {
  for (int i = 0; i < 1000; ++i) {
    const double value = Jitter(60, 0.05);
    EXPECT_GE(value, 57);
    EXPECT_LE(value, 63);
    EXPECT_LE(RandomUpTo(0.02), 0.02);
  }
}

}  // namespace
}  // namespace auspex
