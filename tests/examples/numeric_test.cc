// SPDX-License-Identifier: AGPL-3.0-only
// The numeric parts of the robustness sweep: the exponential, the data, the curve, and counts that
// pin the arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "examples/robustness-sweep/digits.h"
#include "examples/robustness-sweep/exact_math.h"
#include "examples/robustness-sweep/sweep.h"

namespace auspex::sweep {
namespace {

std::vector<Digit> AllDigits() {
  const char* const source = std::getenv("AUSPEX_SOURCE_DIR");
  absl::StatusOr<std::vector<Digit>> digits =
      LoadDigits(std::string(source != nullptr ? source : ".") +
                 "/examples/robustness-sweep/package/data/digits.csv");
  EXPECT_TRUE(digits.ok()) << std::string(digits.status().message());
  return digits.ok() ? *digits : std::vector<Digit>();
}

absl::Status PointStatus(std::string_view payload) {
  absl::StatusOr<JsonValue> value = ReadJson(payload);
  return value.ok() ? ParsePoint(*value->as_object()).status() : value.status();
}

TEST(Exp, IsCloseToTheLibrarysEverywhere) {
  for (int i = -7000; i <= 7000; ++i) {
    const double x = i / 10.0 + 0.037 * (i % 3);
    if (x < -700.0 || x > 700.0) continue;
    EXPECT_NEAR(Exp(x) / std::exp(x), 1.0, 4e-15) << x;
  }
  EXPECT_EQ(Exp(0.0), 1.0);
  EXPECT_EQ(Exp(-1e9), Exp(-700.0));
  EXPECT_EQ(Exp(1e9), Exp(700.0));
}

TEST(Random, IsSplitMix64) {
  // The first values of the reference implementation for seed 1234567.
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(random.Below(10), 10u);
    const double value = random.Symmetric();
    EXPECT_GE(value, -1.0);
    EXPECT_LT(value, 1.0);
  }
}

TEST(Digits, AreAllThere) {
  const std::vector<Digit> digits = AllDigits();
  ASSERT_EQ(digits.size(), 1797u);
  std::vector<int> count(kClasses);
  for (const Digit& digit : digits) ++count[static_cast<size_t>(digit.label)];
  EXPECT_EQ(count, (std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  EXPECT_EQ(digits[0].pixels[2], 5.0 / 16.0);
}

TEST(Digits, BadLinesAreNamed) {
  std::string row;
  for (int i = 0; i < 64; ++i) row += "16,";
  const std::string good = row + "9\n";
  EXPECT_TRUE(ParseDigits(good + good + good).ok());
  const auto message = [](const std::string& text) {
    return std::string(ParseDigits(text).status().message());
  };
  EXPECT_EQ(message(good + row + "10\n"), "digits: line 2: column 65 is not an integer of 0 to 9");
  EXPECT_EQ(message("17," + row), "digits: line 1: column 1 is not an integer of 0 to 16");
  EXPECT_EQ(message("1,2\n"), "digits: line 1: fewer than 65 numbers");
  EXPECT_EQ(message(good + row + "9,1\n"), "digits: line 2: more than 65 numbers");
  EXPECT_EQ(message(""), "digits: fewer than three images");
}

TEST(ParsePoint, NamesTheBadMember) {
  EXPECT_TRUE(PointStatus(R"({"epsilon":0,"seed":0})").ok());
  EXPECT_TRUE(PointStatus(R"({"epsilon":1.0,"seed":9223372036854775807})").ok());
  const auto message = [](std::string_view payload) {
    return std::string(PointStatus(payload).message());
  };
  EXPECT_EQ(message(R"({"seed":0})"), "payload: member 'epsilon' is missing");
  EXPECT_EQ(message(R"({"epsilon":0.1})"), "payload: member 'seed' is missing");
  EXPECT_EQ(message(R"({"epsilon":0.1,"seed":0,"x":1})"), "payload: unknown member 'x'");
  for (const char* epsilon : {"-0.1", "1.1", "\"0.1\"", "null", "NaN", "Infinity"}) {
    EXPECT_EQ(message(std::string("{\"epsilon\":") + epsilon + ",\"seed\":0}"),
              "payload: member 'epsilon' is not a number of 0 to 1");
  }
  for (const char* seed : {"-1", "1.0", "\"1\"", "9223372036854775808", "[]"}) {
    EXPECT_EQ(message(std::string("{\"epsilon\":0.1,\"seed\":") + seed + "}"),
              "payload: member 'seed' is not an integer of 0 to 2^63-1");
  }
}

TEST(Sweep, AccuracyFallsWithTheAttackAndNotWithNoise) {
  const std::vector<Digit> digits = AllDigits();
  int last = std::numeric_limits<int>::max();
  for (double epsilon : {0.0, 0.05, 0.1, 0.2, 0.3}) {
    const Measurement result = Measure({.epsilon = epsilon, .seed = 5}, digits);
    EXPECT_EQ(result.total, 599);
    EXPECT_GT(result.clean_correct, 0.95 * result.total);
    if (epsilon == 0.0) {
      EXPECT_EQ(result.correct, result.clean_correct);
      EXPECT_EQ(result.noise_correct, result.clean_correct);
    } else {
      EXPECT_LT(result.correct, last) << epsilon;
      EXPECT_GT(result.noise_correct, result.correct) << epsilon;
    }
    last = result.correct;
  }
  EXPECT_LT(last, 0.1 * 599);
}

TEST(Sweep, TheArithmeticIsPinned) {
  // Any change of these lines means that old and new executors would not agree in a quorum.
  const std::vector<Digit> digits = AllDigits();
  const auto payload = [&](double epsilon, int64_t seed) {
    return WriteCanonical(ToPayload(Measure({.epsilon = epsilon, .seed = seed}, digits)));
  };
  EXPECT_EQ(payload(0.1, 3),
            R"({"accuracy":0.5442404006677797,"clean_accuracy":0.9749582637729549,"correct":326,)"
            R"("epsilon":0.1,"noise_accuracy":0.9649415692821369,"seed":3,"total":599})");
  EXPECT_EQ(payload(0.05, 9223372036854775807),
            R"({"accuracy":0.8497495826377296,"clean_accuracy":0.9749582637729549,"correct":509,)"
            R"("epsilon":0.05,"noise_accuracy":0.9699499165275459,"seed":9223372036854775807,)"
            R"("total":599})");
}

}  // namespace
}  // namespace auspex::sweep
