// SPDX-License-Identifier: AGPL-3.0-only
// Rates: buckets fill by the clock that nobody sets, each intent has its own, and a call over its
// rate is refused before anything else, takes nothing and is on record.
#include "keyd/rates.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

// Takes until refused; how many there were.
int Drain(Rates& rates, Intent intent) {
  int taken = 0;
  while (taken < 2'000'000 && rates.Take(intent).ok()) ++taken;
  return taken;
}

std::unique_ptr<Rates> With(const Clock& clock, const Rates::Overrides& overrides) {
  auto rates = Rates::Create(overrides, clock);
  EXPECT_TRUE(rates.ok()) << rates.status();
  return *std::move(rates);
}

TEST(Rates, ABurstAndThenTheRate) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {2, 5}}});
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 5);
  clock.AdvanceSeconds(1);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 2);
  clock.AdvanceSeconds(2);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 4);
  clock.AdvanceSeconds(1'000'000);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 5) << "never more than the burst";
}

TEST(Rates, TheWallClockDoesNotCount) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {1, 1}}});
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 1);
  clock.SetSeconds(4'000'000'000);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 0);
}

TEST(Rates, EachIntentHasItsOwn) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {1, 1}}});
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 1);
  EXPECT_EQ(Drain(*rates, Intent::kSubmitResult), 5000);
  EXPECT_EQ(Drain(*rates, Intent::kHeartbeat), 500);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 0);
}

TEST(Rates, ExtremesOfTheConfigurationHold) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {0.001, 1'000'000}}, {"refuse", {1e6, 1}}});
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 1'000'000);
  clock.AdvanceSeconds(999);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 0);
  clock.AdvanceSeconds(1);
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 1);
  EXPECT_EQ(Drain(*rates, Intent::kRefuse), 1);
}

TEST(Rates, EveryIntentThatIsSignedHasOne) {
  FakeClock clock;
  const Rates rates(clock);
  for (int number = 0; number < 256; ++number) {
    const auto intent = IntentOf(static_cast<uint8_t>(number));
    if (!intent) continue;
    const bool without = *intent == Intent::kNone || *intent == Intent::kDestroyKey;
    EXPECT_EQ(rates.Of(*intent).burst > 0, !without) << IntentWord(*intent);
  }
}

TEST(Rates, AnUnknownWordIsAnErrorThatNamesTheKnownOnes) {
  FakeClock clock;
  for (const char* word : {"polls", "none", "destroy_key", "unknown", ""}) {
    const absl::Status status = Rates::Create({{word, {1, 1}}}, clock).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << word;
    const std::string text(status.message());
    EXPECT_EQ(text.rfind(Cat("keyd.rates: '", word, "'"), 0), 0u) << text;
    for (const char* known : {"heartbeat", "poll", "submit_result", "sign_raw_text", "open_grant"})
      EXPECT_NE(text.find(known), std::string::npos) << text;
  }
}

TEST(Rates, TheRefusalSaysIntentRateAndWhenToAskAgain) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {0.5, 3}}});
  EXPECT_EQ(Drain(*rates, Intent::kPoll), 3);
  EXPECT_EQ(rates->Take(Intent::kPoll),
            absl::ResourceExhaustedError("rate: more than 0.5 poll a second after 3 at once; ask "
                                         "again in 2 s (keyd.rates in the configuration)"));
}

TEST(Rates, ThreadsTogetherGetNoMoreThanTheBurst) {
  FakeClock clock;
  const auto rates = With(clock, {{"poll", {1, 1000}}});
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { taken += Drain(*rates, Intent::kPoll); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 1000);
}

TEST(RateOfSigning, ACallOverItsRateTakesNothingElseAndIsOnRecord) {
  Rig rig;
  while (rig.rates.Take(Intent::kSubmitResult).ok()) {
  }
  while (rig.rates.Take(Intent::kRetire).ok()) {
  }
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 60).ok());
  for (const Intent intent : {Intent::kSubmitResult, Intent::kRetire}) {
    const absl::Status status = rig.boundary.SignRequest(kNetd, GoodRequest(intent)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    const JournalRecord record = rig.Records().back();
    EXPECT_EQ(record.outcome, Outcome::kRefused);
    EXPECT_EQ(record.intent, intent);
    EXPECT_EQ(record.cause.rfind("rate: more than", 0), 0u) << record.cause;
  }
  EXPECT_EQ(rig.ledger.size(), 0u) << "the assignment is not claimed";
  // The grant is still there once there is a token again.
  rig.clock.AdvanceSeconds(1);
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).ok());
  UntrustedRequest other = GoodRequest(Intent::kSubmitResult);
  other.body_sha256 = Sha256("another body than the one that was refused");
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, other).ok());
}

TEST(RateOfSigning, HoldsForResultsAndTheOwnersActsToo) {
  Rig rig;
  for (const Intent intent : {Intent::kSignResult, Intent::kSignRawText, Intent::kOpenGrant,
                              Intent::kSetEnrolment, Intent::kCreateKey}) {
    while (rig.rates.Take(intent).ok()) {
    }
  }
  const auto exhausted = absl::StatusCode::kResourceExhausted;
  EXPECT_EQ(rig.boundary.SignResult(kRunnerd, GoodResult()).status().code(), exhausted);
  EXPECT_EQ(rig.boundary.SignRawText(kRunnerd, {"u-1", "asg-1", Sha256("t")}).status().code(),
            exhausted);
  EXPECT_EQ(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 1).status().code(),
            exhausted);
  EXPECT_EQ(rig.custody.SetEnrolment(kOwner, "https://c.example", "wkr-1").code(), exhausted);
  EXPECT_EQ(rig.custody.CreateKey(kOwner).code(), exhausted);
  EXPECT_EQ(rig.Records().size(), 5u);
  EXPECT_EQ(rig.recorder.signatures(), 0u);
  EXPECT_TRUE(rig.custody.DestroyKey(kOwner)->existed) << "wiping the key is never put off";
}

}  // namespace
}  // namespace auspex::keyd
