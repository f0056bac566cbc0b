// SPDX-License-Identifier: AGPL-3.0-only
// The canonical writer of wire protocol 3.2 to 3.4.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>

#include "common/json/canonical.h"
#include "common/json/utf8.h"

namespace auspex {
namespace {

TEST(CanonicalFloat, FormsOfTheTable) {
  const std::pair<double, const char*> cases[] = {
      {1.0, "1.0"},
      {100000.0, "100000.0"},
      {0.0001, "0.0001"},
      {9999999999999998.0, "9999999999999998.0"},
      {1e16, "1e+16"},
      {12345678901234567.0, "1.2345678901234568e+16"},
      {0.00001, "1e-05"},
      {5e-324, "5e-324"},
      {1e22, "1e+22"},
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {-1.5, "-1.5"},
      {123456.75, "123456.75"},
      {0.1, "0.1"},
      {1e15, "1000000000000000.0"},
      {1234567890123456.0, "1234567890123456.0"},
      {0.00012345, "0.00012345"},
      {1.2345e-5, "1.2345e-05"},
      {1e100, "1e+100"},
      {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {0.30000000000000004, "0.30000000000000004"},
      {9007199254740993.0, "9007199254740992.0"},
      {5.684341886080802e-14, "5.684341886080802e-14"},
      {std::numeric_limits<double>::infinity(), "Infinity"},
      {-std::numeric_limits<double>::infinity(), "-Infinity"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(CanonicalFloat(value), text);
}

// The C library as the second opinion: the fewest digits that read back, correctly rounded.
TEST(CanonicalFloat, IsShortestAndReadsBackForRandomBits) {
  std::mt19937_64 random(20260719);
  for (int i = 0; i < 100'000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value) || value == 0) continue;
    const std::string text = CanonicalFloat(value);
    ASSERT_EQ(std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr)),
              std::bit_cast<uint64_t>(value))
        << text;
    char shortest[64];
    for (int digits = 0; digits < 17; ++digits) {
      std::snprintf(shortest, sizeof shortest, "%.*e", digits, value);
      if (std::strtod(shortest, nullptr) == value) break;
    }
    char ours[64];
    const size_t digits = [&] {
      size_t count = 0;
      std::string kept;
      for (const char c : text.substr(0, text.find('e'))) {
        if (c >= '0' && c <= '9') kept.push_back(c);
      }
      kept.erase(0, kept.find_first_not_of('0'));
      kept.erase(kept.find_last_not_of('0') + 1);
      count = kept.size();
      return count;
    }();
    std::snprintf(ours, sizeof ours, "%.*e", static_cast<int>(digits) - 1, value);
    ASSERT_STREQ(ours, shortest) << text;
  }
}

TEST(CanonicalString, EscapesAsciiOnlyOutput) {
  EXPECT_EQ(CanonicalString("a/b\"c\\d"), R"("a/b\"c\\d")");
  EXPECT_EQ(CanonicalString("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  EXPECT_EQ(CanonicalString(std::string("\0\x01\x0b\x1f\x7f", 5)),
            R"("\u0000\u0001\u000b\u001f\u007f")");
  EXPECT_EQ(CanonicalString("\xc2\x80\xc3\xa9\xe2\x80\xa8\xef\xbf\xbf"),
            R"("\u0080\u00e9\u2028\uffff")");
  EXPECT_EQ(CanonicalString("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), R"("\ud800\udc00\udbff\udfff")");
  EXPECT_EQ(CanonicalString("\xed\xa0\x80"), R"("\ud800")");
  EXPECT_EQ(CanonicalString("x\xffy\xe2\x82"), R"("x\ufffdy\ufffd\ufffd")");
}

TEST(CanonicalWriter, SortsNamesByCodePoint) {
  JsonValue value;
  for (const char* name :
       {"\xf0\x90\x80\x80", "\xef\xbf\xbf", "a", "Z", "", "aa", "\xc3\xa9", "\xed\xa0\xbd", "~"}) {
    value[name] = JsonValue(1);
  }
  EXPECT_EQ(WriteCanonical(value),
            R"({"":1,"Z":1,"a":1,"aa":1,"~":1,"\u00e9":1,"\ud83d":1,"\uffff":1,"\ud800\udc00":1})");
}

TEST(CanonicalWriter, WritesEveryKind) {
  JsonArray array{JsonValue(),
                  JsonValue(true),
                  JsonValue(false),
                  JsonValue(JsonInteger{"-12345678901234567890"}),
                  JsonValue(2.0),
                  JsonValue("s"),
                  JsonValue(JsonArray()),
                  JsonValue(JsonObject())};
  EXPECT_EQ(WriteCanonical(JsonValue(array)),
            R"([null,true,false,-12345678901234567890,2.0,"s",[],{}])");
}

TEST(Utf8, IsStrict) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xc3\xa9\xf0\x9f\x98\x80"));
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsUtf8("a\xc0\x80"));
  EXPECT_EQ(DecodeUtf8("\xed\xa0\x80", /*allow_surrogates=*/true).code_point, 0xd800u);
  EXPECT_EQ(DecodeUtf8("").length, 0u);
}

}  // namespace
}  // namespace auspex
