// SPDX-License-Identifier: AGPL-3.0-only
// CheckCanonicalObject by example; json_property_test compares it with the writer at large.
#include <gtest/gtest.h>

#include <string>

#include "common/json/canonical.h"

namespace auspex {
namespace {

std::string Repeat(std::string_view piece, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(CanonicalScanner, TakesWhatIsCanonical) {
  for (const char* text :
       {"{}", R"({"a":1})", R"({"":0,"a":[],"b":{},"c":[{},[]]})",
        R"({"a":[1,-1,0,1.0,-0.0,1e+16,1e-05,5e-324]})",
        R"({"a":[true,false,null,"x",NaN,Infinity,-Infinity]})",
        R"({"a":"\"\\\b\f\n\r\t/\u0000\u001f\u007f\u00e9"})",
        R"({"a":"\ud83d\ude00\ud83d\ude00\ud83d","b":"\ude00\ud83d"})",
        R"({"a":123456789012345678901234567890})", R"({"a":1,"aa":1,"b":1})",
        R"({"Z":1,"a":1,"\u00e9":1})", R"({"\uffff":1,"\ud800\udc00":1})",
        R"({"\ud800":1,"\ud800\ud800":1,"\udfff":1,"\uffff":1,"\ud83d\ude00":1})",
        R"({"!":1,"\"":1,"#":1})", R"({"[":1,"\\":1,"]":1})",
        R"({"\b":1,"\t":1,"\n":1,"\u000b":1,"\f":1,"\r":1})"}) {
    EXPECT_TRUE(CheckCanonicalObject(text).ok()) << text << ": " << CheckCanonicalObject(text);
  }
}

TEST(CanonicalScanner, RefusesWhatIsNot) {
  for (const char* text : {"",
                           "1",
                           "[]",
                           "\"a\"",
                           "null",
                           "{",
                           "}",
                           "{} ",
                           " {}",
                           "{}{}",
                           "{ }",
                           "{\"a\" :1}",
                           "{\"a\": 1}",
                           "{\"a\":1 }",
                           "{\"a\":1,}",
                           "{,}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{a:1}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":[1 ,2]}",
                           "{\"a\":[}",
                           "{\"a\":{]}",
                           "{\"a\":-0}",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":1.50}",
                           "{\"a\":1.5e0}",
                           "{\"a\":1e5}",
                           "{\"a\":1e16}",
                           "{\"a\":1E+16}",
                           "{\"a\":1.0e+16}",
                           "{\"a\":1e+016}",
                           "{\"a\":1e-5}",
                           "{\"a\":0.00001}",
                           "{\"a\":10000000000000000.0}",
                           "{\"a\":0.10000000000000001}",
                           "{\"a\":1e+400}",
                           "{\"a\":1e-400}",
                           "{\"a\":-NaN}",
                           "{\"a\":nan}",
                           "{\"a\":True}",
                           "{\"a\":tru}",
                           "{\"a\":\"\\/\"}",
                           "{\"a\":\"\\u0041\"}",
                           "{\"a\":\"\\u000a\"}",
                           "{\"a\":\"\\u0022\"}",
                           "{\"a\":\"\\u005c\"}",
                           "{\"a\":\"\\u00E9\"}",
                           "{\"a\":\"\\u00e\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\",
                           "{\"a\":\"\\u",
                           "{\"a\":\"\x7f\"}",
                           "{\"a\":\"\xc3\xa9\"}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"",
                           "{\"",
                           "{\"a\":1,\"a\":2}",
                           "{\"b\":1,\"a\":2}",
                           "{\"aa\":1,\"a\":2}",
                           "{\"a\":1,\"\":2}",
                           "{\"\\ud800\\udc00\":1,\"\\uffff\":1}",
                           "{\"a\":1,\"Z\":1}",
                           "{\"\\u00e9\":1,\"z\":1}",
                           "{\"x\":{\"b\":1,\"a\":1}}",
                           "{\"a\":1,\"b\":{\"c\":1},\"b\":1}"}) {
    EXPECT_EQ(CheckCanonicalObject(text).code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(CanonicalScanner, NamesOfClosedObjectsDoNotCountOutside) {
  EXPECT_TRUE(CheckCanonicalObject(R"({"a":{"z":1},"b":[{"y":1},{"x":1}],"c":1})").ok());
}

TEST(CanonicalScanner, Limits) {
  EXPECT_TRUE(CheckCanonicalObject("{}", JsonLimits{.max_octets = 2}).ok());
  EXPECT_EQ(CheckCanonicalObject(R"({"":1})", JsonLimits{.max_octets = 5}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(CheckCanonicalObject(R"({"a":[[]]})", JsonLimits{.max_depth = 3}).ok());
  EXPECT_EQ(CheckCanonicalObject(R"({"a":[[]]})", JsonLimits{.max_depth = 2}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(CheckCanonicalObject(R"({"a":[1,2]})", JsonLimits{.max_values = 4}).ok());
  EXPECT_EQ(CheckCanonicalObject(R"({"a":[1,2]})", JsonLimits{.max_values = 3}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(CheckCanonicalObject("{\"a\":-" + Repeat("9", 4300) + "}").ok());
  EXPECT_EQ(CheckCanonicalObject("{\"a\":" + Repeat("9", 4301) + "}").code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CheckCanonicalObject(R"({"a":NaN})", JsonLimits{.allow_non_finite = false}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      CheckCanonicalObject(Repeat("{\"a\":", 300'000), JsonLimits{.max_depth = SIZE_MAX}).code(),
      absl::StatusCode::kResourceExhausted);
}

TEST(CanonicalScanner, MessagesNameTheOctet) {
  EXPECT_EQ(CheckCanonicalObject(R"({"b":1,"a":2})").message(),
            "canonical json: a member name that is repeated or not in order at octet 7");
}

}  // namespace
}  // namespace auspex
