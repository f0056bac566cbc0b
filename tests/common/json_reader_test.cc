// SPDX-License-Identifier: AGPL-3.0-only
// The reader of wire protocol 3.1: what it takes, what it refuses, and each of its limits on both
// sides.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "common/json/canonical.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

// The canonical text of what was read, or the status as text.
std::string Reread(std::string_view text, const JsonLimits& limits = {}) {
  const auto value = ReadJson(text, limits);
  return value.ok() ? WriteCanonical(*value) : value.status().ToString();
}

absl::StatusCode CodeOf(std::string_view text, const JsonLimits& limits = {}) {
  return ReadJson(text, limits).status().code();
}

std::string Repeat(std::string_view piece, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(JsonReader, ReadsEveryKind) {
  EXPECT_EQ(
      Reread(" \t\r\n{ \"b\" : [ true , false , null , 1 , -2.5 , \"x\" ] , \"a\" : { } } \n"),
      R"({"a":{},"b":[true,false,null,1,-2.5,"x"]})");
  EXPECT_EQ(Reread("[]"), "[]");
  EXPECT_EQ(Reread("\"\""), "\"\"");
}

TEST(JsonReader, KeepsTheKindOfNumbers) {
  EXPECT_EQ(Reread("[1,1.0,1e0,-0,-0.0,0e5,10E-1]"), "[1,1.0,1.0,0,-0.0,0.0,1.0]");
  EXPECT_EQ(Reread("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(ReadJson("9223372036854775807")->AsInt64(), INT64_MAX);
  EXPECT_EQ(ReadJson("-9223372036854775808")->AsInt64(), INT64_MIN);
  EXPECT_EQ(ReadJson("9223372036854775808")->AsInt64(), std::nullopt);
  EXPECT_EQ(ReadJson("1.0")->AsInt64(), std::nullopt);
  EXPECT_EQ(ReadJson("9007199254740993")->AsNumber(), 9007199254740992.0);
  EXPECT_EQ(ReadJson("\"1\"")->AsNumber(), std::nullopt);
}

TEST(JsonReader, OverflowIsInfinityAndUnderflowIsZero) {
  EXPECT_EQ(Reread("[1e309,-1e309,1e999999999999999999999,1.8e308]"),
            "[Infinity,-Infinity,Infinity,Infinity]");
  EXPECT_EQ(Reread("[1e-400,-1e-400,1e-999999999999999999999,0e999999999999999999999]"),
            "[0.0,-0.0,0.0,0.0]");
  // Half of the least subnormal rounds to even, which is zero; anything above it does not.
  EXPECT_EQ(Reread("[2.4703282292062327e-324,2.4703282292062328e-324,5e-324]"),
            "[0.0,5e-324,5e-324]");
  EXPECT_EQ(Reread("1.7976931348623157e308"), "1.7976931348623157e+308");
  EXPECT_EQ(Reread("1" + Repeat("0", 400) + ".0e-400"), "1.0");
  EXPECT_EQ(Reread("0." + Repeat("0", 400) + "1e401"), "1.0");
}

TEST(JsonReader, TakesTheBareWordsOfPython) {
  EXPECT_EQ(Reread("[NaN,Infinity,-Infinity]"), "[NaN,Infinity,-Infinity]");
  for (const char* text : {"-NaN", "nan", "inf", "+Infinity", "Infinit", "-Infinit", "Infinity1"}) {
    EXPECT_EQ(CodeOf(text), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(JsonReader, LastOfRepeatedNamesCounts) {
  EXPECT_EQ(Reread(R"({"a":1,"b":2,"a":[3]})"), R"({"a":[3],"b":2})");
  EXPECT_EQ(Reread("{\"a\":1,\"\\u0061\":2}"), R"({"a":2})");
}

TEST(JsonReader, DecodesEscapesAndKeepsUnpairedSurrogates) {
  EXPECT_EQ(*ReadJson(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC")")->as_string(),
            "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac");
  EXPECT_EQ(*ReadJson(R"("\ud83d\ude00")")->as_string(), "\xf0\x9f\x98\x80");
  EXPECT_EQ(*ReadJson(R"("\ud83d")")->as_string(), "\xed\xa0\xbd");
  EXPECT_EQ(Reread(R"("\ude00\ud83d")"), R"("\ude00\ud83d")");
  EXPECT_EQ(Reread(R"("\ud83d\ud83d\ude00x\ud83dA")"), R"("\ud83d\ud83d\ude00x\ud83dA")");
  EXPECT_EQ(*ReadJson(R"("\u0000")")->as_string(), std::string(1, '\0'));
}

TEST(JsonReader, RefusesWhatIsNotJson) {
  const std::string cases[] = {
      "",
      " ",
      "{",
      "}",
      "[",
      "]",
      "[1",
      "[1,",
      "[1,]",
      "[,1]",
      "[1 2]",
      "{\"a\"}",
      "{\"a\":}",
      "{\"a\":1,}",
      "{a:1}",
      "{'a':1}",
      "{1:1}",
      "{\"a\" 1}",
      "{\"a\":1 \"b\":2}",
      "{,}",
      "tru",
      "True",
      "nul",
      "truefalse",
      "1 2",
      "[] []",
      "01",
      "-01",
      "00",
      "1.",
      ".5",
      "-",
      "+1",
      "1e",
      "1e+",
      "1.e5",
      "0x10",
      "1_000",
      "--1",
      "\"",
      "\"a",
      "\"\\\"",
      "\"\\x41\"",
      "\"\\u12\"",
      "\"\\u12g4\"",
      "\"\\",
      "\"\\u",
      "\"\\ud83d\\u12\"",
      "// c\n1",
      "/* c */1",
      "1 // c",
      "#1",
      "\xef\xbb\xbf{}",
      "\v1",
      "\xc2\xa0{}",
      "{}\x01",
      std::string("{}\0", 3),
      std::string("\0{}", 3),
  };
  for (const std::string& text : cases) {
    EXPECT_EQ(CodeOf(text), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(JsonReader, RefusesControlCharactersInStrings) {
  for (int c = 0; c < 0x20; ++c) {
    const std::string text = std::string("\"") + static_cast<char>(c) + "\"";
    EXPECT_EQ(CodeOf(text), absl::StatusCode::kInvalidArgument) << c;
  }
  EXPECT_EQ(Reread("\"\x7f\""), R"("\u007f")");
}

TEST(JsonReader, RefusesMalformedUtf8) {
  for (const char* octets : {"\x80",
                             "\xbf",
                             "\xc3",
                             "\xc3(",
                             "\xc0\xaf",
                             "\xc1\x81",
                             "\xe0\x80\xaf",
                             "\xe0\x9f\xbf",
                             "\xe2\x82",
                             "\xe2(\xa1",
                             "\xed\xa0\x80",
                             "\xed\xbf\xbf",
                             "\xf0\x80\x80\xaf",
                             "\xf0\x8f\xbf\xbf",
                             "\xf0\x9f\x98",
                             "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80",
                             "\xf8\x88\x80\x80\x80",
                             "\xfe",
                             "\xff"}) {
    EXPECT_EQ(CodeOf(std::string("\"") + octets + "\""), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(CodeOf(std::string("{\"") + octets + "\":1}"), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Reread("\"\xf4\x8f\xbf\xbf\""), R"("\udbff\udfff")");
}

TEST(JsonReader, MessagesNameTheOctet) {
  EXPECT_EQ(ReadJson("[1,x]").status().message(),
            "json: no value can begin here or a number is malformed at octet 3");
  EXPECT_EQ(ReadJson("{} {}").status().message(), "json: content after the value at octet 3");
}

TEST(JsonReaderLimits, Octets) {
  const JsonLimits limits{.max_octets = 4};
  EXPECT_EQ(Reread("[10]", limits), "[10]");
  EXPECT_EQ(CodeOf("[100]", limits), absl::StatusCode::kResourceExhausted);
}

TEST(JsonReaderLimits, Depth) {
  const JsonLimits limits{.max_depth = 3};
  EXPECT_EQ(Reread("[[{}]]", limits), "[[{}]]");
  EXPECT_EQ(CodeOf("[[{\"a\":[]}]]", limits), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf("[]", JsonLimits{.max_depth = 0}), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Reread("1", JsonLimits{.max_depth = 0}), "1");
}

TEST(JsonReaderLimits, NoCallerCanLiftTheDepthBeyondTheCeiling) {
  const JsonLimits limits{.max_depth = SIZE_MAX};
  const auto nested = [](size_t depth) { return Repeat("[", depth) + Repeat("]", depth); };
  EXPECT_EQ(CodeOf(nested(kMaxJsonDepth), limits), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(nested(kMaxJsonDepth + 1), limits), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(Repeat("[", 1'000'000), limits), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(Repeat("{\"a\":", 300'000), limits), absl::StatusCode::kResourceExhausted);
}

TEST(JsonReaderLimits, Values) {
  const JsonLimits limits{.max_values = 4};
  EXPECT_EQ(Reread(R"([1,{"a":2}])", limits), R"([1,{"a":2}])");
  EXPECT_EQ(CodeOf(R"([1,{"a":2},3])", limits), absl::StatusCode::kResourceExhausted);
}

TEST(JsonReaderLimits, IntegerDigits) {
  EXPECT_EQ(CodeOf(Repeat("9", 4300)), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf("-" + Repeat("9", 4300)), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(Repeat("9", 4301)), absl::StatusCode::kResourceExhausted);
  // Only integers are bounded: a float of as many digits rounds.
  EXPECT_EQ(CodeOf(Repeat("9", 4301) + ".0"), absl::StatusCode::kOk);
}

TEST(JsonReaderLimits, NonFinite) {
  const JsonLimits limits{.allow_non_finite = false};
  for (const char* text : {"NaN", "Infinity", "-Infinity", "1e400", "-1e400"}) {
    EXPECT_EQ(CodeOf(text, limits), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(Reread("1e-400", limits), "0.0");
}

TEST(JsonReaderLimits, DuplicateNames) {
  const JsonLimits limits{.allow_duplicate_names = false};
  EXPECT_EQ(CodeOf(R"({"a":1,"b":{"a":1}})", limits), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf("{\"a\":1,\"\\u0061\":1}", limits), absl::StatusCode::kInvalidArgument);
}

TEST(JsonValue, MembersAreFoundAndMade) {
  JsonValue value;
  value["a"]["b"] = JsonValue("text");
  value["n"] = JsonValue(3);
  EXPECT_EQ(WriteCanonical(value), R"({"a":{"b":"text"},"n":3})");
  EXPECT_EQ(*value.Find("a")->FindString("b"), "text");
  EXPECT_EQ(value.FindString("n"), nullptr);
  EXPECT_EQ(value.Find("z"), nullptr);
  EXPECT_EQ(JsonValue(1).Find("a"), nullptr);
  value["n"]["m"] = JsonValue();  // a scalar gives way to an object
  EXPECT_EQ(WriteCanonical(value), R"({"a":{"b":"text"},"n":{"m":null}})");
}

}  // namespace
}  // namespace auspex
